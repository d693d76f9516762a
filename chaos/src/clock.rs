//! The one clock that steers an experiment: Unix microseconds that go on with `CLOCK_MONOTONIC`.
//!
//! The wall clock is read once, for display. A step of it, by NTP or by hand, changes no phase, no fault's length and no
//! verdict. `CLOCK_MONOTONIC` is the same for all processes of a machine, so that the load generator's times are put on
//! this clock by the monotonic time of its start.

use std::sync::OnceLock;
use std::time::{SystemTime, UNIX_EPOCH};

pub use loadtest::events::monotonic_us;

/// A timeline: what is added to monotonic time to show it as Unix time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clock {
    offset_us: i64,
}

impl Clock {
    /// The timeline on which these two readings are the same moment.
    pub fn at(unix_us: i64, monotonic_us: i64) -> Self {
        Self {
            offset_us: unix_us.saturating_sub(monotonic_us),
        }
    }

    /// This process's own, begun when it was first asked for.
    pub fn own() -> Self {
        static OWN: OnceLock<Clock> = OnceLock::new();
        *OWN.get_or_init(|| Self::at(wall_us(), monotonic_us()))
    }

    /// A monotonic time on this timeline.
    pub fn of(self, monotonic_us: i64) -> i64 {
        monotonic_us.saturating_add(self.offset_us)
    }
}

/// Now, on this process's timeline.
pub fn now_us() -> i64 {
    Clock::own().of(monotonic_us())
}

/// Microseconds of Unix time, by a clock that may be stepped.
pub fn wall_us() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_micros() as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeline_goes_on_with_monotonic_time_alone() {
        let clock = Clock::at(1_700_000_000_000_000, 5_000_000);
        assert_eq!(clock.of(5_000_000), 1_700_000_000_000_000);
        assert_eq!(clock.of(18_000_000) - clock.of(5_000_000), 13_000_000);
    }

    #[test]
    fn this_processs_timeline_begins_at_unix_time_and_never_goes_back() {
        let first = now_us();
        assert!((wall_us() - first).abs() < 60_000_000);
        assert!(now_us() >= first);
        assert_eq!(Clock::own(), Clock::own());
    }
}
