//! Spans, log lines and metrics of requests, read as their readers would.

use std::collections::BTreeSet;

use observability::testing::{Capture, SpanRecord, capture};
use service::app::Role;

use crate::support::service::{Answer, Service, send};
use crate::support::store::{Behaviour, FakeStore};
use crate::support::{pictures, until};

/// One request's spans, below its server span.
///
/// That one itself is not among them: a span that ends on a thread of SQLite lets go of its parent through that thread's
/// subscriber, and a captured test has it on its own thread only. `process.rs` asserts a whole trace from outside.
struct Trace {
    root: String,
    spans: Vec<SpanRecord>,
}

impl Trace {
    /// The trace of the last request whose answer is this one, found by its log line.
    async fn of(telemetry: &Capture, answer: &Answer) -> Self {
        let id = answer.header("x-trace-id");
        let line =
            |line: &serde_json::Value| line["message"] == "request" && line["trace.id"] == id;
        until("its log line", async || telemetry.lines().iter().any(line)).await;
        let line = telemetry.lines().into_iter().find(line).expect("just seen");
        Self {
            root: line["span.id"].as_str().expect("an id").to_owned(),
            spans: telemetry
                .spans()
                .into_iter()
                .filter(|span| span.trace_id == id)
                .collect(),
        }
    }

    #[track_caller]
    fn span(&self, name: &str) -> &SpanRecord {
        let names: Vec<_> = self.spans.iter().map(|span| &span.name).collect();
        self.spans
            .iter()
            .find(|span| span.name == name)
            .unwrap_or_else(|| panic!("no span {name} among {names:?}"))
    }

    /// Checks that there is a span of this name and kind right below the server span.
    #[track_caller]
    fn assert_step(&self, name: &str, kind: &str) -> &SpanRecord {
        let span = self.span(name);
        assert_eq!(
            (span.kind.as_str(), span.parent_span_id.as_deref()),
            (kind, Some(self.root.as_str())),
            "{name}"
        );
        span
    }
}

#[tokio::test]
async fn the_steps_of_an_upload_are_spans_and_its_job_continues_the_trace() {
    let telemetry = capture();
    let store = FakeStore::start().await;
    let service = store.service_as(Role::All, &[]).await;
    let answer = service.upload(pictures::jpeg(1, 300)).await;
    assert_eq!(answer.status, 201);
    until("the job's span", async || {
        telemetry.span("process variants").is_some()
    })
    .await;

    let trace = Trace::of(&telemetry, &answer).await;
    for stage in ["receive", "permit wait", "probe", "dominant color"] {
        trace.assert_step(stage, "internal");
    }
    let put = trace.assert_step("PutObject", "client");
    assert_eq!(put.attributes["peer.service"], "store");
    assert_eq!(put.attributes["server.address"], store.address.to_string());
    for name in ["SELECT images", "INSERT images"] {
        assert_eq!(
            trace.assert_step(name, "client").attributes["peer.service"],
            "catalog"
        );
    }
    assert_eq!(trace.span("process variants").kind, "consumer");
    service.stop().await;
}

#[tokio::test]
async fn a_render_shows_where_its_time_went() {
    let telemetry = capture();
    let store = FakeStore::start().await;
    let service = store.service(&[]).await;
    let id = service.uploaded(pictures::png(2, 300, 300, false)).await["id"]
        .as_str()
        .expect("an id")
        .to_owned();
    let answer = send(service.get(&format!("/v1/images/{id}/render?preset=thumb"))).await;
    assert_eq!(answer.status, 200);

    let trace = Trace::of(&telemetry, &answer).await;
    let steps = ["decode", "transform", "encode"];
    for stage in ["validate", "permit wait", "probe"].iter().chain(&steps) {
        trace.assert_step(stage, "internal");
    }
    let ended = steps.map(|step| trace.spans.iter().position(|span| span.name == step));
    assert!(ended.is_sorted(), "one after the other");
    for call in ["SELECT images", "GetObject"] {
        trace.assert_step(call, "client");
    }
    let count = "chitram_image_stage_duration_seconds_count";
    for stage in ["fetch", "decode", "transform", "encode"] {
        assert_eq!(
            service
                .count(count, &[("stage", stage), ("format", "jpeg")])
                .await,
            1,
            "{stage}"
        );
    }
    let metrics = service.metrics().await;
    let stages: BTreeSet<_> = metrics
        .series(count)
        .iter()
        .map(|series| series.labels["stage"].clone())
        .collect();
    let reached = [
        "decode",
        "encode",
        "fetch",
        "inspect",
        "store",
        "transform",
        "wait",
    ];
    assert_eq!(stages, reached.map(str::to_owned).into());
    assert!(service.count(count, &[("stage", "wait")]).await >= 2);
    assert_eq!(service.count("chitram_cpu_permits_limit", &[]).await, 2);
    for gauge in [
        "chitram_cpu_permits_in_use",
        "chitram_cpu_permits_waiting",
        "chitram_decoded_bytes_in_use",
    ] {
        assert_eq!(service.count(gauge, &[]).await, 0, "{gauge}");
    }
    assert!(service.count("chitram_decoded_bytes_budget", &[]).await > 0);
    service.stop().await;
}

#[tokio::test]
async fn a_call_that_the_breaker_refuses_has_its_span() {
    let telemetry = capture();
    let store = FakeStore::start().await;
    let service = store.service(&[]).await;
    let id = service.uploaded(pictures::png(3, 30, 30, false)).await["id"]
        .as_str()
        .expect("an id")
        .to_owned();
    let path = format!("/v1/images/{id}/content");
    store.behave(Behaviour::Failing);
    until("a refused call", async || {
        assert_eq!(send(service.get(&path)).await.status, 503);
        telemetry.spans().iter().any(|span| {
            span.name == "GetObject"
                && span.error
                && span
                    .attributes
                    .get("error.type")
                    .is_some_and(|kind| kind == "circuit_open")
        })
    })
    .await;

    let opened = telemetry.line("circuit opened").expect("a line");
    assert_eq!(opened["log.level"], "warn");
    assert_eq!(opened["event.dataset"], "chitram.circuit");
    assert_eq!(opened["labels.dependency"], "store");
    assert_eq!(opened["labels.direction"], "read");
    let failed = telemetry.line("store unavailable").expect("a line");
    assert_eq!(
        (&failed["log.level"], &failed["error.type"]),
        (&"warn".into(), &"server".into())
    );
    assert!(
        failed["error.message"]
            .as_str()
            .is_some_and(|cause| cause.contains("500")),
        "{failed}"
    );
    assert_eq!(failed["trace.id"].as_str().map(str::len), Some(32));
    service.stop().await;
}

#[tokio::test]
async fn counters_gauges_and_what_a_promise_is_about_are_there_from_the_start() {
    let service = Service::start_as(Role::All, &[]).await;
    let metrics = service.metrics().await;
    for (name, labels) in [
        (
            "chitram_circuit_state",
            ["dependency", "direction", "state"].as_slice(),
        ),
        (
            "chitram_circuit_transitions_total",
            &["dependency", "direction", "state"],
        ),
        ("chitram_retries_total", &["dependency", "direction"]),
        ("chitram_shed_total", &["reason"]),
        ("chitram_rejected_total", &["reason"]),
        ("chitram_bulkhead_limit", &["dependency", "direction"]),
        ("chitram_bulkhead_in_use", &["dependency", "direction"]),
        ("chitram_objects_repaired_total", &["reason"]),
        ("chitram_objects_orphaned_total", &[]),
        ("chitram_image_work_total", &["outcome", "work"]),
        ("chitram_cpu_permits_limit", &[]),
        ("chitram_cpu_permits_in_use", &[]),
        ("chitram_cpu_permits_waiting", &[]),
        ("chitram_decoded_bytes_budget", &[]),
        ("chitram_decoded_bytes_in_use", &[]),
        ("chitram_uploads_accepted_total", &[]),
        ("chitram_original_bytes_budget", &[]),
        ("chitram_original_bytes_in_use", &[]),
        ("chitram_spool_bytes_limit", &[]),
        ("chitram_spool_bytes_in_use", &[]),
        ("chitram_image_ready_seconds_count", &[]),
        (
            "http_server_request_duration_seconds_count",
            &[
                "http_request_method",
                "http_route",
                "http_response_status_code",
                "error_type",
            ],
        ),
    ] {
        let series = metrics.series(name);
        assert!(!series.is_empty(), "{name} is missing");
        // An empty label is as good as an absent one.
        let known = |series: &&observability::testing::Series| {
            series
                .labels
                .keys()
                .all(|label| labels.contains(&label.as_str()))
        };
        assert!(series.iter().all(known), "{name}: {:?}", series[0].labels);
    }
    service.stop().await;
}
