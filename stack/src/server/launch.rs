//! What starting a real server has in common: ports, log, waiting, another port when somebody was quicker.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::console;
use crate::error::Error;
use crate::net;
use crate::process::{Child, Launcher, Spec, sockets, spawn};
use crate::wait;

/// How long a server may take to become ready, on a loaded machine.
const READY_DEADLINE: Duration = Duration::from_mins(3);
/// Starts on free ports before giving up: a port was taken by somebody else between finding and binding it.
const ATTEMPTS: u32 = 5;

/// Who forks a server, where its log goes, on which port it listens.
#[derive(Debug, Clone)]
pub struct Launch {
    /// Sets the death signal.
    pub launcher: Launcher,
    /// The folder of its log; a temporary one when `None`.
    pub logs: Option<PathBuf>,
    /// The folder below which its data goes, unless another user runs it; the system's temporary one when `None`.
    pub data: Option<PathBuf>,
    /// Its main port; a free one when 0.
    pub port: u16,
}

impl Launch {
    /// For tests: a free port, the log in a temporary folder that is kept when the test fails.
    pub fn for_test() -> Result<Self, Error> {
        Ok(Self {
            launcher: Launcher::find()?,
            logs: None,
            data: None,
            port: 0,
        })
    }

    /// A new folder for the data of a server that runs as this user.
    pub(super) fn data_folder(&self, name: &str) -> Result<TempDir, Error> {
        self.data
            .as_deref()
            .map_or_else(|| temporary_folder(name), |parent| new_folder(name, parent))
    }
}

/// A started server with what it needs on disk. Dropping it stops the server, then removes its data.
#[derive(Debug)]
pub struct Running {
    child: Child,
    data: Option<TempDir>,
    log: TemporaryLog,
}

impl Running {
    /// The process.
    pub fn child(&self) -> &Child {
        &self.child
    }

    /// What it has on disk that goes with it.
    pub fn folders(&self) -> Vec<&Path> {
        [&self.data, &self.log.0]
            .into_iter()
            .flatten()
            .map(TempDir::path)
            .collect()
    }

    /// Hands over the process (to be supervised) and its data, which must live as long as it does.
    pub(crate) fn into_parts(self) -> (Child, Option<TempDir>) {
        (self.child, self.data)
    }
}

/// The log of a server that a test started: removed with it, unless the test fails.
#[derive(Debug)]
struct TemporaryLog(Option<TempDir>);

impl Drop for TemporaryLog {
    fn drop(&mut self) {
        if std::thread::panicking()
            && let Some(folder) = self.0.take()
        {
            console::note(&format!(
                "the server's log is in {}",
                folder.keep().display()
            ));
        }
    }
}

/// Starts `name` on `ports` free ports (the first is [`Launch::port`] if that is given), and waits until the process
/// itself listens on each and `ready` says so. `data` is removed when the server has stopped.
pub async fn start_on_ports(
    launch: &Launch,
    name: &str,
    ports: usize,
    data: Option<TempDir>,
    spec: impl Fn(&[u16], &Path) -> Result<Spec, Error>,
    ready: impl AsyncFn(&[u16]) -> bool,
) -> Result<(Running, Vec<u16>), Error> {
    let temporary = if launch.logs.is_none() {
        Some(temporary_folder(name)?)
    } else {
        None
    };
    let folder = launch
        .logs
        .as_deref()
        .or(temporary.as_ref().map(TempDir::path));
    let log = folder.unwrap_or(Path::new(".")).join(format!("{name}.log"));
    let began = Instant::now();
    for attempt in 1.. {
        let ports = choose_ports(launch.port, ports)?;
        let child = spawn(&launch.launcher, &spec(&ports, &log)?)?;
        let what = match wait_ready(&child, &ports, &ready).await {
            Ok(()) => {
                return Ok((
                    Running {
                        child,
                        data,
                        log: TemporaryLog(temporary),
                    },
                    ports,
                ));
            }
            Err(what) => what,
        };
        drop(child);
        // Its own sockets are closed now: a port that cannot be bound is somebody else's.
        let overtaken = ports.iter().any(|&port| net::check_free(port, "").is_err());
        if attempt == ATTEMPTS || !overtaken {
            temporary.map(TempDir::keep);
            return Err(Error::NotReady {
                name: name.to_owned(),
                what,
                waited: began.elapsed(),
                log,
            });
        }
    }
    unreachable!("the loop above returns")
}

async fn wait_ready(
    child: &Child,
    ports: &[u16],
    ready: &impl AsyncFn(&[u16]) -> bool,
) -> Result<(), String> {
    let pid = child.identity().pid;
    let answer = wait::until(READY_DEADLINE, async || {
        if let Some(status) = child.exited() {
            return Some(Err(format!("ended with {status} before it was ready")));
        }
        let listens = ports.iter().all(|&port| sockets::listens(pid, port));
        (listens && ready(ports).await).then_some(Ok(()))
    });
    answer
        .await
        .unwrap_or_else(|| Err("did not become ready".to_owned()))
}

fn choose_ports(first: u16, count: usize) -> Result<Vec<u16>, Error> {
    let mut ports = Vec::with_capacity(count);
    if first != 0 {
        ports.push(first);
    }
    while ports.len() < count {
        let port = net::free_port()?;
        if !ports.contains(&port) {
            ports.push(port);
        }
    }
    Ok(ports)
}

/// A folder for a server's data or log, for this user's eyes only.
pub(super) fn temporary_folder(name: &str) -> Result<TempDir, Error> {
    new_folder(name, &std::env::temp_dir())
}

fn new_folder(name: &str, parent: &Path) -> Result<TempDir, Error> {
    let prefix = format!("chitram-{name}-");
    let folder = tempfile::Builder::new()
        .prefix(&prefix)
        .permissions(Permissions::from_mode(0o700))
        .tempdir_in(parent);
    folder.map_err(Error::file("make a folder in", parent))
}

/// Whether a GET answers 200.
pub async fn answers_ok(url: &str) -> bool {
    let Ok(client) = net::http() else {
        return false;
    };
    client
        .get(url)
        .send()
        .await
        .is_ok_and(|answer| answer.status().is_success())
}
