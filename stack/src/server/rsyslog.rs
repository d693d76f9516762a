//! rsyslog, the real one: it ships log files to Elasticsearch by `deploy/logs/rsyslog.conf`.

pub mod refused;
pub mod statistics;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::launch::{Launch, Running, start_on_ports};
use super::{Backend, Found, Source, find};
use crate::error::Error;
use crate::process::Spec;

/// The same for every place where logs are shipped; what differs comes by the environment.
const CONFIGURATION: &str = include_str!("../../../deploy/logs/rsyslog.conf");
/// It writes its queues and positions before it ends.
const GRACE: Duration = Duration::from_secs(10);

/// An rsyslogd that ships. Dropping it stops it.
#[derive(Debug)]
pub struct Rsyslog {
    /// The process.
    pub running: Running,
    /// What it keeps on disk.
    pub files: Files,
}

/// What is shipped where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shipment {
    /// The log files, as a glob that also matches their rotated names.
    pub logs: PathBuf,
    /// Elasticsearch's base URL, without a slash at its end.
    pub elasticsearch: String,
    /// A folder of its own for positions, queues and [`Files`]. Another process with the same folder goes on where this
    /// one ended.
    pub state: PathBuf,
}

/// The files by which it tells how it does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Files {
    /// Its counters, a JSON object a line, every second.
    pub statistics: PathBuf,
    /// Batches that Elasticsearch refused as a whole, with what it said.
    pub refused: PathBuf,
    /// What Elasticsearch refused even as plain text.
    pub undelivered: PathBuf,
}

impl Shipment {
    /// Where [`Files`] are.
    pub fn files(&self) -> Files {
        Files {
            statistics: self.state.join("statistics.ndjson"),
            refused: self.state.join("refused.ndjson"),
            undelivered: self.state.join("undelivered.ndjson"),
        }
    }
}

/// Whether this machine has it, with the module that speaks to Elasticsearch.
pub fn find() -> Backend {
    let program = find::on_path("rsyslogd").or_else(|| {
        // A user's PATH often lacks it.
        Some(PathBuf::from("/usr/sbin/rsyslogd")).filter(|program| find::is_program(program))
    });
    let found = program.filter(|_| has_module()).map(|program| Found {
        version: find::version_by(&program, "-v").unwrap_or_else(|| "unknown".to_owned()),
        source: Source::Program(program),
    });
    Backend {
        name: "rsyslog",
        role: "log shipping",
        install: "sudo apt-get install rsyslog rsyslog-elasticsearch",
        found,
    }
}

/// Modules lie in a folder of the library path: `/usr/lib/rsyslog`, `/usr/lib64/rsyslog`, or one for each architecture.
fn has_module() -> bool {
    let of_architectures = Path::new("/usr/lib").read_dir().into_iter().flatten();
    of_architectures
        .filter_map(|entry| Some(entry.ok()?.path()))
        .chain(["/usr/lib", "/usr/lib64"].map(PathBuf::from))
        .any(|folder| folder.join("rsyslog/omelasticsearch.so").is_file())
}

/// Starts it. It goes on where the last one with the same state ended.
pub async fn start(program: &Path, shipment: &Shipment, launch: &Launch) -> Result<Rsyslog, Error> {
    let files = shipment.files();
    let state = &shipment.state;
    fs::create_dir_all(state).map_err(Error::file("make the folder", state))?;
    let configuration = state.join("rsyslog.conf");
    fs::write(&configuration, CONFIGURATION).map_err(Error::file("write", &configuration))?;
    // Its first counters say that it has read its configuration; old ones must not.
    if files.statistics.exists() {
        fs::remove_file(&files.statistics).map_err(Error::file("remove", &files.statistics))?;
    }
    let spec = |_: &[u16], log: &Path| Ok(daemon(program, &configuration, shipment, log));
    let ready = async |_: &[u16]| statistics::read(&files.statistics).is_some();
    let listens_nowhere = Launch {
        port: 0,
        ..launch.clone()
    };
    let (running, _) = start_on_ports(&listens_nowhere, "rsyslog", 0, None, spec, ready).await?;
    Ok(Rsyslog { running, files })
}

/// No file holds its pid: one that a killed process left could name another process by now.
fn daemon(program: &Path, configuration: &Path, shipment: &Shipment, log: &Path) -> Spec {
    let files = shipment.files();
    let mut spec = Spec::new("rsyslog", program, log)
        .args(["-n", "-iNONE", "-f"])
        .args([configuration])
        .env("CHITRAM_LOGS_FILES", &shipment.logs)
        .env("CHITRAM_LOGS_STATE", &shipment.state)
        .env("CHITRAM_LOGS_STATISTICS", files.statistics)
        .env("CHITRAM_LOGS_REFUSED", files.refused)
        .env("CHITRAM_LOGS_UNDELIVERED", files.undelivered)
        .env("CHITRAM_ELASTICSEARCH_URL", &shipment.elasticsearch);
    spec.folder = Some(shipment.state.clone());
    spec.grace = GRACE;
    spec
}
