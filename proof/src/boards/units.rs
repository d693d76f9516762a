//! Grafana's units, and whether one fits what an expression's result is.

use crate::promql::unit::{Quantity, Sense};

/// How far a scale may be off: kibibytes pass for kilobytes, and milliseconds never for seconds.
const SCALE_TOLERANCE: f64 = 0.1;

/// A unit of Grafana for which values must have these powers of seconds and bytes, and this scale.
struct Known {
    ids: &'static [&'static str],
    seconds: i8,
    bytes: i8,
    scale: f64,
}

const fn known(ids: &'static [&'static str], seconds: i8, bytes: i8, scale: f64) -> Known {
    Known {
        ids,
        seconds,
        bytes,
        scale,
    }
}

/// From Grafana's catalog of value formats: its identifiers, as they stand in a board's JSON.
const KNOWN: &[Known] = &[
    known(
        &["s", "dtdurations", "dthms", "dtdhms", "clocks"],
        1,
        0,
        1.0,
    ),
    known(&["ms", "dtdurationms", "clockms"], 1, 0, 1e3),
    known(&["µs"], 1, 0, 1e6),
    known(&["ns"], 1, 0, 1e9),
    known(&["m"], 1, 0, 1.0 / 60.0),
    known(&["h"], 1, 0, 1.0 / 3600.0),
    known(&["d"], 1, 0, 1.0 / 86_400.0),
    known(&["bytes", "decbytes"], 0, 1, 1.0),
    known(&["bits", "decbits"], 0, 1, 8.0),
    known(&["kbytes", "deckbytes"], 0, 1, 1e-3),
    known(&["mbytes", "decmbytes"], 0, 1, 1e-6),
    known(&["gbytes", "decgbytes"], 0, 1, 1e-9),
    known(&["tbytes", "dectbytes"], 0, 1, 1e-12),
    known(&["Bps", "binBps"], -1, 1, 1.0),
    known(&["bps", "binbps"], -1, 1, 8.0),
    known(&["KBs", "KiBs"], -1, 1, 1e-3),
    known(&["Kbits", "Kibits"], -1, 1, 8e-3),
    known(&["MBs", "MiBs"], -1, 1, 1e-6),
    known(&["Mbits", "Mibits"], -1, 1, 8e-6),
    known(&["GBs", "GiBs"], -1, 1, 1e-9),
    known(
        &[
            "reqps", "ops", "cps", "rps", "wps", "iops", "eps", "mps", "recps", "rowsps", "pps",
            "hertz",
        ],
        -1,
        0,
        1.0,
    ),
    known(
        &[
            "reqpm", "opm", "cpm", "rpm", "wpm", "epm", "mpm", "recpm", "rowspm",
        ],
        -1,
        0,
        60.0,
    ),
    known(&["percentunit"], 0, 0, 1.0),
    known(&["percent"], 0, 0, 100.0),
];

/// Units that say no more than that there is a number.
const PLAIN: &[&str] = &[
    "none",
    "short",
    "locale",
    "sishort",
    "bool",
    "bool_on_off",
    "bool_yes_no",
    "string",
];

/// Whether the unit fits the quantity; `None` where the unit is not known here, or is one's own (`suffix:...`).
pub fn fits(id: &str, quantity: &Quantity) -> Option<bool> {
    if id.starts_with("dateTime") || id.starts_with("time:") {
        return Some(quantity.sense == Sense::Moment && close(quantity.scale, 1e3));
    }
    if PLAIN.contains(&id) {
        return Some(quantity.is_plain());
    }
    let unit = KNOWN.iter().find(|unit| unit.ids.contains(&id))?;
    let powers = unit.seconds == quantity.seconds && unit.bytes == quantity.bytes;
    // 1,000,000,000 and 2^30 differ by 7 %, 10^12 and 2^40 by 10 %.
    let sense = if quantity.is_plain() {
        matches!(quantity.sense, Sense::Share | Sense::Either)
    } else {
        quantity.sense != Sense::Moment
    };
    Some(powers && sense && close(quantity.scale, unit.scale))
}

/// Of values that are shown with this unit: whether they are per second, and by what they were multiplied.
pub fn shown_in(id: &str) -> (bool, f64) {
    let unit = KNOWN.iter().find(|unit| unit.ids.contains(&id));
    unit.map_or((false, 1.0), |unit| (unit.seconds == -1, unit.scale))
}

fn close(scale: f64, expected: f64) -> bool {
    (scale / expected - 1.0).abs() <= SCALE_TOLERANCE
}

/// What a quantity is, for a person.
pub fn describe(quantity: &Quantity) -> String {
    let what = match (quantity.seconds, quantity.bytes, quantity.sense) {
        (1, 0, Sense::Moment) => "a moment in seconds since 1970",
        (1, 0, _) => "seconds",
        (0, 1, _) => "bytes",
        (-1, 1, _) => "bytes per second",
        (-1, 0, _) => "a number per second",
        (0, 0, Sense::Share) => "a share between 0 and 1",
        (0, 0, Sense::Count) => "a number of things",
        (0, 0, Sense::Truth) => "0 or 1",
        (0, 0, _) => "a number without unit",
        (seconds, bytes, _) => return format!("seconds^{seconds} bytes^{bytes}"),
    };
    if close(quantity.scale, 1.0) {
        what.to_owned()
    } else {
        format!("{what}, times {}", rounded(quantity.scale))
    }
}

/// Four significant digits are enough to recognise a factor.
fn rounded(scale: f64) -> String {
    if (0.001..1e7).contains(&scale.abs()) {
        let text = format!("{scale:.4}");
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        format!("{scale:e}")
    }
}

/// Units that fit, for a person; empty if there is none.
pub fn suggestions(quantity: &Quantity) -> String {
    let candidates = KNOWN
        .iter()
        .flat_map(|unit| unit.ids)
        .chain(&["short"])
        .chain(&["dateTimeAsIso"]);
    let fitting: Vec<_> = candidates
        .filter(|id| fits(id, quantity) == Some(true))
        .take(3)
        .map(|id| format!("`{id}`"))
        .collect();
    fitting.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quantity(seconds: i8, bytes: i8, sense: Sense, scale: f64) -> Quantity {
        Quantity {
            seconds,
            bytes,
            sense,
            scale,
        }
    }

    #[test]
    fn a_unit_of_the_wrong_scale_does_not_fit() {
        let seconds = quantity(1, 0, Sense::Count, 1.0);
        let share = quantity(0, 0, Sense::Share, 1.0);
        let rate = quantity(-1, 0, Sense::Count, 1.0);
        let throughput = quantity(-1, 1, Sense::Count, 1.0);
        let moment = quantity(1, 0, Sense::Moment, 1.0);
        for (id, quantity, expected) in [
            ("s", seconds, true),
            ("ms", seconds, false),
            ("short", seconds, false),
            ("percentunit", share, true),
            ("percent", share, false),
            ("reqps", rate, true),
            ("percentunit", rate, false),
            ("short", rate, false),
            ("Bps", throughput, true),
            ("bps", throughput, false),
            ("bytes", throughput, false),
            ("dateTimeAsIso", moment, false),
            ("s", moment, false),
        ] {
            assert_eq!(fits(id, &quantity), Some(expected), "{id} for {quantity:?}");
        }
        let kibibytes = quantity_in(1.0 / 1024.0);
        assert_eq!(fits("kbytes", &kibibytes), Some(true));
        assert_eq!(fits("suffix: things", &seconds), None);
        let iso = quantity(1, 0, Sense::Moment, 1e3);
        assert_eq!(fits("dateTimeAsIso", &iso), Some(true));
    }

    fn quantity_in(scale: f64) -> Quantity {
        quantity(0, 1, Sense::Count, scale)
    }

    #[test]
    fn a_wrong_unit_comes_with_units_that_fit() {
        let rate = quantity(-1, 0, Sense::Count, 1.0);
        assert_eq!(suggestions(&rate), "`reqps`, `ops`, `cps`");
        assert_eq!(describe(&rate), "a number per second");
        let milliseconds = quantity(1, 0, Sense::Count, 1e3);
        assert_eq!(describe(&milliseconds), "seconds, times 1000");
        assert_eq!(
            suggestions(&milliseconds),
            "`ms`, `dtdurationms`, `clockms`"
        );
    }
}
