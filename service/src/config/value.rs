//! How the text of a setting becomes a value. Each parser's error is the end of a sentence that begins with the setting.

use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;

use url::Url;

/// Anything that parses itself.
pub(super) fn read<T: FromStr<Err: Display>>(text: &str) -> Result<T, String> {
    text.parse().map_err(|error: T::Err| error.to_string())
}

/// A whole number above zero.
pub(super) fn whole(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) | Err(_) => Err("it is not a whole number above zero".to_owned()),
        Ok(number) => Ok(number),
    }
}

/// A share, from 0 to 1.
pub(super) fn ratio(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|ratio| (0.0..=1.0).contains(ratio))
        .ok_or_else(|| "it is not a number from 0 to 1".to_owned())
}

/// A switch.
pub(super) fn on_off(text: &str) -> Result<bool, String> {
    match text {
        "on" | "true" => Ok(true),
        "off" | "false" => Ok(false),
        _ => Err("it is neither on nor off".to_owned()),
    }
}

/// A time above zero with its unit.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    text.parse::<jiff::SignedDuration>()
        .ok()
        .and_then(|duration| Duration::try_from(duration).ok())
        .filter(|duration| !duration.is_zero())
        .ok_or_else(|| "it is not a time above zero with a unit, such as 500ms or 2s".to_owned())
}

/// A time above zero, or `off` for none.
pub(super) fn duration_or_off(text: &str) -> Result<Option<Duration>, String> {
    if text == "off" {
        return Ok(None);
    }
    duration(text)
        .map(Some)
        .map_err(|reason| format!("{reason}, and not off"))
}

/// A size in bytes above zero, plain or with kB, MB, GB, KiB, MiB or GiB.
pub(super) fn bytes(text: &str) -> Result<u64, String> {
    let digits = text.len()
        - text
            .trim_start_matches(|digit: char| digit.is_ascii_digit())
            .len();
    let (number, unit) = text.split_at(digits);
    let factor = match unit.trim() {
        "" | "B" => Some(1),
        "kB" => Some(1_000),
        "MB" => Some(1_000_000),
        "GB" => Some(1_000_000_000),
        "KiB" => Some(1 << 10),
        "MiB" => Some(1 << 20),
        "GiB" => Some(1 << 30),
        _ => None,
    };
    number
        .parse::<u64>()
        .ok()
        .zip(factor)
        .and_then(|(number, factor)| number.checked_mul(factor))
        .filter(|bytes| *bytes > 0)
        .ok_or_else(|| "it is not a size above zero, such as 25MB or 256MiB".to_owned())
}

/// The address of a server.
pub(super) fn http_url(text: &str) -> Result<Url, String> {
    text.parse::<Url>()
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
        .ok_or_else(|| "it is not an address such as http://127.0.0.1:9000".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units() {
        for (text, expected) in [
            ("1", 1),
            ("25MB", 25_000_000),
            ("256MiB", 268_435_456),
            ("4 KiB", 4096),
        ] {
            assert_eq!(bytes(text), Ok(expected), "{text}");
        }
        for text in [
            "",
            "0",
            "MB",
            "-1",
            "1.5MB",
            "1 parsec",
            "99999999999999GiB",
        ] {
            assert!(bytes(text).is_err(), "{text}");
        }
    }

    #[test]
    fn times_have_units() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration_or_off("off"), Ok(None));
        for text in ["", "1", "0s", "-1s", "soon"] {
            assert!(duration(text).is_err(), "{text}");
            assert!(duration_or_off(text).is_err(), "{text}");
        }
    }
}
