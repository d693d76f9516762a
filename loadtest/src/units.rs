//! Durations as people write them in plans and thresholds: `250ms`, `5s`, `2m`.

use std::time::Duration;

/// Reads a duration: a number and one of `us`, `ms`, `s`, `m`, with or without a space between. The error is a sentence.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let refuse = || {
        format!("`{text}` is no duration: write a number and us, ms, s or m, for instance `250ms`")
    };
    let text = text.trim();
    let unit_at = text
        .find(|c: char| c.is_ascii_alphabetic())
        .ok_or_else(refuse)?;
    let number: f64 = text[..unit_at].trim().parse().map_err(|_| refuse())?;
    let unit = match &text[unit_at..] {
        "us" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "m" => 60.0,
        _ => return Err(refuse()),
    };
    Duration::try_from_secs_f64(number * unit).map_err(|_| refuse())
}

/// Microseconds for people: `850 µs`, `12.3 ms`, `1.25 s`.
pub fn format_us(us: u64) -> String {
    match us {
        0..1_000 => format!("{us} µs"),
        1_000..1_000_000 => format!("{:.1} ms", us as f64 / 1e3),
        _ => format!("{:.2} s", us as f64 / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_a_number_and_a_unit() {
        for (text, expected) in [
            ("250ms", Duration::from_millis(250)),
            ("5s", Duration::from_secs(5)),
            (" 1.5 s ", Duration::from_millis(1_500)),
            ("2m", Duration::from_mins(2)),
            ("800us", Duration::from_micros(800)),
        ] {
            assert_eq!(parse_duration(text), Ok(expected), "{text}");
        }
        for text in ["", "5", "ms", "-1s", "5 parsecs", "1e400s"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn figures_are_printed_in_the_unit_that_fits() {
        assert_eq!(format_us(850), "850 µs");
        assert_eq!(format_us(12_345), "12.3 ms");
        assert_eq!(format_us(1_250_000), "1.25 s");
    }
}
