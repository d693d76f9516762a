//! Quantiles of what has none, and arithmetic with quantiles.

use promql_parser::label::MatchOp;
use promql_parser::parser::{Call, Expr};

use super::super::types::{Kind, Types};
use super::super::{
    aggregation, bare, function, keeps_label, matchers, metric, selector, selectors, walk,
};
use super::{
    AGGREGATED_QUANTILE, BUCKETS_ADDED, Mistake, QUANTILE_OUT_OF_RANGE, QUANTILE_WITHOUT_BUCKETS,
    QUANTILE_WITHOUT_LE,
};

pub(super) fn mistakes(expr: &Expr, types: &Types) -> Vec<Mistake> {
    let mut found = Vec::new();
    walk(expr, &mut |expr, above| {
        if let Expr::Call(call) = expr
            && call.func.name == "histogram_quantile"
        {
            found.extend(out_of_range(call));
            found.extend(buckets(call, types));
        }
        if is_quantile(expr) {
            found.extend(aggregated(above));
        }
        found.extend(added(expr, above));
    });
    found
}

fn out_of_range(call: &Call) -> Option<Mistake> {
    let Expr::NumberLiteral(quantile) = bare(call.args.args.first()?) else {
        return None;
    };
    (!(0.0..=1.0).contains(&quantile.val)).then(|| {
        let sentence = format!(
            "the quantile {quantile} is not between 0 and 1, so the result is infinite; write {} for the {quantile}th percentile",
            quantile.val / 100.0
        );
        Mistake::new(QUANTILE_OUT_OF_RANGE, sentence)
    })
}

/// Whether the buckets are there, and reach the function with their bounds.
fn buckets(call: &Call, types: &Types) -> Option<Mistake> {
    let of = call.args.args.get(1)?;
    let names: Vec<&str> = selectors(of).into_iter().filter_map(metric).collect();
    if let Some(name) = names.iter().find(|name| {
        let kind = types.series(name).kind;
        !types.is_histogram(name) && kind != Kind::Unknown
    }) {
        let sentence = format!(
            "{name} has no buckets, so no quantile can be taken of it; use a histogram's `_bucket` series"
        );
        return Some(Mistake::new(QUANTILE_WITHOUT_BUCKETS, sentence));
    }
    let classic = names.iter().any(|name| name.ends_with("_bucket"));
    let mut lost = None;
    walk(of, &mut |expr, _| {
        if classic && !keeps_label(expr, "le") {
            lost = Some(aggregation(expr));
        }
    });
    lost.map(|operation| {
        let sentence = format!(
            "{operation} drops the label `le`, without which buckets have no bounds; add it to `by (...)`"
        );
        Mistake::new(QUANTILE_WITHOUT_LE, sentence)
    })
}

/// Buckets that are added up, each of which counts what those below it count: a multiple of the observations.
fn added(expr: &Expr, above: &[&Expr]) -> Option<Mistake> {
    let selector = selector(expr)?;
    let name = metric(selector).filter(|name| name.ends_with("_bucket"))?;
    let quantile = |above: &&Expr| function(above).starts_with("histogram_");
    let one_bound = matchers(selector).any(|matcher| {
        matcher.name == "le" && (matcher.op == MatchOp::Equal || is_one_number(&matcher.value))
    });
    if above.iter().any(quantile) || one_bound {
        return None;
    }
    let sum = above.iter().rev().find(|above| {
        matches!(aggregation(above).as_str(), "sum" | "avg") && !keeps_label(above, "le")
    })?;
    let sentence = format!(
        "{} adds up the buckets of {name}, each of which counts what those below it count; use `_count`, or select one `le`",
        aggregation(sum)
    );
    Some(Mistake::new(BUCKETS_ADDED, sentence))
}

/// Whether the alternatives of a pattern are ways to write one number, such as `1|1\\.0`.
fn is_one_number(pattern: &str) -> bool {
    let numbers: Option<Vec<f64>> = pattern
        .replace('\\', "")
        .split('|')
        .map(|text| text.parse().ok())
        .collect();
    numbers.is_some_and(|numbers| {
        numbers
            .windows(2)
            .all(|pair| pair[0].total_cmp(&pair[1]).is_eq())
    })
}

/// A quantile: calculated here, or by the program (a summary's).
fn is_quantile(expr: &Expr) -> bool {
    let by_program = selector(expr).is_some_and(|selector| {
        matchers(selector).any(|m| m.name == "quantile" && m.value.parse::<f64>().is_ok())
    });
    by_program || function(expr) == "histogram_quantile"
}

fn aggregated(above: &[&Expr]) -> Option<Mistake> {
    let operation = above.iter().rev().find_map(|above| {
        let names = [aggregation(above), function(above).to_owned()];
        names.into_iter().find(|name| {
            matches!(
                name.as_str(),
                "avg" | "sum" | "avg_over_time" | "sum_over_time"
            )
        })
    })?;
    let sentence = format!(
        "{operation} of quantiles is no quantile: one slow instance of many disappears in it; add up the buckets first, then take the quantile"
    );
    Some(Mistake::new(AGGREGATED_QUANTILE, sentence))
}
