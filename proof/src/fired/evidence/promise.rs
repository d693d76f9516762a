//! A promise that is kept: PromQL that has a result under the cause.

use super::super::clock;
use super::super::scale::expression;
use super::super::scale::length::Scale;
use crate::prometheus::Prometheus;
use crate::promql;

/// The first value of the result, if there is one.
pub(super) async fn kept(server: &Prometheus, text: &str, scale: Scale) -> Result<String, String> {
    let expr = promql::parse(text).map_err(|error| format!("`{text}` can't be parsed: {error}"))?;
    let scaled = expression::scaled(&expr, scale, &[])?.text;
    let found = server
        .query(&scaled, clock::now())
        .await
        .map_err(|error| error.to_string())?;
    let value = found.first().and_then(|series| series.samples.last());
    match value {
        Some((_, value)) => Ok(number(*value)),
        None => Err(format!(
            "not kept: `{scaled}` has no result under the cause"
        )),
    }
}

/// A number with four significant digits.
pub(super) fn number(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return value.to_string();
    }
    let digits = (3 - value.abs().log10().floor() as i32).clamp(0, 9);
    let text = format!("{value:.*}", digits as usize);
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::number;

    #[test]
    fn a_number_has_four_significant_digits() {
        for (value, text) in [
            (0.0, "0"),
            (1.0, "1"),
            (0.123_456, "0.1235"),
            (12_345.6, "12346"),
            (-0.5, "-0.5"),
            (0.000_001_5, "0.0000015"),
            (f64::INFINITY, "inf"),
        ] {
            assert_eq!(number(value), text);
        }
    }
}
