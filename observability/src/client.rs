//! Calls to another process: one CLIENT span each, with the peer's name, by which faults are attributed.
//!
//! A decorator around a dependency calls [`span`] or [`timed`] once for each operation, outside of its circuit breaker:
//! a call that the breaker rejects has its span too, with `error.type=circuit_open`.

use std::borrow::Cow;
use std::time::{Duration, Instant};

use opentelemetry::KeyValue;
use tracing::field::Empty;
use tracing::{Instrument as _, Span, info_span};

use crate::scope;
use crate::traces::spans;

/// `error.type` of a call whose caller went away before its end.
const CANCELLED: &str = "cancelled";

/// One call, before it is made.
#[derive(Debug, Clone)]
pub struct Call {
    /// Span name: the operation, and its target when there are few (`GetObject`, `SELECT images`). Never a literal value.
    pub name: Cow<'static, str>,
    /// Who is called: `store`, `catalog`, `cache`.
    pub peer_service: &'static str,
    /// `server.address`, where known.
    pub server_address: Option<Cow<'static, str>>,
    /// Further attributes by their semantic-convention names, for example `db.system.name`.
    pub attributes: Vec<(&'static str, Cow<'static, str>)>,
}

impl Call {
    /// A call of `peer_service` without further attributes.
    pub fn new(name: impl Into<Cow<'static, str>>, peer_service: &'static str) -> Self {
        Self {
            name: name.into(),
            peer_service,
            server_address: None,
            attributes: Vec::new(),
        }
    }

    /// Names the address that is called.
    #[must_use]
    pub fn server_address(mut self, address: impl Into<Cow<'static, str>>) -> Self {
        self.server_address = Some(address.into());
        self
    }

    /// Adds an attribute.
    #[must_use]
    pub fn attribute(mut self, key: &'static str, value: impl Into<Cow<'static, str>>) -> Self {
        self.attributes.push((key, value.into()));
        self
    }
}

/// Makes the call inside its span. `error_type` names a failure by a word of a small, closed set.
pub async fn span<T, E>(
    call: Call,
    future: impl Future<Output = Result<T, E>>,
    error_type: impl Fn(&E) -> &'static str,
) -> Result<T, E> {
    timed(call, future, error_type, |_, _| ()).await
}

/// As [`span`]; at the end `record` gets the duration and the error type, for the call's metrics. It is also called, with
/// `cancelled`, when the caller goes away first.
pub async fn timed<T, E>(
    call: Call,
    future: impl Future<Output = Result<T, E>>,
    error_type: impl Fn(&E) -> &'static str,
    record: impl FnOnce(Duration, Option<&'static str>),
) -> Result<T, E> {
    let span = open(&call);
    let running = Running {
        name: call.name,
        span: span.clone(),
        start: Instant::now(),
        record: Some(record),
    };
    let result = future.instrument(span).await;
    running.end(result.as_ref().err().map(error_type));
    result
}

fn open(call: &Call) -> Span {
    let span = info_span!(
        "call",
        otel.name = &*call.name,
        otel.kind = "client",
        peer.service = call.peer_service,
        server.address = call.server_address.as_deref(),
        error.type = Empty,
        otel.status_code = Empty,
    );
    if !call.attributes.is_empty() {
        let attributes = call.attributes.iter();
        spans::add_attributes(
            &span,
            attributes.map(|(key, value)| KeyValue::new(*key, value.to_string())),
        );
    }
    span
}

/// A call under way. Dropped before its end, it was cancelled.
struct Running<R: FnOnce(Duration, Option<&'static str>)> {
    name: Cow<'static, str>,
    span: Span,
    start: Instant,
    record: Option<R>,
}

impl<R: FnOnce(Duration, Option<&'static str>)> Running<R> {
    fn end(mut self, error: Option<&'static str>) {
        self.close(error);
    }

    fn close(&mut self, error: Option<&'static str>) {
        let Some(record) = self.record.take() else {
            return;
        };
        let elapsed = self.start.elapsed();
        if let Some(error) = error {
            self.span.record("error.type", error);
            self.span.record("otel.status_code", "ERROR");
        }
        scope::record(|| self.name.clone(), elapsed);
        record(elapsed, error);
    }
}

impl<R: FnOnce(Duration, Option<&'static str>)> Drop for Running<R> {
    fn drop(&mut self) {
        self.close(Some(CANCELLED));
    }
}
