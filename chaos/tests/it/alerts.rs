//! What experiments expect of metrics and alerts, against the real Prometheus where it is found, which scrapes the runner
//! itself; and against one of the test's own where the real one can't be made to misbehave.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::extract::State;
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};
use stack::server::prometheus::{self, Prometheus, Settings, Target};
use stack::server::{self, Launch};

use crate::platform::{Ended, Platform};
use crate::verdicts::{assert_verdict, is_the_machine_alone};

const SLOW: &str = "kind = \"latency\"\nlatency_ms = 300";
const KEPT: &str = "[[expect]]\nkind = \"no_errors\"\nroutes = [\"content\"]\n";

/// The runner's own metric says that there is a fault; nothing says that there is another.
const RULES: &str = r#"
groups:
  - name: test
    rules:
      - {alert: FaultActive, expr: 'max by (dependency) (chaos_fault_active{job="chitram-chaos"}) > 0', for: 1s, labels: {severity: ticket}}
      - {alert: NeverActive, expr: 'max by (dependency) (chaos_fault_active{job="chitram-chaos"}) > 1'}
      - {alert: AlwaysActive, expr: 'vector(1)'}
      - {alert: Unscraped, expr: 'absent_metric{job="nobody"} > 0'}
      - {alert: Patient, expr: 'vector(1)', for: 1h}
"#;

/// A platform whose stack has a Prometheus with these rules.
async fn with_prometheus() -> Option<(Platform, Prometheus)> {
    let found = server::require(prometheus::find())?;
    let platform = Platform::new().await;
    let settings = Settings {
        interval: Duration::from_secs(1),
        targets: vec![Target {
            job: "nobody".into(),
            url: "http://127.0.0.1:9".into(),
        }],
        registered: Some(platform.dir().join("targets")),
        alertmanager: None,
        rules: vec![("test.yml".into(), RULES.into())],
    };
    let launch = Launch::for_test().expect("a launcher");
    let prometheus = prometheus::start(&found, &launch, &settings).await;
    let prometheus = prometheus.expect("Prometheus starts");
    use_prometheus(&platform, &prometheus.url);
    Some((platform, prometheus))
}

fn use_prometheus(platform: &Platform, url: &str) {
    platform.write_stack(&format!("prometheus = \"{url}\"\n"));
}

fn alert(name: &str, more: &str) -> String {
    format!("[[expect]]\nkind = \"alert\"\nalert = \"{name}\"\nwithin_s = 12\n{more}\n")
}

fn promql(phase: &str, query: &str, bound: &str) -> String {
    format!("[[expect]]\nkind = \"promql\"\nphase = \"{phase}\"\nquery = '''{query}'''\n{bound}\n")
}

/// The rows of metrics and alerts in a result: outcome and what was seen.
fn rows(result: &Value) -> Vec<(&str, &str)> {
    result["expectations"]
        .as_array()
        .expect("expectations")
        .iter()
        .filter(|row| row["source"] == "alerts" || row["source"] == "metrics")
        .map(|row| {
            let word = |key: &str| row[key].as_str().unwrap_or_default();
            (word("outcome"), word("seen"))
        })
        .collect()
}

async fn run(platform: &Platform, more: &str) -> Ended {
    let file = platform.experiment("slow", SLOW, &format!("{KEPT}{more}"));
    platform.run(&file).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alert_that_fires_for_the_fault_and_clears_after_it_passes_with_its_times() {
    let Some((platform, _prometheus)) = with_prometheus().await else {
        return;
    };
    let active = "max(chaos_fault_active{job=\"chitram-chaos\"})";
    let more = [
        alert(
            "FaultActive",
            "labels = { dependency = \"store\" }\nclears_within_s = 30",
        ),
        promql("baseline", active, "max = 0"),
        promql("fault", active, "min = 1\nmax = 1"),
        promql("recovery", active, "max = 0"),
    ];
    let ended = run(&platform, &more.concat()).await;
    platform.assert_clean().await;
    let result = platform.result();
    assert_verdict(&result, &ended, "pass", 0);
    let rows = rows(&result);
    assert!(
        rows.len() == 5 && rows.iter().all(|(outcome, _)| *outcome == "held"),
        "{result:#}"
    );
    let times = &result["alerts"][0];
    assert_eq!(times["alert"], "FaultActive{dependency=\"store\"}");
    let seconds = |key: &str| times[key].as_f64().expect("a time");
    assert!(
        seconds("firing_s") > 0.5 && seconds("active_s") <= seconds("firing_s"),
        "{times}"
    );
    assert!(seconds("cleared_s") < 30.0, "{times}");
    assert!(platform.report().contains("alert FaultActive"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_that_no_alert_names_is_not_detected_and_a_result_out_of_bounds_deviates() {
    let Some((platform, _prometheus)) = with_prometheus().await else {
        return;
    };
    let ended = run(&platform, &alert("NeverActive", "")).await;
    assert_verdict(&platform.result(), &ended, "not_detected", 13);
    assert_eq!(rows(&platform.result()), [("broke", "it was not active")]);
    let more = promql("fault", "max(chaos_fault_active)", "max = 0");
    let ended = run(&platform, &more).await;
    assert_verdict(&platform.result(), &ended, "deviated", 10);
    platform.assert_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_not_be_measured_is_neither_held_nor_broken() {
    let Some((platform, _prometheus)) = with_prometheus().await else {
        return;
    };
    let more = [
        // What its rule reads was never scraped: that it is silent says nothing.
        alert("Unscraped", "optional = true"),
        alert("AlwaysActive", "optional = true"),
        promql("fault", "nothing_of_this_name", "max = 1\noptional = true"),
        promql("fault", "0 / 0", "max = 1\noptional = true"),
        promql(
            "fault",
            "vector(1) unless absent_metric{job=\"nobody\"}",
            "max = 1\noptional = true",
        ),
    ];
    let ended = run(&platform, &more.concat()).await;
    let result = platform.result();
    if result["verdict"] == "inconclusive" {
        assert!(is_the_machine_alone(&result), "{result:#}");
        platform.assert_clean().await;
        return;
    }
    assert_eq!((&result["verdict"], ended.code), (&"pass".into(), Some(0)));
    let rows = rows(&result);
    let says = [
        "failed meanwhile",
        "active before the fault",
        "no result",
        "NaN",
        "failed meanwhile",
    ];
    assert_eq!(rows.len(), says.len(), "{result:#}");
    for ((outcome, seen), says) in rows.iter().zip(says) {
        assert_eq!(*outcome, "not_measured", "{seen}");
        assert!(seen.contains(says), "{seen} says not {says}");
    }
    platform.assert_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alert_that_is_active_already_ends_the_experiment_before_anything_is_injected() {
    let Some((platform, _prometheus)) = with_prometheus().await else {
        return;
    };
    let ended = run(&platform, &alert("AlwaysActive", "")).await;
    assert_eq!(ended.code, Some(4), "{ended:?}");
    let result = platform.result();
    platform.assert_clean().await;
    if is_the_machine_alone(&result) {
        return;
    }
    let sentences: Vec<&str> = result["findings"]
        .as_array()
        .expect("findings")
        .iter()
        .filter_map(|finding| finding["sentence"].as_str())
        .collect();
    assert!(
        sentences
            .iter()
            .any(|said| said.contains("AlwaysActive") && said.contains("active before")),
        "{sentences:?}"
    );
    assert_eq!(result["recovery_s"], Value::Null);
    assert!(!ended.stderr.contains("rollback"), "{}", ended.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_server_does_not_have_is_refused_before_anything_starts() {
    let Some((platform, prometheus)) = with_prometheus().await else {
        return;
    };
    for (more, says) in [
        (
            alert("FaultActiv", "optional = true"),
            vec![
                "FaultActiv",
                &prometheus.url,
                "did you mean \"FaultActive\"?",
            ],
        ),
        (
            alert("FaultActive", "labels = { severity = \"page\" }"),
            vec!["severity=\"page\"", "other labels"],
        ),
        (
            alert("Patient", ""),
            vec!["waits for 3600 s", "within 12 s"],
        ),
        (
            promql("fault", "sum((", "max = 1"),
            vec!["sum((", "parse error"],
        ),
        (
            promql("fault", "up[1m]", "max = 1"),
            vec!["range vector", "instant vector"],
        ),
    ] {
        let ended = run(&platform, &more).await;
        assert_eq!(ended.code, Some(64), "{more}: {ended:?}");
        for words in says {
            assert!(ended.stderr.contains(words), "{words}: {}", ended.stderr);
        }
        platform.assert_clean().await;
    }
}

/// A server that is asked for rules and results, and answers as it likes.
#[derive(Clone)]
struct Misbehaving {
    how: How,
    answers: Arc<AtomicUsize>,
}

#[derive(Clone, Copy, PartialEq)]
enum How {
    /// Its clock is an hour behind.
    LivesInThePast,
    /// After some answers it has no rules any more.
    LosesItsRules,
    /// After some answers it does not answer any more.
    FallsSilent,
    /// It answers with a page.
    IsSomethingElse,
}

/// So many answers are as they should be: those of the preflight, and some of the first looks.
const GOOD_ANSWERS: usize = 10;

impl Misbehaving {
    async fn serve(how: How) -> String {
        let state = Self {
            how,
            answers: Arc::default(),
        };
        let app = axum::Router::new().fallback(answer).with_state(state);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await;
        let listener = listener.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        tokio::spawn(async move { axum::serve(listener, app).await });
        url
    }
}

async fn answer(State(server): State<Misbehaving>, uri: Uri) -> Response {
    let is_late = server.answers.fetch_add(1, Ordering::Relaxed) >= GOOD_ANSWERS;
    if server.how == How::IsSomethingElse {
        return "<html>".into_response();
    }
    if server.how == How::FallsSilent && is_late {
        std::future::pending::<()>().await;
    }
    let now = now();
    let rule = json!({
        "name": "Silent", "query": "x", "type": "alerting", "duration": 0, "health": "ok", "labels": {}, "alerts": [],
        "lastEvaluation": now,
    });
    let has_rules = !(server.how == How::LosesItsRules && is_late);
    let groups = json!([{ "name": "g", "interval": 1, "rules": if has_rules { vec![rule] } else { Vec::new() } }]);
    let data = match Path::new(uri.path())
        .file_name()
        .and_then(|name| name.to_str())
    {
        Some("rules") => json!({ "groups": groups }),
        Some("parse_query") => json!({ "type": "numberLiteral", "val": "1" }),
        Some("query") => json!({ "resultType": "scalar", "result": [0, "1"] }),
        _ => return StatusCode::NOT_FOUND.into_response(),
    };
    let body = json!({ "status": "success", "data": data }).to_string();
    if server.how == How::LivesInThePast {
        return ([(header::DATE, "Sat, 01 Jan 2000 00:00:00 GMT")], body).into_response();
    }
    body.into_response()
}

/// RFC 3339.
fn now() -> String {
    let us = chaos::clock::wall_us();
    jiff::Timestamp::from_microsecond(us)
        .expect("a time")
        .to_string()
}

async fn misbehaves(how: How, says: &str) {
    let platform = Platform::new().await;
    let url = Misbehaving::serve(how).await;
    use_prometheus(&platform, &url);
    let ended = run(&platform, &alert("Silent", "")).await;
    assert_eq!(ended.code, Some(4), "{ended:?}");
    let result = platform.result();
    assert_eq!(result["verdict"], "inconclusive");
    platform.assert_clean().await;
    // It ended before the server misbehaved.
    if is_the_machine_alone(&result) {
        return;
    }
    let rows = rows(&result);
    assert_eq!(rows.len(), 1, "{result:#}");
    let (outcome, seen) = rows[0];
    assert!(
        outcome == "not_measured" && seen.contains(says),
        "{outcome}: {seen}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_with_another_time_measures_nothing() {
    misbehaves(How::LivesInThePast, "has another time").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_loses_its_rules_measures_nothing() {
    misbehaves(How::LosesItsRules, "no rule Silent any more").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_falls_silent_measures_nothing_and_holds_nothing_up() {
    misbehaves(How::FallsSilent, "does not answer within 2 s").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_no_prometheus_is_none() {
    misbehaves(How::IsSomethingElse, "no Prometheus: ").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_prometheus_what_is_required_of_it_is_inconclusive() {
    let platform = Platform::new().await;
    let more = promql("fault", "up", "min = 1");
    let ended = run(&platform, &more).await;
    assert_eq!(ended.code, Some(4), "{ended:?}");
    assert_eq!(
        rows(&platform.result()),
        [("not_measured", "no Prometheus")]
    );
    platform.assert_clean().await;
}
