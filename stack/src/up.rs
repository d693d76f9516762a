//! `chitram-stack up`: the platform in the foreground until Ctrl-C.

use std::io::Write;
use std::path::PathBuf;

use crate::error::Error;
use crate::folder::Folder;
use crate::interrupt::Interrupts;
use crate::platform::{Platform, Ports, Take};
use crate::state::{Kind, State};

/// What the command line says.
#[derive(Debug)]
pub struct Options {
    /// The stack's folder.
    pub dir: PathBuf,
    /// Which servers play the parts.
    pub take: Take,
    /// Where people find things.
    pub ports: Ports,
}

/// Runs until the first interrupt, then stops everything in order.
pub async fn up(options: &Options, interrupts: &Interrupts) -> Result<(), Error> {
    let folder = Folder::claim(&options.dir).await?;
    let platform = Platform::start(folder, options.take, options.ports, interrupts).await?;
    print_addresses(&platform.state());
    interrupts.stop.cancelled().await;
    platform.stop(&interrupts.hurry).await;
    Ok(())
}

/// Where everything is and who plays it, for a person, on standard output.
pub(crate) fn print_addresses(state: &State) {
    let endpoints = &state.endpoints;
    let places = [
        ("API", &endpoints.api, "/v1/images"),
        ("metrics", &endpoints.admin, "/metrics"),
        ("readiness", &endpoints.admin, "/ready"),
        ("traces", &endpoints.jaeger, "/api/services"),
        ("fault proxy", &endpoints.toxiproxy, "/proxies"),
        (
            "logs",
            &endpoints.elasticsearch,
            "/logs-chitram-default/_search",
        ),
    ];
    let places = places
        .iter()
        .filter_map(|(what, url, path)| Some(format!("{what:<12} {}{path}", url.as_ref()?)));
    let players = state.servers.iter().map(|server| {
        let role = serde_json::to_value(server.role).unwrap_or_default();
        let kind = if server.kind == Kind::Real {
            "real"
        } else {
            "stand-in"
        };
        let role = role.as_str().unwrap_or_default();
        format!("{role:<12} {} {} ({kind})", server.name, server.version)
    });
    let lines: Vec<String> = places.chain(players).collect();
    // A closed pipe is no reason to stop the platform.
    let _ = writeln!(
        std::io::stdout(),
        "{}\nCtrl-C stops everything",
        lines.join("\n")
    );
}
