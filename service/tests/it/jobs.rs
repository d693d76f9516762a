//! The worker: what it makes of jobs that end well, fail, panic, hang, or lose their lease.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use futures::future::BoxFuture;
use observability::{
    propagation,
    testing::{Scrape, capture},
};
use service::{
    catalog::MAX_ATTEMPTS,
    domain::{ClaimedJob, ImageId, JobId, JobState, Work},
    jobs::{Handler, JobError, Pace, Worker},
};
use tokio::{sync::Notify, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use crate::catalog::home::Home;
use crate::support::until;

/// A handler made of a function.
struct Script<F>(F);

#[async_trait]
impl<F> Handler for Script<F>
where
    F: Fn(&ClaimedJob) -> BoxFuture<'static, Result<(), JobError>> + Send + Sync + 'static,
{
    async fn handle(&self, job: &ClaimedJob) -> Result<(), JobError> {
        (self.0)(job).await
    }
}

/// A worker in a hurry, but with leases that outlast the pauses of a loaded machine.
const PACE: Pace = Pace {
    lease: Duration::from_secs(30),
    poll: Duration::from_millis(20),
    backoff: Duration::from_millis(1),
    longest_backoff: Duration::from_millis(10),
    attempt: Duration::from_mins(1),
    drain: Duration::from_millis(50),
    report: Duration::from_millis(20),
};

struct Running {
    stop: CancellationToken,
    worker: JoinHandle<()>,
}

impl Running {
    fn start<F>(home: &Home, pace: Pace, script: F) -> Self
    where
        F: Fn(&ClaimedJob) -> BoxFuture<'static, Result<(), JobError>> + Send + Sync + 'static,
    {
        let handler = Arc::new(Script(script));
        let worker =
            Worker::with_handler(Arc::clone(&home.catalog), handler, 2, pace, &home.registry);
        let stop = CancellationToken::new();
        let worker = tokio::spawn(worker.run(stop.clone()));
        Self { stop, worker }
    }

    async fn stop(self) {
        self.stop.cancel();
        tokio::time::timeout(Duration::from_secs(30), self.worker)
            .await
            .expect("it stops")
            .expect("no panic");
    }
}

async fn enqueue(home: &Home) -> JobId {
    home.catalog
        .enqueue(
            Work::RenderPresets {
                image: ImageId::new(),
            },
            None,
        )
        .await
        .expect("enqueued")
}

async fn state(home: &Home, id: JobId) -> (JobState, u32) {
    let job = home.catalog.job(id).await.expect("read").expect("there");
    (job.state, job.attempts)
}

fn outcomes(home: &Home, outcome: &str) -> u64 {
    let labels = [("queue", "render_presets"), ("outcome", outcome)];
    Scrape::parse(&home.registry.render())
        .value("messaging_process_duration_seconds_count", &labels)
        .unwrap_or_default() as u64
}

#[tokio::test]
async fn a_job_that_panics_is_dead_after_five_attempts_and_the_worker_lives_on() {
    let home = Home::sqlite().await;
    let bad = enqueue(&home).await;
    let worker = Running::start(&home, PACE, move |job| {
        let panics = job.id == bad;
        Box::pin(async move {
            assert!(!panics, "this picture is cursed");
            Ok(())
        })
    });
    until("the job is dead", async || {
        state(&home, bad).await == (JobState::Dead, MAX_ATTEMPTS)
    })
    .await;
    let error = home
        .catalog
        .job(bad)
        .await
        .expect("read")
        .expect("there")
        .error
        .expect("an error");
    assert_eq!(error, "it panicked: this picture is cursed");

    let good = enqueue(&home).await;
    until("the next job is done", async || {
        state(&home, good).await == (JobState::Done, 1)
    })
    .await;
    until("the gauge shows it", async || {
        let scrape = Scrape::parse(&home.registry.render());
        let gauge = |name| scrape.value(name, &[("queue", "render_presets")]);
        gauge("chitram_queue_dead_letters") == Some(1.0)
            && gauge("chitram_queue_depth") == Some(0.0)
    })
    .await;
    worker.stop().await;
    assert_eq!(outcomes(&home, "failed"), u64::from(MAX_ATTEMPTS - 1));
    assert_eq!(outcomes(&home, "dead"), 1);
    assert_eq!(outcomes(&home, "done"), 1);
}

#[tokio::test]
async fn an_attempt_that_hangs_ends_at_its_deadline() {
    let home = Home::sqlite().await;
    let id = enqueue(&home).await;
    let pace = Pace {
        attempt: Duration::from_millis(20),
        ..PACE
    };
    let worker = Running::start(&home, pace, |_| Box::pin(std::future::pending()));
    until("the job is dead", async || {
        state(&home, id).await.0 == JobState::Dead
    })
    .await;
    worker.stop().await;
    let error = home
        .catalog
        .job(id)
        .await
        .expect("read")
        .expect("there")
        .error
        .expect("an error");
    assert_eq!(error, "it took longer than 20ms");
}

#[tokio::test]
async fn an_outage_costs_a_job_no_attempt() {
    let home = Home::sqlite().await;
    let id = enqueue(&home).await;
    let tries = Arc::new(AtomicU32::new(0));
    let worker = Running::start(&home, PACE, {
        let tries = Arc::clone(&tries);
        move |_| {
            let outage = tries.fetch_add(1, Ordering::Relaxed) < 2 * MAX_ATTEMPTS;
            Box::pin(async move {
                if outage {
                    Err(JobError::Unavailable("the store is away".to_owned()))
                } else {
                    Ok(())
                }
            })
        }
    });
    until("the job is done", async || {
        state(&home, id).await == (JobState::Done, 1)
    })
    .await;
    worker.stop().await;
    assert_eq!(outcomes(&home, "postponed"), u64::from(2 * MAX_ATTEMPTS));
}

#[tokio::test]
async fn a_worker_that_stops_hands_its_jobs_back() {
    let home = Home::sqlite().await;
    let id = enqueue(&home).await;
    let begun = Arc::new(Notify::new());
    let worker = Running::start(&home, PACE, {
        let begun = Arc::clone(&begun);
        move |_| {
            begun.notify_one();
            Box::pin(std::future::pending())
        }
    });
    begun.notified().await;
    worker.stop().await;
    assert_eq!(state(&home, id).await, (JobState::Queued, 0));
    assert_eq!(outcomes(&home, "handed_back"), 1);
}

#[tokio::test]
async fn an_attempt_that_lost_its_lease_is_dropped() {
    let home = Home::sqlite().await;
    enqueue(&home).await;
    let begun = Arc::new(Notify::new());
    let pace = Pace {
        lease: Duration::from_millis(300),
        poll: Duration::from_mins(10),
        ..PACE
    };
    let worker = Running::start(&home, pace, {
        let begun = Arc::clone(&begun);
        move |_| {
            begun.notify_one();
            Box::pin(std::future::pending())
        }
    });
    begun.notified().await;
    home.execute("UPDATE jobs SET lease = NULL, due_at = 9000000000000000")
        .await;
    until("the attempt is given up", async || {
        outcomes(&home, "lost") == 1
    })
    .await;
    worker.stop().await;
}

#[tokio::test]
async fn a_long_job_keeps_its_lease() {
    let home = Home::sqlite().await;
    let id = enqueue(&home).await;
    let pace = Pace {
        lease: Duration::from_secs(2),
        ..PACE
    };
    let worker = Running::start(&home, pace, |_| {
        Box::pin(async {
            tokio::time::sleep(Duration::from_secs(5)).await;
            Ok(())
        })
    });
    until("the job is done", async || {
        state(&home, id).await.0 == JobState::Done
    })
    .await;
    assert_eq!(
        state(&home, id).await,
        (JobState::Done, 1),
        "in one attempt"
    );
    worker.stop().await;
}

#[tokio::test]
async fn the_first_attempt_continues_the_uploads_trace_and_a_retry_links_to_it() {
    let capture = capture();
    let home = Home::sqlite().await;
    let span = tracing::info_span!("upload");
    let traceparent = span.in_scope(propagation::current_traceparent);
    drop(span);
    let work = Work::RenderPresets {
        image: ImageId::new(),
    };
    let id = home
        .catalog
        .enqueue(work, traceparent)
        .await
        .expect("enqueued");
    let worker = Running::start(&home, PACE, |job| {
        let first = job.attempt == 1;
        Box::pin(async move {
            if first {
                Err(JobError::Failed("it rained".to_owned()))
            } else {
                Ok(())
            }
        })
    });
    until("the job is done", async || {
        state(&home, id).await == (JobState::Done, 2)
    })
    .await;
    worker.stop().await;

    let upload = capture.span("upload").expect("recorded");
    let spans = capture.spans().into_iter();
    let attempts: Vec<_> = spans
        .filter(|span| span.name == "process variants")
        .collect();
    let [first, retry] = &attempts[..] else {
        panic!("two attempts, not {}", attempts.len())
    };
    assert_eq!(
        (first.kind.as_str(), retry.kind.as_str()),
        ("consumer", "consumer")
    );
    assert_eq!(first.trace_id, upload.trace_id);
    assert_eq!(first.parent_span_id, Some(upload.span_id));
    assert!(first.error);
    assert_eq!(first.attributes["error.type"], "failed");
    assert_ne!(retry.trace_id, upload.trace_id);
    assert_eq!(retry.links, [upload.trace_id]);
    assert!(!retry.error);
    assert!(capture.line("attempt at a job failed").is_some());
}
