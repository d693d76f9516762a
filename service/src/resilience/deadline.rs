//! A deadline for one operation, shared by all its attempts.

use std::future::Future;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

/// How long an operation may take until the dependency begins to answer. `None` waits for ever, which only an
/// experiment wants.
#[derive(Debug, Clone, Copy)]
pub struct Deadline(Option<Duration>);

/// The moment at which an operation is given up.
#[derive(Debug, Clone, Copy)]
pub struct Due {
    at: Option<Instant>,
    limit: Duration,
}

/// The dependency did not answer within its deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no answer within {limit:?}")]
pub struct Overdue {
    /// The deadline that passed.
    pub limit: Duration,
}

impl Deadline {
    /// A deadline of `limit`, or none.
    pub fn new(limit: Option<Duration>) -> Self {
        Self(limit)
    }

    /// The end of an operation that starts now and needs `extra` for sending what the caller gives it.
    pub fn start(self, extra: Duration) -> Due {
        let limit = self.0.map(|limit| limit + extra);
        Due {
            at: limit.map(|limit| Instant::now() + limit),
            limit: limit.unwrap_or(Duration::MAX),
        }
    }
}

impl Due {
    /// Runs one attempt, and drops it when the operation is overdue.
    pub async fn run<T, E: From<Overdue>>(
        self,
        attempt: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        match self.at {
            None => attempt.await,
            Some(at) => timeout_at(at, attempt)
                .await
                .unwrap_or_else(|_| Err(Overdue { limit: self.limit }.into())),
        }
    }

    /// Whether an attempt that begins after `wait` has any time left.
    pub fn allows(self, wait: Duration) -> bool {
        self.at.is_none_or(|at| Instant::now() + wait < at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn attempts_share_one_deadline() {
        let due = Deadline::new(Some(Duration::from_secs(1))).start(Duration::ZERO);
        let first: Result<(), Overdue> = due
            .run(async {
                tokio::time::sleep(Duration::from_millis(700)).await;
                Ok(())
            })
            .await;
        assert_eq!(first, Ok(()));
        assert!(due.allows(Duration::from_millis(200)));
        assert!(!due.allows(Duration::from_millis(300)));

        let began = Instant::now();
        let second: Result<(), Overdue> = due.run(std::future::pending()).await;
        assert_eq!(
            second,
            Err(Overdue {
                limit: Duration::from_secs(1)
            })
        );
        assert_eq!(began.elapsed(), Duration::from_millis(300));
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_deadline_a_call_may_take_its_time() {
        let due = Deadline::new(None).start(Duration::ZERO);
        let answer: Result<u8, Overdue> = due
            .run(async {
                tokio::time::sleep(Duration::from_hours(1)).await;
                Ok(7)
            })
            .await;
        assert_eq!(answer, Ok(7));
    }
}
