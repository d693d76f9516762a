//! A whole service: built from a configuration, then run on listeners until it is told to stop.
//!
//! Build and run are apart, and everything global is handed in, so that a test can run several in one process.

mod layers;
mod readiness;
mod stack;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use observability::server::{self, Limits};
use observability::{Registry, admin};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use self::readiness::Dependencies;
use crate::api::{self, Answers, Originals, Pace, Parts};
use crate::catalog::{self, Catalog, CatalogError};
use crate::config::{Config, HttpConfig};
use crate::jobs::Worker;
use crate::renders::Renderer;
use crate::spool::Spool;
use crate::store::{self, Store};
use crate::telemetry::ApiMetrics;

/// What a process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Answers requests.
    Api,
    /// Works on jobs.
    Worker,
    /// Both.
    All,
}

impl Role {
    /// Whether it answers requests.
    pub fn serves(self) -> bool {
        self != Self::Worker
    }

    /// Whether it works on jobs.
    pub fn works(self) -> bool {
        self != Self::Api
    }

    /// The name by which databases know the process.
    fn application_name(self) -> &'static str {
        match self {
            Self::Api => "chitram-api",
            Self::Worker => "chitram-worker",
            Self::All => "chitram",
        }
    }
}

/// A service that is ready to run.
pub struct App {
    registry: Registry,
    dependencies: Dependencies,
    api: Option<Router>,
    worker: Option<Worker>,
    http: HttpConfig,
}

/// The bound listeners of a service.
pub struct Listeners {
    /// The API's; `None` for a worker.
    pub api: Option<TcpListener>,
    /// Health and metrics.
    pub admin: TcpListener,
}

/// A part of the service can't be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The catalog can't be used.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// The store can't be used.
    #[error(transparent)]
    Store(#[from] store::OpenError),
    /// The spool can't be used.
    #[error(
        "can't spool uploads in {folder}: {source}; set CHITRAM_SPOOL_DIR to a folder that can be written"
    )]
    Spool {
        /// The folder as configured.
        folder: String,
        /// Why.
        source: io::Error,
    },
    /// No threads.
    #[error("can't start the CPU pool: {0}")]
    Threads(io::Error),
}

impl App {
    /// Opens catalog, store and spool, starts the CPU pool, and puts the parts together.
    pub async fn build(
        config: &Config,
        role: Role,
        registry: Registry,
    ) -> Result<Self, BuildError> {
        let options = catalog::Options {
            application_name: role.application_name().to_owned(),
            migrate: config.catalog.migrate,
            deadline: None,
        };
        let catalog = catalog::open(&config.catalog.url, &options, &registry).await?;
        let store = Store::open(&config.store, &registry)?;
        let renderer = Renderer::new(&config.renders, &registry).map_err(BuildError::Threads)?;
        let api = if role.serves() {
            Some(api(config, &catalog, &store, &renderer, &registry)?)
        } else {
            None
        };
        let worker = role.works().then(|| {
            Worker::new(
                Arc::clone(&catalog),
                store.clone(),
                renderer,
                config.jobs.concurrency,
                &registry,
            )
        });
        let dependencies = Dependencies::new(catalog, store);
        Ok(Self {
            registry,
            dependencies,
            api,
            worker,
            http: config.http.clone(),
        })
    }

    /// Runs until `shutdown`, then stops in order: not ready, no new requests, those under way end, jobs are handed back,
    /// and the admin listener last, so that the end can be watched.
    pub async fn run(self, listeners: Listeners, shutdown: CancellationToken) -> io::Result<()> {
        let Self {
            registry,
            dependencies,
            api,
            worker,
            http,
        } = self;
        let (worker_stop, admin_stop) = (CancellationToken::new(), CancellationToken::new());

        let asked = dependencies.clone();
        let admin = admin::router(registry.clone(), http.hosts.clone(), move || {
            let asked = asked.clone();
            async move { asked.readiness().await }
        });
        let admin_limits = Limits {
            drain: Duration::from_secs(1),
            ..limits("admin", &http)
        };
        let admin = serve(
            listeners.admin,
            admin,
            admin_limits,
            &registry,
            &shutdown,
            &admin_stop,
        );
        let worker = worker.map(|worker| tokio::spawn(worker.run(worker_stop.clone())));
        let api = api.zip(listeners.api).map(|(router, listener)| {
            let limits = limits("api", &http);
            serve(listener, router, limits, &registry, &shutdown, &shutdown)
        });

        shutdown.cancelled().await;
        dependencies.stop();
        let api = ended(api).await;
        worker_stop.cancel();
        if let Some(worker) = worker {
            worker.await.map_err(io::Error::other)?;
        }
        admin_stop.cancel();
        ended(Some(admin)).await.and(api)
    }
}

/// The bounds of a listener.
fn limits(listener: &'static str, http: &HttpConfig) -> Limits {
    Limits {
        drain: http.drain,
        send_timeout: http.send_timeout,
        send_rate: http.send_rate,
        ..Limits::new(listener)
    }
}

fn api(
    config: &Config,
    catalog: &Arc<dyn Catalog>,
    store: &Store,
    renderer: &Renderer,
    registry: &Registry,
) -> Result<Router, BuildError> {
    let spool = Spool::open(&config.uploads, registry).map_err(|source| BuildError::Spool {
        folder: config.uploads.spool_dir.display().to_string(),
        source,
    })?;
    let parts = Parts {
        catalog: Arc::clone(catalog),
        store: store.clone(),
        renderer: renderer.clone(),
        spool,
        originals: Originals::new(config.http.original_bytes, registry),
        answers: Answers::new(config.http.answer_bytes, registry),
        upload_pace: Pace::new(&config.uploads),
        upload_bytes: config.uploads.max_bytes,
        metrics: ApiMetrics::new(registry),
    };
    Ok(stack::build(api::routes(parts), config, registry))
}

type Served = JoinHandle<io::Result<()>>;

/// Serves until `stop`. A server that ends by itself takes the whole service down rather than leave half of it.
fn serve(
    listener: TcpListener,
    app: Router,
    limits: Limits,
    registry: &Registry,
    shutdown: &CancellationToken,
    stop: &CancellationToken,
) -> Served {
    let (registry, shutdown, stop) = (registry.clone(), shutdown.clone(), stop.clone());
    tokio::spawn(async move {
        let result = server::serve(listener, app, limits, &registry, stop).await;
        shutdown.cancel();
        result
    })
}

async fn ended(server: Option<Served>) -> io::Result<()> {
    match server {
        None => Ok(()),
        Some(server) => server.await.map_err(io::Error::other)?,
    }
}
