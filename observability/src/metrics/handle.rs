//! Handles on counters and gauges: one atomic number each.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::exemplar::{Moment, now};

/// Handle on one counter series. Cloning shares the series.
#[derive(Debug, Clone)]
pub struct Counter(Arc<Count>);

#[derive(Debug)]
struct Count {
    value: AtomicU64,
    created: Moment,
}

impl Counter {
    pub(super) fn new() -> Self {
        Self(Arc::new(Count {
            value: AtomicU64::new(0),
            created: now(),
        }))
    }

    /// Adds one.
    pub fn inc(&self) {
        self.add(1);
    }

    /// Adds `n`.
    pub fn add(&self, n: u64) {
        self.0.value.fetch_add(n, Ordering::Relaxed);
    }

    pub(super) fn value(&self) -> u64 {
        self.0.value.load(Ordering::Relaxed)
    }

    pub(super) fn created(&self) -> Moment {
        self.0.created
    }
}

/// Handle on one gauge series. Cloning shares the series.
#[derive(Debug, Clone, Default)]
pub struct Gauge(Arc<Float>);

impl Gauge {
    /// Sets the value.
    pub fn set(&self, value: f64) {
        self.0.set(value);
    }

    /// Adds `value`.
    pub fn add(&self, value: f64) {
        self.0.add(value);
    }

    /// Subtracts `value`.
    pub fn sub(&self, value: f64) {
        self.0.add(-value);
    }

    /// Adds one now and subtracts it when the guard is dropped, however that comes about.
    #[must_use = "the gauge goes back as soon as the guard is dropped"]
    pub fn guard(&self) -> GaugeGuard {
        self.add(1.0);
        GaugeGuard(self.clone())
    }

    pub(super) fn value(&self) -> f64 {
        self.0.get()
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

/// A floating-point number that several threads change: its bits.
#[derive(Debug, Default)]
pub(super) struct Float(AtomicU64);

impl Float {
    pub(super) fn get(&self) -> f64 {
        f64::from_bits(self.0.load(Ordering::Relaxed))
    }

    pub(super) fn add(&self, value: f64) {
        let sum = |bits| Some((f64::from_bits(bits) + value).to_bits());
        // Never refused: the closure always has a new value.
        let _ = self
            .0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, sum);
    }

    fn set(&self, value: f64) {
        self.0.store(value.to_bits(), Ordering::Relaxed);
    }
}
