//! The line at which workers wait for their turn.
//!
//! A thread announces each request when it is due; whichever worker is free takes it. Nothing is queued ahead of time, and
//! nobody holds the line while others wait for it: what is due at once is taken at once. A request that waits because every
//! worker is waiting for an answer is late by the target's fault; where a worker was free, or the event loop did not run, by
//! the generator's; and where there are fewer workers than the plan can need, by that bound's.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

use tokio::sync::{Semaphore, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::pace::Pace;
use crate::schedule::{Arrival, Schedule};

/// An arrival that the generator itself delays by more is not sent: it would measure the generator.
const GENERATOR_PATIENCE: Duration = Duration::from_millis(250);
/// The announcing thread looks this often whether the line was closed.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// More turns than there can be workers, so that everybody learns of the end.
const END: usize = Semaphore::MAX_PERMITS / 4;

/// Why an arrival was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// Its event loop, CPU or one of its limits.
    Generator,
    /// Every worker was waiting for an answer, and there were fewer of them than the plan can need.
    Workers,
    /// Every worker was waiting for an answer, and had been for as long as the timeout.
    Target,
}

/// When a request was due, and what the generator added since.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Due {
    pub(crate) at: Instant,
    /// When a worker took it.
    pub(crate) taken: Instant,
    /// Of the time between, so much was not the target's doing.
    pub(crate) added: Duration,
}

/// What the worker whose turn it is has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// Send it.
    Send(Arrival, Due),
    /// It is too late to send it.
    NotSent(Arrival, Cause),
}

/// See the module.
pub(crate) struct Line {
    book: Mutex<Book>,
    /// One permit for each arrival that is due and was not taken.
    due: Semaphore,
    start: OnceLock<Instant>,
    started: watch::Sender<bool>,
    joined: watch::Sender<usize>,
    closed: CancellationToken,
    /// How long an arrival may wait for a worker: the timeout of a request.
    patience: Duration,
    /// Whether there are fewer workers than the plan can need.
    is_capped: bool,
    in_flight: AtomicUsize,
    pace: Arc<Pace>,
}

struct Book {
    schedule: Schedule,
    is_closed: bool,
}

impl Line {
    pub(crate) fn new(
        schedule: Schedule,
        patience: Duration,
        is_capped: bool,
        pace: Arc<Pace>,
    ) -> Self {
        let book = Book {
            schedule,
            is_closed: false,
        };
        Self {
            book: Mutex::new(book),
            due: Semaphore::new(0),
            start: OnceLock::new(),
            started: watch::Sender::new(false),
            joined: watch::Sender::new(0),
            closed: CancellationToken::new(),
            patience,
            is_capped,
            in_flight: AtomicUsize::new(0),
            pace,
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
        self.pace.start(instant);
        let _ = self.start.set(instant);
        self.started.send_replace(true);
    }

    /// Announces each arrival when it is due, until the last or until the line is closed. Blocks: for a thread of its own,
    /// so that the schedule does not wait for the event loop. To be called after [`Self::start`].
    pub(crate) fn announce(&self) {
        let Some(start) = self.start.get().copied() else {
            return;
        };
        let schedule = self.book().schedule.clone();
        let mut announced = 0;
        while let Some(offset) = schedule.offset(announced)
            && !self.closed.is_cancelled()
        {
            let wait = (start + offset).saturating_duration_since(Instant::now());
            if !wait.is_zero() {
                thread::sleep(wait.min(LOOK_EVERY));
                continue;
            }
            let reached = schedule.due_by(start.elapsed()).max(announced + 1);
            self.due.add_permits((reached - announced) as usize);
            announced = reached;
        }
        self.due.add_permits(END);
    }

    /// No request becomes due any more; how many did.
    pub(crate) fn close(&self) -> u64 {
        let mut book = self.book();
        let was_closed = std::mem::replace(&mut book.is_closed, true);
        let taken = book.schedule.taken();
        drop(book);
        if !was_closed {
            self.closed.cancel();
            self.due.add_permits(END);
        }
        taken
    }

    /// Waits for a turn. `None` when the schedule has ended or the line was closed.
    pub(crate) async fn next(&self) -> Option<Turn> {
        let start = self.start_instant().await?;
        let asked = Instant::now();
        self.due.acquire().await.ok()?.forget();
        let arrival = {
            let mut book = self.book();
            if book.is_closed {
                return None;
            }
            book.schedule.next()?
        };
        Some(self.turn(arrival, start + arrival.offset, asked, Instant::now()))
    }

    /// What to do with an arrival that was due at `due`, is taken at `taken` and found no worker free until one `asked`.
    fn turn(&self, arrival: Arrival, due: Instant, asked: Instant, taken: Instant) -> Turn {
        let late = taken.saturating_duration_since(due);
        let free = asked.clamp(due, taken.max(due));
        let own = taken.saturating_duration_since(free) + self.pace.held(due, free);
        let own = own.min(late);
        if own >= GENERATOR_PATIENCE.min(self.patience) && own * 2 > late {
            return Turn::NotSent(arrival, Cause::Generator);
        }
        match (late >= self.patience, self.is_capped) {
            (true, true) => Turn::NotSent(arrival, Cause::Workers),
            (true, false) => Turn::NotSent(arrival, Cause::Target),
            (false, is_capped) => {
                let added = if is_capped { late } else { own };
                Turn::Send(
                    arrival,
                    Due {
                        at: due,
                        taken,
                        added,
                    },
                )
            }
        }
    }

    async fn start_instant(&self) -> Option<Instant> {
        if let Some(start) = self.start.get() {
            return Some(*start);
        }
        let mut started = self.started.subscribe();
        tokio::select! {
            biased;
            () = self.closed.cancelled() => None,
            _ = started.wait_for(|started| *started) => self.start.get().copied(),
        }
    }

    /// A request is in flight until the guard is dropped.
    pub(crate) fn fly(&self) -> InFlight<'_> {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        InFlight(&self.in_flight)
    }

    /// Workers that are waiting for an answer.
    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Whether the generator kept up.
    pub(crate) fn pace(&self) -> &Arc<Pace> {
        &self.pace
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// See [`Line::fly`].
pub(crate) struct InFlight<'a>(&'a AtomicUsize);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);
    const MS: Duration = Duration::from_millis(1);

    /// A plan of one arrival a second whose requests may take ten.
    fn line(is_capped: bool) -> (Line, Instant) {
        let schedule = Schedule::constant(1.0, Duration::from_mins(1), &[1], 5);
        let line = Line::new(schedule, 10 * S, is_capped, Arc::new(Pace::new()));
        let start = Instant::now();
        line.pace.start(start);
        (line, start)
    }

    /// What becomes of an arrival: when it was due, when a worker asked for one and when that worker got it.
    fn turn(line: &Line, due: Instant, asked: Instant, taken: Instant) -> Result<Duration, Cause> {
        let arrival = Arrival {
            slot: 0,
            offset: Duration::ZERO,
            route: 0,
            sampled: false,
        };
        match line.turn(arrival, due, asked, taken) {
            Turn::Send(_, due) => Ok(due.added),
            Turn::NotSent(_, cause) => Err(cause),
        }
    }

    #[test]
    fn an_arrival_that_waits_for_a_worker_waits_for_the_target_until_the_timeout() {
        let (line, due) = line(false);
        for late in [3 * MS, S, 9 * S] {
            assert_eq!(turn(&line, due, due + late, due + late), Ok(Duration::ZERO));
        }
        let late = due + 10 * S;
        assert_eq!(turn(&line, due, late, late), Err(Cause::Target));
    }

    #[test]
    fn an_arrival_that_waits_while_a_worker_is_free_waits_for_the_generator() {
        let (line, due) = line(false);
        let before = due.checked_sub(S).expect("the machine runs for longer");
        assert_eq!(turn(&line, due, before, due + 249 * MS), Ok(249 * MS));
        assert_eq!(
            turn(&line, due, before, due + 250 * MS),
            Err(Cause::Generator)
        );
        // Free only after a second: until then it waited for the target.
        assert_eq!(turn(&line, due, due + S, due + S + 40 * MS), Ok(40 * MS));
    }

    #[test]
    fn at_the_bound_of_its_cpu_the_generator_is_the_cause_although_every_worker_waits() {
        let (line, due) = line(false);
        line.pace.read(due, due + 600 * MS, 0.97);
        let late = due + 600 * MS;
        assert_eq!(turn(&line, due, late, late), Err(Cause::Generator));
        line.pace.read(late, late + 60 * S, 0.5);
        let idle = late + S;
        assert_eq!(
            turn(&line, idle, idle + 9 * S, idle + 9 * S),
            Ok(Duration::ZERO),
            "a bound of long ago explains nothing"
        );
    }

    #[test]
    fn a_stall_of_the_event_loop_is_the_generators_and_the_rest_of_the_wait_is_not() {
        let (line, due) = line(false);
        line.pace.looked(due, due + 400 * MS);
        let stalled = due + 400 * MS;
        assert_eq!(turn(&line, due, stalled, stalled), Err(Cause::Generator));
        let long = due + 5 * S;
        assert_eq!(turn(&line, due, long, long), Ok(400 * MS));
        let too_long = due + 10 * S;
        assert_eq!(turn(&line, due, too_long, too_long), Err(Cause::Target));
    }

    #[test]
    fn with_fewer_workers_than_the_plan_can_need_no_wait_for_one_is_the_targets() {
        let (line, due) = line(true);
        assert_eq!(turn(&line, due, due + 4 * S, due + 4 * S), Ok(4 * S));
        let late = due + 10 * S;
        assert_eq!(turn(&line, due, late, late), Err(Cause::Workers));
    }

    /// A hundred arrivals within a second, the first of them due so long ago, announced by a thread.
    fn announced(since_start: Duration) -> Arc<Line> {
        let schedule = Schedule::constant(100.0, S, &[1], 5);
        let line = Arc::new(Line::new(
            schedule,
            Duration::from_mins(1),
            false,
            Arc::new(Pace::new()),
        ));
        let start = Instant::now().checked_sub(since_start);
        line.start(start.expect("the machine runs for longer"));
        let announcing = Arc::clone(&line);
        thread::spawn(move || announcing.announce());
        line
    }

    fn slot(turn: Option<Turn>) -> Option<u64> {
        turn.map(|turn| match turn {
            Turn::Send(arrival, _) | Turn::NotSent(arrival, _) => arrival.slot,
        })
    }

    #[tokio::test]
    async fn a_waiting_worker_gets_each_turn_when_it_is_due_and_none_after_the_last() {
        let line = announced(Duration::ZERO);
        let start = *line.start.get().expect("started");
        for slot_wanted in 0..100 {
            let turn = line.next().await;
            assert!(Instant::now() >= start + 10 * MS * slot_wanted as u32);
            assert_eq!(slot(turn), Some(slot_wanted));
        }
        assert_eq!(line.next().await, None);
        assert_eq!(line.next().await, None);
    }

    #[tokio::test]
    async fn what_is_due_at_once_is_taken_at_once_by_whoever_asks() {
        let line = announced(2 * S);
        let taken = futures_of(&line, 100).await;
        assert_eq!(taken, (0..100).collect::<Vec<u64>>());
        assert_eq!(line.next().await, None);
    }

    async fn futures_of(line: &Arc<Line>, workers: usize) -> Vec<u64> {
        let mut asking = tokio::task::JoinSet::new();
        for _ in 0..workers {
            let line = Arc::clone(line);
            asking.spawn(async move { slot(line.next().await) });
        }
        let mut slots: Vec<u64> = asking.join_all().await.into_iter().flatten().collect();
        slots.sort_unstable();
        slots
    }

    #[tokio::test]
    async fn a_closed_line_gives_no_more_turns_and_says_how_many_it_gave() {
        let line = announced(5 * S);
        line.next().await;
        line.next().await;
        assert_eq!(line.close(), 2);
        assert_eq!(line.next().await, None);
        assert_eq!(line.close(), 2);
    }

    #[tokio::test]
    async fn a_line_that_is_closed_before_its_start_keeps_nobody_waiting() {
        let line = line(false).0;
        let (next, taken) = tokio::join!(line.next(), async { line.close() });
        assert_eq!((next, taken), (None, 0));
    }
}
