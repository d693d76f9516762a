//! Whether the generator itself kept up, second by second: how busy its threads were, and when its event loop did not run.
//!
//! What a request spends in such a stretch may be the generator's doing. It is counted apart, so that a threshold that fails
//! only because of it blames nobody. Tests put in the evidence that [`Pace::watch`] gathers in a run.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::{Instant, sleep};

use crate::events::GeneratorWindow;

/// Above this share of the time its threads have no idle moment in which something that became ready is taken at once.
pub(crate) const BUSY_BOUND: f64 = 0.9;
/// Within one second the event loop may stand still for so long in all.
pub(crate) const STALLED_BOUND: Duration = Duration::from_millis(100);
/// Timers fire so late on a machine that does nothing else.
const GRACE: Duration = Duration::from_millis(2);
/// Between two looks at the event loop.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Looks between two readings of how busy the threads were.
const LOOKS_A_READING: u32 = 5;
/// Stretches that are remembered: more than a minute of them, even if each look finds one.
const MAX_STRETCHES: usize = 4_096;

/// See the module.
pub(crate) struct Pace {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    start: Option<Instant>,
    /// When the event loop should run the watch again.
    expected: Option<Instant>,
    /// Since when nobody has looked at the threads, and whether they had idle moments before.
    unread: Option<(Instant, bool)>,
    /// In order of their ends.
    stalls: VecDeque<Stretch>,
    busy: VecDeque<Stretch>,
    seconds: BTreeMap<u64, Second>,
    last_busy: f64,
    longest_stall: Duration,
}

#[derive(Clone, Copy)]
struct Stretch {
    from: Instant,
    to: Instant,
}

/// What is known of one second of the run.
#[derive(Clone, Copy, Default)]
struct Second {
    /// Read, and of that busy.
    read: Duration,
    busy: Duration,
    stalled: Duration,
}

impl Pace {
    pub(crate) fn new() -> Self {
        Self {
            state: Mutex::default(),
        }
    }

    /// Seconds are counted from this instant.
    pub(crate) fn start(&self, instant: Instant) {
        self.state().start = Some(instant);
    }

    /// Gathers the evidence until it is dropped. To be run as a task of the runtime that sends the requests, so that it waits
    /// for its turn as they do.
    pub(crate) async fn watch(&self) -> std::convert::Infallible {
        let runtime = Handle::current().metrics();
        let workers = runtime.num_workers();
        let busy = || -> Duration {
            (0..workers)
                .map(|worker| runtime.worker_total_busy_duration(worker))
                .sum()
        };
        let mut last = (Instant::now(), busy());
        loop {
            for _ in 0..LOOKS_A_READING {
                let expected = Instant::now() + LOOK_EVERY;
                self.state().expected = Some(expected);
                sleep(LOOK_EVERY).await;
                self.looked(expected, Instant::now());
            }
            let now = (Instant::now(), busy());
            let elapsed = now.0 - last.0;
            let share = now.1.saturating_sub(last.1).as_secs_f64()
                / (elapsed.as_secs_f64() * workers as f64).max(f64::MIN_POSITIVE);
            self.read(last.0, now.0, share.min(1.0));
            last = now;
        }
    }

    /// The event loop ran at `at` what it should have run when `expected`.
    pub(crate) fn looked(&self, expected: Instant, at: Instant) {
        let mut state = self.state();
        state.expected = None;
        let late = at.saturating_duration_since(expected);
        state.longest_stall = state.longest_stall.max(late);
        if late <= GRACE {
            return;
        }
        let stretch = Stretch {
            from: expected,
            to: at,
        };
        remember(&mut state.stalls, stretch);
        state.over_seconds(stretch, |second, part| second.stalled += part);
    }

    /// Its threads were busy for this share of the stretch.
    pub(crate) fn read(&self, from: Instant, to: Instant, share: f64) {
        let mut state = self.state();
        let stretch = Stretch { from, to };
        let is_busy = share >= BUSY_BOUND;
        if is_busy {
            remember(&mut state.busy, stretch);
        }
        state.unread = Some((to, is_busy));
        state.last_busy = share;
        state.over_seconds(stretch, |second, part| {
            second.read += part;
            second.busy += part.mul_f64(share);
        });
    }

    /// How much of the time between two instants, the later being now, may be the generator's own doing.
    pub(crate) fn held(&self, from: Instant, now: Instant) -> Duration {
        let state = self.state();
        let of = |stretches: &VecDeque<Stretch>| -> Duration {
            let recent = stretches.iter().rev().take_while(|known| known.to > from);
            recent.map(|known| known.within(from, now)).sum()
        };
        // What ends just now has been noticed by nobody: who is held is often the first to run again.
        let standing = state.expected.filter(|expected| *expected + GRACE < now);
        let unread = state.unread.filter(|(_, is_busy)| *is_busy);
        let open = [standing, unread.map(|(since, _)| since)];
        let open: Duration = open
            .into_iter()
            .flatten()
            .map(|since| now.saturating_duration_since(since.max(from)))
            .sum();
        (of(&state.stalls) + of(&state.busy) + open).min(now.saturating_duration_since(from))
    }

    /// What is known of this second since the start.
    pub(crate) fn second(&self, second: u64) -> GeneratorWindow {
        self.state()
            .seconds
            .get(&second)
            .map_or_else(GeneratorWindow::default, Second::told)
    }

    /// What is known of these seconds since the start, those of which nothing is known left out.
    pub(crate) fn seconds(&self, seconds: std::ops::Range<u64>) -> Vec<GeneratorWindow> {
        let state = self.state();
        state
            .seconds
            .range(seconds)
            .map(|(_, s)| s.told())
            .collect()
    }

    /// The share of the last reading.
    pub(crate) fn busy_share(&self) -> f64 {
        self.state().last_busy
    }

    /// The longest that the event loop kept a timer waiting since this was last asked.
    pub(crate) fn take_longest_stall(&self) -> Duration {
        std::mem::take(&mut self.state().longest_stall)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Adds to each second since the start its part of a stretch.
    fn over_seconds(&mut self, stretch: Stretch, add: impl Fn(&mut Second, Duration)) {
        let Some(start) = self.start else { return };
        let mut from = stretch.from.max(start);
        while from < stretch.to {
            let second = (from - start).as_secs();
            let to = stretch.to.min(start + Duration::from_secs(second + 1));
            add(self.seconds.entry(second).or_default(), to - from);
            from = to;
        }
    }
}

impl Second {
    fn told(&self) -> GeneratorWindow {
        let busy = self.busy.as_secs_f64() / self.read.as_secs_f64().max(f64::MIN_POSITIVE);
        GeneratorWindow {
            busy,
            stalled_us: self.stalled.as_micros() as u64,
            at_bound: busy >= BUSY_BOUND || self.stalled >= STALLED_BOUND,
        }
    }
}

impl Stretch {
    /// How much of it lies between two instants.
    fn within(self, from: Instant, to: Instant) -> Duration {
        self.to
            .min(to)
            .saturating_duration_since(self.from.max(from))
    }
}

fn remember(stretches: &mut VecDeque<Stretch>, stretch: Stretch) {
    if stretches.len() == MAX_STRETCHES {
        stretches.pop_front();
    }
    stretches.push_back(stretch);
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn started() -> (Pace, Instant) {
        let (pace, start) = (Pace::new(), Instant::now());
        pace.start(start);
        (pace, start)
    }

    #[test]
    fn a_loop_that_runs_in_time_with_idle_threads_holds_nothing() {
        let (pace, start) = started();
        pace.looked(start, start + 2 * MS);
        pace.read(start, start + 100 * MS, 0.89);
        assert_eq!(pace.held(start, start + 100 * MS), Duration::ZERO);
        assert!(!pace.second(0).at_bound);
        assert!(!pace.second(7).at_bound, "of that nothing is known");
    }

    #[test]
    fn a_stall_holds_what_overlaps_it_and_nothing_else() {
        let (pace, start) = started();
        pace.looked(start + 100 * MS, start + 300 * MS);
        let held = |from, to| pace.held(start + from * MS, start + to * MS) / 1_000_000;
        assert_eq!(held(0, 400), Duration::from_nanos(200));
        assert_eq!(held(150, 200), Duration::from_nanos(50));
        assert_eq!(held(300, 400), Duration::ZERO);
        assert_eq!(held(0, 100), Duration::ZERO);
        assert_eq!(pace.take_longest_stall(), 200 * MS);
    }

    #[test]
    fn a_stall_that_goes_on_holds_before_anybody_has_noticed_its_end() {
        let (pace, start) = started();
        pace.state().expected = Some(start + 20 * MS);
        assert_eq!(pace.held(start, start + 22 * MS), Duration::ZERO);
        assert_eq!(pace.held(start, start + 220 * MS), 200 * MS);
        assert_eq!(pace.held(start + 200 * MS, start + 220 * MS), 20 * MS);
    }

    #[test]
    fn threads_without_an_idle_moment_hold_everything_until_they_are_seen_idle() {
        let (pace, start) = started();
        pace.read(start, start + 100 * MS, 0.95);
        assert_eq!(pace.held(start, start + 150 * MS), 150 * MS);
        pace.read(start + 100 * MS, start + 200 * MS, 0.5);
        assert_eq!(pace.held(start, start + 250 * MS), 100 * MS);
    }

    #[test]
    fn a_second_is_at_the_bound_when_busy_or_stalled_for_most_or_a_tenth_of_it() {
        let (pace, start) = started();
        pace.read(start, start + 1_000 * MS, 0.95);
        pace.read(start + 1_000 * MS, start + 3_000 * MS, 0.5);
        // Half of it in each second.
        pace.looked(start + 1_901 * MS, start + 2_099 * MS);
        pace.looked(start + 2_500 * MS, start + 2_501 * MS);
        let bounds = |second| pace.second(second).at_bound;
        assert_eq!([0, 1, 2].map(bounds), [true, false, false]);
        pace.looked(start + 2_700 * MS, start + 2_703 * MS);
        assert!(bounds(2), "{:?}", pace.second(2));
        assert_eq!(pace.seconds(1..9).len(), 2);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let (pace, start) = started();
        for index in 0..2 * MAX_STRETCHES as u32 {
            pace.looked(start + index * 10 * MS, start + (index * 10 + 5) * MS);
        }
        assert_eq!(pace.state().stalls.len(), MAX_STRETCHES);
    }
}
