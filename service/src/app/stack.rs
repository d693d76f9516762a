//! The middleware stack of the API, all of it, from the inside out.

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use observability::{Registry, guard};
use tower_http::catch_panic::CatchPanicLayer;

use super::layers::{Deadline, InFlight, deadline, in_flight, panicked, refused, security_headers};
use crate::api::{self, Routes, problem};
use crate::config::Config;

/// The API as it is served. A request passes these layers from the last to the first.
pub(super) fn build(routes: Routes, config: &Config, registry: &Registry) -> Router {
    let quick = routes
        .quick
        .layer(from_fn_with_state(Deadline(config.http.deadline), deadline))
        // More requests than this at a time are shed.
        .layer(from_fn_with_state(
            InFlight::requests(config.http.concurrency, registry),
            in_flight,
        ));
    let uploads = routes
        .uploads
        .layer(from_fn_with_state(
            Deadline(config.uploads.deadline),
            deadline,
        ))
        .layer(from_fn_with_state(
            InFlight::uploads(config.uploads.concurrency, registry),
            in_flight,
        ));
    Router::new()
        .merge(quick)
        .merge(uploads)
        .method_not_allowed_fallback(api::unknown_method)
        .fallback(api::unknown_path)
        // A panic costs its request, nothing else.
        .layer(CatchPanicLayer::custom(panicked))
        // Only for hosts of ours, and nothing that other sites' pages want changed.
        .layer(guard::layer(
            config.http.hosts.clone(),
            "api",
            registry,
            refused,
        ))
        .layer(from_fn(security_headers))
        // Problems become documents, and their causes are logged.
        .layer(from_fn(problem::finish))
        // Outermost: what it measures is what the client sees.
        .layer(observability::http::layer(registry, &api::table()))
}
