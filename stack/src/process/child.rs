//! A running child: its exit, its signals, its ordered end.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{Identity, Spec};
use crate::error::Error;

/// How long SIGKILL may take until the process is reaped (it may sit in the kernel, writing).
const KILL_DEADLINE: Duration = Duration::from_secs(10);

/// A child and its process group. Dropping it stops it: stop signal, [`Spec::grace`], SIGKILL.
#[derive(Debug)]
pub struct Child {
    spec: Spec,
    identity: Identity,
    pid: Pid,
    /// `true` until reaped: a signal is only sent under this lock, so it never reaches a stranger with a reused pid.
    running: Arc<Mutex<bool>>,
    exit: watch::Receiver<Option<ExitStatus>>,
}

impl Child {
    /// Takes over a process that was just forked into a group of its own.
    pub(super) fn new(mut process: std::process::Child, spec: Spec) -> Result<Self, Error> {
        let pid = Pid::from_child(&process);
        // Not reaped yet, so its entry in /proc exists even if it has already ended.
        let identity = Identity::of(process.id()).unwrap_or(Identity {
            pid: process.id(),
            start_time: 0,
        });
        let running = Arc::new(Mutex::new(true));
        let (exited, exit) = watch::channel(None);
        let reaper = {
            let running = Arc::clone(&running);
            move || {
                let status = reap(&mut process, pid, &running);
                exited.send_replace(Some(status));
            }
        };
        thread::Builder::new()
            .name(format!("wait-{}", spec.name))
            .spawn(reaper)
            .map_err(|source| {
                let _ = rustix::process::kill_process_group(pid, Signal::KILL);
                Error::io(
                    &format!("start a thread that waits for {}", spec.name),
                    source,
                )
            })?;
        Ok(Self {
            spec,
            identity,
            pid,
            running,
            exit,
        })
    }

    /// Its pid and start time.
    pub fn identity(&self) -> Identity {
        self.identity
    }

    /// What was started.
    pub fn spec(&self) -> &Spec {
        &self.spec
    }

    /// How it ended, once it has.
    pub fn exited(&self) -> Option<ExitStatus> {
        *self.exit.borrow()
    }

    /// Waits for its end. May be called again, and dropped at any time.
    pub async fn wait(&self) -> ExitStatus {
        let mut exit = self.exit.clone();
        match exit.wait_for(Option::is_some).await {
            Ok(status) => status.unwrap_or_else(unknown),
            Err(_) => unknown(), // the reaper sends before it ends
        }
    }

    /// Sends a signal to the program itself, not to its group. Nothing happens when it has ended.
    pub fn signal(&self, signal: Signal) {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if *running {
            let _ = rustix::process::kill_process(self.pid, signal);
        }
    }

    /// Asks it to end and waits for [`Spec::grace`], then SIGKILLs its group. When `hurry` is cancelled it is asked once
    /// more and has [`Spec::hurried_grace`]. Returns how it ended.
    pub async fn stop(&self, hurry: &CancellationToken) -> ExitStatus {
        self.signal(self.spec.stop_signal);
        tokio::select! {
            status = self.wait() => return status,
            () = tokio::time::sleep(self.spec.grace) => {}
            () = hurry.cancelled() => {
                self.signal(self.spec.stop_signal);
                if let Ok(status) = tokio::time::timeout(self.spec.hurried_grace, self.wait()).await {
                    return status;
                }
            }
        }
        self.kill();
        tokio::time::timeout(KILL_DEADLINE, self.wait())
            .await
            .unwrap_or_else(|_| unknown())
    }

    fn kill(&self) {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if *running {
            let _ = rustix::process::kill_process_group(self.pid, Signal::KILL);
        }
    }

    fn wait_blocking(&self, deadline: Duration) -> bool {
        let end = Instant::now() + deadline;
        while self.exited().is_none() && Instant::now() < end {
            thread::sleep(Duration::from_millis(2));
        }
        self.exited().is_some()
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if self.exited().is_some() {
            return;
        }
        self.signal(self.spec.stop_signal);
        if !self.wait_blocking(self.spec.grace) {
            self.kill();
            self.wait_blocking(KILL_DEADLINE);
        }
    }
}

/// Exit code 255: the kernel did not tell.
fn unknown() -> ExitStatus {
    ExitStatus::from_raw(255 << 8)
}

/// Waits without reaping, so that the pid stays the child's own while the rest of its group is ended; then reaps.
fn reap(process: &mut std::process::Child, pid: Pid, running: &Mutex<bool>) -> ExitStatus {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
    while let Err(rustix::io::Errno::INTR) = rustix::process::waitid(WaitId::Pid(pid), options) {}
    let mut running = running.lock().unwrap_or_else(PoisonError::into_inner);
    let _ = rustix::process::kill_process_group(pid, Signal::KILL);
    let status = process.wait().unwrap_or_else(|_| unknown());
    *running = false;
    status
}
