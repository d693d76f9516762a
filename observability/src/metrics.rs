//! Metrics: declared once as constants ([`Desc`]), kept in a [`Registry`] for each app, recorded through cached handles.
//!
//! The library behind it is known to this folder only. A histogram always has explicit buckets: without them the
//! exporter would render a summary, which cannot be added up over replicas.

mod computed;
mod registry;

use std::time::Duration;

pub use registry::Registry;

/// Bucket bounds in seconds for whole requests and calls to a dependency: 1 ms to 30 s. 50 ms, 250 ms, 1 s and 30 s are
/// bounds because promises are made about them.
pub const SECONDS: &[f64] = &[
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 0.8, 1.0, 2.5, 5.0, 10.0, 30.0,
];

/// Declaration of one metric: a constant of the crate that records it.
///
/// `name` is the Prometheus name with its unit (`_seconds`, `_bytes`) and, for a counter, `_total`.
#[derive(Debug, PartialEq)]
pub struct Desc {
    /// Prometheus name.
    pub name: &'static str,
    /// One sentence: what is counted or measured.
    pub help: &'static str,
    /// Label names. A handle is made with exactly these.
    pub labels: &'static [&'static str],
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

impl Desc {
    /// Declares a counter; its name ends in `_total`.
    #[must_use]
    pub const fn counter(
        name: &'static str,
        help: &'static str,
        labels: &'static [&'static str],
    ) -> Self {
        Self {
            name,
            help,
            labels,
            kind: Kind::Counter,
        }
    }

    /// Declares a gauge.
    #[must_use]
    pub const fn gauge(
        name: &'static str,
        help: &'static str,
        labels: &'static [&'static str],
    ) -> Self {
        Self {
            name,
            help,
            labels,
            kind: Kind::Gauge,
        }
    }

    /// Declares a histogram with its bucket bounds, for example [`SECONDS`].
    #[must_use]
    pub const fn histogram(
        name: &'static str,
        help: &'static str,
        labels: &'static [&'static str],
        buckets: &'static [f64],
    ) -> Self {
        Self {
            name,
            help,
            labels,
            kind: Kind::Histogram(buckets),
        }
    }
}

/// Handle on one counter series. Cloning shares the series.
#[derive(Debug, Clone)]
pub struct Counter(metrics::Counter);

impl Counter {
    /// Adds one.
    pub fn inc(&self) {
        self.0.increment(1);
    }

    /// Adds `n`.
    pub fn add(&self, n: u64) {
        self.0.increment(n);
    }
}

/// Handle on one gauge series. Cloning shares the series.
#[derive(Debug, Clone)]
pub struct Gauge(metrics::Gauge);

impl Gauge {
    /// Sets the value.
    pub fn set(&self, value: f64) {
        self.0.set(value);
    }

    /// Adds `value`.
    pub fn add(&self, value: f64) {
        self.0.increment(value);
    }

    /// Subtracts `value`.
    pub fn sub(&self, value: f64) {
        self.0.decrement(value);
    }

    /// Adds one now and subtracts it when the guard is dropped, however that comes about.
    #[must_use = "the gauge goes back as soon as the guard is dropped"]
    pub fn guard(&self) -> GaugeGuard {
        self.add(1.0);
        GaugeGuard(self.clone())
    }
}

/// Holds a gauge one higher. See [`Gauge::guard`].
#[derive(Debug)]
pub struct GaugeGuard(Gauge);

impl Drop for GaugeGuard {
    fn drop(&mut self) {
        self.0.sub(1.0);
    }
}

/// Handle on one histogram series. Cloning shares the series.
#[derive(Debug, Clone)]
pub struct Histogram(metrics::Histogram);

impl Histogram {
    /// Records a duration, in seconds.
    pub fn record(&self, elapsed: Duration) {
        self.0.record(elapsed.as_secs_f64());
    }

    /// Records a value in the metric's own unit.
    pub fn record_value(&self, value: f64) {
        self.0.record(value);
    }
}
