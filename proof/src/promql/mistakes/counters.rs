//! Counters used as gauges, and gauges used as counters.

use promql_parser::parser::Expr;

use super::super::types::{Kind, Types};
use super::super::{aggregation, function, metric, selector, walk};
use super::{DELTA_OF_COUNTER, Mistake, RATE_OF_GAUGE, RAW_COUNTER, SUM_BEFORE_RATE};

/// Functions that take a drop for a restart of the program.
const RATES: &[&str] = &["rate", "irate", "increase"];
/// Functions that take a drop for a drop.
const DELTAS: &[&str] = &["delta", "idelta", "deriv", "predict_linear"];
/// Functions and aggregations that ask whether, when or how often there was a sample, not what it was.
const PRESENCE: &[&str] = &[
    "absent",
    "absent_over_time",
    "present_over_time",
    "count_over_time",
    "changes",
    "resets",
    "timestamp",
    "count",
    "group",
];

pub(super) fn mistakes(expr: &Expr, types: &Types) -> Vec<Mistake> {
    let mut found = Vec::new();
    walk(expr, &mut |expr, above| {
        let Some(name) = selector(expr).and_then(metric) else {
            return;
        };
        found.extend(match types.series(name).kind {
            Kind::Counter => of_counter(name, expr, above),
            Kind::Gauge => of_gauge(name, above),
            Kind::NativeHistogram | Kind::Unknown => None,
        });
    });
    found
}

fn of_counter(name: &str, expr: &Expr, above: &[&Expr]) -> Option<Mistake> {
    if only_presence(expr, above) {
        return None;
    }
    let user = above
        .iter()
        .rev()
        .map(|above| function(above))
        .find(|name| RATES.contains(name) || DELTAS.contains(name));
    match user {
        Some(rate) if RATES.contains(&rate) => aggregated_first(rate, above).map(|operation| {
            Mistake::new(
                SUM_BEFORE_RATE,
                format!(
                    "{rate} of {operation}({name}): when one instance restarts, the {operation} drops and {rate} takes the rest for new; write {operation}({rate}({name}[...]))"
                ),
            )
        }),
        Some(delta) => Some(Mistake::new(
            DELTA_OF_COUNTER,
            format!("{delta} of the counter {name} is wrong across a restart; use rate or increase"),
        )),
        None => Some(Mistake::new(
            RAW_COUNTER,
            format!(
                "the value of the counter {name} says how long the program runs; use rate or increase"
            ),
        )),
    }
}

/// The aggregation that stands between the counter and the function that rates it.
fn aggregated_first(rate: &str, above: &[&Expr]) -> Option<String> {
    above
        .iter()
        .rev()
        .take_while(|above| function(above) != rate)
        .map(|above| aggregation(above))
        .find(|operation| !operation.is_empty())
}

fn of_gauge(name: &str, above: &[&Expr]) -> Option<Mistake> {
    // Directly, or through a subquery of the gauge itself.
    let rate = above
        .iter()
        .rev()
        .find(|above| !matches!(above, Expr::Paren(_) | Expr::Subquery(_)))
        .map(|above| function(above))
        .filter(|name| RATES.contains(name))?;
    Some(Mistake::new(
        RATE_OF_GAUGE,
        format!(
            "{name} is a gauge, and {rate} takes each fall for a restart; use delta or deriv, or the value itself"
        ),
    ))
}

/// Whether the counter's value matters to nothing.
fn only_presence(expr: &Expr, above: &[&Expr]) -> bool {
    let asked = |above: &&Expr| {
        PRESENCE.contains(&function(above)) || PRESENCE.contains(&aggregation(above).as_str())
    };
    // `x and y`: of y only the labels count.
    let path: Vec<&Expr> = above.iter().copied().chain([expr]).collect();
    let filters = path.windows(2).any(|pair| match pair[0] {
        Expr::Binary(binary) => {
            matches!(binary.op.to_string().as_str(), "and" | "unless")
                && std::ptr::eq(binary.rhs.as_ref(), pair[1])
        }
        _ => false,
    });
    filters || above.iter().any(asked)
}
