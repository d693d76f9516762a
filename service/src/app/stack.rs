//! The middleware stack of the API, all of it, from the inside out.

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use observability::Registry;
use tower_http::catch_panic::CatchPanicLayer;

use super::layers::{Deadline, InFlight, deadline, in_flight, panicked, security_headers};
use crate::api::{self, Routes, problem};
use crate::config::Config;

/// The API as it is served. A request passes these layers from the last to the first.
pub(super) fn build(routes: Routes, config: &Config, registry: &Registry) -> Router {
    let quick = routes
        .quick
        .layer(from_fn_with_state(Deadline(config.http.deadline), deadline));
    let uploads = routes.uploads.layer(from_fn_with_state(
        Deadline(config.uploads.deadline),
        deadline,
    ));
    Router::new()
        .merge(quick)
        .merge(uploads)
        .method_not_allowed_fallback(api::unknown_method)
        .fallback(api::unknown_path)
        // More requests than this at a time are shed.
        .layer(from_fn_with_state(
            InFlight::new(config.http.concurrency, registry),
            in_flight,
        ))
        // A panic costs its request, nothing else.
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn(security_headers))
        // Problems become documents, and their causes are logged.
        .layer(from_fn(problem::finish))
        // Outermost: what it measures is what the client sees.
        .layer(observability::http::layer(registry, &api::table()))
}
