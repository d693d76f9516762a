//! Boards before a real Prometheus whose data is known.

use serde_json::{Value, json};

use crate::support::{
    BEGIN, CLEAN, END, Folder, LOAD, Prometheus, SCRAPE, board, codes, declared, prometheus, report,
};

/// Asks the server with the board and perhaps expectations; the code is that of the command.
fn ask(server: &Prometheus, board: &Value, expectations: &str, more: &[&str], code: i32) -> Value {
    ask_from(BEGIN, server, board, expectations, more, code)
}

fn ask_from(
    from: u32,
    server: &Prometheus,
    board: &Value,
    expectations: &str,
    more: &[&str],
    code: i32,
) -> Value {
    let folder = Folder::new();
    folder.board("boards/a.json", board);
    // Data that was not scraped has no metadata.
    folder.file("declared.json", &declared().to_string());
    let others = "foreign = ['early_total', 'idle_total', 'told_total', 'mixed_seconds_*', 'http_request_total']\n";
    folder.file("e.toml", &format!("{others}{expectations}"));
    let [boards, declared, expected] =
        ["boards", "declared.json", "e.toml"].map(|name| folder.path_of(name));
    let [from, to] = [from, END].map(|at| at.to_string());
    let scrape = format!("{SCRAPE}s");
    let mut arguments = vec![
        &*boards,
        "--prometheus",
        &server.url,
        "--declared",
        &declared,
    ];
    arguments.extend(["--from", &from, "--to", &to, "--scrape-interval", &scrape]);
    arguments.extend(["--expectations", &expected]);
    arguments.extend(more);
    report(&arguments, code)
}

/// Metrics that this board does not use are no matter of these tests.
const ORPHANS: &str =
    "[[allow]]\ncode = 'orphan-metric'\nwhy = 'Not every board uses every metric.'\n";

fn verdict(report: &Value) -> &str {
    report["boards"][0]["queries"][0]["verdict"]
        .as_str()
        .unwrap()
}

#[test]
fn a_live_panel_is_live() {
    let Some(server) = prometheus() else { return };
    let report = ask(&server, &board(CLEAN), ORPHANS, &[], 0);
    assert_eq!(verdict(&report), "live");
    let query = &report["boards"][0]["queries"][0];
    assert_eq!(
        query["asked"],
        r#"sum(rate(http_requests_total{job="api", instance=~".+"}[20s]))"#
    );
    assert_eq!(query["series"], 1);
    assert!(query["samples"].as_u64().unwrap() > 100);
}

#[test]
fn each_way_to_show_nothing_or_a_lie_has_its_reason() {
    let Some(server) = prometheus() else { return };
    for (expr, unit, expected, code, reason) in [
        (
            r#"sum(rate(http_request_total{instance=~"$instance"}[$__rate_interval]))"#,
            "reqps",
            "empty",
            "unknown-metric",
            "no series is named http_request_total; is http_requests_total meant?",
        ),
        (
            r#"sum(rate(http_request_total{instance=~"$instance"}[$__rate_interval])) or vector(0)"#,
            "reqps",
            "live",
            "unknown-metric",
            "no series is named http_request_total",
        ),
        (
            r#"sum(rate(http_requests_total{instance=~"$instance", verb!="GET"}[$__rate_interval]))"#,
            "reqps",
            "live",
            "unknown-label",
            "no series of http_requests_total has the label `verb`; its labels are `code`, `instance`, `job`, `route`",
        ),
        (
            r#"sum by (verb) (rate(http_requests_total{instance=~"$instance"}[$__rate_interval]))"#,
            "reqps",
            "live",
            "unknown-label",
            "sum by names the label `verb`",
        ),
        (
            r#"sum(rate(http_requests_total{instance=~"$instance", code="503"}[$__rate_interval]))"#,
            "reqps",
            "empty",
            "value-without-series",
            r#"no series of http_requests_total has code="503"; values are `200`, `500`"#,
        ),
        (
            r#"in_flight{instance=~"$instance"} > 1000"#,
            "short",
            "empty",
            "empty",
            "is > 1000",
        ),
        (
            r#"sum by (code) (rate(http_requests_total{instance=~"$instance"}[$__rate_interval])) / sum by (route) (rate(http_requests_total[$__rate_interval]))"#,
            "percentunit",
            "empty",
            "empty",
            "no series on the left of `/` (by code) has the labels of one on the right (by route)",
        ),
        (
            r#"sum(rate(idle_total{instance=~"$instance"}[$__rate_interval])) / sum(rate(idle_total[$__rate_interval]))"#,
            "percentunit",
            "nan-only",
            "nan-only",
            "every value is NaN",
        ),
        (
            r#"sum(rate(http_requests_total{instance=~"$instance"}))"#,
            "",
            "error",
            "query-error",
            "expected type range vector",
        ),
        (
            r#"sum(rate(told_total{instance=~"$instance"}[$__rate_interval]))"#,
            "cps",
            "live",
            "sum-over-jobs",
            "the sum is over the jobs api, sidecar",
        ),
        (
            r#"histogram_quantile(0.9, sum by (le) (rate(mixed_seconds_bucket{instance=~"$instance"}[$__rate_interval])))"#,
            "s",
            "live",
            "mixed-buckets",
            "2 different sets of bounds",
        ),
    ] {
        let mut changed = board(expr);
        changed["panels"][0]["fieldConfig"]["defaults"]["unit"] = json!(unit);
        let unit_is_no_matter = "[[allow]]\ncode = 'no-unit'\nwhy = 'No matter.'\n";
        let allowed = if unit.is_empty() {
            unit_is_no_matter
        } else {
            ""
        };
        // What the files alone tell is tested elsewhere.
        let files_are_no_matter = [
            "undeclared-label",
            "undeclared-value",
            "ratio-of-different-labels",
        ];
        let report = ask(&server, &changed, &format!("{ORPHANS}{allowed}"), &[], 1);
        let mut found = codes(&report);
        found.retain(|code| {
            !files_are_no_matter.contains(&code.as_str()) && code != "unused-expectation"
        });
        assert_eq!(found, [code], "{report:#}");
        assert_eq!(verdict(&report), expected, "{report:#}");
        let sentences = report["findings"].to_string().replace("\\\"", "\"");
        assert!(sentences.contains(reason), "{sentences}");
    }
}

#[test]
fn a_legend_that_names_no_label_of_the_result_is_found() {
    let Some(server) = prometheus() else { return };
    let mut changed = board(CLEAN);
    changed["panels"][0]["targets"][0]["legendFormat"] = json!("{{code}}");
    let report = ask(&server, &changed, ORPHANS, &[], 1);
    assert_eq!(codes(&report), ["legend-without-label"]);
}

#[test]
fn exemplars_that_are_drawn_must_be_there() {
    let Some(server) = prometheus() else { return };
    let mut changed = board(CLEAN);
    changed["panels"][0]["targets"][0]["exemplar"] = json!(true);
    let report = ask(&server, &changed, ORPHANS, &[], 1);
    assert_eq!(codes(&report), ["no-exemplars"]);
}

#[test]
fn a_panel_may_be_empty_while_nothing_is_wrong_and_not_when_something_is() {
    let Some(server) = prometheus() else { return };
    let expr =
        r#"sum(rate(http_requests_total{instance=~"$instance", code="503"}[$__rate_interval]))"#;
    let expected = format!(
        "{ORPHANS}[[panel]]\nboard = 'clean'\nid = 1\nempty_when_healthy = true\nalive_under = 'overload'\nwhy = 'Nothing is shed.'\n"
    );
    let healthy = ask(&server, &board(expr), &expected, &[], 0);
    assert_eq!(verdict(&healthy), "empty-as-expected");
    assert_eq!(healthy["totals"]["empty_as_expected"], 1);
    let during = ask(
        &server,
        &board(expr),
        &expected,
        &["--under", "overload"],
        1,
    );
    assert_eq!(codes(&during), ["value-without-series"]);
}

#[test]
fn what_can_appear_may_be_missing_while_nothing_is_wrong() {
    let Some(server) = prometheus() else { return };
    // No alert ever fired, so that there is no such series at all.
    let expr = r#"count(ALERTS{instance=~"$instance"})"#;
    let expected = format!(
        "{ORPHANS}[[panel]]\nboard = 'clean'\nid = 1\nempty_when_healthy = true\nwhy = 'No alert.'\n"
    );
    let mut quiet = board(expr);
    quiet["panels"][0]["fieldConfig"]["defaults"]["unit"] = json!("short");
    let report = ask(&server, &quiet, &expected, &[], 0);
    assert_eq!(verdict(&report), "empty-as-expected");
}

#[test]
fn series_that_ended_before_the_range_are_missing_as_such_that_never_were() {
    let Some(server) = prometheus() else { return };
    let expr = r#"sum(rate(early_total{job="api", instance=~"$instance"}[$__rate_interval]))"#;
    let report = ask_from(LOAD.1, &server, &board(expr), ORPHANS, &[], 1);
    assert_eq!(codes(&report), ["unknown-metric"], "{report:#}");
}

#[test]
fn an_expectation_excuses_no_wrong_name() {
    let Some(server) = prometheus() else { return };
    let expr = r#"sum(rate(http_request_total{instance=~"$instance"}[$__rate_interval]))"#;
    let expected = format!(
        "{ORPHANS}[[panel]]\nboard = 'a'\ntitle = 'Requests'\nempty_when_healthy = true\nwhy = 'Nothing is shed.'\n"
    );
    let report = ask(&server, &board(expr), &expected, &[], 1);
    assert_eq!(codes(&report), ["unknown-metric"]);
}

#[test]
fn an_expectation_that_nothing_meets_is_found() {
    let Some(server) = prometheus() else { return };
    let expected = format!(
        "{ORPHANS}[[panel]]\nboard = 'clean'\nid = 99\nempty_when_healthy = true\nwhy = 'Gone.'\n\n[[allow]]\ncode = 'no-unit'\nwhy = 'Gone.'\n"
    );
    let report = ask(&server, &board(CLEAN), &expected, &[], 1);
    assert_eq!(codes(&report), ["unused-expectation"]);
    assert_eq!(report["findings"].as_array().unwrap().len(), 2);
}

#[test]
fn variables_are_filled_in_from_the_server() {
    let Some(server) = prometheus() else { return };
    let mut changed = board(
        r#"sum(rate(http_requests_total{instance=~"$instance", code="$code"}[$__rate_interval]))"#,
    );
    changed["templating"]["list"][1]["allValue"] = json!("");
    let code = json!({
        "name": "code", "type": "query", "refresh": 1, "regex": "/(5..)/",
        "datasource": {"type": "prometheus", "uid": "${datasource}"},
        "query": r#"label_values(http_requests_total{instance=~"$instance"}, code)"#
    });
    changed["templating"]["list"]
        .as_array_mut()
        .unwrap()
        .insert(0, code);
    let report = ask(&server, &changed, ORPHANS, &[], 0);
    assert_eq!(
        report["boards"][0]["queries"][0]["asked"],
        r#"sum(rate(http_requests_total{instance=~"a:1", code="500"}[20s]))"#
    );
}

#[test]
fn a_variable_that_asks_for_what_is_not_there_is_found() {
    let Some(server) = prometheus() else { return };
    for (query, code) in [
        (
            "label_values(http_request_total, instance)",
            "unknown-metric",
        ),
        ("label_values(http_requests_total, pod)", "variable-empty"),
        (
            r#"label_values(http_requests_total{verb="x"}, instance)"#,
            "unknown-label",
        ),
        (
            "query_result(sum(rate(http_requests_total))",
            "variable-query",
        ),
    ] {
        let mut changed = board(CLEAN);
        changed["templating"]["list"][1]["query"]["query"] = json!(query);
        changed["templating"]["list"][1]["allValue"] = json!("");
        let report = ask(&server, &changed, ORPHANS, &[], 1);
        let findings = report["findings"].as_array().unwrap();
        let of_variable = findings
            .iter()
            .find(|finding| finding["subject"] == "variable `instance`" && finding["code"] == code);
        assert!(of_variable.is_some(), "{query}: {report:#}");
    }
}

#[test]
fn a_repeated_panel_is_asked_for_each_value() {
    let Some(server) = prometheus() else { return };
    let mut changed = board(
        r#"sum(rate(http_requests_total{instance=~"$instance", code=~"$code"}[$__rate_interval]))"#,
    );
    changed["panels"][0]["repeat"] = json!("code");
    let code = json!({"name": "code", "type": "custom", "query": "200,503", "includeAll": true});
    changed["templating"]["list"]
        .as_array_mut()
        .unwrap()
        .push(code);
    let report = ask(&server, &changed, ORPHANS, &[], 1);
    assert_eq!(codes(&report), ["value-without-series"]);
    assert_eq!(verdict(&report), "empty");
}

#[test]
fn a_label_that_the_board_lets_be_missing_may_be_missing_and_no_other() {
    let Some(server) = prometheus() else { return };
    let with = |label: &str| {
        let query = format!(
            r#"sum(rate(http_requests_total{{job="api", instance=~"$instance", {label}=~"$cluster"}}[$__rate_interval]))"#
        );
        board(&query)
    };
    for (all, label, expected, found) in [
        (".*", "cluster", "live", &[][..]),
        // Its "All" means series that have the label.
        (".+", "cluster", "empty", &["unknown-label"]),
        // Nobody offers to choose by it: it is misspelt.
        (".*", "clutser", "live", &["unknown-label"]),
    ] {
        let mut board = with(label);
        let variables = board["templating"]["list"].as_array_mut().unwrap();
        let mut cluster = variables[1].clone();
        cluster["name"] = json!("cluster");
        cluster["allValue"] = json!(all);
        cluster["query"]["query"] = json!("label_values(http_requests_total, cluster)");
        variables.push(cluster);
        let code = i32::from(!found.is_empty());
        // What is declared does not have the label either.
        let mut allow = "[[allow]]\ncode = 'undeclared-label'\nwhy = 'No matter.'\n".to_owned();
        if all == ".*" {
            allow +=
                "[[allow]]\ncode = 'all-includes-absent'\nwhy = 'Not every system has clusters.'\n";
        }
        let report = ask(&server, &board, &format!("{ORPHANS}{allow}"), &[], code);
        assert_eq!(verdict(&report), expected, "{all} {label}: {report:#}");
        assert_eq!(codes(&report), found, "{all} {label}: {report:#}");
    }
}
