//! The join of traces and lines, and what must not be in any of them, with the real service.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use stack::server::{Launch, postgres, require};
use stack::state::State;
use stack::{net, wait};

use super::rig::{DEADLINE, count, eventually, mapped_fields, shared_elasticsearch, sources};
use crate::run::Run;
use crate::up::{START, get, start};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
/// In places of a request that no line may show.
const PLANTED: [&str; 3] = ["planted-parameter", "planted-session", "planted-token"];

#[tokio::test]
async fn a_trace_finds_its_lines_a_line_its_trace_and_nobody_a_secret() {
    let Some(server) = shared_elasticsearch().await else {
        return;
    };
    let Some(found) = require(postgres::find()) else {
        return;
    };
    let catalog = postgres::start(&found, &Launch::for_test().unwrap())
        .await
        .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let environment = [
        ("CHITRAM_ELASTICSEARCH_URL", server.url.as_str()),
        ("CHITRAM_POSTGRES_URL", catalog.url.as_str()),
    ];
    let mut run = start(&folder, &["--embedded"], &environment);
    let ready = |run: &Run| {
        run.stdout()
            .contains("Ctrl-C stops everything")
            .then_some(())
    };
    run.until("the addresses", START, ready).await;
    let state = State::read(&folder.path().join("stack.toml"))
        .unwrap()
        .unwrap();
    let endpoints = state.endpoints.clone();
    assert_eq!(
        endpoints.elasticsearch.as_deref(),
        Some(server.url.as_str())
    );

    let path = format!("/v1/images/{}", uuid_like());
    let asked = format!("{}{path}?token={}", endpoints.api.unwrap(), PLANTED[0]);
    let request = net::http()
        .unwrap()
        .get(asked)
        .header("traceparent", format!("00-{TRACE}-00f067aa0ba902b7-01"))
        .header("authorization", format!("Bearer {}", PLANTED[2]))
        .header("cookie", format!("session={}", PLANTED[1]));
    assert_eq!(request.send().await.unwrap().status(), 404);

    // From the trace to its lines.
    let of_trace = json!({"term": {"trace.id": TRACE}});
    let lines = json!({"bool": {"filter": [of_trace, {"term": {"url.path": path}}]}});
    eventually(&server.url, &lines, 1).await;
    let line = sources(&server.url, &lines).await.remove(0);
    assert_eq!(line["http.response.status_code"], 404);

    // From a line to its trace.
    let trace = line["trace.id"].as_str().unwrap();
    let found = format!("{}/api/traces/{trace}", endpoints.jaeger.unwrap());
    let span_of_line = async || {
        let (_, body) = get(&found).await.filter(|(status, _)| *status == 200)?;
        let answer: Value = serde_json::from_str(&body).ok()?;
        let spans = answer["data"][0]["spans"].as_array()?;
        spans
            .iter()
            .any(|span| span["spanID"] == line["span.id"])
            .then_some(())
    };
    let joined = wait::until(Duration::from_mins(1), span_of_line).await;
    assert!(joined.is_some(), "{} is in no trace", line["span.id"]);

    let node = json!({"term": {"service.node.name": line["service.node.name"]}});
    assert_every_line_is_there(&server.url, &node, &folder.path().join("logs/service.log")).await;
    assert_every_field_is_mapped(&server.url, &node).await;
    let service = state
        .processes
        .iter()
        .find(|process| process.name == "service")
        .unwrap();
    assert_no_secret(&server.url, &node, service.pid, &path).await;
}

/// A path that nobody else asks for.
fn uuid_like() -> String {
    let hex = format!("{:032x}", rand::random::<u128>());
    // Version 7 and its variant, so that it is an id that the service could have given.
    format!(
        "{}-{}-7{}-8{}-{}",
        &hex[..8],
        &hex[8..12],
        &hex[13..16],
        &hex[17..20],
        &hex[20..]
    )
}

async fn assert_every_line_is_there(elasticsearch: &str, node: &Value, log: &Path) {
    let written = || std::fs::read_to_string(log).unwrap().lines().count() as u64;
    // The service may write while this waits.
    let equal = async || (count(elasticsearch, node).await == Some(written())).then_some(());
    let there = wait::until(DEADLINE, equal).await;
    assert!(there.is_some(), "{} lines were written", written());
}

async fn assert_every_field_is_mapped(elasticsearch: &str, node: &Value) {
    let mapped = mapped_fields(elasticsearch).await;
    for line in sources(elasticsearch, node).await {
        for field in line.as_object().unwrap().keys() {
            assert!(
                mapped.contains(field),
                "{field} is not in deploy/logs/index-template.json"
            );
        }
    }
}

/// The service's own secrets, and those of a request, in all that is in the index about it.
async fn assert_no_secret(elasticsearch: &str, node: &Value, service: u32, path: &str) {
    let environment = std::fs::read(format!("/proc/{service}/environ")).unwrap();
    let value = |name: &str| {
        let entries = environment.split(|byte| *byte == 0);
        let mut entries = entries.filter_map(|entry| std::str::from_utf8(entry).ok());
        let value = entries.find_map(|entry| entry.strip_prefix(name)?.strip_prefix('='));
        value.unwrap().to_owned()
    };
    let catalog = url::Url::parse(&value("CHITRAM_CATALOG_URL")).unwrap();
    let mut secrets = vec![
        value("CHITRAM_STORE_SECRET_KEY"),
        catalog.password().unwrap().to_owned(),
    ];
    secrets.extend(PLANTED.map(str::to_owned));
    let indexed: String = sources(elasticsearch, node)
        .await
        .iter()
        .map(Value::to_string)
        .collect();
    assert!(indexed.contains(path), "the search finds what is there");
    for secret in secrets {
        assert!(secret.len() >= 8, "a secret that is no accident");
        assert!(!indexed.contains(&secret), "a secret is in the index");
    }
}
