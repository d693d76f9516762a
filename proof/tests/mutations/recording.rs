//! The recording that `scripts/proof-mutations` makes, before a real Prometheus that scrapes nothing.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;
use stack::server::prometheus::{self, Prometheus};
use stack::server::{Launch, Source};

/// A stretch of time in the recording.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Window {
    pub(crate) name: String,
    /// Unix seconds.
    pub(crate) from: f64,
    /// Unix seconds.
    pub(crate) to: f64,
    /// The load generator's result, if the load was measured.
    pub(crate) truth: Option<PathBuf>,
    /// Faults and loads that were there.
    pub(crate) under: Vec<String>,
}

/// The recording, served.
pub(crate) struct Recording {
    server: Prometheus,
    windows: Vec<Window>,
}

impl Recording {
    /// Serves a copy of the recording that `CHITRAM_RECORDING` names.
    pub(crate) fn start() -> Self {
        let folder = std::env::var_os("CHITRAM_RECORDING")
            .map(PathBuf::from)
            .expect("needs CHITRAM_RECORDING: run make proof-mutations, which records");
        let windows = windows(&folder);
        let home = tempfile::tempdir().unwrap();
        let copied = Command::new("cp")
            .arg("-r")
            .arg(folder.join("data"))
            .arg(home.path())
            .status();
        assert!(copied.unwrap().success(), "the recording can't be copied");
        let found = prometheus::find().found;
        let found = found.expect("needs Prometheus: make backends");
        let Source::Program(program) = found.source else {
            panic!("needs a Prometheus of its own, not one given by its URL");
        };
        let launch = Launch::for_test().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let started = prometheus::start_over(&program, &launch, home);
        Self {
            server: runtime.block_on(started).unwrap(),
            windows,
        }
    }

    pub(crate) fn url(&self) -> &str {
        &self.server.url
    }

    pub(crate) fn windows(&self) -> &[Window] {
        &self.windows
    }

    pub(crate) fn window(&self, name: &str) -> &Window {
        let mut windows = self.windows.iter();
        windows.find(|window| window.name == name).unwrap()
    }
}

fn windows(folder: &Path) -> Vec<Window> {
    let text = fs::read_to_string(folder.join("windows.ndjson")).unwrap();
    let window = |line: &str| {
        let mut window: Window = serde_json::from_str(line).unwrap();
        window.truth = window.truth.map(|file| folder.join(file));
        window
    };
    text.lines().map(window).collect()
}
