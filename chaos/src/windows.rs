//! Windows, the baseline band, and what is called stable and recovered. Pure; the definitions of `docs/experiments.md`.

use loadtest::events::RequestSample;
use loadtest::stats::{P95_MIN_SAMPLES, quantile};
use loadtest::units::format_us;

use crate::figures::{Figures, error_word, percent};
use crate::phases::Span;

/// Shortest window in seconds.
pub const MIN_SECONDS: i64 = 2;
/// Of the arrivals of a window, so many percent may be lost by the generator before its figures are no figures.
const MAX_LOST_PERCENT: u64 = 2;
/// Fewest windows that can be called a baseline.
pub const MIN_BASELINE_WINDOWS: usize = 3;
/// Fewest requests with which one of them says something: a p95's, without those that the generator may lose.
pub const MIN_BASELINE_REQUESTS: u64 = P95_MIN_SAMPLES * (100 - MAX_LOST_PERCENT) / 100;
/// So many windows in a row in the band are a recovery.
pub const RECOVERY_WINDOWS: usize = 3;

/// Requests due within a stretch of time, all routes pooled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// When.
    pub span: Span,
    /// Requests.
    pub n: u64,
    /// Of these, errors.
    pub errors: u64,
    /// Median in microseconds, 0 without requests.
    pub p50_us: u64,
    /// 95th percentile in microseconds; `None` when the window does not hold enough requests.
    pub p95_us: Option<u64>,
}

impl Window {
    fn of(samples: &[RequestSample], span: Span) -> Self {
        let within = between(samples, span);
        let figures = Figures::of(within);
        let latencies: Vec<u64> = within.iter().map(|sample| sample.latency_us).collect();
        Self {
            span,
            n: figures.n,
            errors: figures.errors,
            p50_us: figures.p50_us.unwrap_or(0),
            p95_us: if holds_enough(figures.n) {
                quantile(&latencies, 0.95)
            } else {
                None
            },
        }
    }

    /// Share of errors, 0 without requests.
    pub fn error_ratio(&self) -> f64 {
        if self.n == 0 {
            0.0
        } else {
            self.errors as f64 / self.n as f64
        }
    }
}

fn holds_enough(n: u64) -> bool {
    n * 100 >= P95_MIN_SAMPLES * (100 - MAX_LOST_PERCENT)
}

/// The requests due within the stretch. `samples` are sorted by due time.
pub fn between(samples: &[RequestSample], span: Span) -> &[RequestSample] {
    let from = samples.partition_point(|sample| sample.due_us < span.from);
    let to = samples.partition_point(|sample| sample.due_us < span.to);
    &samples[from..to.max(from)]
}

/// The whole windows of a stretch, side by side from its begin.
pub fn cut(samples: &[RequestSample], span: Span, seconds: i64) -> Vec<Window> {
    let width = seconds * 1_000_000;
    (0..(span.to - span.from).max(0) / width)
        .map(|index| Span {
            from: span.from + index * width,
            to: span.from + (index + 1) * width,
        })
        .map(|window| Window::of(samples, window))
        .collect()
}

/// The upper bounds of what counts as unchanged.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Band {
    /// For the 95th percentile, in microseconds.
    pub p95_us: u64,
    /// For the share of errors.
    pub error_ratio: f64,
}

impl Band {
    /// The band around a 95th percentile and a share of errors.
    pub fn around(p95_us: u64, error_ratio: f64) -> Self {
        Self {
            p95_us: p95_us + p95_us / 2 + 20_000,
            error_ratio: error_ratio + 0.005,
        }
    }

    /// Whether these figures are inside.
    pub fn holds(&self, p95_us: u64, error_ratio: f64) -> bool {
        p95_us <= self.p95_us && error_ratio <= self.error_ratio
    }

    /// Whether a window is inside; one with too few requests is not.
    pub fn holds_window(&self, window: &Window) -> bool {
        window
            .p95_us
            .is_some_and(|p95| self.holds(p95, window.error_ratio()))
    }

    /// `p95 up to 38.0 ms, errors up to 0.5 %`.
    pub fn sentence(&self) -> String {
        format!(
            "p95 up to {}, errors up to {}",
            format_us(self.p95_us),
            percent(self.error_ratio)
        )
    }
}

/// A steady state: what later windows are compared with.
#[derive(Clone, Debug, PartialEq)]
pub struct Baseline {
    /// Length of a window in seconds.
    pub window_s: i64,
    /// The band of all routes together.
    pub band: Band,
    /// The windows that it was made of.
    pub windows: Vec<Window>,
}

/// So many of `windows` must be inside the band: 5 of 6.
pub fn needed(windows: usize) -> usize {
    (windows * 5).div_ceil(6)
}

/// The steady state of this stretch, or why it is none. `samples` are sorted by due time.
pub fn baseline(samples: &[RequestSample], span: Span) -> Result<Baseline, String> {
    let within = between(samples, span);
    let longest = (span.to - span.from) / 1_000_000 / MIN_BASELINE_WINDOWS as i64;
    let width_s = (MIN_SECONDS..=longest)
        .find(|seconds| cut(samples, span, *seconds).iter().all(|window| holds_enough(window.n)))
        .ok_or_else(|| {
            format!(
                "the baseline holds {} requests in {:.0} s, too few for {MIN_BASELINE_WINDOWS} windows of \
                 {P95_MIN_SAMPLES}: raise the plan's rate or `baseline_s`",
                within.len(),
                span.seconds()
            )
        })?;
    let parts = cut(samples, span, width_s);
    let p95s: Vec<u64> = parts.iter().filter_map(|window| window.p95_us).collect();
    let pooled = Figures::of(within);
    let band = Band::around(quantile(&p95s, 0.5).unwrap_or(0), pooled.error_ratio());
    if pooled.errors > 0 {
        let first = within.iter().find(|sample| sample.error.is_some());
        let first = first.map(describe_error).unwrap_or_default();
        return Err(format!(
            "the baseline is unstable: {} of {} requests failed ({first})",
            pooled.errors, pooled.n
        ));
    }
    let inside = parts
        .iter()
        .filter(|window| band.holds_window(window))
        .count();
    if inside < needed(parts.len()) {
        return Err(format!(
            "the baseline is unstable: {inside} of {} windows are in its band ({}), {} are needed",
            parts.len(),
            band.sentence(),
            needed(parts.len())
        ));
    }
    Ok(Baseline {
        window_s: width_s,
        band,
        windows: parts,
    })
}

fn describe_error(sample: &RequestSample) -> String {
    let kind = sample.error.map_or("no error", error_word);
    let status = sample
        .status
        .map(|status| format!(", status {status}"))
        .unwrap_or_default();
    format!("the first on {}: {kind}{status}", sample.route)
}

/// Whether and when service returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recovered {
    /// Begin of the first window in the band, in microseconds after the lift.
    pub after_us: i64,
    /// End of the last of the windows that prove it, in Unix microseconds.
    pub proven_at: i64,
}

/// The first three windows in a row inside the band that begin at most `within_s` after the lift. Only requests due before
/// `known_until` have their outcome.
pub fn recovered(
    samples: &[RequestSample],
    baseline: &Baseline,
    lifted: i64,
    within_s: u64,
    known_until: i64,
) -> Option<Recovered> {
    let windows = cut(
        samples,
        Span {
            from: lifted,
            to: known_until,
        },
        baseline.window_s,
    );
    windows
        .windows(RECOVERY_WINDOWS)
        .filter(|row| row[0].span.from - lifted <= within_s as i64 * 1_000_000)
        .find(|row| row.iter().all(|window| baseline.band.holds_window(window)))
        .map(|row| Recovered {
            after_us: row[0].span.from - lifted,
            proven_at: row[RECOVERY_WINDOWS - 1].span.to,
        })
}

/// How long recovery may take in all: the latest begin, and three windows.
pub fn recovery_limit_us(baseline: &Baseline, within_s: u64) -> i64 {
    (within_s as i64 + RECOVERY_WINDOWS as i64 * baseline.window_s) * 1_000_000
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{failed, sample, steady};

    const S: i64 = 1_000_000;
    const TWELVE: Span = Span {
        from: 0,
        to: 12 * S,
    };

    #[test]
    fn a_window_is_the_shortest_whole_number_of_seconds_that_holds_200_requests() {
        for (rate, seconds) in [(400, 2), (100, 2), (67, 3), (50, 4)] {
            let baseline = baseline(&steady(TWELVE, rate, 10_000), TWELVE).expect("stable");
            assert_eq!(baseline.window_s, seconds, "at {rate}/s");
        }
    }

    #[test]
    fn a_baseline_with_too_few_requests_for_three_windows_is_none() {
        let said = baseline(&steady(TWELVE, 40, 10_000), TWELVE).expect_err("accepted");
        assert!(said.contains("too few"), "{said}");
    }

    #[test]
    fn a_window_may_lose_two_percent_of_its_arrivals_and_no_more() {
        let mut samples = steady(TWELVE, 100, 10_000);
        samples.retain(|sample| sample.due_us % S >= 20_000);
        assert_eq!(baseline(&samples, TWELVE).expect("stable").window_s, 2);
        samples.retain(|sample| sample.due_us % S >= 30_000);
        assert_eq!(baseline(&samples, TWELVE).expect("stable").window_s, 3);
    }

    #[test]
    fn the_band_is_half_as_much_again_and_20_ms_around_the_median_of_the_windows() {
        let baseline = baseline(&steady(TWELVE, 100, 10_000), TWELVE).expect("stable");
        assert_eq!(
            baseline.band,
            Band {
                p95_us: 35_000,
                error_ratio: 0.005
            }
        );
        assert!(baseline.band.holds(35_000, 0.005));
        assert!(!baseline.band.holds(35_001, 0.0));
        assert!(!baseline.band.holds(1, 0.0051));
    }

    /// Two-second windows of a twelve-second baseline, those listed slowed down.
    fn with_slow_windows(slow: &[i64]) -> Vec<RequestSample> {
        let mut samples = steady(TWELVE, 100, 10_000);
        for sample in &mut samples {
            if slow.contains(&(sample.due_us / (2 * S))) {
                sample.latency_us = 900_000;
            }
        }
        samples
    }

    #[test]
    fn one_window_of_six_may_leave_the_band_and_two_may_not() {
        assert!(baseline(&with_slow_windows(&[3]), TWELVE).is_ok());
        let said = baseline(&with_slow_windows(&[1, 4]), TWELVE).expect_err("accepted");
        assert!(said.contains("4 of 6 windows"), "{said}");
    }

    #[test]
    fn a_single_error_makes_a_baseline_unstable() {
        let mut samples = steady(TWELVE, 100, 10_000);
        samples[7] = failed(samples[7].due_us, "content", 503, 10_000);
        let said = baseline(&samples, TWELVE).expect_err("accepted");
        assert!(
            said.contains("1 of 1200 requests failed") && said.contains("content"),
            "{said}"
        );
    }

    fn after_lift(slow_until: i64) -> Option<Recovered> {
        let baseline = baseline(&steady(TWELVE, 100, 10_000), TWELVE).expect("stable");
        let (from, to) = (20 * S, 36 * S);
        let mut samples = steady(Span { from, to }, 100, 10_000);
        for sample in samples
            .iter_mut()
            .filter(|sample| sample.due_us < from + slow_until)
        {
            sample.latency_us = 500_000;
        }
        recovered(&samples, &baseline, from, 10, to)
    }

    #[test]
    fn recovery_is_three_windows_in_a_row_inside_the_band() {
        assert_eq!(
            after_lift(0),
            Some(Recovered {
                after_us: 0,
                proven_at: 26 * S
            })
        );
        assert_eq!(
            after_lift(3 * S).map(|recovered| recovered.after_us),
            Some(4 * S)
        );
        assert_eq!(
            after_lift(10 * S),
            Some(Recovered {
                after_us: 10 * S,
                proven_at: 36 * S
            })
        );
    }

    #[test]
    fn service_that_returns_later_than_promised_has_not_recovered() {
        assert_eq!(after_lift(10 * S + 300_000), None);
    }

    #[test]
    fn windows_without_requests_are_no_recovery() {
        let baseline = baseline(&steady(TWELVE, 100, 10_000), TWELVE).expect("stable");
        assert_eq!(recovered(&[], &baseline, 20 * S, 10, 36 * S), None);
        let few = [sample(21 * S, "list", 1_000)];
        assert_eq!(recovered(&few, &baseline, 20 * S, 10, 36 * S), None);
    }
}
