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
        Ok(Waiting { count: &self.waiting, _gauge: self.metrics.waiting.guard() })
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
        Self { metrics: Arc::clone(metrics), bytes }
    }
}

impl Drop for DecodedBytes {
    fn drop(&mut self) {
        self.metrics.decoded_bytes.sub(self.bytes);
    }
}
