//! The line at which workers wait for their turn: whoever is first sleeps until the next request is due.
//!
//! So the schedule needs no task of its own, nothing is queued ahead of time, and an arrival that finds no worker waiting
//! is late by the target's fault: every worker is waiting for an answer.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{Mutex, watch};
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::schedule::{Arrival, Schedule};

/// A lag up to this is what timers and a busy machine do.
const GRACE: Duration = Duration::from_millis(2);
/// An arrival that the generator itself delays by more is not sent: it would measure the generator.
const GENERATOR_PATIENCE: Duration = Duration::from_millis(250);
/// An event loop that keeps timers waiting for longer is at its bound.
const LOOP_LAG_BOUND_US: u64 = 100_000;
const PROBE_EVERY: Duration = Duration::from_millis(20);

/// Why an arrival was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    Generator,
    Target,
}

/// What the worker whose turn it is has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// Send it; it was due at this instant.
    Send(Arrival, Instant),
    /// It is too late to send it.
    NotSent(Arrival, Cause),
}

/// See the module.
pub(crate) struct Line {
    schedule: Mutex<Schedule>,
    started: watch::Sender<Option<Instant>>,
    joined: watch::Sender<usize>,
    closed: CancellationToken,
    /// How long an arrival may wait for a worker: the timeout of a request.
    patience: Duration,
    lag: LoopLag,
}

impl Line {
    pub(crate) fn new(schedule: Schedule, patience: Duration) -> Self {
        Self {
            schedule: Mutex::new(schedule),
            started: watch::Sender::new(None),
            joined: watch::Sender::new(0),
            closed: CancellationToken::new(),
            patience,
            lag: LoopLag::default(),
        }
    }

    /// A worker is there.
    pub(crate) fn join(&self) {
        self.joined.send_modify(|workers| *workers += 1);
    }

    /// Returns when that many workers are there.
    pub(crate) async fn all_joined(&self, workers: usize) {
        let _ = self
            .joined
            .subscribe()
            .wait_for(|joined| *joined >= workers)
            .await;
    }

    /// The first request is due at `instant`.
    pub(crate) fn start(&self, instant: Instant) {
        self.started.send_replace(Some(instant));
    }

    /// No request becomes due any more; how many did.
    pub(crate) async fn close(&self) -> u64 {
        self.closed.cancel();
        self.schedule.lock().await.taken()
    }

    /// Waits for a turn. `None` when the schedule has ended or the line was closed.
    pub(crate) async fn next(&self) -> Option<Turn> {
        let start = self.start_instant().await?;
        let asked = Instant::now();
        let mut schedule = tokio::select! {
            biased;
            () = self.closed.cancelled() => return None,
            schedule = self.schedule.lock() => schedule,
        };
        let due = start + schedule.next_offset()?;
        tokio::select! {
            biased;
            () = self.closed.cancelled() => return None,
            () = sleep_until(due) => {}
        }
        let arrival = schedule.next()?;
        drop(schedule);
        let late = due.elapsed();
        if late <= GRACE {
            return Some(Turn::Send(arrival, due));
        }
        // Whoever asked before the request was due was free to send it.
        let cause = if asked <= due || self.lag.is_at_bound() {
            Cause::Generator
        } else {
            Cause::Target
        };
        let patience = if cause == Cause::Generator {
            GENERATOR_PATIENCE.min(self.patience)
        } else {
            self.patience
        };
        Some(if late < patience {
            Turn::Send(arrival, due)
        } else {
            Turn::NotSent(arrival, cause)
        })
    }

    async fn start_instant(&self) -> Option<Instant> {
        let mut started = self.started.subscribe();
        tokio::select! {
            biased;
            () = self.closed.cancelled() => None,
            start = started.wait_for(Option::is_some) => start.ok().and_then(|start| *start),
        }
    }

    /// How late timers fire.
    pub(crate) fn lag(&self) -> &LoopLag {
        &self.lag
    }
}

/// How late timers of this event loop fire, measured beside the load.
#[derive(Default)]
pub(crate) struct LoopLag {
    recent_us: AtomicU64,
    max_us: AtomicU64,
}

impl LoopLag {
    /// Measures until it is dropped.
    pub(crate) async fn probe(&self) -> std::convert::Infallible {
        loop {
            let asleep = Instant::now();
            sleep(PROBE_EVERY).await;
            self.record(asleep.elapsed().saturating_sub(PROBE_EVERY));
        }
    }

    fn record(&self, lag: Duration) {
        let lag = lag.as_micros() as u64;
        // Halved every seven probes, about 140 ms: a stall explains what is late right after it, not a second later.
        let faded = self.recent_us.load(Ordering::Relaxed) * 9 / 10;
        self.recent_us.store(lag.max(faded), Ordering::Relaxed);
        self.max_us.fetch_max(lag, Ordering::Relaxed);
    }

    fn is_at_bound(&self) -> bool {
        self.recent_us.load(Ordering::Relaxed) > LOOP_LAG_BOUND_US
    }

    /// The longest lag since this was last asked.
    pub(crate) fn take_max_us(&self) -> u64 {
        self.max_us.swap(0, Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One arrival a second for a minute, the first of them due so long ago.
    fn line(since_start: Duration, patience: Duration) -> Line {
        let line = Line::new(
            Schedule::constant(1.0, Duration::from_mins(1), &[1], 5),
            patience,
        );
        line.start(
            Instant::now()
                .checked_sub(since_start)
                .expect("the machine runs for longer"),
        );
        line
    }

    #[tokio::test]
    async fn a_waiting_worker_gets_each_turn_when_it_is_due_and_none_after_the_last() {
        let line = Line::new(
            Schedule::constant(50.0, Duration::from_millis(80), &[1], 5),
            Duration::from_mins(1),
        );
        let start = Instant::now();
        line.start(start);
        for slot in 0..4 {
            let turn = line.next().await;
            let due = start + Duration::from_millis(20 * slot);
            assert!(Instant::now() >= due);
            // Not sent only on a machine that kept the test waiting.
            let Some(Turn::Send(arrival, _) | Turn::NotSent(arrival, Cause::Generator)) = turn
            else {
                panic!("{turn:?}")
            };
            assert_eq!((arrival.slot, start + arrival.offset), (slot, due));
        }
        assert_eq!(line.next().await, None);
    }

    #[tokio::test]
    async fn an_arrival_without_a_waiting_worker_is_sent_late_until_its_patience_ends() {
        let line = line(Duration::from_millis(14_500), Duration::from_secs(10));
        for slot in 0..=4 {
            let turn = line.next().await;
            assert!(
                matches!(turn, Some(Turn::NotSent(arrival, Cause::Target)) if arrival.slot == slot),
                "{turn:?}"
            );
        }
        let turn = line.next().await;
        assert!(
            matches!(turn, Some(Turn::Send(arrival, _)) if arrival.slot == 5),
            "{turn:?}"
        );
    }

    #[tokio::test]
    async fn an_arrival_that_a_busy_event_loop_delays_is_lost_to_the_generator() {
        let line = line(Duration::from_secs(5), Duration::from_mins(1));
        line.lag.record(Duration::from_millis(400));
        let turn = line.next().await;
        assert!(
            matches!(turn, Some(Turn::NotSent(arrival, Cause::Generator)) if arrival.slot == 0),
            "{turn:?}"
        );
        assert_eq!(
            (line.lag.take_max_us(), line.lag.take_max_us()),
            (400_000, 0)
        );
        for _ in 0..20 {
            line.lag.record(Duration::ZERO);
        }
        let turn = line.next().await;
        assert!(
            matches!(turn, Some(Turn::Send(arrival, _)) if arrival.slot == 1),
            "a lag of long ago explains nothing: {turn:?}"
        );
    }

    #[tokio::test]
    async fn a_closed_line_gives_no_more_turns_and_says_how_many_it_gave() {
        let line = line(Duration::from_secs(5), Duration::from_mins(1));
        line.next().await;
        line.next().await;
        assert_eq!(line.close().await, 2);
        assert_eq!(line.next().await, None);
        assert_eq!(line.close().await, 2);
    }
}
