//! Due times as the load generator's events tell them, in Unix microseconds.
//!
//! The file is another program's and may be damaged: a number that no clock shows is refused here, and nobody who counts
//! on from these has to fear an overflow.

use loadtest::events::RunStarted;

const SECOND_US: i64 = 1_000_000;
/// The year 10,000.
const LATEST_START_US: i64 = 253_402_300_800 * SECOND_US;
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
    fn the_latest_second_of_the_latest_run_can_be_counted_on_from() {
        let latest = second_us(&run(LATEST_START_US), LONGEST_RUN_S).expect("a time");
        assert!(latest < i64::MAX / 2);
        assert_eq!(second_us(&run(7), 2), Ok(2_000_007));
    }
}
