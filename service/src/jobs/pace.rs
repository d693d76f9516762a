//! How fast a worker goes: leases, polls, backoff and deadlines.

use std::time::Duration;

/// The times of a worker. The default is for production; tests are in more of a hurry.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// How long a claim holds without a heartbeat; there is a heartbeat every third of it.
    pub lease: Duration,
    /// How often an idle worker looks for jobs that nobody told it of: retries that became due, leases that ended.
    pub poll: Duration,
    /// The first retry waits up to this long, each further one up to twice as long as the one before.
    pub backoff: Duration,
    /// No retry waits longer.
    pub longest_backoff: Duration,
    /// The longest that one attempt may take.
    pub attempt: Duration,
    /// How long attempts may go on after the worker was told to stop.
    pub drain: Duration,
    /// How often the queue's gauges are set.
    pub report: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            lease: Duration::from_secs(30),
            poll: Duration::from_secs(1),
            backoff: Duration::from_secs(2),
            longest_backoff: Duration::from_mins(5),
            attempt: Duration::from_mins(2),
            drain: Duration::from_secs(5),
            report: Duration::from_secs(5),
        }
    }
}

impl Pace {
    /// The pause after this failed attempt (from 1), with full jitter: jobs that failed together do not come back
    /// together.
    pub(super) fn backoff_after(&self, attempt: u32) -> Duration {
        let doubled = self
            .backoff
            .saturating_mul(1 << attempt.saturating_sub(1).min(20));
        doubled.min(self.longest_backoff).mul_f64(rand::random())
    }

    /// The pause after an attempt that found a dependency out of order, between half and all of five polls.
    pub(super) fn postponement(&self) -> Duration {
        self.poll.mul_f64(5.0).mul_f64(rand::random_range(0.5..1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_backoff_doubles_is_jittered_and_ends_at_its_bound() {
        let pace = Pace::default();
        for (attempt, longest) in [(1, 2), (2, 4), (3, 8), (4, 16), (30, 300), (u32::MAX, 300)] {
            let pauses: Vec<_> = (0..200).map(|_| pace.backoff_after(attempt)).collect();
            let longest = Duration::from_secs(longest);
            assert!(pauses.iter().all(|pause| *pause <= longest), "{attempt}");
            assert!(pauses.iter().any(|pause| *pause > longest / 2), "{attempt}");
            assert!(pauses.iter().any(|pause| *pause < longest / 2), "{attempt}");
        }
    }
}
