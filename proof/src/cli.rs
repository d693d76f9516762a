//! The command line: parses it and hands over to the command.

use clap::{Parser, Subcommand};

use crate::account;
use crate::boards::{self, settings::Arguments};
use crate::exit::{Exit, Refusal};
use crate::fired;
use crate::rules;
use crate::telemetry;

const AFTER_HELP: &str = "\
Exit codes:
    0  everything was proven
    1  there are findings
   64  bad usage, or a file that cannot be read as what it should be
   69  a server does not answer, or something could not be measured, so nothing was proven
   70  an internal error
  130  interrupted, and everything was rolled back";

/// Proves boards, rules and telemetry against live servers.
#[derive(Debug, Parser)]
#[command(name = "chitram-proof", version, after_help = AFTER_HELP)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    #[command(after_help = AFTER_HELP)]
    Account(Box<account::Arguments>),
    #[command(after_help = AFTER_HELP)]
    Boards(Box<Arguments>),
    #[command(after_help = AFTER_HELP)]
    Rules(Box<rules::Arguments>),
    #[command(after_help = AFTER_HELP)]
    Fired(Box<fired::Arguments>),
    #[command(after_help = AFTER_HELP)]
    Telemetry(telemetry::Arguments),
}

/// Parses the arguments of this process and runs the command.
pub async fn main() -> Result<Exit, Refusal> {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are no errors; of the rest clap's own exit code is 2.
            let exit = if error.use_stderr() {
                Exit::Usage
            } else {
                Exit::Proven
            };
            error
                .print()
                .map_err(|error| Refusal::internal(format!("cannot write: {error}")))?;
            return Ok(exit);
        }
    };
    match cli.command {
        Command::Account(arguments) => account::run(&arguments).await,
        Command::Boards(arguments) => boards::run(&arguments).await,
        Command::Rules(arguments) => rules::run(&arguments).await,
        Command::Fired(arguments) => fired::run(&arguments).await,
        Command::Telemetry(arguments) => telemetry::run(&arguments),
    }
}

/// A moment in Unix seconds: a number of them, or a date as RFC 3339 writes it.
pub(crate) fn moment(text: &str) -> Result<f64, String> {
    if let Ok(seconds) = text.parse::<f64>()
        && seconds.is_finite()
    {
        return Ok(seconds);
    }
    let moment: jiff::Timestamp = text
        .parse()
        .map_err(|_| "write Unix seconds, or a moment such as 2026-11-28T05:00:00Z")?;
    Ok(moment.as_millisecond() as f64 / 1000.0)
}
