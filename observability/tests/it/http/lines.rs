//! The one log line of a request.

use observability::testing::capture;
use serde_json::json;

use super::{start, until_counted};
use crate::support::{eventually, scrape};

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
        ("le", "1.0"),
    ];
    assert_eq!(
        scrape(&registry).value("http_server_request_duration_seconds_bucket", &bucket),
        Some(0.0)
    );
}
