//! What stands before the calls of one direction: bulkhead, breaker and retry budget, none of them shared with the other.

use observability::Registry;

use super::NAME;
use crate::config::StoreConfig;
use crate::resilience::{Breaker, Bulkhead, Direction, Retry, breaker};
use crate::telemetry::GuardMetrics;

pub(super) struct Guards {
    pub(super) bulkhead: Bulkhead,
    pub(super) breaker: Breaker,
    pub(super) retry: Retry,
}

impl Guards {
    pub(super) fn new(config: &StoreConfig, registry: &Registry, direction: Direction) -> Self {
        let metrics = GuardMetrics::new(registry, NAME, direction, config.concurrency);
        let policy = config.breaker.then(breaker::Policy::default);
        Self {
            bulkhead: Bulkhead::new(config.concurrency, metrics.in_use, metrics.bulkhead_full),
            breaker: Breaker::new(policy, metrics.circuit),
            retry: Retry::new(metrics.retries),
        }
    }
}
