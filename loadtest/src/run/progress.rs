//! What a person sees while a run goes on: a bar on a terminal, a line every few seconds elsewhere, on stderr.

use std::io::IsTerminal as _;
use std::time::Duration;

use clap::ValueEnum;
use indicatif::{ProgressBar, ProgressStyle};

use super::recorder::Live;
use crate::plan::Plan;
use crate::units::format_us;

/// How progress is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Mode {
    /// A bar on a terminal, plain lines elsewhere.
    #[default]
    Auto,
    /// A line every five seconds.
    Plain,
    /// Nothing.
    None,
}

const LINE_EVERY: Duration = Duration::from_secs(5);

pub(crate) struct Progress {
    warmup: Duration,
    length: Duration,
    display: Display,
    /// Elapsed time and requests at the last update, for the rate.
    last: (Duration, u64),
    rate: f64,
}

enum Display {
    Bar(ProgressBar),
    Lines { next: Duration },
    Nothing,
}

impl Progress {
    pub(crate) fn new(mode: Mode, plan: &Plan) -> Self {
        let length = plan.warmup + plan.measure;
        let display = match mode {
            Mode::None => Display::Nothing,
            Mode::Auto if std::io::stderr().is_terminal() => Display::Bar(bar(length)),
            Mode::Auto | Mode::Plain => Display::Lines { next: LINE_EVERY },
        };
        Self {
            warmup: plan.warmup,
            length,
            display,
            last: (Duration::ZERO, 0),
            rate: 0.0,
        }
    }

    /// To be called a few times a second.
    pub(crate) fn update(&mut self, elapsed: Duration, live: Live) {
        let since = elapsed.saturating_sub(self.last.0);
        if since >= Duration::from_secs(1) {
            self.rate = (live.done - self.last.1) as f64 / since.as_secs_f64();
            self.last = (elapsed, live.done);
        }
        let phase = if elapsed < self.warmup {
            "warm-up"
        } else {
            "measure"
        };
        let words = format!(
            "{phase} {:.0}/{:.0} s  {:.1}/s  {} errors  {} not sent  p50 {}  max {}",
            elapsed.as_secs_f64(),
            self.length.as_secs_f64(),
            self.rate,
            live.errors,
            live.not_sent,
            format_us(live.p50_us),
            format_us(live.max_us)
        );
        match &mut self.display {
            Display::Bar(bar) => {
                bar.set_position(elapsed.min(self.length).as_millis() as u64);
                bar.set_message(words);
            }
            Display::Lines { next } if elapsed >= *next => {
                *next += LINE_EVERY;
                eprintln!("{words}");
            }
            Display::Lines { .. } | Display::Nothing => {}
        }
    }

    /// Says something that is not a figure.
    pub(crate) fn say(&self, sentence: &str) {
        match &self.display {
            Display::Bar(bar) => bar.println(sentence),
            Display::Lines { .. } => eprintln!("{sentence}"),
            Display::Nothing => {}
        }
    }

    pub(crate) fn finish(self) {
        if let Display::Bar(bar) = self.display {
            bar.finish_and_clear();
        }
    }
}

/// A bar that takes what the words leave of the line: one that is longer than the terminal is drawn over two.
fn bar(length: Duration) -> ProgressBar {
    let bar = ProgressBar::new(length.as_millis() as u64);
    if let Ok(style) = ProgressStyle::with_template("{wide_bar} {msg}") {
        bar.set_style(style);
    }
    bar
}
