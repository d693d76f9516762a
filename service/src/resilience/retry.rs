//! One more attempt, for calls that may be repeated, inside a budget.
//!
//! Retries multiply load exactly when a dependency can bear it least, so they are limited to a share of the calls: each
//! call earns a tenth of a retry, and a purse that holds at most [`PURSE`] of them lets a quiet service retry at all.

use std::future::Future;
use std::sync::Mutex;
use std::time::Duration;

use observability::metrics::Counter;

/// What each call adds to the budget: retries are at most this share of the calls.
const EARNED: f64 = 0.1;
/// The most retries that can be saved up.
const PURSE: f64 = 10.0;
/// The longest pause before the retry. The pause is drawn evenly from zero to this (full jitter), so that calls that
/// failed together do not come back together.
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

/// Repeats a failed call once while the budget lasts.
pub struct Retry {
    saved: Mutex<f64>,
    retries: Counter,
}

impl Retry {
    /// A retry with a full purse that counts what it spends in `retries`.
    pub fn new(retries: Counter) -> Self {
        Self {
            saved: Mutex::new(PURSE),
            retries,
        }
    }

    /// Makes a call by `attempt`, and once more when it failed, `worthwhile(error, pause)` agrees and the budget allows.
    /// `worthwhile` knows whether the call may be repeated and whether the time left and the breaker would let it.
    pub async fn run<T, E, F: Future<Output = Result<T, E>>>(
        &self,
        attempt: impl Fn() -> F,
        worthwhile: impl Fn(&E, Duration) -> bool,
    ) -> Result<T, E> {
        self.earn();
        let error = match attempt().await {
            Ok(value) => return Ok(value),
            Err(error) => error,
        };
        let pause = LONGEST_PAUSE.mul_f64(rand::random());
        if !worthwhile(&error, pause) || !self.spend() {
            return Err(error);
        }
        tokio::time::sleep(pause).await;
        self.retries.inc();
        attempt().await
    }

    fn earn(&self) {
        let mut saved = lock(&self.saved);
        *saved = (*saved + EARNED).min(PURSE);
    }

    fn spend(&self) -> bool {
        let mut saved = lock(&self.saved);
        let enough = *saved >= 1.0;
        if enough {
            *saved -= 1.0;
        }
        enough
    }
}

/// A poisoned lock only means that another thread panicked between two simple statements; the value is still good.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use observability::Registry;

    use super::*;
    use crate::resilience::Direction;
    use crate::telemetry::GuardMetrics;

    #[tokio::test(start_paused = true)]
    async fn retries_stay_a_tenth_of_the_calls_and_only_worthwhile_ones_are_made() {
        let registry = Registry::new(&observability::testing::service());
        let metrics = GuardMetrics::new(&registry, "store", Direction::Read, 1);
        let retry = Retry::new(metrics.retries);
        let attempts = AtomicU32::new(0);
        let attempt = || async {
            attempts.fetch_add(1, Ordering::Relaxed);
            Err::<(), _>("failed")
        };
        for _ in 0..100 {
            assert_eq!(retry.run(attempt, |_, _| false).await, Err("failed"));
        }
        assert_eq!(attempts.swap(0, Ordering::Relaxed), 100);
        for _ in 0..1000 {
            assert_eq!(retry.run(attempt, |_, _| true).await, Err("failed"));
        }
        let attempts = attempts.into_inner();
        assert!(
            (1100..=1111).contains(&attempts),
            "a purse of 10 and a tenth of 1000: {attempts}"
        );
    }
}
