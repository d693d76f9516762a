//! The HTTP layer: for each request one server span, one log line and one observation in the RED histogram.
//!
//! A request lasts until the last byte of its answer was handed to the connection, not until its head was: a slow or
//! broken body counts. A client that goes away before that is recorded as 499, wherever the request was; so is one that is
//! cut off for not taking its answer, or by the drain's deadline.
//! Nothing here knows what a route does.

mod body;
mod exchange;
mod routes;

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use ::http::Method;
use axum::extract::Request;
use axum::response::Response;
use tower::{Layer, Service};

use crate::declarations::FieldDesc;
use crate::metrics::Registry;
pub use crate::propagation::inject;
use crate::scope::Scope;
use exchange::Exchange;
use routes::RouteTable;
pub(crate) use routes::{DECLARED, span_names};

/// The fields of the request's line, and of the one about an undeclared status.
pub(crate) const FIELDS: &[FieldDesc] = &[
    FieldDesc::keyword("error.type"),
    FieldDesc::long("event.duration"),
    FieldDesc::keyword("http.request.method"),
    FieldDesc::long("http.response.body.bytes"),
    FieldDesc::long("http.response.status_code"),
    FieldDesc::keyword("http.route"),
    FieldDesc::keyword("labels.stages"),
    FieldDesc::keyword("url.path"),
];

/// A route and the status codes it declares: those of a good answer and 503 have series, at 0, before the first request.
///
/// A declared route that answers another status still counts it, under its own value, and says so once in the log: then
/// the declaration is wrong. 499 is declared for every route.
#[derive(Debug, Clone)]
pub struct RouteSpec {
    /// The method; `HEAD` of a declared `GET` needs no entry of its own.
    pub method: Method,
    /// axum's template, for example `/v1/images/{id}`.
    pub route: &'static str,
    /// What it may answer.
    pub statuses: &'static [u16],
}

/// Trace id of the request, 32 hexadecimal digits. In every request's extensions, for problem documents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceId(pub String);

/// Layer for an axum router: added last, after every route and fallback, so that it sees the matched route and everything
/// that the other layers answer.
///
/// A request of no declared route, or with a method that the route does not have, is labelled `unmatched`. Inbound
/// `traceparent` and `baggage` are honoured from loopback peers; from others, or where the listener did not say who the
/// peer is, the request begins a trace of its own with a link to the one it claimed. Answers carry `traceresponse` and `x-trace-id`.
pub fn layer(registry: &Registry, routes: &[RouteSpec]) -> HttpLayer {
    HttpLayer {
        routes: Arc::new(RouteTable::new(registry, routes)),
    }
}

/// See [`layer`].
#[derive(Clone)]
pub struct HttpLayer {
    routes: Arc<RouteTable>,
}

impl<S> Layer<S> for HttpLayer {
    type Service = HttpService<S>;

    fn layer(&self, inner: S) -> HttpService<S> {
        HttpService {
            inner,
            routes: self.routes.clone(),
        }
    }
}

/// See [`layer`].
#[derive(Clone)]
pub struct HttpService<S> {
    inner: S,
    routes: Arc<RouteTable>,
}

impl<S> Service<Request> for HttpService<S>
where
    S: Service<Request, Response = Response, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Answering<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request) -> Self::Future {
        let exchange = Exchange::open(&self.routes, &mut request);
        let scope = exchange.scope();
        let answer = scope.enter(|| Box::pin(self.inner.call(request)));
        Answering {
            exchange: Some((exchange, scope)),
            answer: Some(answer),
        }
    }
}

/// As of an `async` block: waiting would be for ever, since nobody would wake it.
const AFTER_ITS_END: &str = "an answer is polled after it was there";

/// An answer being made, in the scope of its request.
pub struct Answering<F> {
    /// `None` once it is there.
    answer: Option<Pin<Box<F>>>,
    /// Goes on with the answer's body.
    exchange: Option<(Exchange, Scope)>,
}

impl<F> Future for Answering<F>
where
    F: Future<Output = Result<Response, Infallible>>,
{
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let Self { answer, exchange } = &mut *self;
        let Some((_, scope)) = exchange else {
            panic!("{AFTER_ITS_END}");
        };
        let Ok(response) = ready!(scope.enter(|| {
            let Some(making) = answer else {
                panic!("{AFTER_ITS_END}");
            };
            let polled = making.as_mut().poll(context);
            if polled.is_ready() {
                *answer = None;
            }
            polled
        }));
        Poll::Ready(Ok(match exchange.take() {
            Some((exchange, scope)) => exchange.respond(scope, response),
            None => response,
        }))
    }
}

impl<F> Drop for Answering<F> {
    fn drop(&mut self) {
        // What is cut short ends in its scope, too: its step is on the request's line.
        if let Some((_, scope)) = &self.exchange {
            scope.enter(|| self.answer = None);
        }
    }
}
