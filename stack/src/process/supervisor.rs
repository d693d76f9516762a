//! Restarts what we did not stop ourselves, and stops and starts what it is told to.

mod watcher;

use futures::future::BoxFuture;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{Child, Identity, Launcher};
use crate::error::Error;
use watcher::{Watcher, Wires};

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
    let watcher = Watcher::new(
        launcher,
        child,
        on_restart,
        Wires {
            publish,
            orders: inbox,
            stopped,
            dropped: dropped.clone(),
        },
    );
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
