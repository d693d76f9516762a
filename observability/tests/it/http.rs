//! RED metrics, spans and log lines of requests: a service whose routes end in every way there is.

mod ends;
mod lines;
mod metrics;
mod spans;

use std::convert::Infallible;
use std::future::pending;
use std::io;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::Extension;
use axum::http::{Method, StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::{get, post};
use futures::stream::{self, StreamExt as _};
use observability::http::{self, RouteSpec, TraceId};
use observability::testing::Scrape;
use observability::{Registry, scope};

use crate::support::{Server, eventually, registry, scrape};

const COUNT: &str = "http_server_request_duration_seconds_count";
const ACTIVE: &str = "http_server_active_requests";

const ROUTES: &[RouteSpec] = &[
    crate::support::get("/items/{id}", &[200, 404, 503]),
    crate::support::get("/fails", &[500]),
    crate::support::get("/hangs", &[200]),
    crate::support::get("/stream", &[200]),
    crate::support::get("/slow", &[200]),
    crate::support::get("/breaks", &[200]),
    crate::support::get("/fixed", &[200]),
    crate::support::get("/unchanged", &[304]),
    crate::support::get("/surprise", &[200]),
    crate::support::get("/panics", &[500]),
    crate::support::get("/trace-id", &[200]),
    RouteSpec {
        method: Method::POST,
        route: "/items",
        statuses: &[201],
    },
];

fn app(registry: &Registry) -> Router {
    let endless = || {
        Body::from_stream(stream::repeat_with(|| {
            Ok::<_, Infallible>(Bytes::from_static(&[b'x'; 8192]))
        }))
    };
    let broken = || {
        let chunks = [
            Ok(Bytes::from_static(b"first")),
            Err(io::Error::other("the source is gone")),
        ];
        Body::from_stream(stream::iter(chunks))
    };
    // A stream whose length is known from the header only: the connection never asks for its end.
    let fixed = || {
        let chunks = stream::iter([Ok::<_, Infallible>(Bytes::from_static(b"12345"))])
            .chain(stream::pending());
        ([(header::CONTENT_LENGTH, "5")], Body::from_stream(chunks))
    };
    let slow = || {
        let fetch = async { tokio::time::sleep(Duration::from_millis(1100)).await };
        let chunk = async {
            scope::stage("fetch", fetch).await;
            Ok::<_, Infallible>(Bytes::from_static(b"late"))
        };
        Body::from_stream(stream::once(chunk))
    };
    Router::new()
        .route("/slow", get(async move || slow()))
        .route("/items/{id}", get(async || "item"))
        .route("/items", post(async || StatusCode::CREATED))
        .route("/fails", get(fails))
        .route("/hangs", get(async || pending::<()>().await))
        .route("/stream", get(async move || endless()))
        .route("/breaks", get(async move || broken()))
        .route("/fixed", get(async move || fixed()))
        .route("/unchanged", get(async || StatusCode::NOT_MODIFIED))
        .route("/surprise", get(async || StatusCode::IM_A_TEAPOT))
        .route("/panics", get(panics))
        .route(
            "/trace-id",
            get(async |Extension(TraceId(id)): Extension<TraceId>| id),
        )
        .layer(http::layer(registry, ROUTES))
}

async fn fails() -> impl IntoResponse {
    scope::stage("permit wait", async {}).await;
    let here = scope::Scope::current();
    tokio::task::spawn_blocking(move || here.enter(|| scope::stage_sync("decode", || ())))
        .await
        .unwrap();
    StatusCode::INTERNAL_SERVER_ERROR
}

async fn panics() {
    panic!("a handler's bug");
}

async fn start() -> (Server, Registry) {
    let registry = registry();
    (Server::start(app(&registry), &registry).await, registry)
}

fn count(scrape: &Scrape, route: &str, status: &str) -> Option<f64> {
    scrape.value(
        COUNT,
        &[("http_route", route), ("http_response_status_code", status)],
    )
}

async fn until_counted(registry: &Registry, route: &str, status: &str) {
    eventually("the request is counted", || {
        (count(&scrape(registry), route, status) == Some(1.0)).then_some(())
    })
    .await;
}
