//! What a metric is: counter, gauge or histogram, and of what unit.
//!
//! The sources, each overriding the one before: the name's suffix, the metadata that Prometheus got from programs, and
//! declarations.

use std::collections::{BTreeMap, BTreeSet};

use crate::prometheus::Metadata;

/// How a series behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only rises, but for restarts.
    Counter,
    /// Rises and falls.
    Gauge,
    /// Series that are histograms as a whole, without a series for each bucket.
    NativeHistogram,
    /// Not known.
    Unknown,
}

/// Of what a series' value is a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Base {
    /// Lengths of time in seconds.
    Seconds,
    /// Moments: seconds since 1970.
    Moment,
    /// Bytes.
    Bytes,
    /// Shares between 0 and 1.
    Ratio,
    /// True (1) or false (0).
    Truth,
    /// Things: requests, threads, lines.
    Things,
    /// Things a second, as a gauge.
    Frequency,
    /// Not known.
    Unknown,
}

/// What is known of one series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Series {
    /// How it behaves.
    pub kind: Kind,
    /// Of what it is a number.
    pub base: Base,
}

/// What is known of metrics.
#[derive(Clone, Debug, Default)]
pub struct Types {
    families: BTreeMap<String, Family>,
}

#[derive(Clone, Debug)]
struct Family {
    kind: FamilyKind,
    /// As declared; `None` where nobody says.
    base: Option<Base>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FamilyKind {
    Counter,
    Gauge,
    Histogram,
    Summary,
    Unknown,
}

impl FamilyKind {
    fn parse(text: &str) -> Self {
        match text {
            "counter" => Self::Counter,
            "gauge" | "info" | "stateset" => Self::Gauge,
            "histogram" | "gaugehistogram" => Self::Histogram,
            "summary" => Self::Summary,
            _ => Self::Unknown,
        }
    }
}

impl Types {
    /// What programs told Prometheus. A family on whose kind they differ is of no known kind.
    pub fn of_metadata(metadata: &BTreeMap<String, Vec<Metadata>>) -> Self {
        let mut types = Self::default();
        for (name, entries) in metadata {
            let kinds: BTreeSet<_> = entries.iter().map(|entry| entry.kind.as_str()).collect();
            let kind = match kinds.first() {
                Some(&kind) if kinds.len() == 1 => kind,
                _ => "unknown",
            };
            let unit = entries.first().map_or("", |entry| entry.unit.as_str());
            types.declare(name, kind, unit);
        }
        types
    }

    /// Adds a family: its kind in Prometheus' words, and its unit (empty: not known).
    pub fn declare(&mut self, name: &str, kind: &str, unit: &str) {
        let family = Family {
            kind: FamilyKind::parse(kind),
            base: base_of_unit(unit),
        };
        self.families.insert(name.to_owned(), family);
    }

    /// What is known of the series with this name.
    pub fn series(&self, name: &str) -> Series {
        if let Some(family) = self.families.get(name) {
            let kind = match family.kind {
                FamilyKind::Counter => Kind::Counter,
                FamilyKind::Gauge | FamilyKind::Summary => Kind::Gauge,
                FamilyKind::Histogram => Kind::NativeHistogram,
                FamilyKind::Unknown => Kind::Unknown,
            };
            let base = family.base(name);
            return Series { kind, base };
        }
        self.part_of_family(name).unwrap_or_else(|| by_name(name))
    }

    /// The family that a series belongs to: `x` of `x_bucket`. A name that is no part of a known family is a family.
    pub fn family<'a>(&self, name: &'a str) -> &'a str {
        if self.families.contains_key(name) {
            return name;
        }
        ["_bucket", "_sum", "_count", "_total"]
            .iter()
            .filter_map(|suffix| name.strip_suffix(suffix))
            .find(|family| self.families.contains_key(*family))
            .unwrap_or(name)
    }

    fn part_of_family(&self, name: &str) -> Option<Series> {
        let (name, suffix) = name.rsplit_once('_')?;
        let family = self.families.get(name)?;
        let distribution = matches!(family.kind, FamilyKind::Histogram | FamilyKind::Summary);
        let base = match suffix {
            "bucket" | "count" if distribution => Base::Things,
            "sum" if distribution => family.base(name),
            // OpenMetrics names the family of `x_total` plain `x`.
            "total" if family.kind == FamilyKind::Counter => family.base(name),
            _ => return None,
        };
        let kind = Kind::Counter;
        Some(Series { kind, base })
    }

    /// Whether observations of this series come in buckets: `x_bucket`, or a family of native histograms.
    pub fn is_histogram(&self, name: &str) -> bool {
        name.ends_with("_bucket") || self.series(name).kind == Kind::NativeHistogram
    }

    /// The series without the bounds of its buckets: of what one observation is a number.
    pub fn observation(&self, name: &str) -> Base {
        let family = name.strip_suffix("_bucket").unwrap_or(name);
        match self.families.get(family) {
            Some(known) => known.base(family),
            None => base_of_name(family),
        }
    }
}

impl Family {
    /// The name's suffix says it if it has one; the declaration says the rest.
    fn base(&self, name: &str) -> Base {
        match (base_of_name(name), self.base) {
            (Base::Unknown, Some(declared)) => declared,
            (Base::Unknown, None) if self.kind == FamilyKind::Counter => Base::Things,
            (named, _) => named,
        }
    }
}

/// Without metadata: only suffixes that nothing but a counter has.
fn by_name(name: &str) -> Series {
    let base = base_of_name(name);
    if name.ends_with("_bucket") {
        let (kind, base) = (Kind::Counter, Base::Things);
        return Series { kind, base };
    }
    let kind = if name.ends_with("_total") {
        Kind::Counter
    } else {
        Kind::Unknown
    };
    let base = match base {
        Base::Unknown if kind == Kind::Counter => Base::Things,
        known => known,
    };
    Series { kind, base }
}

/// The unit in a metric's name, by the naming practice of Prometheus.
fn base_of_name(name: &str) -> Base {
    if name.contains(':') {
        // `level:metric:operation` of recording rules.
        let ratio = name.split([':', '_']).any(|part| part == "ratio");
        return if ratio { Base::Ratio } else { Base::Unknown };
    }
    let name = name.strip_suffix("_total").unwrap_or(name);
    let moment = [
        "_timestamp_seconds",
        "_start_time_seconds",
        "_boot_time_seconds",
    ];
    if moment.iter().any(|suffix| name.ends_with(suffix)) {
        return Base::Moment;
    }
    if name.ends_with("_per_second") {
        return Base::Frequency;
    }
    let sum = name.strip_suffix("_sum").unwrap_or(name);
    match sum.rsplit_once('_').map(|(_, last)| last) {
        Some("seconds") => Base::Seconds,
        Some("bytes") => Base::Bytes,
        Some("ratio") => Base::Ratio,
        Some("info") => Base::Truth,
        _ => Base::Unknown,
    }
}

/// A declared unit, in the words of OpenMetrics, UCUM, or a table for people.
fn base_of_unit(unit: &str) -> Option<Base> {
    Some(match unit.trim() {
        "" | "-" | "1" | "unknown" => return None,
        "s" | "seconds" => Base::Seconds,
        "bytes" | "By" => Base::Bytes,
        "Unix time" | "Unix seconds" => Base::Moment,
        "ratio" | "0 to 1" => Base::Ratio,
        "0 or 1" => Base::Truth,
        unit if unit.ends_with("/s") => Base::Frequency,
        _ => Base::Things,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn types() -> Types {
        let mut types = Types::default();
        types.declare("request_duration_seconds", "histogram", "s");
        types.declare("jobs_total", "counter", "");
        types.declare("lines", "counter", "");
        types.declare("in_flight", "gauge", "requests");
        types.declare("busy", "gauge", "0 to 1");
        types
    }

    #[test]
    fn a_series_is_what_its_family_says() {
        let types = types();
        for (name, kind, base) in [
            (
                "request_duration_seconds_bucket",
                Kind::Counter,
                Base::Things,
            ),
            (
                "request_duration_seconds_count",
                Kind::Counter,
                Base::Things,
            ),
            ("request_duration_seconds_sum", Kind::Counter, Base::Seconds),
            (
                "request_duration_seconds",
                Kind::NativeHistogram,
                Base::Seconds,
            ),
            ("jobs_total", Kind::Counter, Base::Things),
            ("lines_total", Kind::Counter, Base::Things),
            ("in_flight", Kind::Gauge, Base::Things),
            ("busy", Kind::Gauge, Base::Ratio),
            ("other_bytes_total", Kind::Counter, Base::Bytes),
            ("other_bucket", Kind::Counter, Base::Things),
            ("other_count", Kind::Unknown, Base::Unknown),
            ("process_start_time_seconds", Kind::Unknown, Base::Moment),
            (
                "intended_requests_per_second",
                Kind::Unknown,
                Base::Frequency,
            ),
            ("slo:error_ratio:rate5m", Kind::Unknown, Base::Ratio),
            ("job:requests:rate5m", Kind::Unknown, Base::Unknown),
        ] {
            assert_eq!(types.series(name), Series { kind, base }, "{name}");
        }
    }

    #[test]
    fn a_family_on_which_programs_differ_is_of_no_known_kind() {
        let entry = |kind: &str| Metadata {
            kind: kind.to_owned(),
            help: String::new(),
            unit: String::new(),
        };
        let metadata = BTreeMap::from([
            ("a".to_owned(), vec![entry("counter"), entry("gauge")]),
            ("b".to_owned(), vec![entry("gauge"), entry("gauge")]),
        ]);
        let types = Types::of_metadata(&metadata);
        assert_eq!(types.series("a").kind, Kind::Unknown);
        assert_eq!(types.series("b").kind, Kind::Gauge);
    }
}
