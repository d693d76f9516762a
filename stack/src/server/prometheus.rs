//! Prometheus 3, the real one, with its configuration written for one platform.

mod configuration;

use std::fs;
use std::path::Path;
use std::time::Duration;

use tempfile::TempDir;

use super::find::{self, Version};
use super::launch::{Launch, Running, answers_ok, start_on_ports};
use super::{Backend, Found, Source};
use crate::error::Error;
use crate::process::Spec;

/// Older ones read ranges, media types and `le` labels differently.
const LEAST: Version = (3, 0);
/// Longer than 30 days, so that a budget over 30 days is one.
const RETENTION: &str = "35d";
/// It writes what it has in memory when it stops.
const GRACE: Duration = Duration::from_secs(10);
/// Shown where a web interface is expected: `scripts/backends` builds it without.
const PAGE: &str = include_str!("prometheus/page.html");

/// A Prometheus that is ready. Dropping it stops it and removes its data, if it was started here.
#[derive(Debug)]
pub struct Prometheus {
    /// Its address, e.g. `http://127.0.0.1:9090`.
    pub url: String,
    /// The process; `None` when it was given by its URL.
    pub running: Option<Running>,
}

/// What it scrapes, evaluates and notifies.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How often it scrapes and evaluates rules.
    pub interval: Duration,
    /// What is scraped besides itself.
    pub targets: Vec<Target>,
    /// A folder in which programs register what is scraped, as `*.json` files for `file_sd` that name their job.
    pub registered: Option<std::path::PathBuf>,
    /// The base URL of the Alertmanager that it tells of alerts.
    pub alertmanager: Option<String>,
    /// Name and text of each rule file.
    pub rules: Vec<(String, String)>,
}

/// One program that serves `/metrics`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The label `job`.
    pub job: String,
    /// Its base URL: `/metrics` is added.
    pub url: String,
}

/// Whether this machine has it, in a version that can be used.
pub fn find() -> Backend {
    let found =
        Found::given("CHITRAM_PROMETHEUS_URL").or_else(|| Found::at_least("prometheus", LEAST));
    Backend {
        name: "Prometheus",
        role: "metrics",
        install: INSTALL,
        found,
    }
}

/// The tool that checks and tests rules.
pub fn find_promtool() -> Backend {
    Backend {
        name: "promtool",
        role: "rule checks",
        install: INSTALL,
        found: Found::at_least("promtool", LEAST),
    }
}

const INSTALL: &str = "scripts/backends (needs Go 1.26)";

/// A Prometheus on this machine that is not used since it is too old, in a sentence.
pub fn too_old() -> Option<String> {
    find::too_old("prometheus", LEAST)
}

/// Starts it with an empty database, or takes the one that `CHITRAM_PROMETHEUS_URL` names, whose configuration is its
/// owner's.
pub async fn start(
    found: &Found,
    launch: &Launch,
    settings: &Settings,
) -> Result<Prometheus, Error> {
    match &found.source {
        Source::Url(url) => Ok(Prometheus {
            url: url.trim_end_matches('/').to_owned(),
            running: None,
        }),
        Source::Program(program) => {
            let configuration = |port| configuration::of(settings, port);
            start_configured(program, launch, &configuration, &settings.rules, &[]).await
        }
    }
}

/// Starts it with an empty database and a configuration of the caller's own: `configuration` is given the port, and the
/// files of `rules` are in the folder `rules` beside it, which is the first of [`Running::folders`]. `arguments` come after
/// those that every Prometheus here gets.
pub async fn start_configured(
    program: &Path,
    launch: &Launch,
    configuration: &impl Fn(u16) -> Result<String, Error>,
    rules: &[(String, String)],
    arguments: &[String],
) -> Result<Prometheus, Error> {
    let home = launch.data_folder("prometheus")?;
    let folder = home.path().to_owned();
    write_files(&folder, rules)?;
    let spec = |port: u16, log: &Path| {
        write_configuration(&folder, &configuration(port)?)?;
        Ok(command(program, &folder, port, log, RETENTION).args(arguments))
    };
    launched(launch, home, spec).await
}

/// Starts it over the data in the folder `data` of `home`, however old they are. It scrapes nothing, so what was recorded stays
/// as it was. The folder is removed with it.
pub async fn start_over(
    program: &Path,
    launch: &Launch,
    home: TempDir,
) -> Result<Prometheus, Error> {
    let folder = home.path().to_owned();
    write_files(&folder, &[])?;
    write_configuration(&folder, "global: {}\n")?;
    let spec = |port: u16, log: &Path| Ok(command(program, &folder, port, log, "100y"));
    launched(launch, home, spec).await
}

async fn launched(
    launch: &Launch,
    home: TempDir,
    spec: impl Fn(u16, &Path) -> Result<Spec, Error>,
) -> Result<Prometheus, Error> {
    let spec = |ports: &[u16], log: &Path| spec(ports[0], log);
    let ready =
        async |ports: &[u16]| answers_ok(&format!("http://127.0.0.1:{}/-/ready", ports[0])).await;
    let (running, ports) = start_on_ports(launch, "prometheus", 1, Some(home), spec, ready).await?;
    Ok(Prometheus {
        url: format!("http://127.0.0.1:{}", ports[0]),
        running: Some(running),
    })
}

fn write_configuration(folder: &Path, text: &str) -> Result<(), Error> {
    let config = folder.join("prometheus.yml");
    fs::write(&config, text).map_err(Error::file("write", &config))
}

/// The rule files, and the page in the place from which a build without a web interface reads one.
fn write_files(folder: &Path, rules: &[(String, String)]) -> Result<(), Error> {
    let (own, page) = (folder.join("rules"), folder.join("static/mantine-ui"));
    for new in [&own, &page] {
        fs::create_dir_all(new).map_err(Error::file("make the folder", new))?;
    }
    let rules = rules
        .iter()
        .map(|(name, text)| (own.join(name), text.as_str()));
    for (path, text) in rules.chain([(page.join("index.html"), PAGE)]) {
        fs::write(&path, text).map_err(Error::file("write", &path))?;
    }
    Ok(())
}

fn command(program: &Path, folder: &Path, port: u16, log: &Path, retention: &str) -> Spec {
    let mut spec = Spec::new("prometheus", program, log).args([
        "--config.file=prometheus.yml".to_owned(),
        "--storage.tsdb.path=data".to_owned(),
        format!("--storage.tsdb.retention.time={retention}"),
        format!("--web.listen-address=127.0.0.1:{port}"),
        "--enable-feature=exemplar-storage,created-timestamp-zero-ingestion".to_owned(),
    ]);
    spec.folder = Some(folder.to_owned());
    spec.grace = GRACE;
    spec
}
