//! Each server by itself, with what this crate writes for it.

use std::ffi::OsStr;
use std::time::Duration;

use stack::process::{Spec, spawn};
use stack::server::prometheus::{Settings, Target};
use stack::server::{Backend, Found, Launch, Source, alertmanager, prometheus, require};
use stack::wait;

use super::{SEEN, json};
use crate::support::launcher;
use crate::up::get;

/// Runs a tool on files and returns what it said; the test fails when the tool does.
async fn check(tool: Backend, args: &[&OsStr]) -> Option<()> {
    let Found {
        source: Source::Program(program),
        ..
    } = require(tool)?
    else {
        return None;
    };
    let log = tempfile::NamedTempFile::new().unwrap();
    let child = spawn(
        &launcher(),
        &Spec::new("check", &program, log.path()).args(args),
    )
    .unwrap();
    let status = child.wait().await;
    assert!(
        status.success(),
        "{}",
        std::fs::read_to_string(log.path()).unwrap()
    );
    Some(())
}

#[tokio::test]
async fn what_is_written_for_a_server_passes_its_own_check() {
    let (Some(found), Some(routes)) = (require(prometheus::find()), require(alertmanager::find()))
    else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let launch = Launch {
        data: Some(folder.path().to_owned()),
        ..Launch::for_test().unwrap()
    };
    let shipped = stack::alerts::Alerts::shipped();
    let receiver = alertmanager::start(
        &routes,
        &launch,
        &shipped.routes,
        "http://127.0.0.1:1/alerts",
    );
    let receiver = receiver.await.unwrap();
    let target = Target {
        job: "x".to_owned(),
        url: "http://127.0.0.1:1".to_owned(),
    };
    let settings = Settings {
        interval: Duration::from_millis(500),
        targets: vec![target],
        registered: Some(folder.path().join("it's \"here\"")),
        alertmanager: Some(receiver.url.clone()),
        rules: shipped.rules,
    };
    let server = prometheus::start(&found, &launch, &settings).await.unwrap();
    for entry in folder.path().read_dir().unwrap() {
        let home = entry.unwrap().path();
        let (config, routes) = (home.join("prometheus.yml"), home.join("alertmanager.yml"));
        if config.exists() {
            check(
                prometheus::find_promtool(),
                &["check".as_ref(), "config".as_ref(), config.as_os_str()],
            )
            .await;
        } else {
            check(
                alertmanager::find_amtool(),
                &["check-config".as_ref(), routes.as_os_str()],
            )
            .await;
        }
    }
    let expected = format!("{}/api/v2/alerts", receiver.url);
    let known = async || {
        let known = json(&format!("{}/api/v1/alertmanagers", server.url)).await?;
        (known["data"]["activeAlertmanagers"][0]["url"] == *expected).then_some(())
    };
    assert!(wait::until(SEEN, known).await.is_some());
    // A build without a web interface shows where its API is, a build with one shows that.
    assert_eq!(get(&server.url).await.unwrap().0, 200);
}

/// A page with one exemplar, served only to a scraper that asks for the format which carries it.
async fn page_with_exemplar(headers: http::HeaderMap) -> impl axum::response::IntoResponse {
    let accept = headers.get(http::header::ACCEPT).unwrap();
    let accept = accept.to_str().unwrap();
    assert!(
        accept.starts_with("application/openmetrics-text"),
        "{accept}"
    );
    let page = "# TYPE own_requests counter\n\
        own_requests_total 1 # {trace_id=\"4bf92f3577b34da6a3ce929d0e0e4736\"} 1\n\
        # EOF\n";
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(http::header::CONTENT_TYPE, kind)], page)
}

#[tokio::test]
async fn an_exemplar_of_a_target_that_registers_later_is_stored() {
    let Some(found) = require(prometheus::find()) else {
        return;
    };
    let registered = tempfile::tempdir().unwrap();
    let settings = Settings {
        interval: Duration::from_millis(500),
        targets: Vec::new(),
        registered: Some(registered.path().to_owned()),
        alertmanager: None,
        rules: Vec::new(),
    };
    let launch = Launch::for_test().unwrap();
    let server = prometheus::start(&found, &launch, &settings).await.unwrap();

    let listener = stack::net::listen(0, "").await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = axum::Router::new().route("/metrics", axum::routing::get(page_with_exemplar));
    tokio::spawn(async move { axum::serve(listener, app).await });
    let target = serde_json::json!([{"targets": [address.to_string()], "labels": {"job": "own"}}]);
    std::fs::write(registered.path().join("own.json"), target.to_string()).unwrap();

    let url = format!(
        "{}/api/v1/query_exemplars?query=own_requests_total&start=0&end=4000000000",
        server.url
    );
    let stored = async || {
        let answer = json(&url).await?;
        answer["data"].get(0).cloned()
    };
    let series = wait::until(SEEN, stored).await.unwrap();
    assert_eq!(series["seriesLabels"]["job"], "own");
    assert_eq!(
        series["exemplars"][0]["labels"]["trace_id"],
        "4bf92f3577b34da6a3ce929d0e0e4736"
    );
}
