//! Numbers of an expression that may be lengths of time: listed by annotations, or noticed where none says so.

use promql_parser::parser::token::T_MUL;
use promql_parser::parser::{BinaryExpr, Expr};

use super::length;
use crate::promql::types::Types;
use crate::promql::unit::{self, Quantity, Sense, Unit};
use crate::promql::{function, metrics, walk};
use crate::rules::tree::constant;

/// Annotation: numbers of the expression that are lengths of time, in seconds, and are scaled.
pub(crate) const SCALED: &str = "time_literals";
/// Annotation: numbers that look like lengths of time and stay as they are, such as the bound of a latency.
pub(crate) const UNSCALED: &str = "unscaled_literals";

/// Parses an annotation that lists numbers.
pub(crate) fn listed(text: &str) -> Result<Vec<f64>, String> {
    let words = text.split([',', ' ']).filter(|word| !word.is_empty());
    words
        .map(|word| {
            let number: f64 = word
                .parse()
                .map_err(|_| format!("invalid number `{word}`: write numbers like '300, 1800'"))?;
            Ok(number)
        })
        .collect()
}

/// Numbers that look like lengths of time, each with the reason, which no annotation lists.
pub(crate) fn suspects(expr: &Expr, listed: &[f64]) -> Vec<(f64, &'static str)> {
    let windows = windows(expr);
    let mut found: Vec<(f64, &'static str)> = Vec::new();
    walk(expr, &mut |node, _| {
        let suspects = match node {
            Expr::Binary(binary) if binary.op.is_comparison_operator() => compared(binary),
            Expr::Binary(binary) if binary.op.id() == T_MUL => multiplied(binary, &windows),
            Expr::Call(call) if call.func.name == "predict_linear" => call
                .args
                .args
                .get(1)
                .map(|ahead| (&**ahead, "it is how far predict_linear looks ahead")),
            _ => None,
        };
        let Some((side, why)) = suspects else { return };
        let numbers = numbers(side);
        // One of a product's numbers carries the unit; the others are factors.
        if numbers.iter().any(|number| listed.contains(number)) {
            return;
        }
        let Some(&number) = numbers.iter().max_by(|one, other| one.total_cmp(other)) else {
            return;
        };
        if number != 0.0
            && !found
                .iter()
                .any(|(known, _)| known.total_cmp(&number).is_eq())
        {
            found.push((number, why));
        }
    });
    found
}

/// The constant side of a comparison with an age.
fn compared(binary: &BinaryExpr) -> Option<(&Expr, &'static str)> {
    let (side, other) = sides(binary)?;
    let mut clock = false;
    walk(other, &mut |node, _| {
        clock |= matches!(function(node), "time" | "timestamp");
    });
    if clock {
        return Some((side, "it is compared with a difference to the clock"));
    }
    let Unit::Quantity(Quantity {
        seconds: 1,
        bytes: 0,
        sense,
        ..
    }) = unit::of(other, &Types::default())
    else {
        return None;
    };
    (sense != Sense::Moment && !of_observations(other))
        .then_some((side, "it is compared with a gauge in seconds"))
}

/// The constant factor of a rate, which makes it a number of events in a stretch of time.
fn multiplied<'e>(binary: &'e BinaryExpr, windows: &[f64]) -> Option<(&'e Expr, &'static str)> {
    let (side, other) = sides(binary)?;
    let factor = constant(side)?;
    if windows.contains(&factor) {
        return Some((side, "a window of the expression is as long"));
    }
    let a_second = matches!(
        unit::of(other, &Types::default()),
        Unit::Quantity(Quantity {
            seconds: -1,
            bytes: 0,
            ..
        })
    );
    (a_second && factor >= 60.0 && factor % 60.0 == 0.0)
        .then_some((side, "a rate is multiplied by it"))
}

/// The constant side, and the other.
fn sides(binary: &BinaryExpr) -> Option<(&Expr, &Expr)> {
    match (constant(&binary.lhs), constant(&binary.rhs)) {
        (None, Some(_)) => Some((&binary.rhs, &binary.lhs)),
        (Some(_), None) => Some((&binary.lhs, &binary.rhs)),
        _ => None,
    }
}

/// Whether it tells how long operations took, which is measured and passes no faster.
fn of_observations(expr: &Expr) -> bool {
    let parts = ["_bucket", "_sum", "_count"];
    let mut histogram = false;
    walk(expr, &mut |node, _| {
        histogram |= function(node).starts_with("histogram_");
    });
    let named = metrics(expr);
    histogram
        || named
            .iter()
            .any(|name| parts.iter().any(|part| name.ends_with(part)))
}

fn numbers(expr: &Expr) -> Vec<f64> {
    let mut found = Vec::new();
    walk(expr, &mut |node, _| {
        if let Expr::NumberLiteral(number) = node {
            found.push(number.val);
        }
    });
    found
}

/// The lengths that the expression looks back over, in seconds: its ranges, and the windows in the names of recorded series.
fn windows(expr: &Expr) -> Vec<f64> {
    let mut found = Vec::new();
    walk(expr, &mut |node, _| match node {
        Expr::MatrixSelector(matrix) => found.push(matrix.range.as_secs_f64()),
        Expr::Subquery(subquery) => found.push(subquery.range.as_secs_f64()),
        _ => {}
    });
    found.extend(metrics(expr).iter().filter_map(|name| window_of(name)));
    found
}

/// `level:metric:rate5m` is over 300 s.
fn window_of(name: &str) -> Option<f64> {
    let (_, operation) = name.rsplit_once(':')?;
    let at = operation.find(|letter: char| letter.is_ascii_digit())?;
    let window = length::parse(&operation[at..]).ok()?;
    Some(window.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::promql::parse;

    fn of(text: &str, listed: &[f64]) -> Vec<f64> {
        let found = suspects(&parse(text).unwrap(), listed);
        found.into_iter().map(|(number, _)| number).collect()
    }

    #[test]
    fn a_number_that_looks_like_a_length_of_time_is_noticed() {
        for (text, number) in [
            ("max(queue_oldest_age_seconds) > 300", 300.0),
            ("300 < queue_oldest_age_seconds", 300.0),
            ("time() - last_success > 1800", 1800.0),
            ("time() - backup_timestamp_seconds > 2 * 3600", 3600.0),
            ("x - timestamp(x) > 90", 90.0),
            ("predict_linear(free_bytes[1h], 4 * 3600) < 0", 3600.0),
            ("sum(rate(x_total[5m])) * 300 > 10", 300.0),
            ("slo:events:rate30m * 1800 >= 50", 1800.0),
            ("rate(x_total[1h]) * 60 > 10", 60.0),
            ("avg_over_time(scrape_duration_seconds[5m]) > 1", 1.0),
        ] {
            assert_eq!(of(text, &[]), [number], "{text}");
            assert_eq!(of(text, &[number]), Vec::<f64>::new(), "{text}");
        }
    }

    #[test]
    fn a_number_that_is_no_length_of_time_is_left_alone() {
        for text in [
            "histogram_quantile(0.9, rate(x_seconds_bucket[5m])) > 30",
            "rate(x_seconds_sum[5m]) / rate(x_seconds_count[5m]) > 30",
            "rate(x_total[5m]) > 300",
            "rate(x_bytes_total[5m]) * 8 > 1000",
            "x_age_seconds > 0",
            "14.4 * 0.001 < slo:error_ratio:rate5m",
            "process_start_time_seconds > 100",
        ] {
            assert_eq!(of(text, &[]), Vec::<f64>::new(), "{text}");
        }
    }

    #[test]
    fn an_annotation_lists_numbers() {
        assert_eq!(listed("300, 1800"), Ok(vec![300.0, 1800.0]));
        assert_eq!(listed(""), Ok(vec![]));
        assert!(listed("5m").is_err());
    }
}
