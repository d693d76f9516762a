//! The admin listener's routes. On a listener of its own, so that overload of the API cannot hide its health.
//!
//! Requests are not measured here, or each scrape would change what it reads; those that the guard refuses are counted and
//! logged.

mod problem;
mod switches;

use std::time::Duration;

use ::http::{HeaderMap, StatusCode, header};
use axum::Router;
use axum::response::{IntoResponse, Json, Response};
use axum::routing::get;
use serde_json::{Value, json};
use tracing::debug;

use crate::guard::{self, Hosts, Refusal};
use crate::metrics::{Format, Registry};

/// A readiness check that takes longer is a failed one.
const READINESS_DEADLINE: Duration = Duration::from_secs(2);

/// Whether the process can serve, and what it depends on.
#[derive(Debug, Clone)]
pub struct Readiness {
    /// Requests should be sent here.
    pub ready: bool,
    /// It serves, but less than usual.
    pub degraded: bool,
    /// Each dependency.
    pub checks: Vec<Check>,
}

/// State of one dependency.
#[derive(Debug, Clone)]
pub struct Check {
    /// Name of the dependency: `catalog`, `store`.
    pub name: &'static str,
    /// What is wrong with it, in one sentence without secrets.
    pub result: Result<(), String>,
}

/// `GET /live`, `GET /ready`, `GET /metrics`, `GET` and `PUT` of `/log-level` and `/sampling-ratio`.
///
/// `/ready` answers 200 (`ready` or `degraded`) or 503; `readiness` is asked each time, for 2 s at most, so it should
/// answer from what is known already. `/metrics` is OpenMetrics text, with exemplars, for a reader whose `Accept` asks for
/// it, and Prometheus text for others. `PUT /log-level` takes a filter as text, written like `RUST_LOG`;
/// `PUT /sampling-ratio` the share of traces that are recorded, from 0 to 1. What is refused is answered with a problem
/// document and changes nothing. All of it is for requests that name one of `hosts` only.
pub fn router<F, Fut>(registry: Registry, hosts: Hosts, readiness: F) -> Router
where
    F: Fn() -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = Readiness> + Send,
{
    let guard = guard::layer(hosts, "admin", &registry, refused);
    Router::new()
        .route("/live", get(async || Json(json!({ "status": "live" }))))
        .route(
            "/ready",
            get(async move || {
                ready(
                    tokio::time::timeout(READINESS_DEADLINE, readiness())
                        .await
                        .ok(),
                )
            }),
        )
        .route(
            "/metrics",
            get(async move |headers: HeaderMap| {
                let format = Format::negotiate(&headers);
                let content_type = [(header::CONTENT_TYPE, format.content_type())];
                (content_type, registry.render_as(format))
            }),
        )
        .merge(switches::router())
        .layer(guard)
}

fn refused(refusal: Refusal) -> Response {
    // Anybody can cause as many as they like: the counter tells of them.
    debug!(
        listener = "admin",
        reason = refusal.name(),
        "request refused"
    );
    (refusal.status(), format!("{refusal}\n")).into_response()
}

fn ready(readiness: Option<Readiness>) -> Response {
    let Some(readiness) = readiness else {
        let body = json!({ "status": "unready", "reason": "the readiness check did not end within 2 s", "checks": [] });
        return (StatusCode::SERVICE_UNAVAILABLE, Json(body)).into_response();
    };
    let (code, status) = match (readiness.ready, readiness.degraded) {
        (true, false) => (StatusCode::OK, "ready"),
        (true, true) => (StatusCode::OK, "degraded"),
        (false, _) => (StatusCode::SERVICE_UNAVAILABLE, "unready"),
    };
    let checks: Vec<Value> = readiness.checks.iter().map(check).collect();
    (code, Json(json!({ "status": status, "checks": checks }))).into_response()
}

fn check(check: &Check) -> Value {
    match &check.result {
        Ok(()) => json!({ "name": check.name, "ok": true }),
        Err(reason) => json!({ "name": check.name, "ok": false, "reason": reason }),
    }
}
