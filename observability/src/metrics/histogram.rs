//! Handles on histograms: a number for each bucket, their sum, and for each bucket the latest sampled trace.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::exemplar::{Exemplar, Moment, now, sampled_trace};
use super::handle::Float;

/// Handle on one histogram series. Cloning shares the series.
#[derive(Debug, Clone)]
pub struct Histogram(Arc<Distribution>);

#[derive(Debug)]
struct Distribution {
    bounds: &'static [f64],
    /// Observations of each bucket alone, the last one above every bound.
    buckets: Box<[AtomicU64]>,
    sum: Float,
    /// 0 until the series exists for its readers.
    created: AtomicU64,
    /// Empty until the first, then one place for each bucket. Only sampled observations come here, and none waits.
    exemplars: Mutex<Vec<Option<Exemplar>>>,
}

/// A histogram as it is at one moment.
pub(super) struct Snapshot {
    pub(super) bounds: &'static [f64],
    /// Observations up to each bound, the last one all of them.
    pub(super) cumulative: Vec<u64>,
    pub(super) sum: f64,
    pub(super) created: Moment,
    /// In the order of the buckets; empty where there is none at all.
    pub(super) exemplars: Vec<Option<Exemplar>>,
}

impl Histogram {
    pub(super) fn new(bounds: &'static [f64]) -> Self {
        let buckets = (0..=bounds.len()).map(|_| AtomicU64::new(0));
        Self(Arc::new(Distribution {
            bounds,
            buckets: buckets.collect(),
            sum: Float::default(),
            created: AtomicU64::new(0),
            exemplars: Mutex::default(),
        }))
    }

    /// Records a duration, in seconds.
    pub fn record(&self, elapsed: Duration) {
        self.observe(elapsed.as_secs_f64());
    }

    /// Lets readers see the series from now on, also without an observation.
    pub(crate) fn show(&self) {
        // Lost only to another thread that did it first.
        let _ = self
            .0
            .created
            .compare_exchange(0, now(), Ordering::Relaxed, Ordering::Relaxed);
    }

    fn observe(&self, value: f64) {
        let this = &*self.0;
        if this.created.load(Ordering::Relaxed) == 0 {
            self.show();
        }
        let bucket = this.bounds.partition_point(|bound| *bound < value);
        this.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        this.sum.add(value);
        if let Some(trace) = sampled_trace() {
            let at = now();
            self.keep(bucket, Exemplar { trace, value, at });
        }
    }

    /// Where another thread keeps one at this moment, or the page is written, that one is as good.
    fn keep(&self, bucket: usize, exemplar: Exemplar) {
        if let Ok(mut kept) = self.0.exemplars.try_lock() {
            if kept.is_empty() {
                kept.resize(self.0.buckets.len(), None);
            }
            kept[bucket] = Some(exemplar);
        }
    }

    /// `None` before the series exists for its readers.
    pub(super) fn snapshot(&self) -> Option<Snapshot> {
        let this = &*self.0;
        let created = this.created.load(Ordering::Relaxed);
        if created == 0 {
            return None;
        }
        let exemplars = this
            .exemplars
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let mut total = 0;
        let cumulative = this.buckets.iter().map(|bucket| {
            total += bucket.load(Ordering::Relaxed);
            total
        });
        Some(Snapshot {
            bounds: this.bounds,
            cumulative: cumulative.collect(),
            sum: this.sum.get(),
            created,
            exemplars,
        })
    }
}
