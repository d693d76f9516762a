//! The command line: parses it, runs a command, says how it ended.

use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use observability::{LogOutput, Logs, Registry, Service, Settings};

use crate::exit::{Code, Failure};
use crate::pictures;
use crate::plan::Plan;
use crate::result::{Conclusion, RunResult};
use crate::run::{self, ProgressMode, Stop};
use crate::seed;
use crate::summary::summary;
use crate::target::Target;

const EXIT_CODES: &str = "\
Exit codes:
    0  done; of a run: every threshold held
    1  a threshold failed
    2  inconclusive: the generator was at its bound, too few workers or samples, or stopped by SIGTERM or SIGHUP
   64  bad usage, plan or folder
   69  the target does not answer, or has nothing to load
   70  an internal error
  130  interrupted

Examples:
  chitram-load pictures photos
  chitram-load seed photos --target http://127.0.0.1:8080
  chitram-load run browse --target http://127.0.0.1:8080 --seconds 30 --result result.json";

/// Loads an image service at a fixed schedule and measures from the due time of each request.
#[derive(Debug, Parser)]
#[command(name = "chitram-load", version, after_help = EXIT_CODES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make photograph-like pictures, the same ones every time.
    #[command(after_help = EXIT_CODES)]
    Pictures(PicturesArgs),
    /// Upload the pictures of folders and wait until their presets are ready.
    #[command(after_help = EXIT_CODES)]
    Seed(SeedArgs),
    /// Run a plan against a service.
    #[command(after_help = EXIT_CODES)]
    Run(Box<RunArgs>),
    /// Print every metric and log field of this program, as JSON.
    Telemetry,
}

#[derive(Debug, Args)]
struct PicturesArgs {
    /// Where to write them; made when it is not there.
    dir: PathBuf,
    /// How many.
    #[arg(long, default_value_t = 24)]
    count: usize,
    /// Another seed paints other pictures.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Larger ones are made this large.
    #[arg(long, value_name = "X", default_value_t = 12.0, value_parser = megapixels)]
    max_megapixels: f64,
}

#[derive(Debug, Args)]
struct SeedArgs {
    /// Folders with pictures, searched to the bottom.
    #[arg(required = true, value_name = "DIR")]
    dirs: Vec<PathBuf>,
    /// The service, for instance <http://127.0.0.1:8080>.
    #[arg(long, value_name = "URL")]
    target: String,
}

#[derive(Debug, Args)]
struct RunArgs {
    /// A plan file, or a built-in plan: browse, smoke.
    plan: PathBuf,
    /// The service, for instance <http://127.0.0.1:8080>.
    #[arg(long, value_name = "URL")]
    target: String,
    /// Write events there as they happen, one JSON object a line.
    #[arg(long, value_name = "FILE")]
    events: Option<PathBuf>,
    /// Also write an event for each request.
    #[arg(long, requires = "events")]
    requests: bool,
    /// Write the result there as JSON.
    #[arg(long, value_name = "FILE")]
    result: Option<PathBuf>,
    /// Print the result as JSON instead of tables.
    #[arg(long)]
    json: bool,
    /// Measure this long instead of what the plan says.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    seconds: Option<u32>,
    /// Warm up this long instead of what the plan says.
    #[arg(long, value_name = "N")]
    warmup: Option<u32>,
    /// Choose other pictures and presets than the plan's seed does.
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Baggage `run.id` of every request [default: a new UUID].
    #[arg(long, value_name = "ID")]
    run_id: Option<String>,
    /// Baggage `experiment.id` of every request.
    #[arg(long, value_name = "ID")]
    experiment_id: Option<String>,
    /// Upload JPEG files of this folder instead of made ones.
    #[arg(long, value_name = "DIR")]
    pictures: Option<PathBuf>,
    /// What is shown on stderr.
    #[arg(long, value_enum, default_value_t)]
    progress: ProgressMode,
    /// Serve /metrics on a free loopback port and register it in this `file_sd` folder of Prometheus.
    #[arg(long, value_name = "DIR")]
    targets_dir: Option<PathBuf>,
}

/// Runs the process's command line. Errors have been printed when it returns.
pub fn main() -> Code {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version come this way as well; where stdout is closed, nothing can be said.
            let _ = error.print();
            return if error.use_stderr() {
                Code::Usage
            } else {
                Code::Ok
            };
        }
    };
    match execute(cli.command) {
        Ok(code) => code,
        Err(failure) => {
            eprintln!("chitram-load: {failure}");
            failure.code()
        }
    }
}

fn execute(command: Command) -> Result<Code, Failure> {
    match command {
        Command::Pictures(args) => make_pictures(&args),
        Command::Telemetry => print_declarations(),
        Command::Seed(args) => in_runtime(seed_target(&args)),
        Command::Run(args) => in_runtime(run_plan(*args)),
    }
}

fn in_runtime(work: impl Future<Output = Result<Code, Failure>>) -> Result<Code, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let runtime = runtime
        .map_err(|error| Failure::Internal(format!("the runtime can't be started: {error}")))?;
    let outcome = runtime.block_on(work);
    // What still runs, like a worker that goose did not let go, must not keep the process.
    runtime.shutdown_timeout(Duration::from_secs(1));
    outcome
}

fn make_pictures(args: &PicturesArgs) -> Result<Code, Failure> {
    let written = pictures::write_set(&args.dir, args.count, args.seed, args.max_megapixels)
        .map_err(|error| Failure::Internal(error.to_string()))?;
    println!(
        "{} pictures, {:.1} MB, in {}",
        written.files.len(),
        written.bytes as f64 / 1e6,
        args.dir.display()
    );
    Ok(Code::Ok)
}

async fn seed_target(args: &SeedArgs) -> Result<Code, Failure> {
    let target = Target::new(&args.target, 8)?;
    let seeded = seed::seed(&target, &args.dirs).await?;
    for (path, why) in &seeded.refused {
        eprintln!("chitram-load: {}: refused: {why}", path.display());
    }
    println!(
        "{} pictures uploaded, {} were there already, {} refused; all presets are ready",
        seeded.created,
        seeded.already_there,
        seeded.refused.len()
    );
    if seeded.created + seeded.already_there == 0 {
        return Err(Failure::Unavailable(format!(
            "{} took none of the pictures",
            args.target
        )));
    }
    Ok(Code::Ok)
}

async fn run_plan(args: RunArgs) -> Result<Code, Failure> {
    let mut plan = Plan::load(&args.plan).map_err(Failure::Usage)?;
    plan.measure = args
        .seconds
        .map_or(plan.measure, |seconds| Duration::from_secs(seconds.into()));
    plan.warmup = args
        .warmup
        .map_or(plan.warmup, |seconds| Duration::from_secs(seconds.into()));
    plan.seed = args.seed.unwrap_or(plan.seed);
    plan.check_measurable()
        .map_err(|sentence| Failure::Usage(format!("{}: {sentence}", args.plan.display())))?;
    let (registry, guard) = start_telemetry()?;
    // Before goose, which would install a handler of its own.
    let stop = Stop::on_signals()?;
    let options = run::Options {
        plan,
        target: args.target,
        run_id: args
            .run_id
            .unwrap_or_else(|| uuid::Uuid::now_v7().to_string()),
        experiment_id: args.experiment_id,
        pictures: args.pictures,
        events: args.events,
        requests: args.requests,
        targets_dir: args.targets_dir,
        progress: args.progress,
    };
    let result = run::run(&options, &registry, &stop).await;
    guard.shutdown(Duration::from_secs(2)).await;
    let result = result?;
    if let Some(path) = &args.result {
        run::write_result(path, &result)?;
    }
    if args.json {
        let json = serde_json::to_string_pretty(&result);
        println!(
            "{}",
            json.map_err(|error| Failure::Internal(error.to_string()))?
        );
    } else {
        print!("{}", summary(&result));
    }
    Ok(code_of(&result))
}

fn print_declarations() -> Result<Code, Failure> {
    let dump = run::declarations().to_json();
    writeln!(std::io::stdout(), "{dump:#}")
        .map_err(|error| Failure::Internal(format!("standard output: {error}")))?;
    Ok(Code::Ok)
}

/// Logs to stderr, warnings only: goose tells a lot, and stdout is for the result.
fn start_telemetry() -> Result<(Registry, observability::Guard), Failure> {
    let service = Service {
        name: "chitram-load",
        version: env!("CARGO_PKG_VERSION"),
        revision: None,
        environment: "loadtest".to_owned(),
    };
    let registry = Registry::new(&service);
    let filter = std::env::var("RUST_LOG").unwrap_or_else(|_| "warn,goose=error".to_owned());
    let logs = Logs {
        filter,
        output: LogOutput::Stderr,
    };
    let guard = observability::init(
        Settings {
            service,
            logs,
            traces: None,
        },
        &registry,
    )
    .map_err(|error| Failure::Usage(error.to_string()))?;
    Ok((registry, guard))
}

fn code_of(result: &RunResult) -> Code {
    match result.conclusion {
        _ if result.aborted => Code::Interrupted,
        Conclusion::Pass => Code::Ok,
        Conclusion::Fail => Code::ThresholdFailed,
        Conclusion::Inconclusive => Code::Inconclusive,
    }
}

fn megapixels(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if value > 0.0 && value <= 100.0 => Ok(value),
        _ => Err("it must lie above 0 and be at most 100".to_owned()),
    }
}
