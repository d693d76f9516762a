//! One request and its answer, from arrival to the last byte.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};
use axum::body::Body;
use axum::extract::{ConnectInfo, MatchedPath, Request};
use axum::response::Response;
use bytes::Bytes;
use tracing::field::Empty;
use tracing::{Span, info, info_span};

use super::TraceId;
use super::body::TrackedBody;
use super::routes::{CLIENT_CLOSED, Failure, Route, RouteTable, error_type};
use crate::metrics::GaugeGuard;
use crate::propagation;
use crate::scope::{Scope, Stages};
use crate::traces::origin::{self, Origin};
use crate::traces::spans;

/// From here on a request is slow, and its log line carries the timings of its steps.
const SLOW: Duration = Duration::from_secs(1);
const TRACERESPONSE: HeaderName = HeaderName::from_static("traceresponse");
const X_TRACE_ID: HeaderName = HeaderName::from_static("x-trace-id");

/// Holds what the end of a request needs. Dropped before [`finish`](Self::finish), the client went away.
pub(super) struct Exchange {
    route: Arc<Route>,
    /// Held for its drop.
    _active: GaugeGuard,
    span: Span,
    stages: Stages,
    start: Instant,
    uri: Uri,
    trace: Trace,
    status: Option<u16>,
    bytes: u64,
    finished: bool,
}

impl Exchange {
    /// Begins the exchange; the request gets its [`TraceId`].
    pub(super) fn open(routes: &RouteTable, request: &mut Request) -> Self {
        let start = Instant::now();
        let matched = request
            .extensions()
            .get::<MatchedPath>()
            .map(MatchedPath::as_str);
        let route = routes.find(request.method(), matched);
        let span = origin::with(origin(request), || server_span(&route, request.uri()));
        let trace = Trace::of(&span);
        request.extensions_mut().insert(trace.id());
        Self {
            _active: route.enter(),
            route,
            span,
            stages: Stages::default(),
            start,
            uri: request.uri().clone(),
            trace,
            status: None,
            bytes: 0,
            finished: false,
        }
    }

    /// Where the request's work runs.
    pub(super) fn scope(&self) -> Scope {
        Scope::new(self.span.clone(), self.stages.clone())
    }

    /// Takes note of the answer's head, and follows its body to the end, in the `scope` of the request.
    pub(super) fn respond(mut self, scope: Scope, mut response: Response) -> Response {
        self.status = Some(response.status().as_u16());
        self.trace.say(response.headers_mut());
        if without_body(self.route.method, response.status()) {
            self.finish(None);
            return response;
        }
        let (head, body) = response.into_parts();
        let body = TrackedBody::new(self, scope, body, &head.headers);
        Response::from_parts(head, Body::new(body))
    }

    /// Counts bytes of the body that were handed to the connection.
    pub(super) fn sent(&mut self, bytes: usize) {
        self.bytes += bytes as u64;
    }

    /// Ends the exchange: observation, span attributes, log line.
    pub(super) fn finish(&mut self, failure: Option<Failure>) {
        if !self.finished {
            // Inside the span: the observation and the line belong to its trace.
            self.span.clone().in_scope(|| self.finish_inside(failure));
        }
    }

    /// Ends the exchange, in whose scope the thread is already.
    pub(super) fn finish_inside(&mut self, failure: Option<Failure>) {
        if std::mem::replace(&mut self.finished, true) {
            return;
        }
        let elapsed = self.start.elapsed();
        let status = match failure {
            Some(Failure::ClientClosed) => CLIENT_CLOSED,
            Some(Failure::Panic) => 500,
            Some(Failure::Body) | None => self.status.unwrap_or(500),
        };
        let error = error_type(status, failure);
        let failed = status >= 500 || failure == Some(Failure::Body);
        self.span
            .record("http.response.status_code", i64::from(status));
        if let Some(error) = &error {
            self.span.record("error.type", error.as_str());
        }
        if failed {
            self.span.record("otel.status_code", "ERROR");
        }
        let stages = (failed || elapsed >= SLOW).then(|| self.stages.describe());
        self.route.record(status, failure, elapsed);
        self.log(status, elapsed, error.as_deref(), stages.as_deref());
    }

    fn log(&self, status: u16, elapsed: Duration, error: Option<&str>, stages: Option<&str>) {
        let nanoseconds = u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX);
        info!(
            http.request.method = self.route.method,
            url.path = self.uri.path(),
            http.route = self.route.label,
            http.response.status_code = status,
            http.response.body.bytes = self.bytes,
            event.duration = nanoseconds,
            error.type = error,
            stages = stages,
            "request"
        );
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let panicked = std::thread::panicking();
        self.finish(Some(if panicked {
            Failure::Panic
        } else {
            Failure::ClientClosed
        }));
    }
}

/// The trace as an answer names it.
enum Trace {
    /// A `traceparent`.
    Of(Bytes),
    /// A random id where no subscriber gives one, so that an answer can always be found in the log.
    Random(Bytes),
}

impl Trace {
    fn of(span: &Span) -> Self {
        match spans::place(span) {
            Some(place) => Self::Of(propagation::traceparent(&place.span).into()),
            None => Self::Random(uuid::Uuid::new_v4().simple().to_string().into()),
        }
    }

    fn id_bytes(&self) -> Bytes {
        match self {
            Self::Of(traceparent) => traceparent.slice(propagation::TRACE_ID),
            Self::Random(id) => id.clone(),
        }
    }

    fn id(&self) -> TraceId {
        TraceId(String::from_utf8_lossy(&self.id_bytes()).into_owned())
    }

    fn say(&self, headers: &mut HeaderMap) {
        if let Ok(value) = HeaderValue::from_maybe_shared(self.id_bytes()) {
            headers.insert(X_TRACE_ID, value);
        }
        if let Self::Of(traceparent) = self
            && let Ok(value) = HeaderValue::from_maybe_shared(traceparent.clone())
        {
            headers.insert(TRACERESPONSE, value);
        }
    }
}

fn server_span(route: &Route, uri: &Uri) -> Span {
    info_span!(
        parent: None,
        "request",
        otel.name = route.span_name.as_str(),
        otel.kind = "server",
        http.request.method = route.method,
        http.route = route.template(),
        url.path = uri.path(),
        url.scheme = "http",
        http.response.status_code = Empty,
        error.type = Empty,
        otel.status_code = Empty,
    )
}

/// What the request continues: the trace that it names, if its peer may say so. Else it is linked to that.
fn origin(request: &Request) -> Origin {
    let headers = request.headers();
    if !headers.contains_key("traceparent") && !headers.contains_key("baggage") {
        return Origin::default();
    }
    let remote = propagation::extract(headers);
    if from_loopback(request) {
        Origin {
            above: Some(Arc::new(remote)),
            link: None,
        }
    } else {
        Origin {
            above: None,
            link: remote.span.is_valid().then_some(remote.span),
        }
    }
}

fn from_loopback(request: &Request) -> bool {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
    peer.is_some_and(|ConnectInfo(peer)| peer.ip().to_canonical().is_loopback())
}

/// Whether the connection sends no body whatever the handler made: then it is not polled either.
fn without_body(method: &str, status: StatusCode) -> bool {
    method == Method::HEAD.as_str()
        || status.is_informational()
        || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
}
