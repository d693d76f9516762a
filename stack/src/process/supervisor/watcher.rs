//! The task that keeps one child as it should be.

use std::process::ExitStatus;
use std::time::Duration;

use futures::future::{BoxFuture, OptionFuture};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::{Job, OnRestart, Order, Refused, Status, Supervision};
use crate::console;
use crate::error::Error;
use crate::process::{Child, Launcher, spawn};

/// The first wait before a restart; doubled by each one that follows.
const FIRST_BACKOFF: Duration = Duration::from_millis(100);
/// The longest wait before a restart, so a program that cannot run costs one attempt in this time.
const LONGEST_BACKOFF: Duration = Duration::from_secs(5);
/// A child that ran this long was healthy: the next restart begins with the first backoff again.
const HEALTHY_AFTER: Duration = Duration::from_secs(30);

/// How everything ends.
enum End {
    /// In order, with the token of a person in a hurry.
    Asked(CancellationToken),
    /// The handle was dropped.
    Dropped,
}

/// What connects it with the handle and the remotes.
pub(super) struct Wires {
    pub publish: watch::Sender<Status>,
    pub orders: mpsc::Receiver<Job>,
    pub stopped: watch::Receiver<Option<CancellationToken>>,
    pub dropped: CancellationToken,
}

/// Owns the child: nothing else starts or stops it.
pub(super) struct Watcher {
    launcher: Launcher,
    wires: Wires,
    on_restart: OnRestart,
    child: Child,
    /// Whether the end of `child` was taken note of.
    end_is_known: bool,
    began: Instant,
    backoff: Duration,
    /// When it is started again.
    due: Option<Instant>,
    /// What a restart brings with it.
    refill: Option<BoxFuture<'static, ()>>,
}

impl Watcher {
    pub(super) fn new(
        launcher: Launcher,
        child: Child,
        on_restart: OnRestart,
        wires: Wires,
    ) -> Self {
        Self {
            launcher,
            wires,
            on_restart,
            child,
            end_is_known: false,
            began: Instant::now(),
            backoff: FIRST_BACKOFF,
            due: None,
            refill: None,
        }
    }

    /// Until the end of everything.
    pub(super) async fn run(mut self) {
        let end = loop {
            let due = OptionFuture::from(self.due.map(sleep_until));
            let refill = OptionFuture::from(self.refill.as_mut());
            tokio::select! {
                end = end_asked(&mut self.wires.stopped, &self.wires.dropped) => break end,
                Some(job) = self.wires.orders.recv() => {
                    if let Some(end) = self.obey(job).await {
                        break end;
                    }
                }
                status = self.child.wait(), if !self.end_is_known => self.ended(status),
                Some(()) = due => self.restart(),
                Some(()) = refill => self.refill = None,
            }
        };
        if let End::Asked(hurry) = end {
            self.child.stop(&hurry).await;
        }
    }

    fn ended(&mut self, status: ExitStatus) {
        self.end_is_known = true;
        self.refill = None;
        let name = &self.child.spec().name;
        match self.wires.publish.borrow().supervision {
            Supervision::Active => {
                console::note(&format!("{name} ended by itself ({status}), restarting it"));
            }
            Supervision::Paused => {
                console::note(&format!(
                    "{name} ended by itself ({status}); its supervision is paused"
                ));
                return;
            }
            Supervision::Stopped => return,
        }
        if self.began.elapsed() >= HEALTHY_AFTER {
            self.backoff = FIRST_BACKOFF;
        }
        self.schedule();
    }

    fn schedule(&mut self) {
        self.due = Some(Instant::now() + self.backoff);
        self.backoff = (self.backoff * 2).min(LONGEST_BACKOFF);
    }

    fn restart(&mut self) {
        self.due = None;
        match spawn(&self.launcher, self.child.spec()) {
            Ok(child) => self.take_over(child, 1),
            Err(error) => {
                console::note(&format!("not restarted yet: {error}"));
                self.schedule();
            }
        }
    }

    /// `counted` is what the start adds to the restarts.
    fn take_over(&mut self, child: Child, counted: u32) {
        self.child = child;
        self.end_is_known = false;
        self.began = Instant::now();
        self.wires.publish.send_modify(|status| {
            status.identity = self.child.identity();
            status.restarts += counted;
            status.supervision = Supervision::Active;
        });
        let status = *self.wires.publish.borrow();
        self.refill = Some((self.on_restart)(status));
    }

    /// Follows an order and says so; returns the end when that was asked for meanwhile.
    async fn obey(&mut self, Job { order, done }: Job) -> Option<End> {
        let supervision = self.wires.publish.borrow().supervision;
        let followed = match order {
            Order::Pause | Order::Resume if supervision == Supervision::Stopped => {
                Err(Refused::Stopped(self.child.spec().name.clone()))
            }
            Order::Pause => {
                self.due = None;
                self.set(Supervision::Paused);
                Ok(())
            }
            Order::Resume => {
                self.set(Supervision::Active);
                if self.end_is_known && self.due.is_none() {
                    self.due = Some(Instant::now());
                }
                Ok(())
            }
            Order::Start => self.start().map_err(Refused::from),
            Order::Stop => {
                self.due = None;
                self.refill = None;
                self.set(Supervision::Stopped);
                let patient = CancellationToken::new();
                tokio::select! {
                    _ = self.child.stop(&patient) => Ok(()),
                    end = end_asked(&mut self.wires.stopped, &self.wires.dropped) => return Some(end),
                }
            }
        };
        let status = *self.wires.publish.borrow();
        // A caller that went away does not need to know.
        let _ = done.send(followed.map(|()| status));
        None
    }

    fn start(&mut self) -> Result<(), Error> {
        if self.child.exited().is_some() {
            let child = spawn(&self.launcher, self.child.spec())?;
            self.due = None;
            self.take_over(child, 0);
        }
        self.set(Supervision::Active);
        Ok(())
    }

    fn set(&self, supervision: Supervision) {
        self.wires
            .publish
            .send_modify(|status| status.supervision = supervision);
    }
}

async fn end_asked(
    stopped: &mut watch::Receiver<Option<CancellationToken>>,
    dropped: &CancellationToken,
) -> End {
    tokio::select! {
        biased;
        Ok(stop) = stopped.wait_for(Option::is_some) => {
            stop.clone().map_or(End::Dropped, End::Asked)
        }
        () = dropped.cancelled() => End::Dropped,
    }
}
