//! Lengths of time in rule files and Alertmanager's configuration, and by what they are divided.

use std::time::Duration;

use promql_parser::util::{display_duration, parse_duration};

/// The greatest scale: a year in about half a minute.
const GREATEST: f64 = 1_000_000.0;

/// By how much time passes faster.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Scale(f64);

impl Scale {
    /// Parses a number of at least 1.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        match text.parse::<f64>() {
            Ok(by) if (1.0..=GREATEST).contains(&by) => Ok(Self(by)),
            _ => Err(format!(
                "invalid scale `{text}`: a number from 1 to {GREATEST}"
            )),
        }
    }

    /// By what lengths are divided.
    pub(crate) fn by(self) -> f64 {
        self.0
    }

    /// A length, in whole milliseconds as Prometheus reads it. What is not 0 does not become 0.
    pub(crate) fn length(self, length: Duration) -> Duration {
        if length.is_zero() {
            return length;
        }
        let milliseconds = (length.as_secs_f64() * 1000.0 / self.0).round().max(1.0);
        Duration::from_millis(milliseconds as u64)
    }
}

/// Parses a length as Prometheus and Alertmanager write it, 0 included.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    let text = text.trim();
    if ["0", "0s", "0ms", "0m", "0h", "0d"].contains(&text) {
        return Ok(Duration::ZERO);
    }
    if text.parse::<f64>().is_ok() {
        return Err(format!("invalid length of time `{text}`: it has no unit"));
    }
    parse_duration(text).map_err(|_| format!("invalid length of time `{text}`"))
}

/// A length as Prometheus and Alertmanager read it.
pub(crate) fn text(length: Duration) -> String {
    display_duration(&length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_is_divided_to_the_millisecond_and_only_zero_is_zero() {
        let scale = Scale::parse("60").unwrap();
        for (before, after) in [
            ("5m", "5s"),
            ("15s", "250ms"),
            ("10s", "167ms"),
            ("1h30m", "1m30s"),
            ("3d", "1h12m"),
            ("1ms", "1ms"),
            ("0s", "0s"),
            ("0", "0s"),
        ] {
            assert_eq!(
                text(scale.length(parse(before).unwrap())),
                after,
                "{before}"
            );
        }
    }

    #[test]
    fn what_is_no_length_or_scale_is_refused() {
        for text in ["5", "", "m", "-5m", "5 m", "1.5h"] {
            assert!(parse(text).is_err(), "{text}");
        }
        for text in ["0", "0.5", "inf", "NaN", "x", "1e9"] {
            assert!(Scale::parse(text).is_err(), "{text}");
        }
    }
}
