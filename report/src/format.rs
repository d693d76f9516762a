//! Figures as text: few digits, always with a unit.

/// Milliseconds with as many digits as they deserve: `0.84 ms`, `12.3 ms`, `412 ms`, `1.2 s`.
pub(crate) fn milliseconds(value: f64) -> String {
    match value {
        v if !v.is_finite() => "-".to_owned(),
        v if v < 1.0 => format!("{v:.2} ms"),
        v if v < 100.0 => format!("{v:.1} ms"),
        v if v < 1_000.0 => format!("{v:.0} ms"),
        v if v < 10_000.0 => format!("{:.2} s", v / 1e3),
        v => format!("{:.1} s", v / 1e3),
    }
}

/// Microseconds, as [`milliseconds`].
pub(crate) fn microseconds(value: u64) -> String {
    milliseconds(value as f64 / 1e3)
}

/// A share in percent.
pub(crate) fn percent(part: u64, whole: u64) -> String {
    match (part, whole) {
        (_, 0) => "-".to_owned(),
        (0, _) => "0 %".to_owned(),
        _ => {
            let share = part as f64 / whole as f64 * 100.0;
            if share < 10.0 {
                format!("{share:.1} %")
            } else {
                format!("{share:.0} %")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_has_about_three_digits_and_a_unit() {
        let cases = [
            (0.8412, "0.84 ms"),
            (12.34, "12.3 ms"),
            (412.4, "412 ms"),
            (1_234.0, "1.23 s"),
            (61_000.0, "61.0 s"),
        ];
        for (value, text) in cases {
            assert_eq!(milliseconds(value), text);
        }
        assert_eq!(milliseconds(f64::NAN), "-");
    }

    #[test]
    fn a_share_of_nothing_is_no_figure() {
        assert_eq!(percent(0, 0), "-");
        assert_eq!(percent(0, 7), "0 %");
        assert_eq!(percent(1, 200), "0.5 %");
        assert_eq!(percent(1, 2), "50 %");
    }
}
