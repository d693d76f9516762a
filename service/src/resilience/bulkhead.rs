//! A bound on the calls that wait for one dependency, so that a slow one cannot hold everything the process has.

use std::future::Future;

use observability::metrics::{Counter, Gauge};
use tokio::sync::Semaphore;

/// At most `limit` calls at a time; the next one is refused at once rather than queued, since a queue in front of a
/// slow dependency only adds waiting.
pub struct Bulkhead {
    permits: Semaphore,
    limit: usize,
    in_use: Gauge,
    refused: Counter,
}

/// As many calls as allowed are already waiting for this dependency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{limit} calls are already waiting for it")]
pub struct BulkheadFull {
    /// The bound that was reached.
    pub limit: usize,
}

impl Bulkhead {
    /// A bulkhead that counts its use in `in_use` and its refusals in `refused`.
    pub fn new(limit: usize, in_use: Gauge, refused: Counter) -> Self {
        Self {
            permits: Semaphore::new(limit),
            limit,
            in_use,
            refused,
        }
    }

    /// Runs a call, or refuses it.
    pub async fn run<T, E: From<BulkheadFull>>(
        &self,
        call: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let Ok(_permit) = self.permits.try_acquire() else {
            self.refused.inc();
            return Err(BulkheadFull { limit: self.limit }.into());
        };
        let _in_use = self.in_use.guard();
        call.await
    }
}
