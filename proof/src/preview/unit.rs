//! Numbers with their unit, by the identifiers that Grafana has for units: few digits, never without a unit.

use jiff::Timestamp;

/// Unit steps by size: from how many on, and the symbol.
type Steps = &'static [(f64, &'static str)];

const DURATIONS: Steps = &[
    (1e-9, "ns"),
    (1e-6, "µs"),
    (1e-3, "ms"),
    (1.0, "s"),
    (60.0, "min"),
    (3_600.0, "h"),
    (86_400.0, "d"),
];
const BINARY: Steps = &[
    (1.0, ""),
    (1_024.0, "Ki"),
    (1_048_576.0, "Mi"),
    (1_073_741_824.0, "Gi"),
    (1_099_511_627_776.0, "Ti"),
];
const DECIMAL: Steps = &[(1.0, ""), (1e3, "k"), (1e6, "M"), (1e9, "G"), (1e12, "T")];
const SHORT: Steps = &[
    (1.0, ""),
    (1e3, "K"),
    (1e6, "Mil"),
    (1e9, "Bil"),
    (1e12, "Tri"),
];

/// How the numbers of a unit are written.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind<'a> {
    /// Steps by size. `to_base` makes the value one of the steps' unit; `after` follows the symbol.
    Scaled {
        to_base: f64,
        steps: Steps,
        after: &'a str,
    },
    /// As [`Kind::Scaled`], for counts: the symbol is no part of the unit that follows it.
    Count(&'a str),
    /// The number with text around it.
    Plain { before: &'a str, after: &'a str },
    /// A share, times this.
    Percent(f64),
    /// Unix time in milliseconds.
    Date,
    /// Hours, minutes and seconds.
    Clock,
    /// Words for 0 and for all else.
    Words([&'static str; 2]),
    /// As an exponent.
    Scientific,
}

fn kind(unit: &str) -> Kind<'_> {
    let duration = |to_base| Kind::Scaled {
        to_base,
        steps: DURATIONS,
        after: "",
    };
    let scaled = |to_base, steps, after| Kind::Scaled {
        to_base,
        steps,
        after,
    };
    match unit {
        "" | "none" | "string" | "locale" => Kind::Plain {
            before: "",
            after: "",
        },
        "short" => Kind::Count(""),
        "percent" => Kind::Percent(1.0),
        "percentunit" => Kind::Percent(100.0),
        "ns" => duration(1e-9),
        "µs" => duration(1e-6),
        "ms" => duration(1e-3),
        "s" => duration(1.0),
        "m" => duration(60.0),
        "h" => duration(3_600.0),
        "d" => duration(86_400.0),
        "dtdurations" | "dthms" | "clocks" => Kind::Clock,
        "bytes" => scaled(1.0, BINARY, "B"),
        "kbytes" => scaled(1_024.0, BINARY, "B"),
        "mbytes" => scaled(1_048_576.0, BINARY, "B"),
        "decbytes" => scaled(1.0, DECIMAL, "B"),
        "bits" => scaled(1.0, BINARY, "bit"),
        "decbits" => scaled(1.0, DECIMAL, "bit"),
        "Bps" => scaled(1.0, DECIMAL, "B/s"),
        "binBps" => scaled(1.0, BINARY, "B/s"),
        "bps" => scaled(1.0, DECIMAL, "bit/s"),
        "binbps" => scaled(1.0, BINARY, "bit/s"),
        "hertz" => scaled(1.0, DECIMAL, "Hz"),
        "cps" => Kind::Count("counts/s"),
        "ops" => Kind::Count("ops/s"),
        "reqps" => Kind::Count("req/s"),
        "rps" => Kind::Count("reads/s"),
        "wps" => Kind::Count("writes/s"),
        "iops" => Kind::Count("io/s"),
        "eps" => Kind::Count("events/s"),
        "mps" => Kind::Count("msg/s"),
        "cpm" => Kind::Count("counts/min"),
        "opm" => Kind::Count("ops/min"),
        "reqpm" => Kind::Count("req/min"),
        "dateTimeAsIso"
        | "dateTimeAsIsoNoDateIfToday"
        | "dateTimeAsUS"
        | "dateTimeAsLocal"
        | "dateTimeAsSystem"
        | "dateTimeFromNow" => Kind::Date,
        "bool" => Kind::Words(["False", "True"]),
        "bool_yes_no" => Kind::Words(["No", "Yes"]),
        "bool_on_off" => Kind::Words(["Off", "On"]),
        "sci" => Kind::Scientific,
        _ => custom(unit),
    }
}

/// Units that say themselves what to write, and unknown ones, which follow their number.
fn custom(unit: &str) -> Kind<'_> {
    match unit.split_once(':') {
        Some(("suffix", after)) => Kind::Plain { before: "", after },
        Some(("prefix", before)) => Kind::Plain { before, after: "" },
        Some(("si", after)) => Kind::Scaled {
            to_base: 1.0,
            steps: DECIMAL,
            after,
        },
        Some(("count", after)) => Kind::Count(after),
        _ => Kind::Plain {
            before: "",
            after: unit,
        },
    }
}

/// A value as text, with `decimals` places if the board says so, else with about three digits.
pub(super) fn text(value: f64, unit: &str, decimals: Option<usize>) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    match kind(unit) {
        Kind::Scaled {
            to_base,
            steps,
            after,
        } => {
            let (size, symbol) = step(value * to_base, steps);
            let text = number(value * to_base / size, decimals);
            format!("{text} {symbol}{after}").trim_end().to_owned()
        }
        Kind::Count(after) => {
            let (size, symbol) = step(value, SHORT);
            let gap = if symbol.is_empty() { "" } else { " " };
            let text = number(value / size, decimals);
            format!("{text} {symbol}{gap}{after}").trim_end().to_owned()
        }
        Kind::Plain { before, after } => {
            let gap = if after.is_empty() { "" } else { " " };
            format!("{before}{}{gap}{after}", number(value, decimals))
        }
        Kind::Percent(factor) => format!("{} %", percentage(value * factor, decimals)),
        Kind::Date => date(value / 1e3, "%Y-%m-%d %H:%M:%S"),
        Kind::Clock => clock(value),
        Kind::Words(words) => words[usize::from(value != 0.0)].to_owned(),
        Kind::Scientific => format!("{value:.2e}"),
    }
}

/// How much of the value's own unit is one of the unit that a value of this size is written in: `60.0` for seconds
/// that are written as minutes. Ticks that are round in this are round to read.
pub(super) fn tick_size(value: f64, unit: &str) -> f64 {
    match kind(unit) {
        Kind::Scaled { to_base, steps, .. } => step(value * to_base, steps).0 / to_base,
        Kind::Count(_) => step(value, SHORT).0,
        Kind::Percent(factor) => 1.0 / factor,
        Kind::Date => 1e3,
        _ => 1.0,
    }
}

/// Whether 0 has no meaning in the unit, so that an axis need not begin there.
pub(super) fn is_date(unit: &str) -> bool {
    kind(unit) == Kind::Date
}

/// The name of a unit for people, where it isn't written with each number.
pub(super) fn name(unit: &str) -> &str {
    match unit {
        "" | "none" | "short" => "no unit",
        "s" => "seconds",
        "ms" => "milliseconds",
        "percentunit" | "percent" => "percent",
        "bytes" => "bytes",
        "reqps" => "requests/s",
        "Bps" | "binBps" => "bytes/s",
        other => other,
    }
}

/// The largest step that the value reaches. A value that would be rounded up to the next step takes that one.
fn step(value: f64, steps: Steps) -> (f64, &'static str) {
    let size = value.abs() * 1.0005;
    let reached = steps.iter().rev().find(|(from, _)| size >= *from);
    let neutral = steps.iter().find(|(from, _)| (*from - 1.0).abs() < 1e-12);
    let lowest = if value == 0.0 { neutral } else { steps.first() };
    reached.or(lowest).copied().unwrap_or((1.0, ""))
}

/// About three digits, without zeros at the end; or as many places as asked for.
fn number(value: f64, decimals: Option<usize>) -> String {
    if let Some(decimals) = decimals {
        return format!("{value:.*}", decimals.min(12));
    }
    let size = value.abs();
    if size >= 1e15 || (size > 0.0 && size < 1e-9) {
        return format!("{value:.2e}");
    }
    let places = match size {
        s if s == 0.0 || s >= 99.95 => 0,
        s if s >= 9.995 => 1,
        s if s >= 0.9995 => 2,
        s => (2.0 - s.log10().floor()) as usize,
    };
    let text = format!("{value:.places$}");
    if places == 0 {
        return text;
    }
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// As [`number`], but what is short of 100 never reads as 100: of an availability, the nines are the figure.
fn percentage(value: f64, decimals: Option<usize>) -> String {
    if decimals.is_none() && value > 99.0 && value < 100.0 {
        let places = -(100.0 - value).log10().floor();
        return number(value, Some(places.clamp(1.0, 6.0) as usize));
    }
    number(value, decimals)
}

/// A moment in UTC (Unix seconds) in a format of `strftime`.
pub(super) fn date(seconds: f64, format: &str) -> String {
    Timestamp::from_millisecond((seconds * 1e3).round() as i64).map_or_else(
        |_| format!("{seconds}"),
        |moment| moment.strftime(format).to_string(),
    )
}

/// `1 h 02 min`, `3 min 05 s`, `2 d 04 h`: the two largest parts.
fn clock(seconds: f64) -> String {
    let sign = if seconds < 0.0 { "-" } else { "" };
    let whole = seconds.abs().round() as u64;
    let (days, hours, minutes, rest) = (
        whole / 86_400,
        whole / 3_600 % 24,
        whole / 60 % 60,
        whole % 60,
    );
    let text = match (days, hours, minutes) {
        (0, 0, 0) => format!("{rest} s"),
        (0, 0, _) => format!("{minutes} min {rest:02} s"),
        (0, _, _) => format!("{hours} h {minutes:02} min"),
        _ => format!("{days} d {hours:02} h"),
    };
    format!("{sign}{text}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_written_with_its_unit_and_about_three_digits() {
        let cases = [
            (0.0, "s", "0 s"),
            (0.000_012_3, "s", "12.3 µs"),
            (0.25, "s", "250 ms"),
            (0.9997, "s", "1 s"),
            (90.0, "s", "1.5 min"),
            (250.0, "ms", "250 ms"),
            (1_500.0, "ms", "1.5 s"),
            (0.0, "bytes", "0 B"),
            (512.0, "bytes", "512 B"),
            (1_536.0, "bytes", "1.5 KiB"),
            (314_572_800.0, "bytes", "300 MiB"),
            (2_500_000.0, "Bps", "2.5 MB/s"),
            (2_621_440.0, "binBps", "2.5 MiB/s"),
            (0.5, "reqps", "0.5 req/s"),
            (1_234.0, "reqps", "1.23 K req/s"),
            (12.0, "ops", "12 ops/s"),
            (3.0, "cps", "3 counts/s"),
            (0.9991, "percentunit", "99.91 %"),
            (0.999_996, "percentunit", "99.9996 %"),
            (0.0, "percentunit", "0 %"),
            (12.5, "percent", "12.5 %"),
            (1_234_567.0, "short", "1.23 Mil"),
            (1_234_567.0, "none", "1234567"),
            (42.0, "", "42"),
            (1.0, "bool", "True"),
            (0.0, "bool_yes_no", "No"),
            (1_796_000_400_000.0, "dateTimeAsIso", "2026-11-30 01:00:00"),
            (3_725.0, "dtdurations", "1 h 02 min"),
            (5.0, "suffix:pieces", "5 pieces"),
            (1_500.0, "si:W", "1.5 kW"),
            (7.0, "furlongs", "7 furlongs"),
            (f64::NAN, "s", "NaN"),
            (f64::INFINITY, "s", "+Inf"),
        ];
        for (value, unit, expected) in cases {
            assert_eq!(text(value, unit, None), expected, "{value} {unit}");
        }
    }

    #[test]
    fn the_boards_decimals_are_kept() {
        assert_eq!(text(0.999_123, "percentunit", Some(3)), "99.912 %");
        assert_eq!(text(0.25, "s", Some(1)), "250.0 ms");
        assert_eq!(text(2.0, "none", Some(0)), "2");
    }

    #[test]
    fn ticks_are_round_in_the_unit_that_is_written() {
        let cases = [
            (300.0, "s", 60.0),
            (0.02, "s", 1e-3),
            (2_000_000.0, "bytes", 1_048_576.0),
            (0.4, "percentunit", 0.01),
            (90_000.0, "ms", 60_000.0),
        ];
        for (value, unit, size) in cases {
            assert!(
                (tick_size(value, unit) - size).abs() < 1e-9,
                "{value} {unit}"
            );
        }
    }
}
