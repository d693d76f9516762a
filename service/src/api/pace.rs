//! How fast the body of an upload must arrive: without long pauses, and at a least rate on average.
//!
//! Only the time in which the client is waited for counts; a slow disk of ours is not the client's fault.

use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::{Body, HttpBody};
use bytes::Bytes;
use http_body::Frame;
use tokio::time::{Instant, Sleep, sleep};

use super::problem::Problem;
use crate::config::UploadConfig;

/// The rules.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// The longest pause.
    idle: Duration,
    /// Time until the least rate counts.
    grace: Duration,
    /// Bytes a second.
    rate: u64,
}

impl Pace {
    /// As configured.
    pub fn new(config: &UploadConfig) -> Self {
        Self {
            idle: config.idle_timeout,
            grace: config.grace,
            rate: config.rate,
        }
    }

    /// How long a client that has sent so many bytes may have been waited for.
    fn allowed(&self, bytes: u64) -> Duration {
        let at_least_rate = Duration::from_secs_f64(bytes as f64 / self.rate as f64);
        self.grace.max(at_least_rate)
    }

    /// Holds `body` to these rules. It breaks off with an error when it does not keep them, and [`Breach`] says so.
    pub(super) fn keep(self, body: Body) -> (Body, Breach) {
        let breach = Breach::default();
        let paced = Paced {
            body,
            pace: self,
            arrived: 0,
            waited: Duration::ZERO,
            waiting_since: None,
            timer: Box::pin(sleep(Duration::ZERO)),
            breach: breach.clone(),
        };
        (Body::new(paced), breach)
    }
}

/// Which rule a body did not keep, if any.
#[derive(Clone, Default)]
pub(super) struct Breach(Arc<OnceLock<TooSlow>>);

impl Breach {
    /// The problem with a body that broke off: too slow, or `other`.
    pub(super) fn or(&self, other: Problem) -> Problem {
        match self.0.get() {
            Some(TooSlow::Pause) => Problem::BodyStalled,
            Some(TooSlow::Rate) => Problem::BodySlow,
            None => other,
        }
    }
}

#[derive(Debug, Clone, Copy, thiserror::Error)]
enum TooSlow {
    #[error("the body paused for too long")]
    Pause,
    #[error("the body arrives too slowly")]
    Rate,
}

struct Paced {
    body: Body,
    pace: Pace,
    arrived: u64,
    /// Time in which the client was waited for, until its last byte.
    waited: Duration,
    waiting_since: Option<Instant>,
    timer: Pin<Box<Sleep>>,
    breach: Breach,
}

impl Paced {
    /// Starts the clock of a wait; the wait ends with whichever rule is broken first.
    fn wait(&mut self) {
        if self.waiting_since.is_none() {
            let now = Instant::now();
            self.waiting_since = Some(now);
            let deadline = now + self.longest_wait();
            self.timer.as_mut().reset(deadline);
        }
    }

    fn longest_wait(&self) -> Duration {
        let left = self.pace.allowed(self.arrived).saturating_sub(self.waited);
        left.min(self.pace.idle)
    }

    fn too_slow(&self) -> TooSlow {
        if self.longest_wait() < self.pace.idle {
            TooSlow::Rate
        } else {
            TooSlow::Pause
        }
    }
}

impl HttpBody for Paced {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = &mut *self;
        let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(context) else {
            this.wait();
            ready!(this.timer.as_mut().poll(context));
            let too_slow = this.too_slow();
            let _ = this.breach.0.set(too_slow);
            return Poll::Ready(Some(Err(axum::Error::new(too_slow))));
        };
        if let Some(since) = this.waiting_since.take() {
            this.waited += since.elapsed();
        }
        if let Some(Ok(frame)) = &frame {
            this.arrived += frame.data_ref().map_or(0, Bytes::len) as u64;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use futures::{StreamExt, stream};

    use super::*;

    const PACE: Pace = Pace {
        idle: Duration::from_secs(10),
        grace: Duration::from_secs(10),
        rate: 1000,
    };

    /// What becomes of a body of `chunks` of so many bytes, each sent after a pause: when it broke off, and why.
    async fn outcome(chunk: usize, pause: Duration, chunks: usize) -> Option<(u64, Problem)> {
        let body = stream::iter(0..chunks).then(move |_| async move {
            sleep(pause).await;
            Ok::<_, std::io::Error>(vec![7_u8; chunk])
        });
        let began = Instant::now();
        let (body, breach) = PACE.keep(Body::from_stream(body));
        let mut body = body.into_data_stream();
        while let Some(chunk) = body.next().await {
            if chunk.is_err() {
                let problem = breach.or(Problem::BadBody(String::new()));
                return Some((began.elapsed().as_secs(), problem));
            }
        }
        None
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_drips_is_ended_after_the_grace() {
        for (chunk, pause) in [(1, 9), (1, 1), (999, 1), (4000, 5)] {
            let ended = outcome(chunk, Duration::from_secs(pause), 100).await;
            assert!(
                matches!(ended, Some((10..=15, Problem::BodySlow))),
                "{chunk} each {pause} s: {ended:?}"
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_pauses_is_ended_although_it_was_quick_before() {
        let ended = outcome(1_000_000, Duration::from_secs(11), 2).await;
        assert!(
            matches!(ended, Some((10, Problem::BodyStalled))),
            "{ended:?}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_but_steady_body_arrives() {
        for (chunk, pause) in [(1200, 1), (20_000, 9), (20_000, 1)] {
            let ended = outcome(chunk, Duration::from_secs(pause), 100).await;
            assert!(ended.is_none(), "{chunk} each {pause} s: {ended:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn time_that_the_service_takes_itself_is_not_held_against_the_client() {
        let (body, breach) = PACE.keep(Body::from_stream(stream::iter(
            (0..5).map(|_| Ok::<_, std::io::Error>("a few bytes")),
        )));
        let mut body = body.into_data_stream();
        while let Some(chunk) = body.next().await {
            assert!(chunk.is_ok());
            sleep(Duration::from_mins(1)).await;
        }
        assert!(matches!(
            breach.or(Problem::Overloaded),
            Problem::Overloaded
        ));
    }
}
