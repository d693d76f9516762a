//! The stack's control endpoint on loopback: which processes run and orders to them, what they were doing as metrics, and
//! the alerts that Alertmanager told it of. `docs/control.md` is its contract.
//!
//! It knows processes by their [`Remote`] only, and nothing of what they are. Who may call: [`guard`].

mod alerts;
mod guard;
mod problem;
mod processes;

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::middleware;
use axum::response::IntoResponse;
use axum::routing::get;
use axum::serve::ListenerExt as _;
use http::{StatusCode, header};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::process::Remote;
use alerts::Inbox;
use problem::Problem;
use processes::Processes;

/// How long a request may take to finish once the endpoint is told to stop.
const DRAIN: Duration = Duration::from_secs(2);
/// The path of the webhook.
pub(crate) const ALERTS: &str = "/alerts";

/// Metrics of one part of the stack: Prometheus' text format, whole lines, families that no other part has.
pub(crate) type Collector = Arc<dyn Fn() -> String + Send + Sync>;

/// What the endpoint shows. Clones share it.
#[derive(Clone)]
pub(crate) struct Control {
    processes: Processes,
    collectors: Arc<Mutex<Vec<Collector>>>,
    inbox: Arc<Mutex<Inbox>>,
}

impl Control {
    pub(crate) fn new() -> Self {
        let processes = Processes::default();
        let control = Self {
            processes: processes.clone(),
            collectors: Arc::default(),
            inbox: Arc::default(),
        };
        control.collect(Arc::new(move || processes.metrics()));
        control
    }

    /// Lists a process and passes orders to it.
    pub(crate) fn add(&self, process: Remote) {
        self.processes.add(process);
    }

    /// Adds to what `/metrics` shows.
    pub(crate) fn collect(&self, collector: Collector) {
        let mut collectors = self
            .collectors
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        collectors.push(collector);
    }

    fn collectors(&self) -> Vec<Collector> {
        let collectors = self.collectors.lock();
        collectors.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Serves until `shutdown`.
pub(crate) async fn serve(
    listener: TcpListener,
    control: Control,
    shutdown: CancellationToken,
) -> io::Result<()> {
    let listener = listener.tap_io(|socket| {
        // Refused only on a socket that is gone already.
        let _ = socket.set_nodelay(true);
    });
    let answers = axum::serve(listener, router(control))
        .with_graceful_shutdown(shutdown.clone().cancelled_owned());
    let deadline = async {
        shutdown.cancelled().await;
        tokio::time::sleep(DRAIN).await;
    };
    tokio::select! {
        ended = answers => ended,
        () = deadline => Ok(()),
    }
}

fn router(control: Control) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .merge(processes::router())
        .merge(alerts::router())
        .fallback(|| async {
            let detail = "no such path: there are /processes, /metrics and /alerts";
            Problem::new(StatusCode::NOT_FOUND, detail)
        })
        .method_not_allowed_fallback(|| async {
            let detail = "this path does not have that method: see docs/control.md";
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, detail)
        })
        .layer(DefaultBodyLimit::max(alerts::LARGEST))
        .layer(middleware::from_fn(guard::guard))
        .with_state(control)
}

async fn metrics(State(control): State<Control>) -> impl IntoResponse {
    let text: String = control
        .collectors()
        .iter()
        .map(|collect| collect())
        .collect();
    let kind = "text/plain; version=0.0.4; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], text)
}
