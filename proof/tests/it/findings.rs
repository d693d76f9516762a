//! Boards with one mistake each: it is found, and nothing else is.

use serde_json::{Value, json};

use crate::support::{CLEAN, Folder, board, codes, declared, report};

/// Checks a board, beside what programs declare; returns the codes.
fn found(board: &Value, others: &[(&str, Value)]) -> Vec<String> {
    let folder = Folder::new();
    folder.board("boards/a.json", board);
    for (name, other) in others {
        folder.board(&format!("boards/{name}"), other);
    }
    let declared = folder.file("declared.json", &declared().to_string());
    let rules = "groups: [{name: g, rules: [{alert: A, expr: 'in_flight > 5 and http_request_duration_seconds_count > 0'}]}]";
    folder.file("rules/rules.yml", rules);
    let boards = folder.path_of("boards");
    let rules = folder.path_of("rules");
    let declared = declared.to_str().unwrap();
    let arguments = [
        &*boards,
        "--static",
        "--declared",
        declared,
        "--rules",
        &rules,
    ];
    let output = crate::support::boards(&[&arguments[..], &["--output", "json"]].concat());
    let code = output.status.code().unwrap();
    let report = report(&arguments, code);
    let codes = codes(&report);
    assert_eq!(code, i32::from(!codes.is_empty()), "{report:#}");
    codes
}

/// The clean board after a change must have this one kind of finding.
fn check(code: &str, change: impl FnOnce(&mut Value)) {
    let mut changed = board(CLEAN);
    change(&mut changed);
    assert_eq!(found(&changed, &[]), [code], "{changed:#}");
}

/// The clean board with this query must have this one kind of finding.
fn check_query(code: &str, unit: &str, expr: &str) {
    let mut changed = board(expr);
    changed["panels"][0]["fieldConfig"]["defaults"]["unit"] = json!(unit);
    // The variable is used, whatever the query.
    changed["panels"][0]["links"] = json!([{"title": "x", "url": "https://x/?i=$instance"}]);
    let found = found(&changed, &[]);
    let found: Vec<_> = found
        .iter()
        .filter(|code| *code != "orphan-metric")
        .collect();
    assert_eq!(found, [code], "{expr}");
}

#[test]
fn the_clean_board_has_no_finding() {
    assert_eq!(found(&board(CLEAN), &[]), Vec::<String>::new());
}

#[test]
fn mistakes_of_files_are_found() {
    check("uid-not-unique", |board| board["uid"] = json!(""));
    let twin = board(CLEAN);
    assert_eq!(
        found(&board(CLEAN), &[("b.json", twin)]),
        ["uid-not-unique"]
    );
    check("panel-id-not-unique", |board| {
        board["panels"][0]["id"] = json!(null);
    });
    check("panel-id-not-unique", |board| {
        let row = json!({"id": 1, "type": "row", "title": "Row", "panels": []});
        board["panels"].as_array_mut().unwrap().push(row);
    });
    check("ref-id-not-unique", |board| {
        let target = board["panels"][0]["targets"][0].clone();
        board["panels"][0]["targets"]
            .as_array_mut()
            .unwrap()
            .push(target);
    });
    check("dead-link", |board| {
        board["panels"][0]["links"] = json!([{"title": "Gone", "url": "/d/gone/gone?x=$instance"}]);
    });
    check("dead-link", |board| {
        board["links"] = json!([{"title": "Others", "type": "dashboards", "tags": ["no-such"]}]);
    });
    check("library-panel", |board| {
        let panel = json!({"id": 2, "libraryPanel": {"name": "Shared", "uid": "x"}});
        board["panels"].as_array_mut().unwrap().push(panel);
    });
}

#[test]
fn links_that_lead_somewhere_are_no_finding() {
    let mut linking = board(CLEAN);
    linking["links"] = json!([{"title": "Others", "type": "dashboards", "tags": ["test"]}]);
    linking["panels"][0]["links"] = json!([
        {"title": "Other", "url": "/d/other?var-instance=$instance"},
        {"title": "Chosen", "url": "/d/${uid}"},
        {"title": "Elsewhere", "url": "https://example.org/d/x"},
    ]);
    let mut other = board(CLEAN);
    other["uid"] = json!("other");
    assert_eq!(found(&linking, &[("b.json", other)]), Vec::<String>::new());
}

#[test]
fn mistakes_of_panels_are_found() {
    check("no-description", |board| {
        board["panels"][0]["description"] = json!(" ");
    });
    check("no-unit", |board| {
        board["panels"][0]["fieldConfig"] = json!({});
    });
    check("gaps-bridged", |board| {
        board["panels"][0]["fieldConfig"]["defaults"]["custom"]["spanNulls"] = json!(true);
    });
    check("stacked-to-percent", |board| {
        board["panels"][0]["fieldConfig"]["defaults"]["custom"]["stacking"] =
            json!({"mode": "percent"});
    });
    check("missing-shown-as-value", |board| {
        board["panels"][0]["fieldConfig"]["defaults"]["noValue"] = json!("0");
    });
    check("missing-shown-as-value", |board| {
        board["panels"][0]["fieldConfig"]["defaults"]["mappings"] = json!([
            {"type": "special", "options": {"match": "null", "result": {"text": "OK"}}}
        ]);
    });
    check("stale-value", |board| {
        board["panels"][0]["type"] = json!("stat");
        board["panels"][0]["options"] = json!({"reduceOptions": {"calcs": ["lastNotNull"]}});
    });
    check("hidden-query-used", |board| {
        board["panels"][0]["targets"][0]["hide"] = json!(true);
        let expression = json!({"refId": "B", "type": "math", "expression": "$A * 2",
            "datasource": {"type": "__expr__", "uid": "__expr__"}});
        board["panels"][0]["targets"]
            .as_array_mut()
            .unwrap()
            .push(expression);
    });
    check("mislabelled-quantile", |board| {
        board["panels"][0]["title"] = json!("Latency, p99");
    });
}

#[test]
fn a_gap_of_limited_length_and_an_instant_are_no_finding() {
    let mut fine = board(CLEAN);
    fine["panels"][0]["type"] = json!("stat");
    fine["panels"][0]["options"] = json!({"reduceOptions": {"calcs": ["lastNotNull"]}});
    fine["panels"][0]["targets"][0]["instant"] = json!(true);
    fine["panels"][0]["fieldConfig"]["defaults"]["custom"]["spanNulls"] = json!(60_000);
    fine["panels"][0]["fieldConfig"]["defaults"]["noValue"] = json!("no such series");
    assert_eq!(found(&fine, &[]), Vec::<String>::new());
}

#[test]
fn mistakes_of_data_sources_and_variables_are_found() {
    check("fixed-datasource", |board| {
        board["panels"][0]["datasource"]["uid"] = json!("PBFA97CFB590B2093");
    });
    check("fixed-datasource", |board| {
        board["panels"][0]["datasource"] = json!(null);
    });
    check("unproven-datasource", |board| {
        let panel = json!({"id": 2, "type": "logs", "title": "Lines", "description": "Lines.",
            "datasource": {"type": "elasticsearch", "uid": "${datasource}"},
            "targets": [{"refId": "A", "query": "*"}]});
        board["panels"].as_array_mut().unwrap().push(panel);
    });
    check("unknown-variable", |board| {
        let expr = CLEAN.replace(r#"job="api""#, r#"job="$job""#);
        board["panels"][0]["targets"][0]["expr"] = json!(expr);
    });
    check("unknown-format", |board| {
        let expr = CLEAN.replace("$instance", "${instance:lucene}");
        board["panels"][0]["targets"][0]["expr"] = json!(expr);
    });
    check("unused-variable", |board| {
        let variable = json!({"name": "spare", "type": "custom", "query": "a,b"});
        board["templating"]["list"]
            .as_array_mut()
            .unwrap()
            .push(variable);
    });
    check("equals-several", |board| {
        board["panels"][0]["targets"][0]["expr"] = json!(CLEAN.replace("=~", "="));
    });
}

#[test]
fn mistakes_of_queries_are_found() {
    for (code, unit, expr) in [
        (
            "syntax",
            "reqps",
            "sum(rate(http_requests_total[$__rate_interval])",
        ),
        ("fixed-range", "reqps", "sum(rate(http_requests_total[5m]))"),
        (
            "rate-over-interval",
            "reqps",
            "sum(rate(http_requests_total[$__interval]))",
        ),
        ("raw-counter", "short", "sum(http_requests_total)"),
        (
            "rate-of-gauge",
            "reqps",
            "sum(rate(in_flight[$__rate_interval]))",
        ),
        (
            "delta-of-counter",
            "short",
            "sum(delta(http_requests_total[$__range]))",
        ),
        (
            "sum-before-rate",
            "reqps",
            "rate(sum(http_requests_total)[$__rate_interval:])",
        ),
        (
            "quantile-without-le",
            "s",
            "histogram_quantile(0.99, sum(rate(http_request_duration_seconds_bucket[$__rate_interval])))",
        ),
        (
            "quantile-without-buckets",
            "none",
            "histogram_quantile(0.99, rate(http_requests_total[$__rate_interval]))",
        ),
        (
            "quantile-out-of-range",
            "s",
            "histogram_quantile(99, sum by (le) (rate(http_request_duration_seconds_bucket[$__rate_interval])))",
        ),
        (
            "aggregated-quantile",
            "s",
            "avg(histogram_quantile(0.99, sum by (le, instance) (rate(http_request_duration_seconds_bucket[$__rate_interval]))))",
        ),
        (
            "ratio-with-itself",
            "percentunit",
            r#"sum by (code) (rate(http_requests_total{code="500"}[$__rate_interval])) / sum by (code) (rate(http_requests_total[$__rate_interval]))"#,
        ),
        (
            "wrong-unit",
            "ms",
            "histogram_quantile(0.99, sum by (le) (rate(http_request_duration_seconds_bucket[$__rate_interval])))",
        ),
        (
            "wrong-unit",
            "percent",
            r#"sum(rate(http_requests_total{code="500"}[$__rate_interval])) / sum(rate(http_requests_total[$__rate_interval]))"#,
        ),
        (
            "wrong-unit",
            "percentunit",
            r#"sum(rate(http_requests_total{code="500"}[$__rate_interval])) / sum(rate(http_request_duration_seconds_sum[$__rate_interval]))"#,
        ),
        (
            "wrong-unit",
            "short",
            "sum(rate(http_requests_total[$__rate_interval]))",
        ),
        (
            "undeclared-metric",
            "reqps",
            "sum(rate(http_request_total[$__rate_interval]))",
        ),
        (
            "undeclared-label",
            "reqps",
            r#"sum(rate(http_requests_total{status="500"}[$__rate_interval]))"#,
        ),
        (
            "undeclared-label",
            "reqps",
            "sum by (status) (rate(http_requests_total[$__rate_interval]))",
        ),
        (
            "undeclared-value",
            "reqps",
            r#"sum(rate(http_requests_total{code="501"}[$__rate_interval]))"#,
        ),
        (
            "undeclared-value",
            "reqps",
            r#"sum(rate(http_requests_total{code=~"4.."}[$__rate_interval]))"#,
        ),
        (
            "undeclared-value",
            "reqps",
            r#"sum(rate(http_request_duration_seconds_bucket{le="0.3"}[$__rate_interval]))"#,
        ),
    ] {
        check_query(code, unit, expr);
    }
}

#[test]
fn a_metric_that_nothing_uses_is_an_orphan() {
    let folder = Folder::new();
    folder.board("a.json", &board(CLEAN));
    let declared = folder.file("declared.txt", &declared().to_string());
    let arguments = [
        folder.path(),
        "--static",
        "--declared",
        declared.to_str().unwrap(),
    ];
    let report = report(&arguments, 1);
    assert_eq!(codes(&report), ["orphan-metric"]);
    let subjects: Vec<_> = report["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|finding| finding["subject"].as_str().unwrap())
        .collect();
    assert_eq!(subjects, ["http_request_duration_seconds", "in_flight"]);
}

#[test]
fn a_panel_with_more_metrics_than_a_look_takes_in_is_found() {
    check("too-many-metrics", |board| {
        let names: Vec<String> = (0..8).map(|n| format!("scrape_{n}")).collect();
        let target = json!({"refId": "B", "expr": names.join(" + ")});
        board["panels"][0]["targets"]
            .as_array_mut()
            .unwrap()
            .push(target);
    });
}
