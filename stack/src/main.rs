//! `chitram-stack`: the command line.
#![forbid(unsafe_code)]

use std::ffi::OsString;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use rustix::process::Signal;
use stack::demo::{self, SHORTEST};
use stack::error::{Error, exit};
use stack::interrupt::Interrupts;
use stack::platform::{Optional, Ports, Take};
use stack::process::exec;
use stack::{doctor, metrics, up};

/// How long tasks may take to end after everything was stopped.
const LAST_TASKS: Duration = Duration::from_secs(2);

/// Boots the platform: stores, fault proxies, trace store and the image service.
#[derive(Parser)]
#[command(
    name = "chitram-stack",
    version,
    after_help = "Exit codes are listed by each command's --help."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the platform in the foreground until Ctrl-C
    #[command(after_help = UP_HELP)]
    Up(Up),
    /// Boot everything, load it, break it, and write one HTML report
    #[command(after_help = DEMO_HELP)]
    Demo(Demo),
    /// List the real servers that this machine has, and how to get the others
    #[command(after_help = DOCTOR_HELP)]
    Doctor(Doctor),
    /// Print which metrics this program has, as JSON
    Telemetry,
    /// Run a program that ends when its parent does
    #[command(after_help = EXEC_HELP)]
    Exec(Exec),
}

const UP_HELP: &str = "\
Real servers are taken where they are found (see `chitram-stack doctor`), stand-ins play the rest; Prometheus and
Alertmanager have none, so without them no rule is evaluated. Addresses go to standard output and to DIR/stack.toml, logs
to DIR/logs. Data is temporary: it is removed when the stack ends.

Examples:
  chitram-stack up
  chitram-stack up --alerts my-alerts
  chitram-stack up --without elasticsearch   # starts in seconds; log lines are in files only
  chitram-stack up --embedded --api-port 0 --admin-port 0 --toxiproxy-port 0 --jaeger-port 0 --control-port 0

Exit codes:
  0   stopped by Ctrl-C, SIGTERM or SIGHUP
  64  bad usage or a bad value in the environment
  69  a port is in use, or a server is missing or did not become ready
  70  a file or system call failed
  73  another chitram-stack owns the folder
  130 interrupted before it was ready";

const DEMO_HELP: &str = "\
Stand-ins on free ports, in a temporary folder, and a Prometheus if one is found: then the boards are drawn beside the
report, by a chitram-proof that lies beside this program. A URL in the environment makes a part real: CHITRAM_POSTGRES_URL,
CHITRAM_TOXIPROXY_URL, CHITRAM_JAEGER_URL with CHITRAM_OTLP_URL, CHITRAM_S3_URL with CHITRAM_S3_BUCKET,
CHITRAM_S3_ACCESS_KEY and CHITRAM_S3_SECRET_KEY; CHITRAM_ALERTMANAGER_URL is noted in stack.toml, and the boards are
drawn from CHITRAM_PROMETHEUS_URL. CHITRAM_STORE_BREAKER and CHITRAM_STORE_DEADLINE reach the service:
set to off, the demo ends as deviated. Experiments are read from chaos/experiments.

Examples:
  chitram-stack demo
  chitram-stack demo --photos ~/Pictures --seconds 30
  chitram-stack demo --keep

Exit codes:
  0   every verdict is the expected one
  4   still inconclusive after one repetition
  10  deviated               11  not recovered
  12  an invariant broke     13  not detected
  14  aborted                15  the rollback failed
  64  bad usage, plan, experiment or environment
  69  a program or server is missing, a port is in use, or an address does not answer
  70  a program, file or system call failed
  73  another chitram-stack owns the folder, or another run holds its lock
  130 interrupted; everything was stopped in order";

const DOCTOR_HELP: &str = "\
Examples:
  chitram-stack doctor
  chitram-stack doctor --json

Exit codes:
  0   the list was printed, whatever was found
  64  bad usage";

const EXEC_HELP: &str = "\
Sets the death signal, checks that the parent is still PID, and becomes the program.

Example:
  chitram-stack exec --parent $$ -- sleep 60

Exit codes: the program's own, or
  64  bad usage
  125 the parent is gone
  126 the program cannot be run
  127 there is no such program";

#[derive(Args)]
struct Up {
    /// The stack's folder
    #[arg(long, env = "CHITRAM_DIR", default_value = ".chitram")]
    dir: PathBuf,
    /// Use stand-ins even where real servers are installed (a URL in the environment still counts)
    #[arg(long)]
    embedded: bool,
    /// Leave this server out even where it is found; can be given several times
    #[arg(long, value_enum, value_name = "SERVER")]
    without: Vec<Optional>,
    /// The API, through its fault proxy; 0 is a free port, here and below
    #[arg(long, default_value_t = 8080, value_name = "PORT")]
    api_port: u16,
    /// Metrics and health
    #[arg(long, default_value_t = 8081, value_name = "PORT")]
    admin_port: u16,
    /// The fault proxy's HTTP API
    #[arg(long, default_value_t = 8474, value_name = "PORT")]
    toxiproxy_port: u16,
    /// The trace store's query API
    #[arg(long, default_value_t = 16686, value_name = "PORT")]
    jaeger_port: u16,
    /// Prometheus
    #[arg(long, default_value_t = 9090, value_name = "PORT")]
    prometheus_port: u16,
    /// Alertmanager
    #[arg(long, default_value_t = 9093, value_name = "PORT")]
    alertmanager_port: u16,
    /// The control endpoint: processes and orders to them, their metrics, the alerts that were sent
    #[arg(long, default_value_t = 8082, value_name = "PORT")]
    control_port: u16,
    /// Rules and routes instead of those that are built in: DIR/rules/*.yml and DIR/alertmanager.yml
    #[arg(long, value_name = "DIR")]
    alerts: Option<PathBuf>,
    /// Elasticsearch's HTTP API, where log lines are shipped to
    #[arg(long, default_value_t = 9200, value_name = "PORT")]
    elasticsearch_port: u16,
}

#[derive(Args)]
struct Demo {
    /// Stay in the foreground afterwards with everything running, until Ctrl-C
    #[arg(long)]
    keep: bool,
    /// Use the pictures of this folder as well
    #[arg(long, value_name = "DIR")]
    photos: Option<PathBuf>,
    /// Baseline and fault of each experiment
    #[arg(long, default_value_t = SHORTEST, value_parser = clap::value_parser!(u32).range(i64::from(SHORTEST)..=3600))]
    seconds: u32,
    /// The HTML report
    #[arg(long, default_value = "target/demo/report.html", value_name = "FILE")]
    report: PathBuf,
    /// The results as JSON
    #[arg(long, default_value = "target/demo/result.json", value_name = "FILE")]
    result: PathBuf,
    /// The stack's folder, kept with its logs; by default a temporary one
    #[arg(long)]
    dir: Option<PathBuf>,
}

#[derive(Args)]
struct Doctor {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
struct Exec {
    /// The process that started this one
    #[arg(long, value_name = "PID")]
    parent: u32,
    /// What the program gets when the parent ends: TERM, INT or KILL
    #[arg(long, default_value = "KILL", value_parser = exec::parse_signal)]
    signal: Signal,
    /// The program and its arguments
    #[arg(last = true, required = true, value_name = "PROGRAM")]
    command: Vec<OsString>,
}

fn main() -> ExitCode {
    let code = match Cli::try_parse() {
        Ok(cli) => run(cli.command),
        Err(error) => {
            let _ = error.print();
            if error.use_stderr() {
                exit::USAGE
            } else {
                exit::OK
            }
        }
    };
    ExitCode::from(code)
}

fn run(command: Command) -> u8 {
    match command {
        Command::Up(args) => in_runtime(async |interrupts| {
            let take = if args.embedded {
                Take::Embedded
            } else {
                Take::Found
            };
            let ports = Ports {
                api: args.api_port,
                admin: args.admin_port,
                toxiproxy: args.toxiproxy_port,
                jaeger: args.jaeger_port,
                prometheus: args.prometheus_port,
                alertmanager: args.alertmanager_port,
                control: args.control_port,
                elasticsearch: args.elasticsearch_port,
            };
            up::up(
                &up::Options {
                    dir: args.dir,
                    take,
                    without: args.without,
                    ports,
                    alerts: args.alerts,
                },
                &interrupts,
            )
            .await
            .map(|()| exit::OK)
        }),
        Command::Demo(args) => in_runtime(async |interrupts| {
            let Demo {
                keep,
                photos,
                seconds,
                report,
                result,
                dir,
            } = args;
            demo::demo(
                &demo::Options {
                    keep,
                    photos,
                    seconds,
                    report,
                    result,
                    dir,
                },
                &interrupts,
            )
            .await
        }),
        Command::Doctor(args) => print_doctor(args.json),
        Command::Telemetry => {
            let mut out = std::io::stdout().lock();
            // A closed pipe has read what it wanted.
            let _ = writeln!(out, "{:#}", metrics::declarations());
            exit::OK
        }
        Command::Exec(args) => {
            let (code, sentence) = exec::exec(
                args.parent,
                args.signal,
                &args.command[0],
                &args.command[1..],
            );
            eprintln!("chitram-stack exec: {sentence}");
            code
        }
    }
}

/// Runs a command with signals taken over; its error becomes one line and its exit code.
fn in_runtime(command: impl AsyncFnOnce(Interrupts) -> Result<u8, Error>) -> u8 {
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("chitram-stack: cannot start its runtime: {error}");
            return exit::INTERNAL;
        }
    };
    let result = runtime.block_on(async { command(Interrupts::listen()?).await });
    runtime.shutdown_timeout(LAST_TASKS);
    result.unwrap_or_else(|error| {
        eprintln!("chitram-stack: {error}");
        error.exit_code()
    })
}

fn print_doctor(json: bool) -> u8 {
    let lines = doctor::examine();
    let text = if json {
        serde_json::to_string_pretty(&lines).unwrap_or_default() + "\n"
    } else {
        doctor::table(&lines)
    };
    // A closed pipe is no failure.
    let _ = std::io::Write::write_all(&mut std::io::stdout(), text.as_bytes());
    exit::OK
}
