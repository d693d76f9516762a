//! Restarts what we did not stop ourselves.

use std::time::{Duration, Instant};

use futures::future::BoxFuture;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{Child, Identity, Launcher, spawn};
use crate::console;

/// The first wait before a restart; doubled by each one that follows.
const FIRST_BACKOFF: Duration = Duration::from_millis(100);
/// The longest wait before a restart, so a program that cannot run costs one attempt in this time.
const LONGEST_BACKOFF: Duration = Duration::from_secs(5);
/// A child that ran this long was healthy: the next restart begins with the first backoff again.
const HEALTHY_AFTER: Duration = Duration::from_secs(30);

/// Which process plays the part now, and how many times it was restarted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status {
    /// The process that runs now, or ran last.
    pub identity: Identity,
    /// Restarts since the first start.
    pub restarts: u32,
}

/// A child that is restarted whenever it ends by itself. Dropping the handle stops it (without waiting for it).
#[derive(Debug)]
pub struct Supervised {
    status: watch::Receiver<Status>,
    stop: watch::Sender<Option<CancellationToken>>,
    task: JoinHandle<()>,
    _stop_on_drop: DropGuard,
}

/// What is done after each restart, e.g. to fill a restarted proxy again.
pub type OnRestart = Box<dyn Fn(Status) -> BoxFuture<'static, ()> + Send + Sync>;

/// Takes over a running child. Its restarts use the same [`super::Spec`], so the same port.
pub fn supervise(launcher: Launcher, child: Child, on_restart: OnRestart) -> Supervised {
    let (publish, status) = watch::channel(Status {
        identity: child.identity(),
        restarts: 0,
    });
    let (stop, stopped) = watch::channel(None);
    let dropped = CancellationToken::new();
    let watcher = Watcher {
        launcher,
        publish,
        stopped,
        dropped: dropped.clone(),
        on_restart,
    };
    Supervised {
        status,
        stop,
        task: tokio::spawn(watcher.run(child)),
        _stop_on_drop: dropped.drop_guard(),
    }
}

impl Supervised {
    /// Pid and restarts now.
    pub fn status(&self) -> Status {
        *self.status.borrow()
    }

    /// Stops it for good, as [`Child::stop`] does.
    pub async fn stop(self, hurry: &CancellationToken) {
        self.stop.send_replace(Some(hurry.clone()));
        let _ = self.task.await;
    }
}

struct Watcher {
    launcher: Launcher,
    publish: watch::Sender<Status>,
    stopped: watch::Receiver<Option<CancellationToken>>,
    dropped: CancellationToken,
    on_restart: OnRestart,
}

impl Watcher {
    async fn run(mut self, mut child: Child) {
        let mut backoff = FIRST_BACKOFF;
        let mut started = Instant::now();
        loop {
            tokio::select! {
                status = child.wait() => {
                    console::note(&format!("{} ended by itself ({status}), restarting it", child.spec().name));
                }
                stop = self.stop_asked() => {
                    if let Some(hurry) = stop {
                        child.stop(&hurry).await;
                    }
                    return;
                }
            }
            if started.elapsed() >= HEALTHY_AFTER {
                backoff = FIRST_BACKOFF;
            }
            loop {
                tokio::select! {
                    () = tokio::time::sleep(backoff) => {}
                    _ = self.stop_asked() => return,
                }
                backoff = (backoff * 2).min(LONGEST_BACKOFF);
                match spawn(&self.launcher, child.spec()) {
                    Ok(restarted) => {
                        child = restarted;
                        break;
                    }
                    Err(error) => console::note(&format!("not restarted yet: {error}")),
                }
            }
            started = Instant::now();
            self.publish.send_modify(|status| {
                status.identity = child.identity();
                status.restarts += 1;
            });
            let refill = (self.on_restart)(*self.publish.borrow());
            tokio::select! {
                () = refill => {}
                _ = child.wait() => {}
                _ = self.stop_asked() => {}
            }
        }
    }

    /// `None` when the handle was dropped.
    async fn stop_asked(&mut self) -> Option<CancellationToken> {
        tokio::select! {
            biased;
            Ok(stop) = self.stopped.wait_for(Option::is_some) => stop.clone(),
            () = self.dropped.cancelled() => None,
        }
    }
}
