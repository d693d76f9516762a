//! The worker: claims jobs, holds their leases while they run, and writes down how they ended.

use std::{
    any::Any,
    panic::AssertUnwindSafe,
    sync::Arc,
    time::{Duration, Instant},
};

use futures::FutureExt as _;
use jiff::Timestamp;
use observability::{Registry, propagation};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, Span, error, info, info_span, warn};

use super::{
    Handler, Handlers, JobError, Pace,
    metrics::{Outcome, WorkerMetrics},
};
use crate::{
    catalog::{Catalog, CatalogError},
    domain::{ClaimedJob, JobState, Work},
    renders::Renderer,
    store::Store,
};

/// How long a job may wait for an outage to end before its attempts count all the same.
const PATIENCE: Duration = Duration::from_hours(24);

/// How long done jobs can be asked for.
const DONE_KEPT: Duration = Duration::from_hours(24);

/// How long the end of an attempt may take to be written down once the worker stops.
const SETTLEMENT: Duration = Duration::from_secs(10);

/// Works on jobs, several at a time.
pub struct Worker {
    attempts: Arc<Attempts>,
    concurrency: usize,
}

impl Worker {
    /// A worker for the service's jobs that runs at most `concurrency` of them at a time.
    pub fn new(
        catalog: Arc<dyn Catalog>,
        store: Store,
        renderer: Renderer,
        concurrency: usize,
        registry: &Registry,
    ) -> Self {
        let handlers = Handlers::new(Arc::clone(&catalog), store, renderer, registry);
        Self::with_handler(
            catalog,
            Arc::new(handlers),
            concurrency,
            Pace::default(),
            registry,
        )
    }

    /// A worker for jobs that `handler` does, at another pace.
    pub fn with_handler(
        catalog: Arc<dyn Catalog>,
        handler: Arc<dyn Handler>,
        concurrency: usize,
        pace: Pace,
        registry: &Registry,
    ) -> Self {
        let name = format!("worker-{}", uuid::Uuid::now_v7());
        let metrics = WorkerMetrics::new(registry);
        Self {
            attempts: Arc::new(Attempts {
                catalog,
                handler,
                pace,
                metrics,
                name,
            }),
            concurrency,
        }
    }

    /// Works until `shutdown`; then lets attempts end for a while, hands the others back, and returns.
    pub async fn run(self, shutdown: CancellationToken) {
        let reporting = self.report();
        let working = self.work(&shutdown);
        tokio::select! {
            () = working => {}
            () = reporting => {}
        }
    }

    async fn work(&self, shutdown: &CancellationToken) {
        let mut running = JoinSet::new();
        while !shutdown.is_cancelled() {
            while running.try_join_next().is_some() {}
            if running.len() >= self.concurrency {
                tokio::select! {
                    () = shutdown.cancelled() => {}
                    _ = running.join_next() => {}
                }
            } else if let Some(job) = self.claim().await {
                running.spawn(Arc::clone(&self.attempts).attempt(job, shutdown.clone()));
            } else {
                let poll = self
                    .attempts
                    .pace
                    .poll
                    .mul_f64(rand::random_range(0.8..1.2));
                tokio::select! {
                    () = shutdown.cancelled() => {}
                    () = self.attempts.catalog.job_enqueued() => {}
                    () = tokio::time::sleep(poll) => {}
                }
            }
        }
        let end_of_all = async { while running.join_next().await.is_some() {} };
        if tokio::time::timeout(self.attempts.pace.drain + SETTLEMENT, end_of_all)
            .await
            .is_err()
        {
            warn!(
                event.dataset = "chitram.jobs",
                "attempts abandoned at shutdown, their leases will end"
            );
        }
    }

    async fn claim(&self) -> Option<ClaimedJob> {
        let Attempts {
            catalog,
            name,
            pace,
            ..
        } = &*self.attempts;
        match catalog.claim(name, pace.lease).await {
            Ok(job) => job,
            Err(error) => {
                warn!(event.dataset = "chitram.jobs", error.r#type = error.error_type(), error.message = %error, "no job could be claimed");
                None
            }
        }
    }

    /// Sets the queue's gauges and forgets old jobs, for ever. A catalog that does not answer is reported by claiming.
    async fn report(&self) {
        let mut ticks = tokio::time::interval(self.attempts.pace.report);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            for stats in self
                .attempts
                .catalog
                .queue_stats()
                .await
                .unwrap_or_default()
            {
                self.attempts.metrics.queue(&stats);
            }
            let _ = self.attempts.catalog.forget_done(DONE_KEPT).await;
        }
    }
}

/// What every attempt needs.
struct Attempts {
    catalog: Arc<dyn Catalog>,
    handler: Arc<dyn Handler>,
    pace: Pace,
    metrics: WorkerMetrics,
    /// Names this worker in the catalog.
    name: String,
}

/// How the handler came to its end, before that is written down.
enum End {
    Returned(Result<(), JobError>),
    LeaseLost,
    Stopped,
}

impl Attempts {
    /// One attempt at a job, from its span to its log line. Never panics with the handler.
    async fn attempt(self: Arc<Self>, job: ClaimedJob, shutdown: CancellationToken) {
        let span = span(&job);
        async {
            let began = Instant::now();
            let end = tokio::select! {
                result = self.handle(&job) => End::Returned(result),
                () = self.hold_lease(&job) => End::LeaseLost,
                () = self.stopped(&shutdown) => End::Stopped,
            };
            let outcome = self.settle(&job, end, began).await.unwrap_or_else(|error| {
                warn!(event.dataset = "chitram.jobs", job.id = %job.id, error.r#type = error.error_type(), error.message = %error,
                    "end of an attempt not written down, the job will be repeated");
                Outcome::Lost
            });
            self.metrics.processed(job.work.kind(), outcome, began.elapsed());
        }
        .instrument(span)
        .await;
    }

    async fn handle(&self, job: &ClaimedJob) -> Result<(), JobError> {
        let guarded = AssertUnwindSafe(self.handler.handle(job)).catch_unwind();
        match tokio::time::timeout(self.pace.attempt, guarded).await {
            Ok(Ok(result)) => result,
            Ok(Err(panic)) => Err(JobError::Failed(format!(
                "it panicked: {}",
                panic_message(&*panic)
            ))),
            Err(_) => Err(JobError::Failed(format!(
                "it took longer than {:?}",
                self.pace.attempt
            ))),
        }
    }

    /// Renews the lease; returns when it is lost.
    async fn hold_lease(&self, job: &ClaimedJob) {
        let mut held_until = Instant::now() + self.pace.lease;
        while Instant::now() < held_until {
            tokio::time::sleep(self.pace.lease / 3).await;
            match self.catalog.heartbeat(job, self.pace.lease).await {
                Ok(true) => held_until = Instant::now() + self.pace.lease,
                Ok(false) => return,
                // The next one may get through before the lease ends.
                Err(_) => {}
            }
        }
    }

    async fn stopped(&self, shutdown: &CancellationToken) {
        shutdown.cancelled().await;
        tokio::time::sleep(self.pace.drain).await;
    }

    /// Writes down how an attempt ended.
    async fn settle(
        &self,
        job: &ClaimedJob,
        end: End,
        began: Instant,
    ) -> Result<Outcome, CatalogError> {
        let held = |held, outcome| if held { outcome } else { Outcome::Lost };
        let outcome = match end {
            End::Returned(Ok(())) => held(self.catalog.complete(job).await?, Outcome::Done),
            End::Returned(Err(JobError::Unavailable(reason))) if is_young(job) => {
                warn!(event.dataset = "chitram.jobs", job.id = %job.id, job.kind = job.work.kind(), error.message = reason, "job postponed");
                held(
                    self.catalog
                        .hand_back(job, self.pace.postponement())
                        .await?,
                    Outcome::Postponed,
                )
            }
            End::Returned(Err(error)) => return self.fail(job, &error.to_string()).await,
            End::Stopped => held(
                self.catalog.hand_back(job, Duration::ZERO).await?,
                Outcome::HandedBack,
            ),
            End::LeaseLost => Outcome::Lost,
        };
        if outcome == Outcome::Done {
            info!(event.dataset = "chitram.jobs", event.duration = began.elapsed().as_nanos() as u64, job.id = %job.id,
                job.kind = job.work.kind(), job.attempt = job.attempt, "job done");
        }
        Ok(outcome)
    }

    async fn fail(&self, job: &ClaimedJob, reason: &str) -> Result<Outcome, CatalogError> {
        let span = Span::current();
        span.record("otel.status_code", "ERROR");
        let state = self
            .catalog
            .fail(job, reason, self.pace.backoff_after(job.attempt))
            .await?;
        let outcome = match state {
            Some(JobState::Dead) => {
                error!(event.dataset = "chitram.jobs", job.id = %job.id, job.kind = job.work.kind(), job.attempt = job.attempt,
                    error.message = reason, "job given up");
                Outcome::Dead
            }
            Some(_) => {
                warn!(event.dataset = "chitram.jobs", job.id = %job.id, job.kind = job.work.kind(), job.attempt = job.attempt,
                    error.message = reason, "attempt at a job failed");
                Outcome::Failed
            }
            None => Outcome::Lost,
        };
        span.record("error.type", outcome.name());
        Ok(outcome)
    }
}

/// The first attempt continues the trace of the upload; a retry may come hours later, so it is a trace of its own with a
/// link.
fn span(job: &ClaimedJob) -> Span {
    let name = match job.work {
        Work::RenderPresets { .. } => "process variants",
        Work::Purge { .. } => "process purge",
    };
    let span = || {
        info_span!(
            parent: None,
            "process",
            otel.name = name,
            otel.kind = "consumer",
            otel.status_code = tracing::field::Empty,
            error.r#type = tracing::field::Empty,
            messaging.destination.name = job.work.kind(),
            messaging.message.id = %job.id,
            job.attempt = i64::from(job.attempt),
        )
    };
    match &job.traceparent {
        Some(traceparent) if job.attempt == 1 => propagation::continue_from(traceparent, span),
        Some(traceparent) => propagation::link_to(traceparent, span),
        None => span(),
    }
}

fn is_young(job: &ClaimedJob) -> bool {
    Timestamp::now()
        .duration_since(job.created_at)
        .unsigned_abs()
        < PATIENCE
}

fn panic_message(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("without a message")
}
