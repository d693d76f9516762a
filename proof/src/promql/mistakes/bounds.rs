//! Bounds of buckets as Prometheus 3 does not write them.

use promql_parser::label::MatchOp;
use promql_parser::parser::Expr;

use super::super::{matchers, selectors};
use super::{BOUND_WITHOUT_POINT, Mistake};

/// Prometheus 3 writes whole bounds as `1.0`, whatever the program exposes.
pub(super) fn mistakes(expr: &Expr) -> Vec<Mistake> {
    selectors(expr)
        .into_iter()
        .flat_map(matchers)
        .filter(|matcher| matcher.name == "le" || matcher.name == "quantile")
        .filter(|matcher| matches!(matcher.op, MatchOp::Equal | MatchOp::NotEqual))
        .filter(|matcher| matcher.value.parse::<f64>().is_ok_and(f64::is_finite))
        .filter(|matcher| !matcher.value.contains(['.', 'e']))
        .map(|matcher| {
            let (label, value) = (&matcher.name, &matcher.value);
            let sentence = format!(
                "{label}=\"{value}\" matches nothing in Prometheus 3, which keeps bounds as \"{value}.0\""
            );
            Mistake::new(BOUND_WITHOUT_POINT, sentence)
        })
        .collect()
}
