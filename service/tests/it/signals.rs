//! Spans, log lines and metrics of requests, read as their readers would.

use observability::testing::{Capture, SpanRecord, capture};
use service::app::Role;

use crate::support::service::{Service, send};
use crate::support::store::{Behaviour, FakeStore};
use crate::support::{pictures, until};

/// The one span with this name; its parent's name comes with it.
#[track_caller]
fn span<'a>(spans: &'a [SpanRecord], name: &str) -> (&'a SpanRecord, &'a str) {
    let span = spans.iter().find(|span| span.name == name);
    let span = span.unwrap_or_else(|| panic!("no span {name} among {:?}", names(spans)));
    let parent = spans.iter().find(|parent| Some(&parent.span_id) == span.parent_span_id.as_ref());
    (span, parent.map_or("", |parent| parent.name.as_str()))
}

fn names(spans: &[SpanRecord]) -> Vec<&str> {
    spans.iter().map(|span| span.name.as_str()).collect()
}

/// The spans of the trace whose server span has this name, once it has ended.
async fn trace(telemetry: &Capture, root: &str) -> Vec<SpanRecord> {
    until(root, async || { eprintln!("{:?}", names(&telemetry.spans())); telemetry.span(root).is_some() }).await;
    let root = telemetry.span(root).expect("just seen");
    telemetry.spans().into_iter().filter(|span| span.trace_id == root.trace_id).collect()
}

#[tokio::test]
async fn an_upload_and_its_job_are_one_trace() {
    let telemetry = capture();
    let store = FakeStore::start().await;
    let endpoint = format!("http://{}", store.address);
    let settings = [("CHITRAM_STORE_URL", "s3://test"), ("CHITRAM_STORE_ENDPOINT", &endpoint),
        ("CHITRAM_STORE_ACCESS_KEY", "key"), ("CHITRAM_STORE_SECRET_KEY", "secret")];
    let service = Service::start_as(Role::All, &settings).await;
    let answer = service.upload(pictures::jpeg(1, 300)).await;
    assert_eq!(answer.status, 201);
    until("the job's span", async || telemetry.span("process variants").is_some()).await;

    let spans = trace(&telemetry, "POST /v1/images").await;
    let root = "POST /v1/images";
    assert_eq!(span(&spans, root).0.kind, "server");
    assert_eq!(span(&spans, root).0.trace_id, answer.header("x-trace-id"));
    for stage in ["receive", "permit wait", "probe", "dominant color"] {
        let (span, parent) = span(&spans, stage);
        assert_eq!((span.kind.as_str(), parent), ("internal", root), "{stage}");
    }
    let (put, parent) = span(&spans, "PutObject");
    assert_eq!((put.kind.as_str(), parent), ("client", root));
    assert_eq!(put.attributes["peer.service"], "store");
    assert_eq!(put.attributes["server.address"], store.address.to_string());
    let catalog: Vec<_> = spans.iter().filter(|span| span.attributes.get("peer.service").is_some_and(|peer| peer == "catalog")).collect();
    assert!(catalog.len() >= 2, "{:?}", names(&spans));
    assert_eq!(span(&spans, "process variants").0.kind, "consumer");
    service.stop().await;
}

#[tokio::test]
async fn a_render_shows_where_its_time_went() {
    let telemetry = capture();
    let store = FakeStore::start().await;
    let service = store.service(&[]).await;
    let id = service.uploaded(pictures::png(2, 300, 300, false)).await["id"].as_str().expect("an id").to_owned();
    telemetry.clear();
    let answer = send(service.get(&format!("/v1/images/{id}/render?preset=thumb"))).await;
    assert_eq!(answer.status, 200);

    let root = "GET /v1/images/{id}/render";
    let spans = trace(&telemetry, root).await;
    for (stage, kind) in [("validate", "internal"), ("SELECT images", "client"), ("GetObject", "client"), ("permit wait", "internal"), ("render", "internal")] {
        let (span, parent) = span(&spans, stage);
        assert_eq!((span.kind.as_str(), parent), (kind, root), "{stage}");
    }
    let count = "chitram_image_stage_duration_seconds_count";
    for stage in ["wait", "fetch", "render"] {
        assert_eq!(service.metric(count, &[("stage", stage), ("format", "jpeg")]).await, 1.0, "{stage}");
    }
    assert_eq!(service.metric("chitram_cpu_permits_limit", &[]).await, 2.0);
    for gauge in ["chitram_cpu_permits_in_use", "chitram_cpu_permits_waiting", "chitram_decoded_bytes_in_use"] {
        assert_eq!(service.metric(gauge, &[]).await, 0.0, "{gauge}");
    }
    assert!(service.metric("chitram_decoded_bytes_budget", &[]).await > 0.0);
    service.stop().await;
}

#[tokio::test]
async fn a_call_that_the_breaker_refuses_has_its_span() {
    let telemetry = capture();
    let store = FakeStore::start().await;
    let service = store.service(&[]).await;
    let id = service.uploaded(pictures::png(3, 30, 30, false)).await["id"].as_str().expect("an id").to_owned();
    let path = format!("/v1/images/{id}/content");
    store.behave(Behaviour::Failing);
    until("a refused call", async || {
        assert_eq!(send(service.get(&path)).await.status, 503);
        telemetry.spans().iter().any(|span| {
            span.name == "GetObject" && span.error && span.attributes.get("error.type").is_some_and(|kind| kind == "circuit_open")
        })
    })
    .await;

    let opened = telemetry.line("circuit opened").expect("a line");
    assert_eq!(opened["log.level"], "warn");
    assert_eq!(opened["event.dataset"], "chitram.circuit");
    assert_eq!(opened["labels.dependency"], "store");
    let failed = telemetry.line("store unavailable").expect("a line");
    assert_eq!((&failed["log.level"], &failed["error.type"]), (&"warn".into(), &"server".into()));
    assert!(failed["error.message"].as_str().is_some_and(|cause| cause.contains("500")), "{failed}");
    assert_eq!(failed["trace.id"].as_str().map(str::len), Some(32));
    service.stop().await;
}

#[tokio::test]
async fn every_metric_that_is_declared_is_there_from_the_start() {
    let service = Service::start_as(Role::All, &[]).await;
    let metrics = service.metrics().await;
    for (name, labels) in [
        ("chitram_circuit_state", ["dependency", "state"].as_slice()),
        ("chitram_circuit_transitions_total", &["dependency", "state"]),
        ("chitram_retries_total", &["dependency"]),
        ("chitram_shed_total", &["reason"]),
        ("chitram_rejected_total", &["reason"]),
        ("chitram_bulkhead_limit", &["dependency"]),
        ("chitram_bulkhead_in_use", &["dependency"]),
        ("chitram_cpu_permits_limit", &[]),
        ("chitram_cpu_permits_in_use", &[]),
        ("chitram_cpu_permits_waiting", &[]),
        ("chitram_decoded_bytes_budget", &[]),
        ("chitram_decoded_bytes_in_use", &[]),
        ("chitram_uploads_accepted_total", &[]),
        ("chitram_spool_bytes_limit", &[]),
        ("chitram_spool_bytes_in_use", &[]),
        ("http_client_request_duration_seconds_count", &["http_request_method", "http_response_status_code", "error_type", "server_address"]),
        ("chitram_image_stage_duration_seconds_count", &["stage", "format"]),
        ("chitram_render_duration_seconds_count", &["source", "format"]),
        ("http_server_request_duration_seconds_count", &["http_request_method", "http_route", "http_response_status_code", "error_type"]),
    ] {
        let series = metrics.series(name);
        assert!(!series.is_empty(), "{name} is missing");
        // An empty label is as good as an absent one.
        let known = |series: &&observability::testing::Series| series.labels.keys().all(|label| labels.contains(&label.as_str()));
        assert!(series.iter().all(known), "{name}: {:?}", series[0].labels);
    }
    service.stop().await;
}

#[tokio::test]
async fn zz_debug() {
    let telemetry = capture();
    let store = FakeStore::start().await;
    let role = if std::env::var_os("ROLE_API").is_some() { Role::Api } else { Role::All };
    let endpoint = format!("http://{}", store.address);
    let settings = [("CHITRAM_STORE_URL", "s3://test"), ("CHITRAM_STORE_ENDPOINT", &endpoint),
        ("CHITRAM_STORE_ACCESS_KEY", "key"), ("CHITRAM_STORE_SECRET_KEY", "secret")];
    let service = Service::start_as(role, &settings).await;
    eprintln!("started {:?}", names(&telemetry.spans()));
    send(service.get("/v1/images")).await;
    eprintln!("listed {:?}", names(&telemetry.spans()));
    let answer = service.upload(pictures::jpeg(1, 300)).await;
    eprintln!("uploaded {} {:?}", answer.status, names(&telemetry.spans()));
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    eprintln!("later {:?}", names(&telemetry.spans()));
    eprintln!("{:?}", telemetry.lines());
    service.stop().await;
    eprintln!("stopped {:?}", names(&telemetry.spans()));
}
