//! What belongs to one request wherever its work runs: the span it is part of, and the timings of its steps.
//!
//! Steps are collected for every request, because a request that turns out slow or failed is explained by its log line
//! even when its trace was not sampled.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tracing::instrument::WithSubscriber as _;
use tracing::{Dispatch, Instrument as _, Span, dispatcher, info_span};

/// More steps than this are not kept: a loop must not grow a log line without bound.
const MAX_STAGES: usize = 32;

tokio::task_local! {
    static STAGES: Stages;
}

/// Runs one step of a request: a span `name` around it, and its duration on the request's log line when that is slow or failed.
pub async fn stage<F: Future>(name: &'static str, future: F) -> F::Output {
    let _timing = Timing::start(name);
    future
        .instrument(info_span!("stage", otel.name = name))
        .await
}

/// The same for a step that blocks, on a thread that [entered](Scope::enter) the request's scope.
pub fn stage_sync<T>(name: &'static str, step: impl FnOnce() -> T) -> T {
    let _timing = Timing::start(name);
    info_span!("stage", otel.name = name).in_scope(step)
}

/// Spawns a task that belongs to the current request: its spans and steps are the request's.
pub fn spawn<F>(future: F) -> tokio::task::JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    tokio::spawn(Scope::current().wrap(future))
}

/// The current span and its request's steps, to be taken along to another task or thread.
#[derive(Clone)]
pub struct Scope {
    span: Span,
    stages: Option<Stages>,
    /// Only where the process has no subscriber of its own, as in tests: there each thread has one.
    subscriber: Option<Dispatch>,
}

impl Scope {
    /// The scope of the caller; outside of any request it carries nothing, and costs nothing.
    pub fn current() -> Self {
        Self {
            span: Span::current(),
            stages: STAGES.try_with(Clone::clone).ok(),
            subscriber: own_subscriber(),
        }
    }

    pub(crate) fn new(span: Span, stages: Stages) -> Self {
        Self {
            span,
            stages: Some(stages),
            subscriber: own_subscriber(),
        }
    }

    /// Runs `work` in this scope on the calling thread.
    pub fn enter<T>(&self, work: impl FnOnce() -> T) -> T {
        let work = || self.span.in_scope(work);
        let work = || match &self.stages {
            Some(stages) => STAGES.sync_scope(stages.clone(), work),
            None => work(),
        };
        match &self.subscriber {
            Some(subscriber) => dispatcher::with_default(subscriber, work),
            None => work(),
        }
    }

    /// Runs `future` in this scope, wherever it is polled.
    pub fn wrap<F: Future>(self, future: F) -> impl Future<Output = F::Output> {
        let future = future.instrument(self.span);
        let future = async move {
            match self.stages {
                Some(stages) => STAGES.scope(stages, future).await,
                None => future.await,
            }
        };
        async move {
            match self.subscriber {
                Some(subscriber) => future.with_subscriber(subscriber).await,
                None => future.await,
            }
        }
    }
}

fn own_subscriber() -> Option<Dispatch> {
    (!crate::start::is_global()).then(|| dispatcher::get_default(Dispatch::clone))
}

/// Records that a step of the current request took `elapsed`; nothing happens outside of a request.
pub(crate) fn record(name: impl FnOnce() -> Cow<'static, str>, elapsed: Duration) {
    let _ = STAGES.try_with(|stages| stages.push(name, elapsed));
}

/// The steps of one request, in the order in which they ended.
#[derive(Clone, Default)]
pub(crate) struct Stages(Arc<Mutex<Vec<Stage>>>);

type Stage = (Cow<'static, str>, Duration);

impl Stages {
    fn push(&self, name: impl FnOnce() -> Cow<'static, str>, elapsed: Duration) {
        let mut stages = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if stages.len() < MAX_STAGES {
            stages.push((name(), elapsed));
        }
    }

    /// For example `permit_wait=1.204ms decode=30.110ms`.
    pub(crate) fn describe(&self) -> String {
        let stages = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut text = String::new();
        for (name, elapsed) in stages.iter() {
            let gap = if text.is_empty() { "" } else { " " };
            let milliseconds = elapsed.as_secs_f64() * 1e3;
            // Writing to a String cannot fail.
            let _ = write!(text, "{gap}{}={milliseconds:.3}ms", name.replace(' ', "_"));
        }
        text
    }
}

/// Records its step when dropped, so that a step cut short is on the log line too.
struct Timing {
    name: &'static str,
    start: Instant,
}

impl Timing {
    fn start(name: &'static str) -> Self {
        Self {
            name,
            start: Instant::now(),
        }
    }
}

impl Drop for Timing {
    fn drop(&mut self) {
        record(|| self.name.into(), self.start.elapsed());
    }
}
