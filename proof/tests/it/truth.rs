//! What panels show, against what a load counted.

use serde_json::{Value, json};

use crate::support::{
    BEGIN, CLEAN, END, Folder, LOAD, Prometheus, SCRAPE, board, codes, prometheus, report,
};

/// Ten requests each five seconds.
const REQUESTS: u64 = ((LOAD.1 - LOAD.0) / SCRAPE * 10) as u64;

fn truth(requests: u64, failed: u64, p90: f64) -> Value {
    json!({"version": 1, "phases": [{
        "name": "measure", "from": LOAD.0, "to": LOAD.1,
        "requests": [
            {"route": "x", "status": "ok", "count": requests - failed},
            {"route": "x", "status": "status", "count": failed}
        ],
        "percentiles": [{"route": "x", "quantile": 0.9, "seconds": p90}]
    }]})
}

fn compare(
    server: &Prometheus,
    expr: &str,
    unit: &str,
    entry: &str,
    truth: &Value,
    code: i32,
) -> Value {
    let folder = Folder::new();
    let mut board = board(expr);
    board["panels"][0]["fieldConfig"]["defaults"]["unit"] = json!(unit);
    board["panels"][0]["links"] = json!([{"title": "x", "url": "https://x/?i=$instance"}]);
    folder.board("boards/a.json", &board);
    let entry = format!("[[compare]]\nboard = 'clean'\nid = 1\nroute = 'x'\n{entry}\n");
    folder.file("e.toml", &entry);
    folder.file("truth.json", &truth.to_string());
    let [boards, expected, truth] =
        ["boards", "e.toml", "truth.json"].map(|name| folder.path_of(name));
    let [from, to] = [BEGIN, END].map(|at| at.to_string());
    let scrape = format!("{SCRAPE}s");
    let mut arguments = vec![&*boards, "--prometheus", &server.url, "--truth", &truth];
    arguments.extend(["--from", &from, "--to", &to, "--scrape-interval", &scrape]);
    arguments.extend(["--expectations", &expected]);
    report(&arguments, code)
}

const COUNT: &str = "what = 'count'\ncounter = 'sum(http_requests_total)'";
const FAILED: &str = "what = 'count'\nstatus = 'status'\nseries = { code = '500' }\ncounter = 'sum by (code) (http_requests_total)'";
const BY_CODE: &str = "sum by (code) (rate(http_requests_total[$__rate_interval]))";
const RATIO: &str = "what = 'ratio'\nstatus = '!ok'";
const PERCENTILE: &str = "what = 'percentile'\nquantile = 0.9";
const ERRORS: &str = r#"sum(rate(http_requests_total{code="500"}[$__rate_interval])) / sum(rate(http_requests_total[$__rate_interval]))"#;
const P90: &str = "histogram_quantile(0.9, sum by (le) (rate(http_request_duration_seconds_bucket[$__rate_interval])))";

#[test]
fn a_panel_that_shows_what_the_load_saw_agrees() {
    let Some(server) = prometheus() else { return };
    let truth = truth(REQUESTS, REQUESTS / 10, 0.4);
    for (expr, unit, entry, agreements) in [
        (CLEAN, "reqps", COUNT, 2),
        (BY_CODE, "reqps", FAILED, 2),
        (ERRORS, "percentunit", RATIO, 1),
        (P90, "s", PERCENTILE, 1),
    ] {
        let report = compare(&server, expr, unit, entry, &truth, 0);
        assert_eq!(report["totals"]["agreeing"], agreements, "{report:#}");
    }
}

#[test]
fn a_panel_that_shows_something_else_is_untrue() {
    let Some(server) = prometheus() else { return };
    for (expr, unit, entry, truth) in [
        // One request more than the counter has.
        (CLEAN, "reqps", COUNT, truth(REQUESTS + 1, 0, 0.4)),
        (
            ERRORS,
            "percentunit",
            RATIO,
            truth(REQUESTS, REQUESTS / 5, 0.4),
        ),
        // Two buckets away.
        (P90, "s", PERCENTILE, truth(REQUESTS, 0, 2.0)),
        (
            "sum(rate(http_requests_total[$__rate_interval])) * 2",
            "reqps",
            "what = 'count'",
            truth(REQUESTS, 0, 0.4),
        ),
    ] {
        let report = compare(&server, expr, unit, entry, &truth, 1);
        let found = codes(&report);
        assert!(found.contains(&"untrue".to_owned()), "{report:#}");
    }
}

#[test]
fn what_the_load_did_not_measure_is_not_taken_for_an_agreement() {
    let Some(server) = prometheus() else { return };
    let mut truth = truth(REQUESTS, 0, 0.4);
    truth["phases"][0]["percentiles"] = json!([]);
    let report = compare(&server, P90, "s", PERCENTILE, &truth, 1);
    assert_eq!(codes(&report), ["not-compared"]);
}
