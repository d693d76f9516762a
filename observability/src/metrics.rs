//! Metrics: declared once as constants ([`Desc`]), kept in a [`Registry`] for each app, recorded through cached handles.
//!
//! A histogram always has explicit buckets, and a label says which values it can have: what is declared here is what the
//! page of all telemetry, the boards and the alerts are checked against.

mod computed;
mod exemplar;
mod handle;
mod histogram;
mod registry;
mod text;

pub use self::handle::{Counter, Gauge, GaugeGuard};
pub use self::histogram::Histogram;
pub use self::registry::Registry;
pub(crate) use self::text::Format;

/// Bucket bounds in seconds for whole requests and calls to a dependency: 1 ms to 30 s. 50 ms, 250 ms, 1 s and 30 s are
/// bounds because promises are made about them.
pub const SECONDS: &[f64] = &[
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 0.8, 1.0, 2.5, 5.0, 10.0, 30.0,
];

/// Every metric that a process has by having a [`Registry`].
pub(crate) const DECLARED: &[&Desc] = &[
    &registry::BUILD_INFO,
    &computed::CPU,
    &computed::OPEN_FDS,
    &computed::MAX_FDS,
    &computed::RESIDENT,
    &computed::VIRTUAL,
    &computed::THREADS,
    &computed::START_TIME,
    &computed::WORKERS,
    &computed::BUSY,
    &computed::QUEUE_DEPTH,
    &computed::ALIVE_TASKS,
];

/// Declaration of one metric: a constant of the crate that records it.
///
/// `name` is the Prometheus name with its unit (`_seconds`, `_bytes`, `_ratio`) and, for a counter, `_total`.
#[derive(Debug, PartialEq)]
pub struct Desc {
    /// Prometheus name.
    pub name: &'static str,
    /// One sentence: what is counted or measured.
    pub help: &'static str,
    /// Labels. A handle is made with exactly these.
    pub labels: &'static [Label],
    /// What it measures, and a histogram's bucket bounds.
    pub kind: Kind,
}

/// Kind of a metric.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// Only ever grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// A distribution over these upper bounds, ascending; `+Inf` is implied.
    Histogram(&'static [f64]),
}

impl Kind {
    /// The kind as Prometheus names it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram(_) => "histogram",
        }
    }
}

/// One label of a metric, and the values that it can have.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Label {
    /// Prometheus name.
    pub name: &'static str,
    /// Its values.
    pub values: Values,
}

/// The values that a label can have. An empty value is as good as no label.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Values {
    /// One of these, known when the program is compiled.
    Closed(&'static [&'static str]),
    /// Known only when the program runs, and few: why.
    Bounded(&'static str),
}

impl Label {
    /// A label with one of these values.
    pub const fn closed(name: &'static str, values: &'static [&'static str]) -> Self {
        Self {
            name,
            values: Values::Closed(values),
        }
    }

    /// A label whose few values are known when the program runs; `by` says what bounds them.
    pub const fn bounded(name: &'static str, by: &'static str) -> Self {
        Self {
            name,
            values: Values::Bounded(by),
        }
    }

    /// Whether the label can have this value.
    pub fn allows(&self, value: &str) -> bool {
        match self.values {
            Values::Closed(values) => values.contains(&value),
            Values::Bounded(_) => true,
        }
    }
}

impl Desc {
    /// Declares a counter; its name ends in `_total`.
    pub const fn counter(name: &'static str, help: &'static str, labels: &'static [Label]) -> Self {
        Self::new(name, help, labels, Kind::Counter)
    }

    /// Declares a gauge.
    pub const fn gauge(name: &'static str, help: &'static str, labels: &'static [Label]) -> Self {
        Self::new(name, help, labels, Kind::Gauge)
    }

    /// Declares a histogram with its bucket bounds, for example [`SECONDS`].
    pub const fn histogram(
        name: &'static str,
        help: &'static str,
        labels: &'static [Label],
        buckets: &'static [f64],
    ) -> Self {
        Self::new(name, help, labels, Kind::Histogram(buckets))
    }

    const fn new(
        name: &'static str,
        help: &'static str,
        labels: &'static [Label],
        kind: Kind,
    ) -> Self {
        Self {
            name,
            help,
            labels,
            kind,
        }
    }

    /// The unit that the name says, as Prometheus names units; `None` for a plain number of things.
    pub fn unit(&self) -> Option<&'static str> {
        let mut words = self.name.split('_');
        words.find_map(|word| UNITS.into_iter().find(|unit| *unit == word))
    }

    /// The name of the family in OpenMetrics text: a counter's is without `_total`.
    fn family(&self) -> &'static str {
        match self.kind {
            Kind::Counter => self.name.strip_suffix("_total").unwrap_or(self.name),
            Kind::Gauge | Kind::Histogram(_) => self.name,
        }
    }
}

const UNITS: [&str; 3] = ["seconds", "bytes", "ratio"];
