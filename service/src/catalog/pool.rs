//! Connections: lent for one operation, within its deadline, and never taken back in the middle of a statement.

use std::{
    ops::{Deref, DerefMut},
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use futures::future::BoxFuture;
use sqlx::{Connection as _, pool::PoolConnection};
use tracing::{Dispatch, instrument::WithSubscriber as _};

use super::{CatalogError, dialect::Dialect, metrics::PoolMetrics};

/// A pool whose every operation has a deadline.
pub(super) struct Pool<D: Dialect> {
    connections: sqlx::Pool<D>,
    deadline: Duration,
    metrics: PoolMetrics,
}

impl<D: Dialect> Pool<D> {
    pub(super) fn new(
        connections: sqlx::Pool<D>,
        deadline: Duration,
        metrics: PoolMetrics,
    ) -> Self {
        metrics
            .max
            .set(f64::from(connections.options().get_max_connections()));
        Self {
            connections,
            deadline,
            metrics,
        }
    }

    /// Runs single statements on a connection.
    pub(super) async fn run<T>(
        &self,
        work: impl for<'c> FnOnce(&'c mut D::Connection) -> BoxFuture<'c, Result<T, CatalogError>>,
    ) -> Result<T, CatalogError> {
        self.within_deadline(async {
            let mut loan = self.acquire().await?;
            let result = work(&mut loan).await;
            loan.finished = may_be_lent_again(&result);
            result
        })
        .await
    }

    /// Runs statements in one transaction, which is rolled back when they fail.
    pub(super) async fn transaction<T>(
        &self,
        work: impl for<'c> FnOnce(&'c mut D::Connection) -> BoxFuture<'c, Result<T, CatalogError>>,
    ) -> Result<T, CatalogError> {
        let committing = AtomicBool::new(false);
        let result = self
            .within_deadline(async {
                let mut loan = self.acquire().await?;
                let mut transaction = loan.begin_with(D::BEGIN).await?;
                // Whether the connection is out of the transaction, for certain.
                let (result, out) = match work(&mut transaction).await {
                    Ok(done) => {
                        committing.store(true, Ordering::Relaxed);
                        let committed = transaction.commit().await;
                        let out = committed.is_ok();
                        (committed.map_err(unconfirmed).map(|()| done), out)
                    }
                    // The first error is the one that matters.
                    Err(error) => {
                        let out = transaction.rollback().await.is_ok();
                        (Err(error), out)
                    }
                };
                loan.finished = out && may_be_lent_again(&result);
                result
            })
            .await;
        match result {
            Err(timeout @ CatalogError::Timeout { .. }) if committing.into_inner() => {
                Err(CatalogError::OutcomeUnknown {
                    reason: timeout.to_string(),
                })
            }
            result => result,
        }
    }

    /// Runs an operation to its end or to the deadline.
    ///
    /// Out of sight of `tracing`: sqlx sends the current span along to SQLite's thread and enters it there, so that it
    /// would end when that thread lets go of it, and not when the operation ends. The operation's span is around this.
    async fn within_deadline<T>(
        &self,
        operation: impl Future<Output = Result<T, CatalogError>>,
    ) -> Result<T, CatalogError> {
        let deadline = self.deadline;
        let unseen = operation.with_subscriber(Dispatch::none());
        let ended = tokio::time::timeout(deadline, unseen).await;
        ended.unwrap_or(Err(CatalogError::Timeout { deadline }))
    }

    async fn acquire(&self) -> Result<Loan<D>, CatalogError> {
        let began = Instant::now();
        let pending = self.metrics.pending.guard();
        let acquired = self.connections.acquire().await;
        drop(pending);
        self.metrics.wait.record(began.elapsed());
        let idle = self.connections.num_idle() as f64;
        self.metrics.idle.set(idle);
        self.metrics
            .used
            .set(f64::from(self.connections.size()) - idle);
        match acquired {
            Ok(connection) => Ok(Loan {
                connection,
                finished: false,
            }),
            Err(sqlx::Error::PoolTimedOut) => {
                self.metrics.timeouts.inc();
                Err(CatalogError::Timeout {
                    deadline: self.deadline,
                })
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// Whether a connection may go back to the pool after this. A session may have been made read-only for as long as it lives,
/// while a new one can write again.
const fn may_be_lent_again<T>(result: &Result<T, CatalogError>) -> bool {
    !matches!(result, Err(CatalogError::NotWritable { .. }))
}

/// A commit that failed. The database's own refusal is definite; a lost connection is not.
fn unconfirmed(error: sqlx::Error) -> CatalogError {
    match error {
        sqlx::Error::Database(_) => error.into(),
        lost => CatalogError::OutcomeUnknown {
            reason: lost.to_string(),
        },
    }
}

/// A lent connection. One that is dropped before its work finished (a deadline, a caller that left) is closed: back in
/// the pool, it would wait there for an answer that perhaps never comes, or in a transaction that nobody ends.
struct Loan<D: Dialect> {
    connection: PoolConnection<D>,
    finished: bool,
}

impl<D: Dialect> Drop for Loan<D> {
    fn drop(&mut self) {
        if !self.finished {
            self.connection.close_on_drop();
        }
    }
}

impl<D: Dialect> Deref for Loan<D> {
    type Target = D::Connection;

    fn deref(&self) -> &D::Connection {
        &self.connection
    }
}

impl<D: Dialect> DerefMut for Loan<D> {
    fn deref_mut(&mut self) -> &mut D::Connection {
        &mut self.connection
    }
}
