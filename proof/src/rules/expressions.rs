//! What an expression says by itself: mistakes that need neither a server nor declarations to be seen.

use std::time::Duration;

use promql_parser::parser::token::{T_GTE, T_GTR, T_LOR, T_LUNLESS, T_MUL};
use promql_parser::parser::{BinaryExpr, Expr};

use super::files::Rule;
use super::tree::{Selection, constant, filters, selections};
use super::{Intervals, codes};
use crate::finding::Finding;
use crate::promql::share::{Share, share};
use crate::promql::types::Types;
use crate::promql::{self, bare, mistakes, walk};

/// Beginnings of the names of series that are there after a failed scrape as well.
const OF_PROMETHEUS: [&str; 3] = ["up", "ALERTS", "scrape_"];

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
        instant(&selection, rule, &mut add);
    }
    walk(expr, &mut |node, _| {
        match node {
        Expr::Binary(binary) if binary.op.id() == T_LOR => zero(&binary.rhs, &mut add),
        Expr::Binary(binary) => beyond_share(binary, &mut add),
        Expr::Aggregate(_) if promql::aggregation(node) == "count_values" && rule.alert().is_some() => add(
            codes::VALUE_IN_A_LABEL,
            "count_values makes a label of the value, so that each change of it is another alert that waits `for` anew".to_owned(),
        ),
        _ => {}
    }
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

/// A selector without a range loses its series with one failed scrape, and a `for` that waits begins anew. What Prometheus
/// makes itself is there all the same, and what is recorded outlives a scrape.
fn instant(selection: &Selection<'_>, rule: &Rule, add: Add<'_>) {
    let name = selection.name();
    let always = name.contains(':') || OF_PROMETHEUS.iter().any(|own| name.starts_with(own));
    let over_time = selection.around.iter().any(|expr| {
        matches!(expr, Expr::Subquery(_)) || promql::function(expr).starts_with("absent")
    });
    if rule.hold.is_none() || selection.range.is_some() || always || over_time {
        return;
    }
    // On the right of `unless`, a series that is missing starts the wait and does not end it.
    let path: Vec<&Expr> = selection.around.clone();
    let under_unless = path.windows(2).any(|pair| match pair[0] {
        Expr::Binary(binary) => {
            binary.op.id() == T_LUNLESS && std::ptr::eq(binary.rhs.as_ref(), pair[1])
        }
        _ => false,
    }) || path.last().is_some_and(|last| match last {
        Expr::Binary(binary) => {
            binary.op.id() == T_LUNLESS
                && promql::selector(bare(&binary.rhs))
                    .is_some_and(|right| std::ptr::eq(right, selection.selector))
        }
        _ => false,
    });
    if !under_unless {
        add(
            codes::RANGE_TOO_SHORT,
            format!(
                "one failed scrape leaves {name} without a sample, and `for` begins anew; take the maximum, minimum or mean of some minutes"
            ),
        );
    }
}

/// A share is never above 1, so a bound of 1 or more is one of per cent.
fn beyond_share(binary: &BinaryExpr, add: Add<'_>) {
    let above = matches!(binary.op.id(), T_GTR | T_GTE);
    let Some(bound) = constant(&binary.rhs) else {
        return;
    };
    let whole = if is_scaled(&binary.lhs) { 100.0 } else { 1.0 };
    if above && bound >= whole && share(&binary.lhs) == Some(Share::OfWhole) {
        add(
            codes::BOUND_BEYOND_SHARE,
            format!(
                "`{}` is a share of {whole} at most, and is compared with {bound}: the alert never fires",
                binary.lhs
            ),
        );
    }
}

/// Whether the expression has a factor of 100 anywhere: `100 * a / b` is one of `a`.
fn is_scaled(expr: &Expr) -> bool {
    let mut scaled = false;
    walk(expr, &mut |expr, _| {
        if let Expr::Binary(binary) = expr
            && binary.op.id() == T_MUL
        {
            let sides = [&binary.lhs, &binary.rhs];
            scaled |= sides.iter().any(|side| constant(side) == Some(100.0));
        }
    });
    scaled
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
                mistakes::BOUND_WITHOUT_POINT,
            ),
            (
                "sum(rate(a_total{code=\"5\"}[5m])) / sum(rate(a_total[5m])) > 5",
                codes::BOUND_BEYOND_SHARE,
            ),
            (
                "100 * sum(rate(a_total{code=\"5\"}[5m])) / sum(rate(a_total[5m])) > 100",
                codes::BOUND_BEYOND_SHARE,
            ),
            (
                "count_values(\"v\", max_over_time(a[5m])) > 1",
                codes::VALUE_IN_A_LABEL,
            ),
            ("in_use > 5", codes::RANGE_TOO_SHORT),
            (
                "max_over_time(a[5m]) > 1 and on () in_use",
                codes::RANGE_TOO_SHORT,
            ),
            (
                "sum by (job) (rate(a_total[5m])) / (sum(rate(b_total[5m])) > 0) > 0.1",
                mistakes::RATIO_OF_DIFFERENT_LABELS,
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
            "max_over_time(a[5m]) > 1 unless on () (b > 1)",
            "absent(in_use)",
            "max_over_time((in_use > 5)[5m:])",
            "100 * sum(rate(a_total{code=\"5\"}[5m])) / sum(rate(a_total[5m])) > 5",
            "rate(a_bucket{le=\"1.0\"}[5m]) > 1",
            "rate(a_bucket{le=\"+Inf\"}[5m]) > 1",
        ] {
            assert_eq!(found(expr), Vec::<&str>::new(), "{expr}");
        }
    }
}
