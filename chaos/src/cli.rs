//! The command line: parses it and hands over to [`crate::commands`].

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use url::Url;

use crate::commands;
use crate::definition::MIN_PHASE_S;
use crate::exit::{Exit, Refusal};
use crate::stack_file::Endpoints;

const AFTER_HELP: &str = "\
Exit codes:
    0  every verdict is the expected one
    4  inconclusive, after a repetition if one was asked for: the fault was not proven, the load generator or the machine
       was at its bound, or something required was not measured
   10  deviated: a promise broke, or a deviation that was expected did not come
   11  not_recovered: the service did not return to its baseline in time
   12  invariant_broken: data was lost or changed
   13  not_detected: the promise held, but no telemetry named the fault
   14  aborted: a guardrail, or the load generator died
   15  rollback_failed: the message says what to type
   64  bad usage or experiment file: also a route or a plan that does not exist, or what can never be measured
   69  an address does not answer, or is not fit for an experiment
   70  an internal error
   73  another run holds the lock
  130  interrupted; the fault was rolled back, and report and result say what was not finished

Examples:
  chitram-chaos run chaos/experiments/control.toml chaos/experiments/store-slow.toml
  chitram-chaos run chaos/experiments/store-blackhole.toml --seconds 30 --report target/report.html
  chitram-chaos validate my-experiment.toml
  chitram-chaos recover";

/// Breaks a platform on purpose and proves what it promises under the fault.
#[derive(Debug, Parser)]
#[command(name = "chitram-chaos", version, after_help = AFTER_HELP)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run experiments one after the other.
    #[command(after_help = AFTER_HELP)]
    Run(Box<Run>),
    /// List the experiments of a folder.
    List {
        /// The folder.
        #[arg(long, value_name = "DIR", default_value = "chaos/experiments")]
        experiments: PathBuf,
    },
    /// Check experiment files, and these against their plans, without running them.
    #[command(after_help = AFTER_HELP)]
    Validate {
        /// Experiment files.
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        /// Folder of the plans that experiments name [default: the load generator's own].
        #[arg(long, value_name = "DIR")]
        plans: Option<PathBuf>,
    },
    /// Print every metric of this program, as JSON.
    Telemetry,
    /// Undo what a run that was killed left behind.
    Recover {
        #[command(flatten)]
        folder: Folder,
    },
}

#[derive(Debug, Args)]
struct Folder {
    /// The stack's folder, with `stack.toml`, the lock and the journal.
    #[arg(
        long,
        env = "CHITRAM_DIR",
        value_name = "DIR",
        default_value = ".chitram"
    )]
    dir: PathBuf,
}

#[derive(Debug, Args)]
struct Run {
    /// Experiment files.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    folder: Folder,
    /// The service, instead of the stack's.
    #[arg(long, value_name = "URL")]
    target: Option<Url>,
    /// Toxiproxy's API, instead of the stack's.
    #[arg(long, value_name = "URL")]
    toxiproxy: Option<Url>,
    /// Jaeger's query API, instead of the stack's.
    #[arg(long, value_name = "URL")]
    jaeger: Option<Url>,
    /// Prometheus' API, instead of the stack's.
    #[arg(long, value_name = "URL")]
    prometheus: Option<Url>,
    /// Length of the baseline and of the fault.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(MIN_PHASE_S..=3600))]
    seconds: Option<u64>,
    /// Write the report, one HTML file.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Write the verdicts as JSON.
    #[arg(long, value_name = "FILE")]
    result: Option<PathBuf>,
    /// Repeat an inconclusive experiment once, with a doubled baseline.
    #[arg(long)]
    repeat_inconclusive: bool,
    /// `all`: also what the experiment calls optional must be measured, or it is inconclusive.
    #[arg(long, value_enum, default_value_t)]
    require: Require,
    /// Folder of the plans that experiments name [default: the load generator's own].
    #[arg(long, value_name = "DIR")]
    plans: Option<PathBuf>,
    /// Pictures to upload instead of made ones.
    #[arg(long, value_name = "DIR")]
    pictures: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Require {
    /// What the experiment does not call optional.
    #[default]
    Found,
    /// Everything that the experiment expects.
    All,
}

impl From<Run> for commands::Run {
    fn from(run: Run) -> Self {
        Self {
            files: run.files,
            dir: run.folder.dir,
            endpoints: Endpoints {
                api: run.target,
                toxiproxy: run.toxiproxy,
                jaeger: run.jaeger,
                prometheus: run.prometheus,
            },
            seconds: run.seconds,
            report: run.report,
            result: run.result,
            repeat_inconclusive: run.repeat_inconclusive,
            require_all: run.require == Require::All,
            plans: run.plans,
            pictures: run.pictures,
            command: typed_command(),
        }
    }
}

/// What a person types to have this again: `CHITRAM_COMMAND` where another program (the demo) was typed and started us.
fn typed_command() -> String {
    std::env::var("CHITRAM_COMMAND")
        .unwrap_or_else(|_| std::env::args().collect::<Vec<_>>().join(" "))
}

/// Parses the arguments of this process and runs the command.
pub async fn main() -> Result<Exit, Refusal> {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let exit = if error.use_stderr() {
                Exit::Usage
            } else {
                Exit::AsExpected
            };
            let _ = error.print();
            return Ok(exit);
        }
    };
    match cli.command {
        Command::Run(run) => Box::pin(commands::run((*run).into())).await,
        Command::List { experiments } => commands::list(&experiments),
        Command::Validate { files, plans } => commands::validate(&files, plans.as_deref()),
        Command::Telemetry => commands::telemetry(),
        Command::Recover { folder } => commands::recover(&folder.dir).await,
    }
}
