//! The load generator as a child: it installs signal handlers of its own, and a Ctrl-C at the terminal must reach only
//! the process that knows in which order things end.

pub mod due;
pub mod tail;

use std::ffi::OsString;
use std::io::{self, BufRead as _, BufReader};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use rustix::process::Signal;
use tokio::sync::watch;

use crate::exit::Refusal;
use crate::process;

/// How long it may take to receive what is in flight and write its result.
const STOP_DEADLINE: Duration = Duration::from_secs(15);

/// What is sent, and where its events go.
#[derive(Clone, Debug)]
pub struct Order {
    /// The plan: a name that the generator knows, or a file.
    pub plan: OsString,
    /// The service.
    pub target: String,
    /// Where it writes what happens.
    pub events: PathBuf,
    /// Seconds before the measured part.
    pub warm_up_s: u64,
    /// Seconds of the measured part: longer than it will take, since it is told when to stop.
    pub seconds: u64,
    /// `run.id`.
    pub run_id: String,
    /// `experiment.id`.
    pub experiment: String,
    /// Pictures to upload instead of made ones.
    pub pictures: Option<PathBuf>,
    /// Where it registers its `/metrics`.
    pub targets: PathBuf,
}

impl Order {
    fn args(&self) -> Vec<OsString> {
        let text = |value: &str| OsString::from(value);
        let mut args = vec![text("run"), self.plan.clone(), text("--requests")];
        let seconds = self.seconds.to_string();
        let warm_up = self.warm_up_s.to_string();
        for (option, value) in [
            ("--target", self.target.as_ref()),
            ("--events", self.events.as_os_str()),
            ("--seconds", seconds.as_ref()),
            ("--warmup", warm_up.as_ref()),
            ("--run-id", self.run_id.as_ref()),
            ("--experiment-id", self.experiment.as_ref()),
            ("--targets-dir", self.targets.as_os_str()),
            ("--progress", "none".as_ref()),
        ] {
            args.extend([text(option), value.to_owned()]);
        }
        args.extend(
            self.pictures
                .iter()
                .flat_map(|dir| [text("--pictures"), dir.clone().into_os_string()]),
        );
        args
    }
}

/// How it ended.
#[derive(Clone, Debug)]
pub struct Ended {
    /// `exit status: 1`, or why it did not start.
    pub status: String,
    /// The last line that it wrote to stderr.
    pub last_line: String,
}

impl Ended {
    /// For a sentence: how it ended and what it said.
    pub fn words(&self) -> String {
        if self.last_line.is_empty() {
            self.status.clone()
        } else {
            format!("{}: {}", self.status, self.last_line)
        }
    }
}

/// A running generator. Dropping it kills what is left of it.
#[derive(Debug)]
pub struct Generator {
    pid: u32,
    ended: watch::Receiver<Option<Ended>>,
}

impl Generator {
    /// Starts it, tied to this process's life by `chitram-stack exec`.
    ///
    /// The death signal follows the *thread* that spawns, so that thread stays until the child has ended.
    pub fn start(order: &Order) -> Result<Self, Refusal> {
        let mut command = Command::new(program("chitram-stack"));
        command.args(["exec", "--parent", &std::process::id().to_string(), "--"]);
        command.arg(program("chitram-load")).args(order.args());
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .process_group(0);
        let (started, pid) = mpsc::channel();
        let (end, ended) = watch::channel(None);
        thread::Builder::new()
            .name("load generator".into())
            .spawn(move || watch_over(command, &started, &end))
            .map_err(|error| {
                Refusal::internal(format!("no thread for the load generator: {error}"))
            })?;
        let failed = |error: &io::Error| {
            Refusal::internal(format!(
                "chitram-stack could not be started: {error}; build the workspace"
            ))
        };
        match pid.recv() {
            Ok(Ok(pid)) => Ok(Self { pid, ended }),
            Ok(Err(error)) => Err(failed(&error)),
            Err(_) => Err(failed(&io::Error::other("its thread ended"))),
        }
    }

    /// How it ended, if it did.
    pub fn ended(&self) -> Option<Ended> {
        self.ended.borrow().clone()
    }

    /// Asks it to stop and waits; kills it when it takes too long. `quick` shortens the wait.
    pub async fn stop(&mut self, quick: bool) {
        if self.ended().is_some() {
            return;
        }
        process::send(self.pid, Signal::TERM);
        let deadline = if quick {
            STOP_DEADLINE / 10
        } else {
            STOP_DEADLINE
        };
        let gone = self.ended.wait_for(Option::is_some);
        if tokio::time::timeout(deadline, gone).await.is_err() {
            process::send_group(self.pid, Signal::KILL);
            let _ = tokio::time::timeout(STOP_DEADLINE, self.ended.wait_for(Option::is_some)).await;
        }
    }
}

impl Drop for Generator {
    fn drop(&mut self) {
        if self.ended().is_none() {
            process::send_group(self.pid, Signal::KILL);
        }
    }
}

fn watch_over(
    mut command: Command,
    started: &mpsc::Sender<io::Result<u32>>,
    end: &watch::Sender<Option<Ended>>,
) {
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => {
            let _ = started.send(Err(error));
            return;
        }
    };
    let _ = started.send(Ok(child.id()));
    let mut last_line = String::new();
    for line in child
        .stderr
        .take()
        .into_iter()
        .flat_map(|stderr| BufReader::new(stderr).lines())
        .map_while(Result::ok)
    {
        if !line.trim().is_empty() {
            last_line = line;
        }
    }
    let status = child
        .wait()
        .map_or_else(|error| error.to_string(), |status| status.to_string());
    end.send_replace(Some(Ended { status, last_line }));
}

/// A program that is installed beside this one, else one on the PATH.
fn program(name: &str) -> PathBuf {
    let beside = std::env::current_exe()
        .ok()
        .and_then(|own| own.parent().map(|folder| folder.join(name)));
    beside
        .filter(|path| path.is_file())
        .unwrap_or_else(|| Path::new(name).to_owned())
}
