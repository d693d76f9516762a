//! What an expression says by itself: mistakes that need neither a server nor declarations to be seen.

use std::collections::BTreeSet;
use std::time::Duration;

use promql_parser::label::MatchOp;
use promql_parser::parser::token::{T_DIV, T_LOR};
use promql_parser::parser::{BinaryExpr, Expr};

use super::files::Rule;
use super::tree::{Selection, filters, selections};
use super::{Intervals, codes};
use crate::finding::Finding;
use crate::promql::types::Types;
use crate::promql::{bare, mistakes, walk};

/// Functions that need two samples in their range.
const NEED_TWO: [&str; 9] = [
    "rate",
    "increase",
    "irate",
    "delta",
    "idelta",
    "deriv",
    "resets",
    "changes",
    "predict_linear",
];

/// Checks one rule. `types` knows what metrics are.
pub(super) fn check(rule: &Rule, intervals: Intervals, types: &Types, findings: &mut Vec<Finding>) {
    let Some(expr) = &rule.expr else { return };
    let always = rule
        .labels
        .get("severity")
        .is_some_and(|severity| severity == "none");
    if rule.alert().is_some() && !always && !filters(expr) {
        findings.push(rule.finding(
            codes::ALERT_WITHOUT_COMPARISON,
            "the expression returns something in every state, so the alert fires always; compare with a bound",
        ));
    }
    for mistake in mistakes::of(expr, types) {
        findings.push(rule.finding(mistake.code, mistake.sentence));
    }
    let mut add =
        |code: &'static str, sentence: String| findings.push(rule.finding(code, sentence));
    for selection in selections(expr) {
        range(&selection, rule, intervals, &mut add);
        bound(&selection, &mut add);
    }
    walk(expr, &mut |node, _| match node {
        Expr::Binary(binary) if binary.op.id() == T_DIV => ratio(binary, &mut add),
        Expr::Binary(binary) if binary.op.id() == T_LOR => zero(&binary.rhs, &mut add),
        _ => {}
    });
}

type Add<'a> = &'a mut dyn FnMut(&'static str, String);

/// Ranges are open on the left, so one of exactly k intervals holds k samples, and k - 1 after one failed scrape.
fn range(selection: &Selection<'_>, rule: &Rule, intervals: Intervals, add: Add<'_>) {
    let (Some(range), Some(function)) = (selection.range, selection.function()) else {
        return;
    };
    let recorded = selection.name().contains(':');
    let interval = if recorded {
        rule.interval.unwrap_or(intervals.evaluation)
    } else {
        intervals.scrape
    };
    let samples = (range.as_secs_f64() / interval.as_secs_f64() + 1e-9).floor() as u64;
    let needed = if NEED_TWO.contains(&function) { 3 } else { 2 };
    if samples < needed {
        add(
            codes::RANGE_TOO_SHORT,
            format!(
                "{function}({}[{}]) holds {samples} samples at one each {}, and after one failed scrape fewer than {}; \
                 take at least {}",
                selection.name(),
                seconds(range),
                seconds(interval),
                needed - 1,
                seconds(interval * needed as u32)
            ),
        );
    }
}

/// Prometheus 3 writes whole bounds as `1.0`, whatever the program exposes.
fn bound(selection: &Selection<'_>, add: Add<'_>) {
    for matcher in selection
        .matchers()
        .filter(|matcher| matcher.name == "le" || matcher.name == "quantile")
    {
        let number = matcher.value.parse::<f64>().is_ok_and(f64::is_finite);
        let exact = matches!(matcher.op, MatchOp::Equal | MatchOp::NotEqual);
        if exact && number && !matcher.value.contains(['.', 'e']) {
            add(
                codes::BOUND_WITHOUT_POINT,
                format!(
                    "{}=\"{}\" matches nothing in Prometheus 3, which keeps bounds as \"{}.0\"",
                    matcher.name, matcher.value, matcher.value
                ),
            );
        }
    }
}

/// Aggregations that keep different labels match nothing, unless the division says by what they match.
fn ratio(binary: &BinaryExpr, add: Add<'_>) {
    let matching = binary
        .modifier
        .as_ref()
        .is_some_and(|modifier| modifier.matching.is_some());
    let (Some(above), Some(below)) = (kept(&binary.lhs), kept(&binary.rhs)) else {
        return;
    };
    if above != below && !matching {
        add(
            codes::RATIO_OF_DIFFERENT_LABELS,
            format!(
                "the two sides of the division keep different labels ({} and {}), so they match nothing",
                list(&above),
                list(&below)
            ),
        );
    }
}

fn list(labels: &BTreeSet<&str>) -> String {
    let all: Vec<&str> = labels.iter().copied().collect();
    if all.is_empty() {
        "none".to_owned()
    } else {
        all.join(", ")
    }
}

/// Labels kept by an aggregation with `by`, or without any; through a guard like `(x > 0)`.
fn kept(expr: &Expr) -> Option<BTreeSet<&str>> {
    match bare(expr) {
        Expr::Aggregate(aggregate) => match &aggregate.modifier {
            None => Some(BTreeSet::new()),
            Some(modifier) if modifier.is_include() => Some(
                modifier
                    .labels()
                    .labels
                    .iter()
                    .map(String::as_str)
                    .collect(),
            ),
            Some(_) => None,
        },
        Expr::Binary(binary) if binary.op.is_comparison_operator() && !binary.return_bool() => {
            kept(&binary.lhs)
        }
        _ => None,
    }
}

/// `or vector(0)` makes a series that nobody exposes any more look like one without events.
fn zero(right: &Expr, add: Add<'_>) {
    if let Expr::Call(call) = bare(right)
        && call.func.name == "vector"
        && let Some(Expr::NumberLiteral(number)) =
            call.args.args.first().map(|argument| bare(argument))
        && number.val == 0.0
    {
        add(
            codes::ZERO_HIDES_ABSENCE,
            "`or vector(0)` gives 0 for a metric that was renamed or never exposed; multiply another series by 0 instead, or alert on absence".to_owned(),
        );
    }
}

fn seconds(duration: Duration) -> String {
    format!("{}s", duration.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::super::testing::rule;
    use super::*;

    fn found(alert: &str) -> Vec<&'static str> {
        let intervals = Intervals {
            scrape: Duration::from_secs(5),
            evaluation: Duration::from_secs(15),
        };
        let mut findings = Vec::new();
        check(
            &rule("Broken", alert),
            intervals,
            &Types::default(),
            &mut findings,
        );
        findings.into_iter().map(|finding| finding.code).collect()
    }

    #[test]
    fn each_mistake_has_its_code() {
        for (expr, expected) in [
            ("rate(a_total[5m])", codes::ALERT_WITHOUT_COMPARISON),
            ("rate(a_total[10s]) > 1", codes::RANGE_TOO_SHORT),
            ("max_over_time(up[5s]) == 0", codes::RANGE_TOO_SHORT),
            (
                "avg_over_time(job:a:rate5m[20s]) > 1",
                codes::RANGE_TOO_SHORT,
            ),
            (
                "rate(a_bucket{le=\"1\"}[5m]) > 1",
                codes::BOUND_WITHOUT_POINT,
            ),
            (
                "sum by (job) (rate(a_total[5m])) / (sum(rate(b_total[5m])) > 0) > 0.1",
                codes::RATIO_OF_DIFFERENT_LABELS,
            ),
            (
                "(sum(rate(a_total[5m])) or vector(0)) > 1",
                codes::ZERO_HIDES_ABSENCE,
            ),
            ("rate(sum(a_total)[5m:5s]) > 1", mistakes::SUM_BEFORE_RATE),
        ] {
            assert_eq!(found(expr), [expected], "{expr}");
        }
    }

    #[test]
    fn what_is_right_has_no_finding() {
        for expr in [
            "sum by (job) (rate(a_total{code=~\"5..\"}[5m])) / (sum by (job) (rate(a_total[5m])) > 0) > 0.1",
            "sum by (job) (rate(a_total[5m])) / on () group_left () sum(rate(b_total[5m])) > 0.1",
            "max_over_time(up[5m]) == 0",
            "count(up == 1) unless on () a_total",
            "rate(a_bucket{le=\"1.0\"}[5m]) > 1",
            "rate(a_bucket{le=\"+Inf\"}[5m]) > 1",
        ] {
            assert_eq!(found(expr), Vec::<&str>::new(), "{expr}");
        }
    }
}
