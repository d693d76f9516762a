//! Children that cannot outlive us.
//!
//! Each child runs in a process group of its own, with a death signal: the kernel ends it when we end, however we end.
//! The death signal follows the *thread* that forked, not the process, so every child is forked by one thread that lives
//! as long as the process ([`spawner`]). [`Child`] stops its program in order (signal, deadline, SIGKILL to the group),
//! [`supervisor`] restarts what was not stopped by us, and follows orders.
//!
//! Standard input is always `/dev/null`, and no program of ours reads a meaning into it.

pub mod child;
pub mod exec;
pub mod identity;
pub mod launcher;
pub mod sockets;
pub mod spawner;
pub mod supervisor;

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use child::Child;
pub use identity::Identity;
pub use launcher::Launcher;
pub use rustix::process::Signal;
pub use spawner::spawn;
pub use supervisor::{Order, Refused, Remote, Status, Supervised, Supervision, supervise};

/// What to run, and how it ends.
#[derive(Debug, Clone)]
pub struct Spec {
    /// What messages and `stack.toml` call it, e.g. `service`.
    pub name: String,
    /// The program: a path, not a name to be looked up.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// Set on top of our own environment.
    pub env: Vec<(String, OsString)>,
    /// Its working folder; ours when `None`.
    pub folder: Option<PathBuf>,
    /// Where standard output and error go.
    pub output: Output,
    /// Whom it runs as; us when `None`.
    pub user: Option<User>,
    /// What the kernel sends it when we are gone.
    pub death_signal: Signal,
    /// What asks it to end.
    pub stop_signal: Signal,
    /// How long it may take to end after that, before SIGKILL.
    pub grace: Duration,
    /// The same once the person is in a hurry.
    pub hurried_grace: Duration,
}

/// Where a child's standard output and error go.
#[derive(Debug, Clone)]
pub enum Output {
    /// Both are appended to this file.
    Log(PathBuf),
    /// Both are ours: for programs that talk to the person.
    Inherit,
}

/// A user and its group, by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct User {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
}

impl Spec {
    /// A program with its output in the file `log`; SIGTERM asks it to end, SIGKILL ends it with us.
    pub fn new(name: &str, program: &Path, log: &Path) -> Self {
        Self {
            name: name.to_owned(),
            program: program.to_owned(),
            args: Vec::new(),
            env: Vec::new(),
            folder: None,
            output: Output::Log(log.to_owned()),
            user: None,
            death_signal: Signal::KILL,
            stop_signal: Signal::TERM,
            grace: Duration::from_secs(5),
            hurried_grace: Duration::from_secs(2),
        }
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<A: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args
            .extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.env.push((name.to_owned(), value.as_ref().to_owned()));
        self
    }

    /// The log file, if its output goes to one.
    pub fn log(&self) -> Option<&Path> {
        match &self.output {
            Output::Log(path) => Some(path),
            Output::Inherit => None,
        }
    }
}
