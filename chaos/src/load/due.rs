//! Due times as the load generator's events tell them, put on this process's [`Clock`].
//!
//! Both processes count from the start with the monotonic clock, but each has read the wall clock for itself, and that may
//! have been stepped in between: so the start is taken from its monotonic time.
//!
//! The file is another program's and may be damaged: a number that no clock shows is refused here, and nobody who counts
//! on from these has to fear an overflow.

use loadtest::events::RunStarted;

use crate::clock::Clock;

const SECOND_US: i64 = 1_000_000;
/// The year 10,000.
const LATEST_START_US: i64 = 253_402_300_800 * SECOND_US;
/// A first request is due at most so long after it was announced.
const LONGEST_LEAD_US: i64 = 60 * SECOND_US;
/// A century.
const LONGEST_RUN_S: u64 = 3_155_760_000;

/// A time that can't be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoTime {
    /// Of the first request, in Unix microseconds.
    #[error(
        "the events of the load generator are damaged: started_at_us is {0}, which no clock shows"
    )]
    Start(i64),
    /// Of the first request, in microseconds of the monotonic clock.
    #[error(
        "the events of the load generator are damaged: started_monotonic_us is {0}, which is not the time on this machine"
    )]
    Monotonic(i64),
    /// Of a window, in seconds since the first request.
    #[error(
        "the events of the load generator are damaged: a window's second is {0}, which no run reaches"
    )]
    Second(u64),
}

/// When the first request of this run was due.
pub fn start_us(run: &RunStarted) -> Result<i64, NoTime> {
    let start = run.started_at_us;
    if (0..=LATEST_START_US).contains(&start) {
        Ok(start)
    } else {
        Err(NoTime::Start(start))
    }
}

/// What is added to the run's due times to put them on the clock. `monotonic` and `wall` are now: by them a generator that
/// does not tell its monotonic start is believed about its Unix time.
pub fn shift_us(run: &RunStarted, clock: Clock, monotonic: i64, wall: i64) -> Result<i64, NoTime> {
    let start = start_us(run)?;
    let Some(started) = run.started_monotonic_us else {
        return Ok(clock.of(monotonic) - wall);
    };
    // The first request is due a moment after the event was written, and the event was read soon after that.
    if !(0..=monotonic.saturating_add(LONGEST_LEAD_US)).contains(&started) {
        return Err(NoTime::Monotonic(started));
    }
    Ok(clock.of(started) - start)
}

/// When this second of the run began.
pub fn second_us(run: &RunStarted, second: u64) -> Result<i64, NoTime> {
    let start = start_us(run)?;
    if second > LONGEST_RUN_S {
        return Err(NoTime::Second(second));
    }
    Ok(start + second as i64 * SECOND_US)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(started_at_us: i64) -> RunStarted {
        RunStarted {
            version: loadtest::events::VERSION,
            run_id: "r".into(),
            experiment_id: None,
            plan: "browse".into(),
            target: "http://127.0.0.1:8080".into(),
            started_at_us,
            started_monotonic_us: None,
            rate: 40.0,
            warmup_seconds: 5.0,
            pid: 1,
        }
    }

    #[test]
    fn a_second_that_no_run_reaches_is_refused_and_named() {
        for second in [LONGEST_RUN_S + 1, i64::MAX as u64, u64::MAX] {
            let refused = second_us(&run(1_700_000_000_000_000), second);
            assert_eq!(refused, Err(NoTime::Second(second)));
        }
        let said = NoTime::Second(u64::MAX).to_string();
        assert!(said.contains("second is 18446744073709551615"), "{said}");
    }

    #[test]
    fn a_start_that_no_clock_shows_is_refused_and_named() {
        for start in [-1, i64::MIN, LATEST_START_US + 1, i64::MAX] {
            assert_eq!(start_us(&run(start)), Err(NoTime::Start(start)));
            assert_eq!(second_us(&run(start), 0), Err(NoTime::Start(start)));
        }
    }

    #[test]
    fn a_step_of_the_wall_clock_before_the_start_moves_no_due_time() {
        const HOUR: i64 = 3_600 * SECOND_US;
        let clock = Clock::at(1_700_000_000 * SECOND_US, 100 * SECOND_US);
        for step in [0, -20 * SECOND_US, -HOUR, HOUR] {
            // The generator starts 7 s after this process, by the clock that both share.
            let told = RunStarted {
                started_monotonic_us: Some(107 * SECOND_US),
                ..run(1_700_000_007 * SECOND_US + step)
            };
            let now = 108 * SECOND_US;
            let shift =
                shift_us(&told, clock, now, told.started_at_us + SECOND_US).expect("a time");
            assert_eq!(told.started_at_us + shift, 1_700_000_007 * SECOND_US);
            // One of before is put where it belongs as long as the step came before its start.
            let silent = RunStarted {
                started_monotonic_us: None,
                ..told
            };
            let wall = silent.started_at_us + SECOND_US;
            assert_eq!(shift_us(&silent, clock, now, wall), Ok(shift));
        }
    }

    #[test]
    fn a_monotonic_start_that_is_not_this_machines_is_refused_and_named() {
        let clock = Clock::at(1_700_000_000 * SECOND_US, 100 * SECOND_US);
        for started in [
            -1,
            i64::MIN,
            108 * SECOND_US + LONGEST_LEAD_US + 1,
            i64::MAX,
        ] {
            let told = RunStarted {
                started_monotonic_us: Some(started),
                ..run(1_700_000_007 * SECOND_US)
            };
            let refused = shift_us(&told, clock, 108 * SECOND_US, 0);
            assert_eq!(refused, Err(NoTime::Monotonic(started)));
        }
    }

    #[test]
    fn the_latest_second_of_the_latest_run_can_be_counted_on_from() {
        let latest = second_us(&run(LATEST_START_US), LONGEST_RUN_S).expect("a time");
        assert!(latest < i64::MAX / 2);
        assert_eq!(second_us(&run(7), 2), Ok(2_000_007));
    }
}
