//! Queries whose expression alone is a mistake, or does not fit what the panel says about it.

use std::sync::LazyLock;
use std::time::Duration;

use promql_parser::parser::Expr;
use regex::Regex;

use super::super::choices::{RECOGNISABLE, RECOGNISABLE_INTERVAL};
use super::super::codes;
use super::super::model::{Panel, Target};
use super::super::notes::Note;
use super::super::queries::{Origin, Query};
use super::super::units;
use super::panels::ONE_NUMBER;
use crate::promql::share::{Share, share};
use crate::promql::types::Types;
use crate::promql::unit::{self, Unit};
use crate::promql::{self, mistakes};

/// Functions for which a window must hold two samples, and whose windows must touch each other so that nothing is lost.
const RATES: &[&str] = &["rate", "irate", "increase"];
/// How far Prometheus looks back for a sample by itself.
const LOOK_BACK: Duration = Duration::from_mins(5);
/// Changes of values after the query, by which their unit may change.
const CALCULATIONS: &[&str] = &["calculateField", "histogram", "reduce"];

pub(super) fn notes<'a>(query: Query<'a>, expr: &Expr, types: &Types) -> Vec<Note<'a>> {
    let mistakes = mistakes::of(expr, types).into_iter();
    let mut notes: Vec<Note<'a>> = mistakes
        .map(|mistake| Note::of_query(query, mistake.code, mistake.sentence))
        .collect();
    notes.extend(ranges(query, expr));
    if let Origin::Panel(panel, target) = query.origin {
        notes.extend(
            wrong_unit(panel, target, expr, types)
                .map(|sentence| Note::of_query(query, codes::WRONG_UNIT, sentence)),
        );
        notes.extend(
            mislabelled(panel, target, expr)
                .map(|sentence| Note::of_query(query, codes::MISLABELLED_QUANTILE, sentence)),
        );
        let others = [
            another_whole(panel, target, expr),
            stale(panel, expr),
            reduced_quantile(panel, target, expr),
        ];
        let others = others.into_iter().flatten();
        notes.extend(others.map(|(code, sentence)| Note::of_query(query, code, sentence)));
    }
    notes
}

fn ranges<'a>(query: Query<'a>, expr: &Expr) -> Vec<Note<'a>> {
    let by_macro = [
        RECOGNISABLE.rate_interval(),
        RECOGNISABLE.range(),
        RECOGNISABLE_INTERVAL,
    ];
    let mut notes: Vec<Note<'a>> = Vec::new();
    promql::walk(expr, &mut |expr, above| {
        let Expr::MatrixSelector(matrix) = expr else {
            return;
        };
        let function = above.last().map_or("", |above| promql::function(above));
        if !RATES.contains(&function) || by_macro.contains(&matrix.range) {
            return;
        }
        let note = if matrix.range == RECOGNISABLE.interval {
            let sentence = format!(
                "{function} over `$__interval` may find one sample, and then has no result; use `$__rate_interval`"
            );
            Note::of_query(query, codes::RATE_OVER_INTERVAL, sentence)
        } else {
            let sentence = format!(
                "{function} over a fixed range leaves out what happens between two points when the board shows a longer time; use `$__rate_interval`"
            );
            Note::of_query(query, codes::FIXED_RANGE, sentence)
        };
        if notes.iter().all(|known| known.finding != note.finding) {
            notes.push(note);
        }
    });
    notes
}

fn wrong_unit(panel: &Panel, target: &Target, expr: &Expr, types: &Types) -> Option<String> {
    let calculated = panel
        .transformations
        .iter()
        .any(|step| !step.disabled && CALCULATIONS.contains(&step.id.as_str()));
    let id = panel.unit_of(target);
    if id.is_empty() || calculated {
        return None;
    }
    let Unit::Quantity(quantity) = (if panel.kind == "heatmap" {
        unit::of_observations(expr, types)
    } else {
        unit::of(expr, types)
    }) else {
        return None;
    };
    if units::fits(id, &quantity)? {
        return None;
    }
    let what = units::describe(&quantity);
    Some(match units::suggestions(&quantity).as_str() {
        "" => format!("the unit is `{id}`, and the query gives {what}"),
        fitting => format!("the unit is `{id}`, and the query gives {what}: {fitting}"),
    })
}

/// A share of what its lower side leaves out, in part.
fn another_whole(panel: &Panel, target: &Target, expr: &Expr) -> Option<(&'static str, String)> {
    let unit = panel.unit_of(target);
    let Share::OfAnother(label) = share(expr)? else {
        return None;
    };
    matches!(unit, "percentunit" | "percent").then(|| {
        let sentence = format!(
            "the lower side of the share selects by `{label}` and the upper side does not: it counts what the whole leaves out"
        );
        (codes::SHARE_OF_ANOTHER_WHOLE, sentence)
    })
}

/// One number or a state that is looked up in the past, so that what is gone looks alive.
fn stale(panel: &Panel, expr: &Expr) -> Option<(&'static str, String)> {
    let kind = panel.kind.as_str();
    if !ONE_NUMBER.contains(&kind) && kind != "state-timeline" {
        return None;
    }
    let mut found = None;
    promql::walk(expr, &mut |expr, _| {
        if let Expr::Call(call) = expr
            && call.func.name == "last_over_time"
            && let Some(Expr::MatrixSelector(matrix)) = call.args.args.first().map(|arg| &**arg)
            && matrix.range > LOOK_BACK
        {
            found = Some(matrix.range.as_secs());
        }
    });
    let sentence = format!(
        "last_over_time shows for {} s what was there last: what is gone looks alive",
        found?
    );
    Some((codes::STALE_VALUE, sentence))
}

/// A percentile's course in one number: its mean.
fn reduced_quantile(panel: &Panel, target: &Target, expr: &Expr) -> Option<(&'static str, String)> {
    let calculations = panel.options["reduceOptions"]["calcs"].as_array()?;
    let mean = calculations
        .iter()
        .any(|name| name == "mean" || name == "sum");
    let quantile = promql::function(promql::bare(expr)) == "histogram_quantile";
    let one_number = ONE_NUMBER.contains(&panel.kind.as_str()) && !target.is_instant();
    (mean && quantile && one_number).then(|| {
        let sentence = "the panel shows the mean of a percentile over time, which is no percentile; query an instant over the whole range";
        (mistakes::AGGREGATED_QUANTILE, sentence.to_owned())
    })
}

/// `p99`, `p99.9`.
static QUANTILE: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"(?i)\bp(\d{2}(?:\.\d+)?)\b").ok());

/// A quantile by name that the query does not take. The legend speaks for its query, the title for a panel whose legends
/// name none.
fn mislabelled(panel: &Panel, target: &Target, expr: &Expr) -> Option<String> {
    let in_legend = quantiles(&target.legend_format);
    let others = panel
        .targets
        .iter()
        .any(|target| !quantiles(&target.legend_format).is_empty());
    let (place, named) = match in_legend.as_slice() {
        [] if others => return None,
        [] => ("title", quantiles(&panel.title)),
        _ => ("legend", in_legend),
    };
    let [named] = named.as_slice() else {
        return None;
    };
    let taken = taken(expr)?;
    if taken
        .iter()
        .any(|quantile| (quantile * 100.0 - named).abs() < 0.001)
    {
        return None;
    }
    let query = match taken.first() {
        Some(quantile) => format!("the query takes the quantile {quantile}"),
        None => "the query takes no quantile".to_owned(),
    };
    Some(format!("the {place} says p{named}, and {query}"))
}

fn quantiles(text: &str) -> Vec<f64> {
    let Some(pattern) = &*QUANTILE else {
        return Vec::new();
    };
    let mut found: Vec<f64> = pattern
        .captures_iter(text)
        .filter_map(|found| found[1].parse().ok())
        .collect();
    found.dedup();
    found
}

/// The quantiles that an expression takes. `None` if that can't be told: a recorded series or a variable.
fn taken(expr: &Expr) -> Option<Vec<f64>> {
    let mut found = Vec::new();
    let mut unknown = promql::metrics(expr).iter().any(|name| name.contains(':'));
    promql::walk(expr, &mut |expr, _| {
        let parameter = match expr {
            Expr::Call(call)
                if matches!(call.func.name, "histogram_quantile" | "quantile_over_time") =>
            {
                call.args.args.first().map(|arg| promql::bare(arg))
            }
            Expr::Aggregate(aggregate) if promql::aggregation(expr) == "quantile" => {
                aggregate.param.as_deref().map(promql::bare)
            }
            _ => None,
        };
        match parameter {
            Some(Expr::NumberLiteral(number)) => found.push(number.val),
            Some(_) => unknown = true,
            None => {}
        }
        if let Some(selector) = promql::selector(expr) {
            let of_summary = promql::matchers(selector).filter(|m| m.name == "quantile");
            found.extend(of_summary.filter_map(|m| m.value.parse::<f64>().ok()));
        }
    });
    (!unknown).then_some(found)
}
