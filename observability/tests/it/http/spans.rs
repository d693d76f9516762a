//! The server span, and the trace's name on the answer.

use observability::testing::capture;

use super::start;
use crate::support::eventually;

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
