//! What a person sees on stderr while an experiment runs: one line that is redrawn on a terminal, plain lines elsewhere.
//! A pipe that closed early is no reason to stop, least of all before a rollback.

use std::io::{IsTerminal as _, Write as _};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use loadtest::events::RequestSample;
use loadtest::stats::quantile;
use loadtest::units::format_us;

const PLAIN_INTERVAL: Duration = Duration::from_secs(5);
/// The live figures are those of requests due within so long before the latest.
const LIVE_US: i64 = 5_000_000;
/// Of these, so many at most.
const LIVE: usize = 5_000;

/// Live figures of the latest requests.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Live {
    rate: f64,
    errors: usize,
    n: usize,
    p99_us: u64,
}

impl Live {
    /// Of the requests of the last five seconds; `None` before there are any.
    pub fn of(samples: &[RequestSample]) -> Option<Self> {
        let newest = &samples[samples.len().saturating_sub(LIVE)..];
        let last = newest.iter().map(|sample| sample.due_us).max()?;
        let latest: Vec<&RequestSample> = newest
            .iter()
            .filter(|sample| sample.due_us > last - LIVE_US)
            .collect();
        let first = latest.iter().map(|sample| sample.due_us).min()?;
        let latencies: Vec<u64> = latest.iter().map(|sample| sample.latency_us).collect();
        Some(Self {
            rate: latest.len() as f64 / ((last - first) as f64 / 1e6).max(1.0),
            errors: latest
                .iter()
                .filter(|sample| sample.error.is_some())
                .count(),
            n: latest.len(),
            p99_us: quantile(&latencies, 0.99)?,
        })
    }

    fn words(&self) -> String {
        format!(
            "{:.0} req/s, {} errors of {}, p99 {}",
            self.rate,
            self.errors,
            self.n,
            format_us(self.p99_us)
        )
    }
}

/// Where progress is shown.
pub struct Progress {
    bar: Option<ProgressBar>,
    state: Mutex<State>,
}

struct State {
    experiment: String,
    phase: String,
    begun: Instant,
    expected: Duration,
    told: Instant,
}

impl Progress {
    /// A bar when stderr is a terminal.
    pub fn new() -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(0);
            // The bar takes what the words leave of the line: one that is longer than the terminal is drawn over two.
            // A template that could not be parsed would be this file's own defect; the default style still shows progress.
            if let Ok(style) = ProgressStyle::with_template("{prefix} {wide_bar} {msg}") {
                bar.set_style(style);
            }
            bar
        });
        let now = Instant::now();
        let state = State {
            experiment: String::new(),
            phase: String::new(),
            begun: now,
            expected: Duration::ZERO,
            told: now,
        };
        Self {
            bar,
            state: Mutex::new(state),
        }
    }

    /// A phase begins and is expected to last this long.
    pub fn phase(&self, experiment: &str, phase: &str, expected: Duration) {
        let mut state = self.lock();
        let now = Instant::now();
        *state = State {
            experiment: experiment.into(),
            phase: phase.into(),
            begun: now,
            expected,
            told: now,
        };
        match &self.bar {
            Some(bar) => {
                bar.set_prefix(experiment.to_owned());
                bar.set_length(expected.as_millis().max(1) as u64);
                bar.set_position(0);
                bar.set_message(phase.to_owned());
            }
            None if expected.is_zero() => line(&format!("{experiment}: {phase}")),
            None => line(&format!(
                "{experiment}: {phase}, {:.0} s",
                expected.as_secs_f64()
            )),
        }
    }

    /// The phase goes on.
    pub fn update(&self, live: Option<Live>) {
        let mut state = self.lock();
        let elapsed = state.begun.elapsed();
        let figures = live.map_or_else(|| "no answer yet".to_owned(), |live| live.words());
        let (spent, expected) = (elapsed.as_secs_f64(), state.expected.as_secs_f64());
        if let Some(bar) = &self.bar {
            bar.set_position(elapsed.as_millis() as u64);
            bar.set_message(format!(
                "{} {spent:.0}/{expected:.0} s  {figures}",
                state.phase
            ));
        } else if state.told.elapsed() >= PLAIN_INTERVAL {
            state.told = Instant::now();
            line(&format!(
                "{}: {} {spent:.0}/{expected:.0} s, {figures}",
                state.experiment, state.phase
            ));
        }
    }

    /// A sentence that stays.
    pub fn say(&self, sentence: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| line(sentence)),
            None => line(sentence),
        }
    }

    /// Nothing more is shown.
    pub fn clear(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Default for Progress {
    fn default() -> Self {
        Self::new()
    }
}

fn line(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::phases::Span;
    use crate::testing::steady;

    #[test]
    fn live_figures_are_those_of_the_latest_requests() {
        assert_eq!(Live::of(&[]), None);
        let live = Live::of(&steady(
            Span {
                from: 0,
                to: 20_000_000,
            },
            100,
            7_000,
        ))
        .expect("figures");
        assert_eq!((live.n, live.errors, live.p99_us), (500, 0, 7_000));
        assert!((live.rate - 100.0).abs() < 1.0, "{live:?}");
    }
}
