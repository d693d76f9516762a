//! The command line: parses it and hands over to the command.

use clap::{Parser, Subcommand};

use crate::exit::{Exit, Refusal};
use crate::telemetry;

const AFTER_HELP: &str = "\
Exit codes:
    0  everything was proven
    1  there are findings
   64  bad usage, or a file that cannot be read as what it should be
   69  a server does not answer, so nothing was proven
   70  an internal error";

/// Proves boards, rules and telemetry against live servers.
#[derive(Debug, Parser)]
#[command(name = "chitram-proof", version, after_help = AFTER_HELP)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Telemetry(telemetry::Arguments),
}

/// Parses the arguments of this process and runs the command.
pub async fn main() -> Result<Exit, Refusal> {
    match Cli::parse().command {
        Command::Telemetry(arguments) => telemetry::run(&arguments),
    }
}
