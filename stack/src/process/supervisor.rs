//! Restarts what we did not stop ourselves, and stops and starts what it is told to.

use std::time::Duration;

use futures::future::{BoxFuture, OptionFuture};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{Child, Identity, Launcher, spawn};
use crate::console;
use crate::error::Error;

/// The first wait before a restart; doubled by each one that follows.
const FIRST_BACKOFF: Duration = Duration::from_millis(100);
/// The longest wait before a restart, so a program that cannot run costs one attempt in this time.
const LONGEST_BACKOFF: Duration = Duration::from_secs(5);
/// A child that ran this long was healthy: the next restart begins with the first backoff again.
const HEALTHY_AFTER: Duration = Duration::from_secs(30);
/// Orders that may wait for a child that is just being stopped; further callers wait until there is room.
const WAITING_ORDERS: usize = 8;

/// What happens when the program ends by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Supervision {
    /// It is started again.
    Active,
    /// It stays ended until supervision is resumed.
    Paused,
    /// It was stopped by an order, and stays so until it is started by one.
    Stopped,
}

/// Which process plays the part now, and how many times it was restarted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status {
    /// The process that runs now, or ran last.
    pub identity: Identity,
    /// How many times it ended by itself and was started again.
    pub restarts: u32,
    /// What happens when it ends.
    pub supervision: Supervision,
}

/// What a supervised child can be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// End as [`Child::stop`] does, and stay ended.
    Stop,
    /// Run, with the same [`super::Spec`], so on the same port; supervised.
    Start,
    /// Do not start it again when it ends.
    Pause,
    /// Start it again when it ends, and now if it has ended.
    Resume,
}

/// Why an order was not followed.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// [`Order::Pause`] and [`Order::Resume`] are about a program that runs or ended by itself.
    #[error("{0} was stopped, so there is nothing to supervise: start it first")]
    Stopped(String),
    /// The stack stops everything.
    #[error("{0} takes no orders any more: the stack is stopping")]
    Ending(String),
    /// The program could not be started.
    #[error(transparent)]
    NotStarted(#[from] Error),
}

/// A child that is restarted whenever it ends by itself. Dropping the handle stops it (without waiting for it).
#[derive(Debug)]
pub struct Supervised {
    remote: Remote,
    stop: watch::Sender<Option<CancellationToken>>,
    task: JoinHandle<()>,
    _stop_on_drop: DropGuard,
}

/// Sees a supervised child and gives it orders. Does not keep it alive.
#[derive(Debug, Clone)]
pub struct Remote {
    name: String,
    status: watch::Receiver<Status>,
    orders: mpsc::Sender<Job>,
}

/// What is done after each start but the first, e.g. to fill a restarted proxy again.
pub type OnRestart = Box<dyn Fn(Status) -> BoxFuture<'static, ()> + Send + Sync>;

/// Takes over a running child. Its restarts use the same [`super::Spec`], so the same port.
pub fn supervise(launcher: Launcher, child: Child, on_restart: OnRestart) -> Supervised {
    let (publish, status) = watch::channel(Status {
        identity: child.identity(),
        restarts: 0,
        supervision: Supervision::Active,
    });
    let (orders, inbox) = mpsc::channel(WAITING_ORDERS);
    let (stop, stopped) = watch::channel(None);
    let dropped = CancellationToken::new();
    let remote = Remote {
        name: child.spec().name.clone(),
        status,
        orders,
    };
    let watcher = Watcher {
        launcher,
        publish,
        orders: inbox,
        stopped,
        dropped: dropped.clone(),
        on_restart,
        child,
        end_is_known: false,
        began: Instant::now(),
        backoff: FIRST_BACKOFF,
        due: None,
        refill: None,
    };
    Supervised {
        remote,
        stop,
        task: tokio::spawn(watcher.run()),
        _stop_on_drop: dropped.drop_guard(),
    }
}

impl Supervised {
    /// Pid and restarts now.
    pub fn status(&self) -> Status {
        self.remote.status()
    }

    /// For those who watch it and give it orders.
    pub fn remote(&self) -> Remote {
        self.remote.clone()
    }

    /// Stops it for good, as [`Child::stop`] does.
    pub async fn stop(self, hurry: &CancellationToken) {
        self.stop.send_replace(Some(hurry.clone()));
        let _ = self.task.await;
    }
}

impl Remote {
    /// What it is called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Pid and restarts now.
    pub fn status(&self) -> Status {
        *self.status.borrow()
    }

    /// Has the order followed to its end: a stop returns when the program has ended, a start when it was started (its
    /// readiness is its own to tell).
    pub async fn order(&self, order: Order) -> Result<Status, Refused> {
        let (done, answer) = oneshot::channel();
        let ending = || Refused::Ending(self.name.clone());
        let job = Job { order, done };
        self.orders.send(job).await.map_err(|_| ending())?;
        answer.await.map_err(|_| ending())?
    }
}

#[derive(Debug)]
struct Job {
    order: Order,
    done: oneshot::Sender<Result<Status, Refused>>,
}

/// How everything ends.
enum End {
    /// In order, with the token of a person in a hurry.
    Asked(CancellationToken),
    /// The handle was dropped.
    Dropped,
}

struct Watcher {
    launcher: Launcher,
    publish: watch::Sender<Status>,
    orders: mpsc::Receiver<Job>,
    stopped: watch::Receiver<Option<CancellationToken>>,
    dropped: CancellationToken,
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
    async fn run(mut self) {
        let end = loop {
            let due = OptionFuture::from(self.due.map(sleep_until));
            let refill = OptionFuture::from(self.refill.as_mut());
            tokio::select! {
                end = end_asked(&mut self.stopped, &self.dropped) => break end,
                Some(job) = self.orders.recv() => {
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

    fn ended(&mut self, status: std::process::ExitStatus) {
        self.end_is_known = true;
        self.refill = None;
        let name = &self.child.spec().name;
        match self.publish.borrow().supervision {
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
        self.publish.send_modify(|status| {
            status.identity = self.child.identity();
            status.restarts += counted;
            status.supervision = Supervision::Active;
        });
        let status = *self.publish.borrow();
        self.refill = Some((self.on_restart)(status));
    }

    /// Follows an order and says so; returns the end when that was asked for meanwhile.
    async fn obey(&mut self, Job { order, done }: Job) -> Option<End> {
        let supervision = self.publish.borrow().supervision;
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
                    end = end_asked(&mut self.stopped, &self.dropped) => return Some(end),
                }
            }
        };
        let status = *self.publish.borrow();
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
        self.publish
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
