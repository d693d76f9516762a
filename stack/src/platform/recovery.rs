//! Chaos runs in this folder: rolled back when their owner died, asked to end before everything else does.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Pid, Signal};
use serde::Deserialize;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use super::Context;
use super::part::Part;
use crate::console;
use crate::process::{Identity, Launcher, Spec, spawn};
use crate::wait;

/// How often the lock is looked at.
const INTERVAL: Duration = Duration::from_secs(1);
/// Attempts to recover one dead run, before only the command to type is left.
const ATTEMPTS: u32 = 3;
/// How long a recovery may take: it has a patience of its own, which is shorter also when it restarts a Toxiproxy.
const RECOVER_DEADLINE: Duration = Duration::from_mins(2);
/// How long a run may take to roll back when everything is stopped; and when the person is in a hurry.
const ROLLBACK_DEADLINE: Duration = Duration::from_mins(2);
const HURRIED_ROLLBACK_DEADLINE: Duration = Duration::from_secs(15);

/// `chaos.lock`: who runs experiments here.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct Lock {
    #[serde(flatten)]
    owner: Identity,
    run_id: String,
}

pub(super) struct Recovery {
    folder: PathBuf,
    log: PathBuf,
    chaos: PathBuf,
    launcher: Launcher,
    /// The dead run that was tried last, and how many times. Held while recovering, so that only one does.
    tried: Mutex<Option<(Lock, u32)>>,
}

/// Looks at the lock until shutdown.
pub(super) fn watch(recovery: &Arc<Recovery>) -> Part {
    let recovery = Arc::clone(recovery);
    Part::task("the watch over chaos runs", |shutdown| async move {
        while shutdown
            .run_until_cancelled(tokio::time::sleep(INTERVAL))
            .await
            .is_some()
        {
            shutdown
                .run_until_cancelled(recovery.recover_if_orphaned())
                .await;
        }
        Ok(())
    })
}

impl Recovery {
    pub(super) fn new(context: &Context) -> Self {
        Self {
            folder: context.folder.path().to_owned(),
            log: context.folder.logs().join("recover.log"),
            chaos: context.programs.chaos.clone(),
            launcher: context.launcher.clone(),
            tried: Mutex::new(None),
        }
    }

    /// Runs `chitram-chaos recover` when the lock's owner is gone.
    pub(super) async fn recover_if_orphaned(&self) {
        let mut tried = self.tried.lock().await;
        let Some(lock) = self.lock().filter(|lock| !lock.owner.is_alive()) else {
            return;
        };
        let attempt = match &*tried {
            Some((last, attempts)) if *last == lock => attempts + 1,
            _ => 1,
        };
        if attempt > ATTEMPTS {
            return;
        }
        *tried = Some((lock.clone(), attempt));
        console::note(&format!(
            "the chaos run {} died (pid {}): rolling its fault back",
            lock.run_id, lock.owner.pid
        ));
        if let Err(what) = self.recover().await {
            let (folder, log) = (self.folder.display(), self.log.display());
            console::note(&format!(
                "chitram-chaos recover {what}; see {log}, then run: chitram-chaos recover --dir {folder}"
            ));
        }
    }

    async fn recover(&self) -> Result<(), String> {
        let spec = Spec::new("recover", &self.chaos, &self.log);
        let spec = spec.args([
            "recover".as_ref(),
            "--dir".as_ref(),
            self.folder.as_os_str(),
        ]);
        let child =
            spawn(&self.launcher, &spec).map_err(|error| format!("did not start: {error}"))?;
        match tokio::time::timeout(RECOVER_DEADLINE, child.wait()).await {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(format!("ended with {status}")),
            Err(_) => Err("did not end".to_owned()),
        }
    }

    /// Asks a run that is still alive to end, and waits until it has rolled back; then recovers it if it died instead.
    pub(super) async fn stop_owner(&self, hurry: &CancellationToken) {
        if let Some(owner) = self
            .lock()
            .map(|lock| lock.owner)
            .filter(Identity::is_alive)
        {
            interrupt(owner);
            let gone = async || (!owner.is_alive()).then_some(());
            tokio::select! {
                _ = wait::until(ROLLBACK_DEADLINE, gone) => {}
                () = hurry.cancelled() => {
                    interrupt(owner);
                    wait::until(HURRIED_ROLLBACK_DEADLINE, gone).await;
                }
            }
        }
        self.recover_if_orphaned().await;
    }

    fn lock(&self) -> Option<Lock> {
        serde_json::from_str(&fs::read_to_string(self.folder.join("chaos.lock")).ok()?).ok()
    }
}

fn interrupt(owner: Identity) {
    if let Some(pid) = i32::try_from(owner.pid).ok().and_then(Pid::from_raw) {
        let _ = rustix::process::kill_process(pid, Signal::INT);
    }
}
