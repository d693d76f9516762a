//! A good file, and one thing wrong at a time.

use super::*;

const GOOD: &str = r#"
name = "x"
title = "t"
promise = "p"

[load]
plan = "browse"

[fault]
proxy = "store"
protocol = "http"

[fault.effect]
kind = "latency"
latency_ms = 100

[[expect]]
kind = "unchanged"
routes = ["list"]
"#;

fn refusal(from: &str, to: &str) -> String {
    assert!(GOOD.contains(from), "the fixture has no {from:?}");
    let text = GOOD.replacen(from, to, 1);
    parse(Path::new("x.toml"), &text)
        .expect_err("accepted")
        .to_string()
}

#[test]
fn a_file_with_only_the_required_keys_gets_the_documented_defaults() {
    let experiment = parse(Path::new("x.toml"), GOOD).expect("accepted");
    assert_eq!(experiment.phases.warm_up_s, 5);
    assert_eq!(
        (experiment.phases.baseline_s, experiment.phases.fault_s),
        (12, 12)
    );
    assert_eq!(experiment.recovery.within_s, 10);
    assert_eq!(experiment.expect_verdict, crate::verdict::Verdict::Pass);
    assert_eq!(experiment.fault.expect("a fault").dependency(), "store");
}

#[test]
fn an_unknown_key_is_refused_with_file_line_and_key() {
    let said = refusal("title = \"t\"", "titel = \"t\"");
    assert!(
        said.starts_with("x.toml:3: unknown field `titel`"),
        "{said}"
    );
}

#[test]
fn an_unknown_key_inside_an_effect_is_found_on_its_own_line() {
    let said = refusal("latency_ms = 100", "latency_ms = 100\njiter_ms = 5");
    assert!(
        said.starts_with("x.toml:16: unknown field `jiter_ms`"),
        "{said}"
    );
}

#[test]
fn an_unknown_key_inside_an_expectation_is_found_on_its_own_line() {
    let said = refusal("routes = [\"list\"]", "routes = [\"list\"]\np95 = 5");
    assert!(said.starts_with("x.toml:20: unknown field `p95`"), "{said}");
}

#[test]
fn values_that_cannot_work_are_refused_by_key_and_line() {
    for (from, to, line, key) in [
        ("name = \"x\"", "name = \"X y\"", 2, "name"),
        ("latency_ms = 100", "latency_ms = 0", 15, "latency_ms"),
        (
            "latency_ms = 100",
            "latency_ms = 100\njitter_ms = 100",
            16,
            "jitter_ms",
        ),
        (
            "latency_ms = 100",
            "latency_ms = 100\ntoxicity = 0.0",
            16,
            "toxicity",
        ),
        ("[load]", "[phases]\nfault_s = 11\n[load]", 7, "fault_s"),
        (
            "[load]",
            "[guardrails]\nerror_ratio = 1.5\n[load]",
            7,
            "error_ratio",
        ),
        ("routes = [\"list\"]", "routes = []", 19, "routes"),
        (
            "routes = [\"list\"]",
            "routes = [\"list\", \"list\"]",
            19,
            "routes",
        ),
    ] {
        let said = refusal(from, to);
        assert!(
            said.starts_with(&format!("x.toml:{line}: `{key}` ")),
            "{to}: {said}"
        );
    }
}

#[test]
fn a_kind_of_fault_that_does_not_exist_is_refused_with_those_that_do() {
    let said = refusal("kind = \"latency\"", "kind = \"lag\"");
    assert!(
        said.contains("lag") && said.contains("latency") && said.contains("reset_peer"),
        "{said}"
    );
}

#[test]
fn an_expected_change_without_a_fault_is_refused() {
    let text = r#"
name = "x"
title = "t"
promise = "p"
load = { plan = "browse" }
[[expect]]
kind = "attributed"
routes = ["list"]
min_share = 0.8
"#;
    let said = parse(Path::new("x.toml"), text)
        .expect_err("accepted")
        .to_string();
    assert!(said.contains("no `[fault]`"), "{said}");
}

#[test]
fn the_experiments_of_this_repository_are_valid() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("experiments");
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .expect("the folder of experiments")
        .map(|entry| {
            read(&entry.expect("an entry").path())
                .expect("a valid file")
                .name
        })
        .collect();
    names.sort();
    assert_eq!(
        names,
        [
            "control",
            "store-blackhole",
            "store-blackhole-alert",
            "store-slow"
        ]
    );
}

#[test]
fn an_alert_or_a_result_that_can_never_be_judged_is_refused() {
    let alert = |more: &str| {
        let line = format!("kind = \"alert\"\nalert = \"Slow\"\n{more}");
        refusal("kind = \"unchanged\"\nroutes = [\"list\"]", &line)
    };
    for (more, says) in [
        ("", "missing field `within_s`"),
        ("within_s = 0", "within 0 s; use 1 to 3600"),
        (
            "within_s = 5\nclears_within_s = 9999",
            "within 9999 s; use 1 to 3600",
        ),
        ("within_s = 13", "but the fault lasts 12 s"),
        ("within_s = 5\nlables = {}", "unknown field `lables`"),
    ] {
        let said = alert(more);
        assert!(said.contains(says), "{more}: {said}");
    }
    assert!(alert("within_s = 0").starts_with("x.toml:19: `alert` "));
    let promql = |more: &str| {
        let line = format!("kind = \"promql\"\n{more}");
        refusal("kind = \"unchanged\"\nroutes = [\"list\"]", &line)
    };
    for (more, says) in [
        (
            "query = \"x\"\nphase = \"fault\"",
            "neither `min` nor `max`",
        ),
        (
            "query = \"x\"\nphase = \"fault\"\nmin = nan",
            "`min` is not a finite number",
        ),
        (
            "query = \"x\"\nphase = \"fault\"\nmin = 2\nmax = 1",
            "`min` is 2, more than `max`",
        ),
        (
            "query = \" \"\nphase = \"fault\"\nmin = 2",
            "`query` is no expression",
        ),
        (
            "query = \"x\"\nphase = \"warm-up\"\nmin = 2",
            "unknown variant `warm-up`",
        ),
    ] {
        let said = promql(more);
        assert!(said.contains(says), "{more}: {said}");
    }
}

#[test]
fn without_a_fault_no_alert_can_name_it_and_nothing_recovers() {
    let fault = &GOOD[GOOD.find("[fault]").expect("a fault")..GOOD.find("[[expect]]").expect("it")];
    for (expect, says) in [
        (
            "kind = \"alert\"\nalert = \"A\"\nwithin_s = 5",
            "no `[fault]` that it could name",
        ),
        (
            "kind = \"promql\"\nquery = \"x\"\nphase = \"recovery\"\nmax = 1",
            "nothing to recover from",
        ),
    ] {
        let text = GOOD
            .replace(fault, "")
            .replace("kind = \"unchanged\"\nroutes = [\"list\"]", expect);
        let said = parse(Path::new("x.toml"), &text)
            .expect_err("accepted")
            .to_string();
        assert!(said.contains(says), "{said}");
    }
}
