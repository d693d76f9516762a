//! Functions of dates that are given no moment.

use promql_parser::parser::Expr;

use super::super::types::Types;
use super::super::unit::{self, Sense, Unit};
use super::super::{bare, function, walk};
use super::{DATE_OF_A_SAMPLE, Mistake};

/// Functions that take moments; without an argument, the moment of evaluation.
const DATES: &[&str] = &[
    "minute",
    "hour",
    "day_of_week",
    "day_of_month",
    "day_of_year",
    "days_in_month",
    "month",
    "year",
];

pub(super) fn mistakes(expr: &Expr, types: &Types) -> Vec<Mistake> {
    let mut found = Vec::new();
    walk(expr, &mut |expr, _| {
        let Expr::Call(call) = expr else { return };
        let Some(argument) = call.args.args.first() else {
            return;
        };
        if !DATES.contains(&call.func.name) {
            return;
        }
        let name = call.func.name;
        let sentence = if function(bare(argument)) == "timestamp" {
            format!(
                "{name}(timestamp(...)) is the date of a sample, which may be old; write {name}() for the moment of evaluation"
            )
        } else if let Unit::Quantity(quantity) = unit::of(argument, types)
            && quantity.sense != Sense::Moment
        {
            format!("{name} takes a moment in seconds since 1970, and `{argument}` is none")
        } else if is_up(argument) {
            format!("{name} takes a moment in seconds since 1970, and `{argument}` is 0 or 1")
        } else {
            return;
        };
        found.push(Mistake::new(DATE_OF_A_SAMPLE, sentence));
    });
    found
}

/// Of the metrics that Prometheus makes itself, the one that is in every expression.
fn is_up(expr: &Expr) -> bool {
    let selector = super::super::selector(bare(expr));
    selector.and_then(super::super::metric) == Some("up")
}
