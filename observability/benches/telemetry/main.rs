//! What telemetry costs: the CPU time of a request with nothing, metrics, logs, traces and everything, beside the same
//! server without any of them. And that it never hurts: the CPU time of a request while something of it is broken.
//!
//! Each variant is a process of its own, so that a subscriber is process-wide as in production and its CPU time is its
//! own; they take turns at the same load. Figures are ratios within a round, with a bootstrap interval over the rounds.
//!
//! Exits with 0 when every aim is reached, 1 when one is missed, 4 when one is inconclusive, 64 for a bad command line, and
//! 70 when it could not measure.
#![forbid(unsafe_code)]

mod cost;
mod hurts;
mod load;
mod process;
mod server;
mod sink;
mod stats;

use std::path::PathBuf;
use std::process::ExitCode;

const USAGE: &str = "usage: telemetry [--hurts] [--rounds N] [--requests N] [--json FILE]

  --hurts       what a broken collector, log reader or a heavy scrape costs the requests
  --rounds N    rounds, at least 10 (12)
  --requests N  requests of one turn, at least 1000 (20000)
  --json FILE   writes the figures there, too";

/// What the command line asks for.
pub(crate) struct Options {
    hurts: bool,
    rounds: usize,
    requests: usize,
    json: Option<PathBuf>,
}

/// Why there is no figure.
pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

/// How the figures stand to their aims.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Verdict {
    Reached,
    Inconclusive,
    Missed,
}

impl Verdict {
    /// `interval` must lie on one side of `aim`.
    pub(crate) fn of(interval: (f64, f64), aim: f64) -> Self {
        if interval.1 <= aim {
            Self::Reached
        } else if interval.0 > aim {
            Self::Missed
        } else {
            Self::Inconclusive
        }
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Reached => "reached",
            Self::Inconclusive => "inconclusive",
            Self::Missed => "missed",
        }
    }

    fn code(self) -> ExitCode {
        ExitCode::from(match self {
            Self::Reached => 0,
            Self::Missed => 1,
            Self::Inconclusive => 4,
        })
    }
}

fn main() -> ExitCode {
    // Cargo adds `--bench`.
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    arguments.retain(|argument| argument != "--bench");
    let result = match arguments.split_first() {
        Some((role, rest)) if role == server::ROLE => server::run(rest).map(|()| ExitCode::SUCCESS),
        Some((role, rest)) if role == sink::ROLE => sink::run(rest).map(|()| ExitCode::SUCCESS),
        _ => match options(&arguments) {
            Ok(options) if options.hurts => hurts::run(&options).map(Verdict::code),
            Ok(options) => cost::run(&options).map(Verdict::code),
            Err(reason) => {
                eprintln!("{reason}\n{USAGE}");
                return ExitCode::from(64);
            }
        },
    };
    result.unwrap_or_else(|error| {
        eprintln!("telemetry: {error}");
        ExitCode::from(70)
    })
}

fn options(arguments: &[String]) -> Result<Options, String> {
    let mut options = Options {
        hurts: false,
        rounds: 12,
        requests: 20_000,
        json: None,
    };
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        let mut value = || {
            let value = arguments.next();
            value.ok_or_else(|| format!("{argument} needs a value"))
        };
        match &**argument {
            "--hurts" => options.hurts = true,
            "--rounds" => options.rounds = at_least(10, argument, value()?)?,
            "--requests" => options.requests = at_least(1000, argument, value()?)?,
            "--json" => options.json = Some(value()?.into()),
            _ => return Err(format!("unknown argument {argument:?}")),
        }
    }
    Ok(options)
}

fn at_least(least: usize, name: &str, value: &str) -> Result<usize, String> {
    let number = value.parse().ok().filter(|number| *number >= least);
    number.ok_or_else(|| format!("{name} needs a whole number from {least} up, not {value:?}"))
}
