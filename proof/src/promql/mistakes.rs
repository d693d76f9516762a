//! Expressions that are valid and wrong: seen in the expression alone, with what is known of its metrics.

mod bounds;
mod counters;
mod dates;
mod histograms;
mod joins;
mod ratios;

use promql_parser::parser::Expr;

use super::types::Types;

/// A mistake in an expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// The kind of mistake, as findings name it.
    pub code: &'static str,
    /// What is wrong and what to do.
    pub sentence: String,
}

impl Mistake {
    fn new(code: &'static str, sentence: String) -> Self {
        Self { code, sentence }
    }
}

/// The code of a counter that is rated as if it was a gauge.
pub const DELTA_OF_COUNTER: &str = "delta-of-counter";
/// The code of a rate of what is no counter.
pub const RATE_OF_GAUGE: &str = "rate-of-gauge";
/// The code of a counter whose value itself is used.
pub const RAW_COUNTER: &str = "raw-counter";
/// The code of a rate of a sum.
pub const SUM_BEFORE_RATE: &str = "sum-before-rate";
/// The code of a quantile of buckets without their bounds.
pub const QUANTILE_WITHOUT_LE: &str = "quantile-without-le";
/// The code of a quantile of what has no buckets.
pub const QUANTILE_WITHOUT_BUCKETS: &str = "quantile-without-buckets";
/// The code of a quantile that is not between 0 and 1.
pub const QUANTILE_OUT_OF_RANGE: &str = "quantile-out-of-range";
/// The code of a mean or a sum of quantiles.
pub const AGGREGATED_QUANTILE: &str = "aggregated-quantile";
/// The code of buckets that are added up although each holds those below it.
pub const BUCKETS_ADDED: &str = "buckets-added";
/// The code of a bucket's bound as Prometheus 3 does not keep it.
pub const BOUND_WITHOUT_POINT: &str = "bound-without-point";
/// The code of a quotient that is always 1.
pub const RATIO_WITH_ITSELF: &str = "ratio-with-itself";
/// The code of two sides that match nothing.
pub const RATIO_OF_DIFFERENT_LABELS: &str = "ratio-of-different-labels";
/// The code of a date that is taken of no moment.
pub const DATE_OF_A_SAMPLE: &str = "date-of-a-sample";

/// Every mistake that the expression alone shows, each once.
pub fn of(expr: &Expr, types: &Types) -> Vec<Mistake> {
    let found = [
        counters::mistakes(expr, types),
        histograms::mistakes(expr, types),
        bounds::mistakes(expr),
        ratios::mistakes(expr),
        joins::mistakes(expr),
        dates::mistakes(expr, types),
    ];
    let mut each = Vec::new();
    for mistake in found.into_iter().flatten() {
        if !each.contains(&mistake) {
            each.push(mistake);
        }
    }
    each
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::*;

    fn types() -> Types {
        let mut types = Types::default();
        types.declare("lat_seconds", "histogram", "s");
        types.declare("native_seconds", "histogram", "s");
        types.declare("requests_total", "counter", "");
        types.declare("errors_total", "counter", "");
        types.declare("in_use", "gauge", "");
        types.declare("rpc_seconds", "summary", "s");
        types
    }

    #[test]
    fn each_mistake_is_found_and_no_other() {
        for (text, code) in [
            ("rate(in_use[5m])", RATE_OF_GAUGE),
            ("sum(increase(in_use[5m]))", RATE_OF_GAUGE),
            ("rate(in_use[5m:30s])", RATE_OF_GAUGE),
            ("delta(requests_total[5m])", DELTA_OF_COUNTER),
            ("deriv(requests_total[5m])", DELTA_OF_COUNTER),
            ("requests_total", RAW_COUNTER),
            ("requests_total - requests_total offset 1h", RAW_COUNTER),
            ("sum by (code) (requests_total)", RAW_COUNTER),
            ("max_over_time(requests_total[5m])", RAW_COUNTER),
            ("lat_seconds_sum / lat_seconds_count", RAW_COUNTER),
            ("rate(sum(requests_total)[5m:])", SUM_BEFORE_RATE),
            (
                "increase(sum by (a) (requests_total)[1h:1m])",
                SUM_BEFORE_RATE,
            ),
            (
                "histogram_quantile(0.9, sum(rate(lat_seconds_bucket[5m])))",
                QUANTILE_WITHOUT_LE,
            ),
            (
                "histogram_quantile(0.9, sum by (route) (rate(lat_seconds_bucket[5m])))",
                QUANTILE_WITHOUT_LE,
            ),
            (
                "histogram_quantile(0.9, sum without (le) (rate(lat_seconds_bucket[5m])))",
                QUANTILE_WITHOUT_LE,
            ),
            (
                "histogram_quantile(0.9, rate(requests_total[5m]))",
                QUANTILE_WITHOUT_BUCKETS,
            ),
            (
                "histogram_quantile(99, sum by (le) (rate(lat_seconds_bucket[5m])))",
                QUANTILE_OUT_OF_RANGE,
            ),
            (
                "avg(histogram_quantile(0.9, sum by (le, instance) (rate(lat_seconds_bucket[5m]))))",
                AGGREGATED_QUANTILE,
            ),
            (
                "avg_over_time(histogram_quantile(0.9, sum by (le) (rate(lat_seconds_bucket[5m])))[1h:])",
                AGGREGATED_QUANTILE,
            ),
            (r#"avg(rpc_seconds{quantile="0.99"})"#, AGGREGATED_QUANTILE),
            (
                r#"rate(requests_total{code=~"5.."}[5m]) / rate(requests_total[5m])"#,
                RATIO_WITH_ITSELF,
            ),
            (
                r#"sum by (code) (rate(requests_total{code=~"5.."}[5m])) / sum by (code) (rate(requests_total[5m]))"#,
                RATIO_WITH_ITSELF,
            ),
            (
                r#"sum by (code) (rate(requests_total{code=~"5.."}[5m])) / sum by (code) (rate(requests_total{code!~"4.."}[5m]))"#,
                RATIO_WITH_ITSELF,
            ),
            ("sum(rate(lat_seconds_bucket[5m]))", BUCKETS_ADDED),
            (
                "sum by (route) (increase(lat_seconds_bucket[5m]))",
                BUCKETS_ADDED,
            ),
            (
                r#"sum(rate(lat_seconds_bucket{le=~"0.1|0.5"}[5m]))"#,
                BUCKETS_ADDED,
            ),
            (
                r#"rate(lat_seconds_bucket{le="1"}[5m])"#,
                BOUND_WITHOUT_POINT,
            ),
            (
                "sum by (a) (rate(errors_total[5m])) / sum by (b) (rate(requests_total[5m]))",
                RATIO_OF_DIFFERENT_LABELS,
            ),
            (
                "sum by (a) (rate(errors_total[5m])) > 1 and sum by (b) (rate(requests_total[5m])) > 1",
                RATIO_OF_DIFFERENT_LABELS,
            ),
            (
                "sum by (a) (rate(errors_total[5m])) unless max(in_use)",
                RATIO_OF_DIFFERENT_LABELS,
            ),
            ("hour(timestamp(in_use))", DATE_OF_A_SAMPLE),
            ("month(up) == 12", DATE_OF_A_SAMPLE),
            (
                r#"1 - (sum without (pod) (rate(requests_total{code="500"}[5m])) / sum without (pod) (rate(requests_total[5m])))"#,
                RATIO_WITH_ITSELF,
            ),
        ] {
            let found = of(&parse(text).unwrap(), &types());
            let mut codes: Vec<_> = found.iter().map(|mistake| mistake.code).collect();
            codes.dedup();
            assert_eq!(codes, [code], "{text}: {found:?}");
        }
    }

    #[test]
    fn what_is_right_is_left_alone() {
        for text in [
            "sum by (code) (rate(requests_total[5m]))",
            "resets(requests_total[5m])",
            "count(requests_total)",
            "absent(requests_total)",
            "timestamp(requests_total)",
            "delta(in_use[5m])",
            "max_over_time(in_use[5m])",
            "max_over_time(rate(requests_total[5m])[1h:])",
            "increase(requests_total[5m:30s])",
            "rate(in_use_total[5m])",
            "rate(mystery[5m])",
            "mystery",
            "in_use and on (instance) requests_total",
            "histogram_quantile(0.9, sum by (le, route) (rate(lat_seconds_bucket[5m])))",
            "histogram_quantile(0.9, sum without (instance) (rate(lat_seconds_bucket[5m])))",
            "histogram_quantile(0.9, rate(lat_seconds_bucket[5m]))",
            "histogram_quantile(0.9, sum(rate(native_seconds[5m])))",
            "max(histogram_quantile(0.9, sum by (le, instance) (rate(lat_seconds_bucket[5m]))))",
            r#"avg(in_use{quantile="no"}) + rpc_seconds{quantile="0.5"}"#,
            r#"sum(rate(requests_total{code=~"5.."}[5m])) / sum(rate(requests_total[5m]))"#,
            r#"sum by (code) (rate(requests_total{code=~"5.."}[5m])) / on () group_left () sum(rate(requests_total[5m]))"#,
            r#"rate(requests_total{code="500"}[5m]) / ignoring (code) group_left () rate(requests_total{code="200"}[5m])"#,
            r#"rate(errors_total{code="500"}[5m]) / rate(requests_total[5m])"#,
            r#"sum(rate(lat_seconds_bucket{le="0.5"}[5m])) / sum(rate(lat_seconds_count[5m]))"#,
            r#"sum(rate(lat_seconds_bucket{le=~"1|1\\.0"}[5m]))"#,
            "sum by (le) (increase(lat_seconds_bucket[5m]))",
            "sum by (a) (rate(errors_total[5m])) / on () group_left () sum(rate(requests_total[5m]))",
            "sum by (a) (rate(errors_total[5m])) and on () sum(rate(requests_total[5m])) > 1",
            "sum by (a) (rate(errors_total[5m])) or sum(rate(requests_total[5m]))",
            "sum by (a) (in_use) > scalar(max(in_use))",
            "hour()",
            "hour(process_start_time_seconds)",
            "hour(vector(1136239445))",
        ] {
            let found = of(&parse(text).unwrap(), &types());
            assert_eq!(found, [], "{text}");
        }
    }
}
