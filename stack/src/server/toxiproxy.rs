//! Toxiproxy, the real one.

use std::path::PathBuf;

use super::launch::{Launch, Running, answers_ok, start_on_ports};
use super::{Backend, Found, Source, find};
use crate::error::Error;
use crate::process::Spec;

/// A Toxiproxy that answers. Dropping it stops it, if it was started here.
#[derive(Debug)]
pub struct Toxiproxy {
    /// Its HTTP API, e.g. `http://127.0.0.1:8474`.
    pub url: String,
    /// The process; `None` when it was given by its URL.
    pub running: Option<Running>,
}

/// Whether this machine has it.
pub fn find() -> Backend {
    let found = Found::look("CHITRAM_TOXIPROXY_URL", || {
        find::on_path_or_cached("toxiproxy-server")
    });
    Backend {
        name: "Toxiproxy",
        role: "fault proxy",
        install: "scripts/backends (needs Go)",
        found,
    }
}

/// The official command-line client, which the conformance suite uses.
pub fn find_cli() -> Option<PathBuf> {
    find::on_path_or_cached("toxiproxy-cli")
}

/// Starts it, or takes the one that a URL names.
pub async fn start(found: &Found, launch: &Launch) -> Result<Toxiproxy, Error> {
    let program = match &found.source {
        Source::Url(url) => {
            return Ok(Toxiproxy {
                url: url.trim_end_matches('/').to_owned(),
                running: None,
            });
        }
        Source::Program(program) => program,
    };
    let spec = |ports: &[u16], log: &std::path::Path| {
        let args = ["-host", "127.0.0.1", "-port", &ports[0].to_string()];
        Ok(Spec::new("toxiproxy", program, log).args(args))
    };
    let ready =
        async |ports: &[u16]| answers_ok(&format!("http://127.0.0.1:{}/version", ports[0])).await;
    let (running, ports) = start_on_ports(launch, "toxiproxy", 1, None, spec, ready).await?;
    Ok(Toxiproxy {
        url: format!("http://127.0.0.1:{}", ports[0]),
        running: Some(running),
    })
}
