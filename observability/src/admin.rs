//! The admin listener's routes. On a listener of its own, so that overload of the API cannot hide its health.
//!
//! Requests are not measured here, or each scrape would change what it reads; those that the guard refuses are counted and
//! logged.

use std::time::Duration;

use ::http::{StatusCode, header};
use axum::Router;
use axum::extract::{FromRequest as _, Request};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::get;
use serde_json::{Value, json};
use tracing::debug;

use crate::guard::{self, Hosts, Refusal};
use crate::logs;
use crate::metrics::Registry;

/// A readiness check that takes longer is a failed one.
const READINESS_DEADLINE: Duration = Duration::from_secs(2);
/// A body that takes longer to arrive is not waited for.
const BODY_DEADLINE: Duration = Duration::from_secs(5);
/// Content type of Prometheus' text format.
const PROMETHEUS_TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

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

/// `GET /live`, `GET /ready`, `GET /metrics`, `GET` and `PUT /log-level`.
///
/// `/ready` answers 200 (`ready` or `degraded`) or 503; `readiness` is asked each time, for 2 s at most, so it should
/// answer from what is known already. `PUT /log-level` takes a filter as text, written like `RUST_LOG`. All of it is for
/// requests that name one of `hosts` only.
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
            get(async move || ([(header::CONTENT_TYPE, PROMETHEUS_TEXT)], registry.render())),
        )
        .route("/log-level", get(log_level).put(set_log_level))
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

async fn log_level() -> Response {
    match logs::filter() {
        Some(filter) => filter.into_response(),
        None => not_initialised(),
    }
}

async fn set_log_level(request: Request) -> Response {
    let body = String::from_request(request, &());
    let filter = match tokio::time::timeout(BODY_DEADLINE, body).await {
        Ok(Ok(filter)) => filter,
        Ok(Err(rejection)) => return rejection.into_response(),
        Err(_) => return StatusCode::REQUEST_TIMEOUT.into_response(),
    };
    match logs::set_filter(filter.trim()) {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(logs::SetFilterError::NotInitialised) => not_initialised(),
        Err(error @ logs::SetFilterError::Invalid { .. }) => {
            (StatusCode::BAD_REQUEST, error.to_string()).into_response()
        }
    }
}

fn not_initialised() -> Response {
    (
        StatusCode::SERVICE_UNAVAILABLE,
        logs::SetFilterError::NotInitialised.to_string(),
    )
        .into_response()
}
