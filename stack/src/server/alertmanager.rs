//! Alertmanager, the real one, alone (no cluster).

use std::fs;
use std::path::{Path, PathBuf};

use super::find::{self, Version};
use super::launch::{Launch, Running, answers_ok, start_on_ports};
use super::{Backend, Found, Source};
use crate::error::Error;
use crate::process::Spec;

/// The first that reads a webhook's URL from a file.
const LEAST: Version = (0, 26);
const INSTALL: &str = "scripts/backends (needs Go 1.26)";

/// An Alertmanager that is ready. Dropping it stops it and removes its data, if it was started here.
#[derive(Debug)]
pub struct Alertmanager {
    /// Its address, e.g. `http://127.0.0.1:9093`.
    pub url: String,
    /// The process; `None` when it was given by its URL.
    pub running: Option<Running>,
}

/// Whether this machine has it, in a version that can be used.
pub fn find() -> Backend {
    let found =
        Found::given("CHITRAM_ALERTMANAGER_URL").or_else(|| Found::at_least("alertmanager", LEAST));
    Backend {
        name: "Alertmanager",
        role: "alerts",
        install: INSTALL,
        found,
    }
}

/// The tool that checks its configuration.
pub fn find_amtool() -> Backend {
    Backend {
        name: "amtool",
        role: "route checks",
        install: INSTALL,
        found: Found::at_least("amtool", LEAST),
    }
}

/// An Alertmanager on this machine that is not used since it is too old, in a sentence.
pub fn too_old() -> Option<String> {
    find::too_old("alertmanager", LEAST)
}

/// Starts it with the configuration `routes`, or takes the one that `CHITRAM_ALERTMANAGER_URL` names, whose configuration
/// is its owner's. `webhook` is the URL in the file `webhook-url`, which webhooks of the configuration name (`url_file`).
pub async fn start(
    found: &Found,
    launch: &Launch,
    routes: &str,
    webhook: &str,
) -> Result<Alertmanager, Error> {
    let program = match &found.source {
        Source::Url(url) => {
            return Ok(Alertmanager {
                url: url.trim_end_matches('/').to_owned(),
                running: None,
            });
        }
        Source::Program(program) => program,
    };
    let home = launch.data_folder("alertmanager")?;
    let folder = home.path().to_owned();
    for (name, text) in [("alertmanager.yml", routes), ("webhook-url", webhook)] {
        let path: PathBuf = folder.join(name);
        fs::write(&path, text).map_err(Error::file("write", &path))?;
    }
    let spec = |ports: &[u16], log: &Path| Ok(command(program, &folder, ports[0], log));
    let ready =
        async |ports: &[u16]| answers_ok(&format!("http://127.0.0.1:{}/-/ready", ports[0])).await;
    let (running, ports) =
        start_on_ports(launch, "alertmanager", 1, Some(home), spec, ready).await?;
    Ok(Alertmanager {
        url: format!("http://127.0.0.1:{}", ports[0]),
        running: Some(running),
    })
}

/// Its working folder is that of its configuration: `url_file` is looked up from there.
fn command(program: &Path, folder: &Path, port: u16, log: &Path) -> Spec {
    let mut spec = Spec::new("alertmanager", program, log).args([
        "--config.file=alertmanager.yml".to_owned(),
        "--storage.path=data".to_owned(),
        format!("--web.listen-address=127.0.0.1:{port}"),
        // Empty: no cluster, so no second port.
        "--cluster.listen-address=".to_owned(),
    ]);
    spec.folder = Some(folder.to_owned());
    spec
}
