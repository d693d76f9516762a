//! One running part of the platform, whatever it is made of.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::Context;
use super::fault_proxy::FaultProxy;
use crate::console;
use crate::error::Error;
use crate::process::{Identity, Status, Supervised, supervise};
use crate::server::Running;
use crate::state::{Process, State};

/// How long a task may take to end after its shutdown was asked for.
const TASK_DEADLINE: Duration = Duration::from_secs(5);

/// Something that was started and has to be stopped.
pub(super) enum Part {
    /// A task of this process: a stand-in, a watcher.
    Task {
        name: &'static str,
        shutdown: DropGuard,
        task: JoinHandle<()>,
    },
    /// A supervised child, with its data.
    Process {
        child: Supervised,
        data: Option<TempDir>,
    },
    /// Proxies in a server that is not ours.
    Proxies(FaultProxy),
    /// A server that is not ours: left as it is.
    Given,
}

impl Part {
    /// A task that ends when its token is cancelled. A stand-in that ends by itself is said, since nobody can restart it
    /// without losing what it holds.
    pub(super) fn task<F>(name: &'static str, run: impl FnOnce(CancellationToken) -> F) -> Self
    where
        F: Future<Output = Result<(), String>> + Send + 'static,
    {
        let shutdown = CancellationToken::new();
        let work = run(shutdown.clone());
        let task = tokio::spawn(async move {
            if let Err(error) = work.await {
                console::note(&format!("{name} ended: {error}"));
            }
        });
        Self::Task {
            name,
            shutdown: shutdown.drop_guard(),
            task,
        }
    }

    /// A program that was just started: from now on in `stack.toml`, and restarted (then `refill`ed) when it ends by
    /// itself.
    pub(super) fn process(
        context: &Context,
        running: Running,
        refill: impl Fn() -> BoxFuture<'static, ()> + Send + Sync + 'static,
    ) -> Result<Self, Error> {
        let (child, data) = running.into_parts();
        let name = child.spec().name.clone();
        let Identity { pid, start_time } = child.identity();
        let log = child.spec().log().unwrap_or(Path::new("")).to_owned();
        let process = Process {
            name: name.clone(),
            pid,
            start_time,
            log,
            restarts: 0,
        };
        context
            .folder
            .update(|state| state.processes.push(process))?;
        let folder = Arc::clone(&context.folder);
        let on_restart = move |status: Status| {
            if let Err(error) = folder.update(|state| note_restart(state, &name, status)) {
                console::note(&format!(
                    "{error}; stack.toml still has the old pid of {name}"
                ));
            }
            refill()
        };
        let child = supervise(context.launcher.clone(), child, Box::new(on_restart));
        context.control.add(child.remote());
        Ok(Self::Process { child, data })
    }

    /// Stops it within its deadline.
    pub(super) async fn stop(self, hurry: &CancellationToken) {
        match self {
            Self::Task {
                name,
                shutdown,
                mut task,
            } => {
                drop(shutdown);
                if tokio::time::timeout(TASK_DEADLINE, &mut task)
                    .await
                    .is_err()
                {
                    task.abort();
                    console::note(&format!("{name} did not end in time, so it was cut off"));
                }
            }
            Self::Process { child, data } => {
                child.stop(hurry).await;
                drop(data);
            }
            Self::Proxies(proxy) => proxy.remove_ours().await,
            Self::Given => {}
        }
    }
}

fn note_restart(state: &mut State, name: &str, status: Status) {
    if let Some(process) = state
        .processes
        .iter_mut()
        .find(|process| process.name == name)
    {
        process.pid = status.identity.pid;
        process.start_time = status.identity.start_time;
        process.restarts = status.restarts;
    }
}

/// For programs that need nothing after a restart.
pub(super) fn nothing() -> BoxFuture<'static, ()> {
    Box::pin(std::future::ready(()))
}
