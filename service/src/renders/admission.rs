//! Who may enter the CPU pool: whoever finds a free thread and room for the pixels, within a bounded wait.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use observability::metrics::GaugeGuard;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::RenderError;
use crate::config::RenderConfig;
use crate::telemetry::CpuMetrics;

/// Semaphores count in `u32`, so decoded bytes are counted in units of this many.
const UNIT: u64 = 1024;

pub(super) struct Admission {
    threads: Arc<Semaphore>,
    memory: Arc<Semaphore>,
    /// The whole memory budget in units.
    budget: u32,
    waiting: AtomicUsize,
    max_waiting: usize,
    max_wait: Duration,
    metrics: Arc<CpuMetrics>,
}

/// The right to use a thread and some memory until it is dropped.
pub(super) struct Permit {
    _thread: OwnedSemaphorePermit,
    _memory: OwnedSemaphorePermit,
    _in_use: GaugeGuard,
    _decoded: DecodedBytes,
}

impl Admission {
    pub(super) fn new(config: &RenderConfig, metrics: Arc<CpuMetrics>) -> Self {
        let budget = u32::try_from(config.decoded_bytes / UNIT).unwrap_or(u32::MAX);
        Self {
            threads: Arc::new(Semaphore::new(config.threads)),
            memory: Arc::new(Semaphore::new(budget as usize)),
            budget,
            waiting: AtomicUsize::new(0),
            max_waiting: config.queue,
            max_wait: config.wait,
            metrics,
        }
    }

    /// Waits for a thread and for `decoded_bytes`. A picture that needs more than the whole budget gets all of it: its
    /// size is bounded by the limits of the picture library.
    pub(super) async fn admit(&self, decoded_bytes: u64) -> Result<Permit, RenderError> {
        let _waiting = self.queue()?;
        let units = u32::try_from(decoded_bytes.div_ceil(UNIT))
            .unwrap_or(u32::MAX)
            .min(self.budget);
        let both = async {
            // Memory first: a thread must not stand idle while its work waits for memory.
            let memory = Arc::clone(&self.memory).acquire_many_owned(units).await;
            let thread = Arc::clone(&self.threads).acquire_owned().await;
            memory.and_then(|memory| Ok((memory, thread?)))
        };
        match timeout(self.max_wait, both).await {
            Ok(Ok((memory, thread))) => Ok(Permit {
                _thread: thread,
                _memory: memory,
                _in_use: self.metrics.in_use.guard(),
                _decoded: DecodedBytes::reserve(&self.metrics, u64::from(units) * UNIT),
            }),
            Ok(Err(_closed)) => Err(RenderError::Lost("its admission is closed")),
            Err(_elapsed) => {
                self.metrics.shed.inc();
                Err(RenderError::Busy)
            }
        }
    }

    fn queue(&self) -> Result<Waiting<'_>, RenderError> {
        if self.waiting.fetch_add(1, Ordering::Relaxed) >= self.max_waiting {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            self.metrics.shed.inc();
            return Err(RenderError::Busy);
        }
        Ok(Waiting {
            count: &self.waiting,
            _gauge: self.metrics.waiting.guard(),
        })
    }
}

/// A place in the queue.
struct Waiting<'a> {
    count: &'a AtomicUsize,
    _gauge: GaugeGuard,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.count.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Shows reserved bytes in the metrics until it is dropped.
struct DecodedBytes {
    metrics: Arc<CpuMetrics>,
    bytes: f64,
}

impl DecodedBytes {
    fn reserve(metrics: &Arc<CpuMetrics>, bytes: u64) -> Self {
        let bytes = bytes as f64;
        metrics.decoded_bytes.add(bytes);
        Self {
            metrics: Arc::clone(metrics),
            bytes,
        }
    }
}

impl Drop for DecodedBytes {
    fn drop(&mut self) {
        self.metrics.decoded_bytes.sub(self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use observability::Registry;
    use observability::testing::{Scrape, service};

    use super::*;

    fn admission(threads: usize, queue: usize) -> (Admission, Registry) {
        let registry = Registry::new(&service());
        let config = RenderConfig {
            threads,
            decoded_bytes: 1 << 20,
            wait: Duration::from_secs(2),
            queue,
        };
        let metrics = CpuMetrics::new(&registry, threads, config.decoded_bytes);
        (Admission::new(&config, Arc::new(metrics)), registry)
    }

    #[tokio::test(start_paused = true)]
    async fn waiting_ends_after_its_bound_and_is_counted() {
        let (admission, registry) = admission(1, 8);
        let _held = admission.admit(0).await.expect("a free thread");
        assert!(matches!(admission.admit(0).await, Err(RenderError::Busy)));
        let scrape = Scrape::parse(&registry.render());
        assert_eq!(
            scrape.value("chitram_shed_total", &[("reason", "cpu")]),
            Some(1.0)
        );
        assert_eq!(scrape.value("chitram_cpu_permits_in_use", &[]), Some(1.0));
        assert_eq!(scrape.value("chitram_cpu_permits_waiting", &[]), Some(0.0));
    }

    #[tokio::test(start_paused = true)]
    async fn decoded_bytes_are_a_bound_of_their_own_and_one_large_picture_still_gets_in() {
        let (admission, registry) = admission(8, 8);
        let held = admission.admit(1 << 40).await.expect("all of the budget");
        let scrape = Scrape::parse(&registry.render());
        assert_eq!(
            scrape.value("chitram_decoded_bytes_in_use", &[]),
            Some(f64::from(1 << 20))
        );
        assert!(matches!(admission.admit(1).await, Err(RenderError::Busy)));
        drop(held);
        assert!(admission.admit(1).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_queue_refuses_at_once_and_a_caller_that_leaves_frees_its_place() {
        let (admission, _) = admission(1, 1);
        let _held = admission.admit(0).await.expect("a free thread");
        let waiting = admission.admit(0);
        tokio::pin!(waiting);
        assert!(futures::poll!(&mut waiting).is_pending());
        let began = tokio::time::Instant::now();
        assert!(matches!(admission.admit(0).await, Err(RenderError::Busy)));
        assert!(began.elapsed().is_zero());
        waiting.set(admission.admit(0));
        assert!(futures::poll!(&mut waiting).is_pending());
    }
}
