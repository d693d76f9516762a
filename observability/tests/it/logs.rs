//! Log lines.

use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use observability::guard::Hosts;
use observability::testing::{capture, parse_lines, service};
use observability::{LogOutput, Logs, Settings, admin};
use serde_json::{Value, json};
use tower::ServiceExt as _;
use tracing::level_filters::LevelFilter;
use tracing::{Level, debug, info, span_enabled, warn};

use crate::support::{child, child_role, registry};

#[test]
fn a_line_has_the_fields_that_identify_process_and_moment() {
    let telemetry = capture();
    info!(answer = 42, "something happened");
    let line = telemetry.line("something happened").unwrap();
    let timestamp = line["@timestamp"].as_str().unwrap();
    assert!(
        timestamp.ends_with('Z') && timestamp.contains('T'),
        "{timestamp}"
    );
    assert_eq!(line["log.level"], "info");
    assert_eq!(line["ecs.version"], "8.11.0");
    assert_eq!(line["service.name"], "test");
    assert_eq!(line["service.version"], "0.0.0");
    assert_eq!(line["service.environment"], "test");
    assert_eq!(line["service.node.name"], "test-node");
    assert_eq!(line["event.dataset"], "test");
    assert_eq!(line["event.sequence"], 1);
    assert_eq!(line["log.logger"], "it::logs");
    assert_eq!(line["labels.answer"], 42);
    assert!(line.get("trace.id").is_none());
}

#[test]
fn lines_are_numbered_without_a_gap() {
    let telemetry = capture();
    for _ in 0..3 {
        info!("again");
    }
    let numbers: Vec<Value> = telemetry
        .lines()
        .iter()
        .map(|line| line["event.sequence"].clone())
        .collect();
    assert_eq!(numbers, [json!(1), json!(2), json!(3)]);
}

#[test]
fn names_of_the_schema_stay_and_others_become_labels() {
    let telemetry = capture();
    warn!(error.type = "timeout", event.dataset = "test.jobs", image.id = "7", run_id = "forged", service.name = "x", "failed");
    let line = telemetry.line("failed").unwrap();
    assert_eq!(line["error.type"], "timeout");
    assert_eq!(line["event.dataset"], "test.jobs");
    assert_eq!(line["labels.image_id"], "7");
    assert_eq!(line["service.name"], "test");
    assert_eq!(line["labels.service_name"], "x");
    assert!(line.get("labels.run_id").is_none());
}

#[test]
fn hostile_values_stay_inside_their_field() {
    let hostile = "\"}\n{\"log.level\":\"error\"}\u{0}\u{7f}\u{2028}\\\u{fffd}é";
    let telemetry = capture();
    info!(value = hostile, debug = ?hostile, url.path = hostile, nan = f64::NAN, "{hostile}");
    let lines = telemetry.lines();
    assert_eq!(lines.len(), 1);
    assert_eq!(lines[0]["message"], hostile);
    assert_eq!(lines[0]["labels.value"], hostile);
    assert_eq!(lines[0]["url.path"], hostile);
    assert_eq!(lines[0]["labels.nan"], "NaN");
    assert_eq!(lines[0]["log.level"], "info");
}

#[test]
fn a_huge_value_is_cut_at_a_character() {
    let telemetry = capture();
    let huge = "é".repeat(1_000_000);
    info!(a = %huge, b = %huge, c = %huge, d = %huge, "{huge}");
    let lines = telemetry.lines();
    assert!(lines[0].to_string().len() < 40_000);
}

#[test]
fn a_field_given_twice_is_kept_once() {
    let telemetry = capture();
    info!(a.b = 1, a_b = 2, "twice");
    let text = telemetry.line("twice").unwrap();
    assert_eq!(text["labels.a_b"], 1);
}

#[tokio::test]
async fn a_whole_process_switches_its_level_logs_its_panics_and_loses_nothing() {
    if child_role().is_some() {
        return as_child().await;
    }
    let name = "logs::a_whole_process_switches_its_level_logs_its_panics_and_loses_nothing";
    let output = child(name, "log").await;
    let text = String::from_utf8(output.stderr).unwrap();
    let lines: Vec<Value> = text
        .lines()
        .filter(|line| line.starts_with('{'))
        .flat_map(parse_lines)
        .collect();
    let messages: Vec<&str> = lines
        .iter()
        .filter_map(|line| line["message"].as_str())
        .collect();
    assert_eq!(
        messages,
        [
            "first",
            "asked before",
            "switched on",
            "switched back",
            "panic"
        ],
        "{text}"
    );
    let numbers: Vec<u64> = lines
        .iter()
        .filter_map(|line| line["event.sequence"].as_u64())
        .collect();
    assert_eq!(numbers, [1, 2, 3, 4, 5]);
    let panic = &lines[4];
    assert_eq!(panic["log.level"], "error");
    assert_eq!(panic["error.type"], "panic");
    assert_eq!(panic["error.message"], "on purpose: 7");
    assert!(panic["labels.origin"].as_str().unwrap().contains("logs.rs"));
    let nodes: Vec<&Value> = lines
        .iter()
        .map(|line| &line["service.node.name"])
        .collect();
    assert!(nodes.iter().all(|node| *node == nodes[0]));
}

async fn as_child() {
    let registry = registry();
    let logs = Logs {
        filter: "info".to_owned(),
        output: LogOutput::Stderr,
    };
    let settings = Settings {
        service: service(),
        logs,
        traces: None,
    };
    let guard = observability::init(settings.clone(), &registry).unwrap();
    assert!(observability::init(settings, &registry).is_err());
    let admin = admin::router(registry, Hosts::default(), std::future::pending);
    let level = async |method: &str, filter: &str| {
        let request = Request::builder()
            .method(method)
            .uri("/log-level")
            .header("host", "localhost")
            .body(Body::from(filter.to_owned()))
            .unwrap();
        let answer = admin.clone().oneshot(request).await.unwrap();
        let status = answer.status().as_u16();
        let body = axum::body::to_bytes(answer.into_body(), 4096)
            .await
            .unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    };

    // Below it nothing is even asked for.
    assert_eq!(LevelFilter::current(), LevelFilter::INFO);
    info!("first");
    debug!("off by default");
    assert_eq!(level("PUT", "warn").await.0, 204);
    // Wanted as a span and not as a line: the answer must not stay behind and swallow the line.
    assert!(span_enabled!(Level::INFO));
    warn!("asked before");
    assert_eq!(level("PUT", "info").await.0, 204);
    assert_eq!(level("GET", "").await, (200, "info".to_owned()));
    let (status, reason) = level("PUT", "it=not-a-level").await;
    assert_eq!(status, 400);
    assert!(
        reason.contains("it=not-a-level") && reason.contains("RUST_LOG"),
        "{reason}"
    );
    assert_eq!(level("PUT", "").await.0, 400);
    // A mistyped level would be the name of a module, and everything else would fall silent.
    let (status, reason) = level("PUT", "debgu").await;
    assert_eq!(status, 400);
    assert!(
        reason.contains("bad-log-filter") && reason.contains("not a level"),
        "{reason}"
    );
    assert_eq!(level("GET", "").await, (200, "info".to_owned()));
    assert_eq!(level("PUT", "warn,it=debug").await.0, 204);
    assert_eq!(LevelFilter::current(), LevelFilter::DEBUG);
    debug!("switched on");
    assert_eq!(level("PUT", "info").await.0, 204);
    debug!("off again");
    info!("switched back");
    let number = 7;
    let panicked = tokio::spawn(async move { panic!("on purpose: {number}") }).await;
    assert!(panicked.is_err());
    guard.shutdown(Duration::from_secs(20)).await;
}
