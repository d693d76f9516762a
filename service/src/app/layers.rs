//! The layers of the API that are the service's own. Each is one function; [`super::stack`] puts them in order.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::HeaderValue;
use axum::http::header::{CONTENT_SECURITY_POLICY, X_CONTENT_TYPE_OPTIONS};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use observability::Registry;
use observability::guard::Refusal;
use observability::metrics::{Counter, Gauge};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::api::problem::Problem;
use crate::telemetry::{self, Shed};

/// Time until the head of an answer must be ready.
#[derive(Clone, Copy)]
pub(super) struct Deadline(pub(super) Duration);

/// Gives up on a request whose answer does not begin in time. Its work is dropped with it.
pub(super) async fn deadline(
    State(Deadline(limit)): State<Deadline>,
    request: Request,
    next: Next,
) -> Response {
    timeout(limit, next.run(request))
        .await
        .unwrap_or_else(|_| Problem::DeadlineExceeded.into_response())
}

/// Bounds the requests of a class that are worked on at the same time.
#[derive(Clone)]
pub(super) struct InFlight {
    places: Arc<Semaphore>,
    in_use: Gauge,
    shed: Counter,
}

impl InFlight {
    /// The bound of everything but uploads.
    pub(super) fn requests(limit: usize, registry: &Registry) -> Self {
        Self::new("requests", limit, Shed::InFlight, registry)
    }

    /// The bound of uploads: their bodies come as slowly as clients like, so reads must not share it.
    pub(super) fn uploads(limit: usize, registry: &Registry) -> Self {
        Self::new("uploads", limit, Shed::Uploads, registry)
    }

    fn new(class: &'static str, limit: usize, shed: Shed, registry: &Registry) -> Self {
        Self {
            places: Arc::new(Semaphore::new(limit)),
            in_use: telemetry::in_flight(registry, class, limit),
            shed: telemetry::shed(registry, shed),
        }
    }
}

/// Sheds a request over the bound at once: to queue it would only make all of them late.
///
/// The place is free again when the head of the answer is ready, not with its last byte: it bounds work, and a client that
/// takes its answer slowly makes none. What such clients hold is bounded by connections and bytes (docs/adr/0019).
pub(super) async fn in_flight(
    State(bound): State<InFlight>,
    request: Request,
    next: Next,
) -> Response {
    let Ok(_place) = bound.places.try_acquire() else {
        bound.shed.inc();
        return Problem::Overloaded.into_response();
    };
    let _in_use = bound.in_use.guard();
    next.run(request).await
}

/// The answer to a request that names no host of ours, or comes from a page of another site.
pub(super) fn refused(refusal: Refusal) -> Response {
    Problem::Refused(refusal).into_response()
}

/// The answer to a request whose handler panicked. The panic itself was logged where it happened.
pub(super) fn panicked(_: Box<dyn Any + Send>) -> Response {
    Problem::Internal("the handler panicked".to_owned()).into_response()
}

/// Pictures of strangers are served from here: no answer may run as a page or be taken for another type.
pub(super) async fn security_headers(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(
        CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'; sandbox"),
    );
    response
}
