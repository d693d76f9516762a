//! The service says nothing that it does not declare: metrics, spans and log lines of work of every kind, as they arrive.

use std::collections::BTreeMap;
use std::time::Duration;

use observability::testing::{
    Scrape, SpanRecord, parse_lines, undeclared_fields, undeclared_series, undeclared_spans,
};
use serde_json::Value;
use service::app::Role;
use service::telemetry::declarations;
use stack::standin::jaeger;
use tokio_util::sync::CancellationToken;

use crate::process::Running;
use crate::support::service::Service;
use crate::support::{PATIENCE, pictures, until};

/// A scrape of a service that nobody has asked for anything, in bytes. OpenMetrics also says of each series when it came to be.
const FRESH_SCRAPE: [(&str, usize); 2] = [("classic", 60 * 1024), ("OpenMetrics", 64 * 1024)];
/// Lines of a scrape after work of every kind: each is a series in Prometheus.
const SERIES: usize = 2_000;

/// Tags that Jaeger adds to a span, or makes of what is no attribute.
const OF_JAEGER: [&str; 6] = [
    "error",
    "otel.scope.name",
    "otel.scope.version",
    "otel.status_code",
    "otel.status_description",
    "span.kind",
];

#[tokio::test]
async fn a_fresh_scrape_is_small_and_declared() {
    let service = Service::start_as(Role::All, &[]).await;
    // What the worker asks the catalog by itself has its series.
    until("the worker has looked for jobs", async || {
        let name = "db_client_operation_duration_seconds_count";
        let asked = async |operation| {
            let labels = [("db_operation_name", operation)];
            service.metric(name, &labels).await >= 1.0
        };
        asked("SELECT").await && asked("UPDATE").await && asked("DELETE").await
    })
    .await;
    let classic = service.admin("/metrics").await.text();
    let open = service.openmetrics().await;
    let strange = undeclared_series(&declarations(), &Scrape::parse(&classic));
    assert!(strange.is_empty(), "{strange:?}");
    for ((format, most), text) in FRESH_SCRAPE.into_iter().zip([&classic, &open]) {
        let (bytes, lines) = (text.len(), text.lines().count());
        assert!(bytes < most, "{format}: {bytes} bytes, {lines} lines");
    }
    // Objectives are about these: without a series they count as not measured.
    for source in ["source=\"stored\"", "source=\"rendered\""] {
        let count = "chitram_render_duration_seconds_count";
        let mut lines = classic.lines();
        assert!(
            lines.any(|line| line.starts_with(count) && line.contains(source)),
            "{source}"
        );
    }
    service.stop().await;
}

#[tokio::test]
async fn every_series_span_and_log_field_of_work_of_every_kind_is_declared() {
    let bind = async || {
        tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a port")
    };
    let (query, otlp, stop) = (bind().await, bind().await, CancellationToken::new());
    let search = query.local_addr().expect("bound");
    let collector = format!("http://{}", otlp.local_addr().expect("bound"));
    tokio::spawn(jaeger::serve(
        query,
        otlp,
        jaeger::Limits::default(),
        stop.clone(),
    ));
    let folder = tempfile::tempdir().expect("a folder");
    let settings = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.as_str()),
        ("OTEL_TRACES_SAMPLER_ARG", "1"),
    ];
    let (child, api, admin) = Running::start(folder.path(), &settings);
    let client = reqwest::Client::builder()
        .no_proxy()
        .timeout(PATIENCE)
        .build()
        .expect("a client");
    exercise(&client, &format!("http://{api}")).await;

    let page = async || {
        let answer = client.get(format!("http://{admin}/metrics")).send().await;
        answer.expect("an answer").text().await.expect("a page")
    };
    let jaeger = format!("http://{search}");
    let mut arrived = Vec::new();
    until("spans of every kind have arrived", async || {
        arrived = spans(&client, &jaeger).await;
        let names = [
            "POST /v1/images",
            "process variants",
            "process purge",
            "PutObject",
            "INSERT images",
            "encode",
        ];
        names
            .iter()
            .all(|name| arrived.iter().any(|span| span.name == *name))
    })
    .await;
    let text = page().await;
    let declared = declarations();
    let strange = undeclared_series(&declared, &Scrape::parse(&text));
    assert!(strange.is_empty(), "{strange:#?}");
    let series = text.lines().filter(|line| !line.starts_with('#')).count();
    println!("{series} series, {} bytes", text.len());
    assert!(series < SERIES, "{series} series");

    let strange = undeclared_spans(&declared, &arrived);
    assert!(strange.is_empty(), "{strange:#?}");

    let (code, said) = child.end("TERM");
    assert_eq!(code, Some(0));
    let strange = undeclared_fields(&declared, &parse_lines(&said));
    assert!(strange.is_empty(), "{strange:#?}");
    stop.cancel();
}

/// Requests of every route, good and bad, and the jobs that they make.
async fn exercise(client: &reqwest::Client, api: &str) {
    let images = format!("{api}/v1/images");
    let upload = async |picture: Vec<u8>| {
        let request = client.post(&images).header("content-type", "image/jpeg");
        let answer = request.body(picture).send().await.expect("an answer");
        answer.json::<Value>().await.unwrap_or_default()
    };
    let id = upload(pictures::jpeg(1, 300)).await["id"]
        .as_str()
        .expect("an id")
        .to_owned();
    upload(pictures::jpeg(1, 300)).await;
    upload(b"no picture".to_vec()).await;
    let unknown = "01890a5d-ac96-774b-bcce-b302099a8057";
    let mut paths = vec![
        "?limit=2".to_owned(),
        "?limit=many".to_owned(),
        "/no-id".to_owned(),
        format!("/{unknown}"),
        format!("/{unknown}/content"),
        format!("/{unknown}/render?preset=thumb"),
    ];
    for path in [
        "",
        "/content",
        "/render?preset=thumb",
        "/render?w=40&format=png",
        "/render?preset=no",
    ] {
        paths.push(format!("/{id}{path}"));
    }
    for path in &paths {
        for method in [
            reqwest::Method::GET,
            reqwest::Method::HEAD,
            reqwest::Method::PUT,
        ] {
            let request = client.request(method, format!("{images}{path}"));
            // Only that it was asked matters here.
            let _ = request.send().await.expect("an answer").bytes().await;
        }
    }
    for path in [format!("{api}/v1/jobs/{unknown}"), format!("{api}/nowhere")] {
        client.get(path).send().await.expect("an answer");
    }
    let partial = client
        .get(format!("{images}/{id}/content"))
        .header("range", "bytes=0-9");
    partial.send().await.expect("an answer");
    // Its client leaves before the answer.
    let left = client
        .get(format!("{images}/{id}/render?w=200"))
        .timeout(Duration::from_millis(1));
    let _ = left.send().await;
    let deleted = client.delete(format!("{images}/{id}")).send().await;
    deleted.expect("an answer");
}

/// Every span that arrived, as far as its declaration goes.
async fn spans(client: &reqwest::Client, jaeger: &str) -> Vec<SpanRecord> {
    let url = format!("{jaeger}/api/traces?service=chitram&limit=1000&lookback=1h");
    let found: Value = client
        .get(url)
        .send()
        .await
        .expect("an answer")
        .json()
        .await
        .expect("traces");
    let traces = found["data"].as_array().expect("a list").iter();
    traces
        .flat_map(|trace| trace["spans"].as_array().expect("a list"))
        .map(record)
        .collect()
}

fn record(span: &Value) -> SpanRecord {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let tags = span["tags"].as_array().expect("a list");
    let kind = tags.iter().find(|tag| tag["key"] == "span.kind");
    let attributes: BTreeMap<String, String> = tags
        .iter()
        .map(|tag| (text(&tag["key"]), tag["value"].to_string()))
        .filter(|(key, _)| !OF_JAEGER.contains(&key.as_str()))
        .collect();
    SpanRecord {
        name: text(&span["operationName"]),
        kind: kind.map_or("internal".to_owned(), |tag| text(&tag["value"])),
        trace_id: text(&span["traceID"]),
        span_id: text(&span["spanID"]),
        parent_span_id: None,
        duration: Duration::ZERO,
        attributes,
        error: false,
        links: Vec::new(),
    }
}

/// Boards, alerts and documents are checked against this file.
#[test]
fn the_file_of_declarations_is_what_the_program_prints() {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_chitram"))
        .arg("telemetry")
        .output()
        .expect("it runs");
    assert!(output.status.success(), "{output:?}");
    let file = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../docs/telemetry/chitram.json"
    );
    let known = std::fs::read_to_string(file).expect("the file");
    let printed = String::from_utf8(output.stdout).expect("text");
    assert!(known == printed, "{file} is stale: run scripts/telemetry");
}
