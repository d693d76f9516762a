//! RED metrics, spans and log lines of requests.

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
use observability::testing::{Scrape, capture};
use observability::{Registry, scope};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::support::{Server, eventually, registry, scrape};

const COUNT: &str = "http_server_request_duration_seconds_count";
const ACTIVE: &str = "http_server_active_requests";

const ROUTES: &[RouteSpec] = &[
    crate::support::get("/items/{id}", &[200, 404]),
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

#[tokio::test]
async fn a_request_is_counted_under_its_route_not_its_path() {
    let (server, registry) = start().await;
    assert_eq!(server.get("/items/17").await.status(), 200);
    until_counted(&registry, "/items/{id}", "200").await;
    assert!(!registry.render().contains("/items/17"));
}

#[tokio::test]
async fn each_declared_status_and_499_are_there_at_0_before_the_first_request() {
    let (_server, registry) = start().await;
    let scrape = scrape(&registry);
    for status in ["200", "404", "499"] {
        assert_eq!(count(&scrape, "/items/{id}", status), Some(0.0), "{status}");
    }
    assert_eq!(
        scrape.value(
            ACTIVE,
            &[("http_request_method", "POST"), ("http_route", "/items")]
        ),
        Some(0.0)
    );
}

#[tokio::test]
async fn unknown_paths_and_methods_are_unmatched() {
    let (server, registry) = start().await;
    assert_eq!(server.get("/nowhere/at/all").await.status(), 404);
    assert_eq!(
        server
            .send("DELETE /items/1 HTTP/1.1\r\nhost: t\r\nconnection: close\r\n\r\n")
            .await
            .status(),
        405
    );
    assert_eq!(
        server
            .send("BREW /items/1 HTTP/1.1\r\nhost: t\r\nconnection: close\r\n\r\n")
            .await
            .status(),
        405
    );
    let scrape = scrape(&registry);
    assert_eq!(count(&scrape, "unmatched", "404"), Some(1.0));
    assert_eq!(count(&scrape, "unmatched", "405"), Some(2.0));
    let other = [
        ("http_request_method", "_OTHER"),
        ("http_route", "unmatched"),
    ];
    assert_eq!(scrape.value(COUNT, &other), Some(1.0));
}

#[tokio::test]
async fn a_status_that_is_not_declared_is_counted_and_said_once() {
    let telemetry = capture();
    let (server, registry) = start().await;
    server.get("/surprise").await;
    server.get("/surprise").await;
    assert_eq!(count(&scrape(&registry), "/surprise", "418"), Some(2.0));
    let lines = telemetry.lines();
    let said = lines
        .iter()
        .filter(|line| line["message"] == "status is not declared for this route")
        .count();
    assert_eq!(said, 1);
}

#[tokio::test]
async fn a_client_that_leaves_while_the_handler_works_is_a_499() {
    let telemetry = capture();
    let (server, registry) = start().await;
    let mut stream = server.connect().await;
    stream
        .write_all(b"GET /hangs HTTP/1.1\r\nhost: test\r\n\r\n")
        .await
        .unwrap();
    let active = [("http_request_method", "GET"), ("http_route", "/hangs")];
    eventually("active", || {
        (scrape(&registry).value(ACTIVE, &active) == Some(1.0)).then_some(())
    })
    .await;
    drop(stream);
    until_counted(&registry, "/hangs", "499").await;
    assert_eq!(scrape(&registry).value(ACTIVE, &active), Some(0.0));
    let line = telemetry.line("request").unwrap();
    assert_eq!(line["http.response.status_code"], 499);
    assert_eq!(line["error.type"], "client_closed_request");
    let span = telemetry.span("GET /hangs").unwrap();
    assert_eq!(span.attributes["http.response.status_code"], "499");
    assert!(!span.error);
}

#[tokio::test]
async fn a_client_that_leaves_amid_the_body_is_a_499() {
    let (server, registry) = start().await;
    let mut stream = server.connect().await;
    stream
        .write_all(b"GET /stream HTTP/1.1\r\nhost: test\r\n\r\n")
        .await
        .unwrap();
    stream.read_exact(&mut [0; 10_000]).await.unwrap();
    drop(stream);
    until_counted(&registry, "/stream", "499").await;
    assert_eq!(count(&scrape(&registry), "/stream", "200"), Some(0.0));
    assert_eq!(
        scrape(&registry).value(ACTIVE, &[("http_route", "/stream")]),
        Some(0.0)
    );
}

#[tokio::test]
async fn a_body_that_breaks_is_an_error_of_the_server() {
    let telemetry = capture();
    let (server, registry) = start().await;
    server.get("/breaks").await;
    let broken = [
        ("http_route", "/breaks"),
        ("http_response_status_code", "200"),
        ("error_type", "response_body"),
    ];
    eventually("counted", || {
        (scrape(&registry).value(COUNT, &broken) == Some(1.0)).then_some(())
    })
    .await;
    // The span ends a moment after it was counted, when the broken body is dropped.
    let span = eventually("ended", || telemetry.span("GET /breaks")).await;
    assert!(span.error);
    assert_eq!(span.attributes["error.type"], "response_body");
}

#[tokio::test]
async fn a_body_whose_length_is_declared_ends_with_its_last_byte() {
    let (server, registry) = start().await;
    assert_eq!(server.get("/fixed").await.body(), "12345");
    until_counted(&registry, "/fixed", "200").await;
    assert_eq!(count(&scrape(&registry), "/fixed", "499"), Some(0.0));
}

#[tokio::test]
async fn answers_that_have_no_body_end_with_their_head() {
    let (server, registry) = start().await;
    assert_eq!(server.get("/unchanged").await.status(), 304);
    server
        .send("HEAD /fixed HTTP/1.1\r\nhost: t\r\nconnection: close\r\n\r\n")
        .await;
    let scrape = scrape(&registry);
    assert_eq!(count(&scrape, "/unchanged", "304"), Some(1.0));
    let head = [
        ("http_request_method", "HEAD"),
        ("http_route", "/fixed"),
        ("http_response_status_code", "200"),
    ];
    assert_eq!(scrape.value(COUNT, &head), Some(1.0));
}

#[tokio::test]
async fn a_handler_that_panics_is_a_500_and_not_a_client_that_left() {
    let telemetry = capture();
    let (server, registry) = start().await;
    server
        .send("GET /panics HTTP/1.1\r\nhost: t\r\nconnection: close\r\n\r\n")
        .await;
    let panicked = [
        ("http_route", "/panics"),
        ("http_response_status_code", "500"),
        ("error_type", "panic"),
    ];
    eventually("counted", || {
        (scrape(&registry).value(COUNT, &panicked) == Some(1.0)).then_some(())
    })
    .await;
    assert!(telemetry.span("GET /panics").unwrap().error);
    assert_eq!(server.get("/items/1").await.status(), 200);
}

#[tokio::test]
async fn the_server_span_follows_the_semantic_conventions() {
    let telemetry = capture();
    let (server, _registry) = start().await;
    server.get("/items/17?secret=1").await;
    let span = eventually("the span ends", || telemetry.span("GET /items/{id}")).await;
    assert_eq!(span.kind, "server");
    assert_eq!(span.parent_span_id, None);
    assert!(!span.error);
    let expected = [
        ("http.request.method", "GET"),
        ("http.response.status_code", "200"),
        ("http.route", "/items/{id}"),
        ("url.path", "/items/17"),
        ("url.scheme", "http"),
    ];
    let attributes: Vec<(&str, &str)> = span
        .attributes
        .iter()
        .map(|(key, value)| (&**key, &**value))
        .collect();
    assert_eq!(attributes, expected);
}

#[tokio::test]
async fn a_failed_request_says_where_its_time_went() {
    let telemetry = capture();
    let (server, _registry) = start().await;
    server.get("/fails").await;
    let line = eventually("the line", || telemetry.line("request")).await;
    let stages = line["labels.stages"].as_str().unwrap();
    assert!(
        stages.starts_with("permit_wait=") && stages.contains("ms decode="),
        "{stages}"
    );
    let span = telemetry.span("GET /fails").unwrap();
    assert!(span.error);
    assert_eq!(span.attributes["error.type"], "500");
    for step in ["permit wait", "decode"] {
        assert_eq!(
            telemetry.span(step).unwrap().parent_span_id.as_ref(),
            Some(&span.span_id),
            "{step}"
        );
    }
}

#[tokio::test]
async fn a_slow_body_counts_and_says_where_its_time_went() {
    let telemetry = capture();
    let (server, registry) = start().await;
    assert!(server.get("/slow").await.body().contains("late"));
    until_counted(&registry, "/slow", "200").await;
    let line = telemetry.line("request").unwrap();
    assert!(line["event.duration"].as_u64().unwrap() >= 1_100_000_000);
    assert!(
        line["labels.stages"]
            .as_str()
            .unwrap()
            .starts_with("fetch=1"),
        "{line}"
    );
    let bucket = [
        ("http_route", "/slow"),
        ("http_response_status_code", "200"),
        ("le", "1"),
    ];
    assert_eq!(
        scrape(&registry).value("http_server_request_duration_seconds_bucket", &bucket),
        Some(0.0)
    );
}

#[tokio::test]
async fn a_request_is_one_log_line() {
    let telemetry = capture();
    let (server, _registry) = start().await;
    let answer = server.get("/items/17?token=hidden").await;
    let lines = telemetry.lines();
    let lines: Vec<_> = lines
        .iter()
        .filter(|line| line["message"] == "request")
        .collect();
    assert_eq!(lines.len(), 1);
    let line = lines[0];
    assert_eq!(line["log.level"], "info");
    assert_eq!(line["http.request.method"], "GET");
    assert_eq!(line["url.path"], "/items/17");
    assert_eq!(line["http.route"], "/items/{id}");
    assert_eq!(line["http.response.status_code"], 200);
    assert_eq!(line["http.response.body.bytes"], 4);
    assert!(line["event.duration"].as_u64().unwrap() > 0);
    assert_eq!(
        line["trace.id"],
        json!(answer.header("x-trace-id").unwrap())
    );
    assert!(line.get("labels.stages").is_none());
    assert!(!line.to_string().contains("hidden"));
}

#[tokio::test]
async fn handlers_and_answers_name_the_trace() {
    let telemetry = capture();
    let (server, _registry) = start().await;
    let answer = server.get("/trace-id").await;
    let trace_id = answer.header("x-trace-id").unwrap();
    assert_eq!(answer.body(), trace_id);
    let span = eventually("the span ends", || telemetry.span("GET /trace-id")).await;
    assert_eq!(span.trace_id, trace_id);
    assert_eq!(
        answer.header("traceresponse").unwrap(),
        format!("00-{trace_id}-{}-01", span.span_id)
    );
}

#[tokio::test]
async fn an_answer_names_a_trace_even_where_nothing_is_traced() {
    let (server, _registry) = start().await;
    let answer = server.get("/trace-id").await;
    assert_eq!(answer.header("x-trace-id").unwrap().len(), 32);
    assert_eq!(answer.header("x-trace-id"), Some(answer.body()));
    assert_eq!(answer.header("traceresponse"), None);
}
