//! `chitram`: the image service as a process.
#![forbid(unsafe_code)]

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use observability::{Logs, Registry, Traces};
use service::app::{App, Listeners, Role};
use service::config::{Config, Sources};
use service::exit::Failure;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// An image service that can be observed, loaded and broken on purpose.
#[derive(Parser)]
#[command(
    name = "chitram",
    version,
    after_help = "Exit codes: 0 ended as asked, 64 bad usage or configuration, \
69 a port is in use or something needed at start is unavailable, 70 internal error.\n\n\
Examples:\n  chitram serve\n  CHITRAM_LISTEN=127.0.0.1:9090 chitram serve --role api\n  chitram config --config chitram.toml"
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve requests, work on jobs, or both, until SIGTERM, SIGINT or SIGHUP.
    Serve {
        /// What this process does.
        #[arg(long, value_enum, default_value = "all")]
        role: RoleArgument,
        #[command(flatten)]
        settings: Settings,
    },
    /// Bring the catalog's schema up to date.
    Migrate {
        #[command(flatten)]
        settings: Settings,
    },
    /// Print every setting with where it came from; secrets are hidden.
    Config {
        #[command(flatten)]
        settings: Settings,
    },
    /// Print every metric, span and log field of this program, as JSON.
    Telemetry,
}

#[derive(Args)]
struct Settings {
    /// A configuration file (TOML). Flags and environment variables come before it.
    #[arg(long, env = "CHITRAM_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Address of the API.
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
    /// Address of health and metrics.
    #[arg(long, value_name = "ADDRESS")]
    admin_listen: Option<String>,
}

#[derive(Clone, Copy, ValueEnum)]
enum RoleArgument {
    Api,
    Worker,
    All,
}

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Nothing is left to say when standard error is closed.
            let _ = error.print();
            return if error.use_stderr() {
                ExitCode::from(Failure::USAGE)
            } else {
                ExitCode::SUCCESS
            };
        }
    };
    match run(cli.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("chitram: {failure}");
            failure.exit_code()
        }
    }
}

fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Config { settings } => print(settings),
        Command::Telemetry => declarations(),
        Command::Migrate { settings } => runtime()?.block_on(migrate(settings)),
        Command::Serve { role, settings } => runtime()?.block_on(serve(role.into(), settings)),
    }
}

fn declarations() -> Result<(), Failure> {
    let dump = service::telemetry::declarations().to_json();
    writeln!(std::io::stdout(), "{dump:#}").map_err(Failure::internal)
}

async fn serve(role: Role, settings: Settings) -> Result<(), Failure> {
    let (config, _) = load(settings)?;
    let service = service::identity(&config.telemetry.environment);
    let registry = Registry::new(&service);
    let telemetry = observability::init(
        observability::Settings {
            service,
            logs: Logs {
                filter: config.telemetry.log_filter.clone(),
                ..Logs::default()
            },
            traces: config
                .telemetry
                .otlp_endpoint
                .clone()
                .map(|endpoint| Traces {
                    endpoint,
                    sample_ratio: config.telemetry.sample_ratio,
                }),
        },
        &registry,
    )
    .map_err(Failure::usage)?;
    let result = serve_until_told(role, &config, registry).await;
    telemetry.shutdown(Duration::from_secs(5)).await;
    result
}

async fn serve_until_told(role: Role, config: &Config, registry: Registry) -> Result<(), Failure> {
    let shutdown = shutdown_on_signals().map_err(Failure::internal)?;
    let api = if role.serves() {
        Some(bind("CHITRAM_LISTEN", config.http.listen).await?)
    } else {
        None
    };
    let admin = bind("CHITRAM_ADMIN_LISTEN", config.admin.listen).await?;
    let app = App::build(config, role, registry)
        .await
        .map_err(Failure::unavailable)?;
    tracing::info!(event.dataset = "chitram.process", role = ?role, "serving");
    app.run(Listeners { api, admin }, shutdown)
        .await
        .map_err(Failure::internal)?;
    tracing::info!(event.dataset = "chitram.process", "stopped");
    Ok(())
}

async fn migrate(settings: Settings) -> Result<(), Failure> {
    let (config, _) = load(settings)?;
    service::migrate(&config)
        .await
        .map_err(Failure::unavailable)?;
    println!("{} is up to date", config.catalog.url);
    Ok(())
}

fn print(settings: Settings) -> Result<(), Failure> {
    let (_, sources) = load(settings)?;
    for setting in sources.resolved() {
        let value = setting.shown.as_deref().unwrap_or("(unset)");
        println!(
            "{:<24} {:<30} {value}  ({})",
            setting.name, setting.variable, setting.origin
        );
    }
    Ok(())
}

fn load(settings: Settings) -> Result<(Config, Sources), Failure> {
    let mut sources =
        Sources::new(std::env::vars_os().filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        }));
    if let Some(file) = &settings.config {
        sources = sources.with_file(file).map_err(Failure::usage)?;
    }
    let mut sources = sources
        .with_flag("http.listen", "--listen", settings.listen)
        .with_flag("admin.listen", "--admin-listen", settings.admin_listen);
    let config = Config::load(&mut sources).map_err(Failure::usage)?;
    Ok((config, sources))
}

async fn bind(variable: &str, address: SocketAddr) -> Result<TcpListener, Failure> {
    TcpListener::bind(address).await.map_err(|error| {
        Failure::unavailable(format!(
            "can't listen on {address}: {error}; set {variable} to a free address"
        ))
    })
}

/// A token that the first of these signals cancels. The next one ends the process as it would any other.
fn shutdown_on_signals() -> std::io::Result<CancellationToken> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let shutdown = CancellationToken::new();
    let told = shutdown.clone();
    tokio::spawn(async move {
        let name = tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
            _ = hangup.recv() => "SIGHUP",
        };
        tracing::info!(event.dataset = "chitram.process", signal = name, "stopping");
        told.cancel();
    });
    Ok(shutdown)
}

fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(Failure::internal)
}

impl From<RoleArgument> for Role {
    fn from(argument: RoleArgument) -> Self {
        match argument {
            RoleArgument::Api => Self::Api,
            RoleArgument::Worker => Self::Worker,
            RoleArgument::All => Self::All,
        }
    }
}
