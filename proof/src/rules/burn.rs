//! When an error budget burns too fast: the windows and factors of multi-window, multi-burn-rate alerts.
//!
//! Source of method and figures: The Site Reliability Workbook, chapter 5, "Alerting on SLOs", table 5-8. A burn rate of 1
//! spends the budget exactly over the objective's window, here 30 days. An alert needs two windows over the threshold: the
//! long one says that a share of the budget worth acting on is gone, the short one that it still burns, so that the alert
//! clears soon after the cause did.

use std::time::Duration;

use super::objectives::Objective;

/// A stretch of time over which a ratio is taken, by its name in PromQL and in rule names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Window {
    /// As PromQL writes it, e.g. `5m`.
    pub(super) name: &'static str,
    /// Its length in seconds.
    pub(super) seconds: u64,
}

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

const fn window(name: &'static str, seconds: u64) -> Window {
    Window { name, seconds }
}

/// The window that is taken from raw counters; each longer one is an average of what was recorded over this one.
pub(super) const BASE: Window = window("5m", 5 * MINUTE);

/// Each window over which the ratio of an objective is recorded, shortest first. The last is the objective's own.
pub(super) const WINDOWS: [Window; 8] = [
    BASE,
    window("30m", 30 * MINUTE),
    window("1h", HOUR),
    window("2h", 2 * HOUR),
    window("6h", 6 * HOUR),
    window("1d", DAY),
    window("3d", 3 * DAY),
    window("30d", 30 * DAY),
];

/// Two windows that must both burn faster than a factor.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pair {
    /// Value of the label `severity` of its alert.
    pub(super) severity: &'static str,
    /// The burn rate. 14.4 over 1 h is 2 % of a 30-day budget, 6 over 6 h is 5 %, 3 over 1 d and 1 over 3 d are 10 %.
    pub(super) factor: f64,
    /// Says that it matters.
    pub(super) long: Window,
    /// Says that it goes on: a twelfth of the long one.
    pub(super) short: Window,
}

/// Table 5-8, fastest first.
pub(super) const PAIRS: [Pair; 4] = [
    Pair {
        severity: "page",
        factor: 14.4,
        long: WINDOWS[2],
        short: WINDOWS[0],
    },
    Pair {
        severity: "page",
        factor: 6.0,
        long: WINDOWS[4],
        short: WINDOWS[1],
    },
    Pair {
        severity: "ticket",
        factor: 3.0,
        long: WINDOWS[5],
        short: WINDOWS[3],
    },
    Pair {
        severity: "ticket",
        factor: 1.0,
        long: WINDOWS[6],
        short: WINDOWS[4],
    },
];

/// How long a burn must last until its alert fires: some evaluations, so that one at the edge of a burst decides nothing, and
/// short against the time in which the long window fills.
pub(super) fn hold(severity: &str) -> Duration {
    match severity {
        "page" => Duration::from_mins(2),
        _ => Duration::from_mins(15),
    }
}

impl Pair {
    /// The ratio of bad events over which both windows must be.
    pub(super) fn threshold(&self, objective: &Objective) -> f64 {
        self.factor * objective.budget()
    }

    /// Valid events that the short window must hold at least. One more than the inverse of the threshold: with fewer, a
    /// single bad event would be over it, and nobody should be woken by one failed request.
    pub(super) fn least_events(&self, objective: &Objective) -> u64 {
        let single = (1.0 / self.threshold(objective)).floor() as u64 + 1;
        objective.minimum_events.max(single)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_pair_spends_the_share_of_the_budget_that_the_workbook_gives() {
        let month = WINDOWS[7].seconds as f64;
        let shares = PAIRS.map(|pair| pair.factor * pair.long.seconds as f64 / month);
        for (share, expected) in shares.into_iter().zip([0.02, 0.05, 0.1, 0.1]) {
            assert!((share - expected).abs() < 1e-9, "{share} {expected}");
        }
    }

    #[test]
    fn the_short_window_is_a_twelfth_of_the_long_one() {
        for pair in PAIRS {
            assert_eq!(pair.long.seconds, 12 * pair.short.seconds);
        }
    }

    #[test]
    fn one_bad_event_is_never_over_the_threshold() {
        for share in [0.9, 0.99, 0.999, 0.9995, 0.9999] {
            let objective = Objective::for_test(share, 1);
            for pair in PAIRS {
                let ratio = 1.0 / pair.least_events(&objective) as f64;
                assert!(ratio <= pair.threshold(&objective), "{share} {pair:?}");
            }
        }
    }
}
