//! Whether the service can do its work. Asking often costs the dependencies nothing: answers are kept for a moment.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use observability::admin::{Check, Readiness};
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use crate::catalog::Catalog;
use crate::store::{self, Store};

/// How long an answer of a dependency is believed.
const KEPT: Duration = Duration::from_secs(1);
/// How long a dependency may take to answer.
const DEADLINE: Duration = Duration::from_millis(1500);

/// Asks the dependencies. Clones share what is known.
#[derive(Clone)]
pub(super) struct Dependencies(Arc<Inner>);

struct Inner {
    catalog: Arc<dyn Catalog>,
    store: Store,
    stopping: AtomicBool,
    known: Mutex<Option<(Instant, Known)>>,
}

type Answer = Result<(), String>;

#[derive(Clone)]
struct Known {
    catalog: Answer,
    store: Answer,
}

impl Dependencies {
    pub(super) fn new(catalog: Arc<dyn Catalog>, store: Store) -> Self {
        Self(Arc::new(Inner {
            catalog,
            store,
            stopping: AtomicBool::new(false),
            known: Mutex::new(None),
        }))
    }

    /// From now on the service is not ready: whoever sends it requests should stop.
    pub(super) fn stop(&self) {
        self.0.stopping.store(true, Ordering::Relaxed);
    }

    /// Without the catalog nothing can be served; without the store, metadata still can; and with a store that takes no
    /// writes, everything can be read.
    pub(super) async fn readiness(&self) -> Readiness {
        let Known { catalog, store } = self.ask().await;
        let writes = self.0.store.takes_writes();
        let running = if self.0.stopping.load(Ordering::Relaxed) {
            Err("the service is stopping".to_owned())
        } else {
            Ok(())
        };
        Readiness {
            ready: catalog.is_ok() && running.is_ok(),
            degraded: store.is_err() || writes.is_err(),
            checks: vec![
                Check {
                    name: "catalog",
                    result: catalog,
                },
                Check {
                    name: store::NAME,
                    result: store,
                },
                Check {
                    name: "store_writes",
                    result: writes,
                },
                Check {
                    name: "running",
                    result: running,
                },
            ],
        }
    }

    /// One caller asks; the others wait for its answer.
    async fn ask(&self) -> Known {
        let mut known = self.0.known.lock().await;
        if let Some((at, answers)) = &*known
            && at.elapsed() < KEPT
        {
            return answers.clone();
        }
        let (catalog, store) =
            tokio::join!(within(self.0.catalog.ping()), within(self.0.store.ping()));
        let answers = Known { catalog, store };
        *known = Some((Instant::now(), answers.clone()));
        answers
    }
}

/// The words of an error may name addresses; the admin listener's readers may know them.
async fn within<E: std::fmt::Display>(ping: impl Future<Output = Result<(), E>>) -> Answer {
    match timeout(DEADLINE, ping).await {
        Ok(answer) => answer.map_err(|error| error.to_string()),
        Err(_) => Err(format!("no answer within {DEADLINE:?}")),
    }
}
