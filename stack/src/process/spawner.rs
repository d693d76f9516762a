//! The one thread that forks.
//!
//! A death signal is sent when the *thread* that forked the child ends. A child forked by a test's or a runtime's worker
//! thread would die with that thread, so all are forked by one thread that nothing ever ends.

use std::fs::OpenOptions;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::{io, thread};

use super::{Child, Launcher, Output, Spec};
use crate::error::Error;

/// Starts a child in a process group of its own, with its death signal. Dropping the handle stops it.
pub fn spawn(launcher: &Launcher, spec: &Spec) -> Result<Child, Error> {
    if !spec.program.is_file() {
        return Err(Error::Unavailable(format!(
            "{} does not exist, so {} cannot start",
            spec.program.display(),
            spec.name
        )));
    }
    let mut command = launcher.command(spec)?;
    command.envs(spec.env.iter().map(|(name, value)| (name, value)));
    if let Some(folder) = &spec.folder {
        command.current_dir(folder);
    }
    command.stdin(Stdio::null()).process_group(0);
    if let Output::Log(path) = &spec.output {
        let log = OpenOptions::new().create(true).append(true).open(path);
        let log =
            log.map_err(|source| Error::io(&format!("open the log {}", path.display()), source))?;
        let copy = log
            .try_clone()
            .map_err(|source| Error::io(&format!("open the log {}", path.display()), source))?;
        command.stdout(log).stderr(copy);
    }
    let child =
        fork(command).map_err(|source| Error::io(&format!("start {}", spec.name), source))?;
    Child::new(child, spec.clone())
}

struct Job {
    command: Command,
    reply: SyncSender<io::Result<std::process::Child>>,
}

fn fork(command: Command) -> io::Result<std::process::Child> {
    let (reply, answer) = sync_channel(1);
    let gone = || io::Error::other("the spawner thread is gone");
    jobs()?.send(Job { command, reply }).map_err(|_| gone())?;
    answer.recv().map_err(|_| gone())?
}

fn jobs() -> io::Result<&'static SyncSender<Job>> {
    static JOBS: OnceLock<Option<SyncSender<Job>>> = OnceLock::new();
    JOBS.get_or_init(|| {
        let (jobs, inbox) = sync_channel(16);
        thread::Builder::new()
            .name("spawner".to_owned())
            .spawn(move || fork_forever(&inbox))
            .ok()?;
        Some(jobs)
    })
    .as_ref()
    .ok_or_else(|| io::Error::other("the spawner thread cannot be started"))
}

fn fork_forever(inbox: &Receiver<Job>) {
    while let Ok(Job { mut command, reply }) = inbox.recv() {
        // A caller that no longer waits for the answer has no handle to stop the child with: stop it here.
        if let Err(unwanted) = reply.send(command.spawn())
            && let Ok(mut child) = unwanted.0
        {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
