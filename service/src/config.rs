//! Everything that can be set, one struct for each concern, validated before a port is opened.
//!
//! A value comes from, in this order: a flag of the command line, its environment variable, the configuration file, its
//! default. Past this module nothing holds an unparsed text.

mod source;
mod store;
mod value;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use observability::guard::Hosts;

pub use self::source::{ConfigError, Origin, Resolved, Sources};
pub use self::store::{S3Config, StoreConfig, StoreLocation};
use self::value::{bytes, duration, on_off, ratio, read, whole};
use crate::catalog::CatalogUrl;

/// The configuration of a process.
#[derive(Debug, Clone)]
pub struct Config {
    /// The API listener.
    pub http: HttpConfig,
    /// The admin listener.
    pub admin: AdminConfig,
    /// The catalog.
    pub catalog: CatalogConfig,
    /// The object store.
    pub store: StoreConfig,
    /// Uploads on their way into the store.
    pub uploads: UploadConfig,
    /// The CPU pool.
    pub renders: RenderConfig,
    /// The job worker.
    pub jobs: JobsConfig,
    /// Logs and traces.
    pub telemetry: TelemetryConfig,
}

/// The API listener and the bounds of its requests.
#[derive(Debug, Clone)]
pub struct HttpConfig {
    /// `CHITRAM_LISTEN`, default 127.0.0.1:8080; port 0 takes a free one.
    pub listen: SocketAddr,
    /// `CHITRAM_REQUEST_DEADLINE`: time until the head of an answer must be ready, default 30 s.
    pub deadline: Duration,
    /// `CHITRAM_REQUEST_CONCURRENCY`: requests other than uploads that are worked on at the same time, default
    /// 512.
    pub concurrency: usize,
    /// `CHITRAM_HOSTS`: hosts that requests may name besides `localhost`, `127.0.0.0/8` and `[::1]`, separated by commas and
    /// without ports, on both listeners; default none. What a container or a proxy calls the service belongs here.
    pub hosts: Hosts,
    /// `CHITRAM_SEND_TIMEOUT`: the period over which a client must take its answer at the least rate, default 30 s; one that
    /// takes nothing for as long is cut off too.
    pub send_timeout: Duration,
    /// `CHITRAM_SEND_RATE`: the least rate in bytes a second, default 1 KiB.
    pub send_rate: u64,
    /// `CHITRAM_ANSWER_BYTES`: memory that renders may take together until their clients have taken them, default 256 MiB.
    pub answer_bytes: u64,
    /// `CHITRAM_ORIGINAL_BYTES`: memory that requests may take together for whole originals, default 256 MiB.
    pub original_bytes: u64,
    /// `CHITRAM_DRAIN`: time that requests under way get at shutdown, default 10 s.
    pub drain: Duration,
}

/// The admin listener: health, metrics, log level.
#[derive(Debug, Clone)]
pub struct AdminConfig {
    /// `CHITRAM_ADMIN_LISTEN`, default 127.0.0.1:8081.
    pub listen: SocketAddr,
}

/// The catalog.
#[derive(Debug, Clone)]
pub struct CatalogConfig {
    /// `CHITRAM_CATALOG_URL`, default `sqlite://.chitram/catalog.db`.
    pub url: CatalogUrl,
    /// `CHITRAM_MIGRATE`: whether the start brings an older schema up to date, default on.
    pub migrate: bool,
}

/// Uploads on their way into the store.
#[derive(Debug, Clone)]
pub struct UploadConfig {
    /// `CHITRAM_SPOOL_DIR`: where unfinished uploads lie, default `.chitram/spool`.
    pub spool_dir: PathBuf,
    /// `CHITRAM_SPOOL_BYTES`: the disk space they may take together, default 256 MiB.
    pub spool_bytes: u64,
    /// `CHITRAM_UPLOAD_BYTES`: the largest upload, default 25 MB.
    pub max_bytes: u64,
    /// `CHITRAM_UPLOAD_DEADLINE`: time until the answer, default 120 s.
    pub deadline: Duration,
    /// `CHITRAM_UPLOAD_CONCURRENCY`: uploads that are taken at the same time, default 128.
    pub concurrency: usize,
    /// `CHITRAM_UPLOAD_RATE`: the least rate of a body in bytes a second on average, default 1 KiB.
    pub rate: u64,
    /// `CHITRAM_UPLOAD_GRACE`: time until the least rate counts, default 10 s.
    pub grace: Duration,
    /// `CHITRAM_UPLOAD_IDLE_TIMEOUT`: the longest pause of a body, default 10 s.
    pub idle_timeout: Duration,
}

/// The CPU pool.
#[derive(Debug, Clone)]
pub struct RenderConfig {
    /// `CHITRAM_CPU_THREADS`, default as many as there are cores.
    pub threads: usize,
    /// `CHITRAM_DECODED_BYTES`: what decoded pictures may take together, default 256 MiB.
    pub decoded_bytes: u64,
    /// `CHITRAM_CPU_WAIT`: the longest wait for the pool, default 2 s.
    pub wait: Duration,
    /// `CHITRAM_CPU_QUEUE`: how much work may wait for it, default 64.
    pub queue: usize,
}

/// The job worker.
#[derive(Debug, Clone)]
pub struct JobsConfig {
    /// `CHITRAM_JOB_CONCURRENCY`: jobs worked on at the same time, default 2.
    pub concurrency: usize,
}

/// Logs and traces.
#[derive(Debug, Clone)]
pub struct TelemetryConfig {
    /// `CHITRAM_ENVIRONMENT`: a name for where this runs, default `local`.
    pub environment: String,
    /// `RUST_LOG`: which log lines are written, default `info`.
    pub log_filter: String,
    /// `OTEL_EXPORTER_OTLP_ENDPOINT`: where spans go, by OTLP gRPC; unset, nowhere.
    pub otlp_endpoint: Option<String>,
    /// `OTEL_TRACES_SAMPLER_ARG`: the share of requests without a sampled parent that is traced, default 0.1.
    pub sample_ratio: f64,
}

impl Config {
    /// Takes every setting from `sources`, which afterwards know where each came from.
    pub fn load(sources: &mut Sources) -> Result<Self, ConfigError> {
        let config = Self {
            http: HttpConfig {
                listen: sources.get("http.listen", "127.0.0.1:8080", loopback)?,
                deadline: sources.get("http.deadline", "30s", duration)?,
                concurrency: sources.get("http.concurrency", "512", whole)?,
                original_bytes: sources.get("http.original_bytes", "256MiB", bytes)?,
                hosts: sources
                    .get_optional("http.hosts", read)?
                    .unwrap_or_default(),
                send_timeout: sources.get("http.send_timeout", "30s", duration)?,
                send_rate: sources.get("http.send_rate", "1KiB", bytes)?,
                answer_bytes: sources.get("http.answer_bytes", "256MiB", bytes)?,
                drain: sources.get("http.drain", "10s", duration)?,
            },
            admin: AdminConfig {
                listen: sources.get("admin.listen", "127.0.0.1:8081", loopback)?,
            },
            catalog: CatalogConfig {
                url: sources.get_shown(
                    "catalog.url",
                    "sqlite://.chitram/catalog.db",
                    read,
                    ToString::to_string,
                )?,
                migrate: sources.get("catalog.migrate", "on", on_off)?,
            },
            store: StoreConfig::load(sources)?,
            uploads: UploadConfig {
                spool_dir: sources.get("uploads.spool_dir", ".chitram/spool", read)?,
                spool_bytes: sources.get("uploads.spool_bytes", "256MiB", bytes)?,
                max_bytes: sources.get("uploads.max_bytes", "25MB", bytes)?,
                deadline: sources.get("uploads.deadline", "120s", duration)?,
                concurrency: sources.get("uploads.concurrency", "128", whole)?,
                rate: sources.get("uploads.rate", "1KiB", bytes)?,
                grace: sources.get("uploads.grace", "10s", duration)?,
                idle_timeout: sources.get("uploads.idle_timeout", "10s", duration)?,
            },
            renders: RenderConfig {
                threads: sources.get("renders.threads", &cores(), whole)?,
                decoded_bytes: sources.get("renders.decoded_bytes", "256MiB", bytes)?,
                wait: sources.get("renders.wait", "2s", duration)?,
                queue: sources.get("renders.queue", "64", whole)?,
            },
            jobs: JobsConfig {
                concurrency: sources.get("jobs.concurrency", "2", whole)?,
            },
            telemetry: TelemetryConfig {
                environment: sources.get("telemetry.environment", "local", read)?,
                log_filter: sources.get("telemetry.log_filter", "info", read)?,
                otlp_endpoint: sources
                    .get_optional("telemetry.otlp_endpoint", value::http_url)?
                    .map(String::from),
                sample_ratio: sources.get("telemetry.sample_ratio", "0.1", ratio)?,
            },
        };
        Ok(config)
    }
}

fn cores() -> String {
    std::thread::available_parallelism()
        .map_or(1, usize::from)
        .to_string()
}

/// Until there are API keys, whoever reaches a listener may do everything, so none listens beyond this machine.
fn loopback(text: &str) -> Result<SocketAddr, String> {
    let address: SocketAddr = text
        .parse()
        .map_err(|_| "it is not an address with a port, such as 127.0.0.1:8080".to_owned())?;
    if address.ip().is_loopback() {
        Ok(address)
    } else {
        Err("other machines could reach it, and no API keys are configured to guard it; listen on 127.0.0.1 or [::1]"
            .to_owned())
    }
}
