//! `chitram-proof rules` on the rules of this project, and on rules with a mistake in them.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// What the programs of this project declare.
const DECLARED: [&str; 4] = [
    "docs/telemetry/chitram.json",
    "docs/telemetry/chitram-chaos.json",
    "docs/telemetry/chitram-load.json",
    "docs/telemetry/chitram-stack.json",
];

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("a workspace")
        .to_owned()
}

fn rules(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_chitram-proof"))
        .arg("rules")
        .args(arguments)
        .current_dir(repository())
        .output()
        .expect("the program runs")
}

fn text(output: &Output) -> String {
    [output.stdout.as_slice(), &output.stderr]
        .concat()
        .iter()
        .map(|&byte| byte as char)
        .collect()
}

/// A program that belongs to a real server. Without it the test is not run, which `CHITRAM_REQUIRE=all` does not accept.
fn tool(name: &str) -> Option<PathBuf> {
    let found = stack::server::find::on_path_or_cached(name);
    if found.is_none() {
        let all_required = std::env::var_os("CHITRAM_REQUIRE").is_some_and(|all| all == "all");
        assert!(!all_required, "needs {name}: make backends");
        eprintln!("not run: needs {name} (make backends)");
    }
    found
}

#[test]
fn the_rules_of_this_project_have_no_findings() {
    let mut arguments = vec!["alerts", "--runbooks", "docs/runbooks"];
    arguments.extend(["--dashboards", "dashboards"]);
    arguments.extend(DECLARED.iter().flat_map(|file| ["--declared", file]));
    let output = rules(&arguments);
    let said = text(&output);
    if tool("promtool").is_none() {
        assert!(said.contains("not run: promtool"), "{said}");
    }
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains("no findings"), "{said}");
}

#[test]
fn the_boards_of_this_project_have_no_findings() {
    let boards = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_chitram-proof"))
            .args(["boards", "dashboards"])
            .args(arguments)
            .current_dir(repository())
            .output()
            .expect("the program runs");
        assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    };
    boards(&["--format", "--check"]);
    let mut arguments = vec!["--static", "--rules", "alerts/rules"];
    arguments.extend(["--expectations", "dashboards/expectations.toml"]);
    arguments.extend(DECLARED.iter().flat_map(|file| ["--declared", file]));
    boards(&arguments);
}

#[test]
fn the_generated_rules_are_those_of_the_objectives() {
    let output = rules(&["--generate", "alerts/objectives.toml", "--check"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
}

#[test]
fn alertmanager_takes_its_configuration() {
    let Some(amtool) = tool("amtool") else { return };
    let output = Command::new(amtool)
        .args(["check-config", "alerts/alertmanager.yml"])
        .current_dir(repository())
        .output()
        .expect("amtool runs");
    assert!(output.status.success(), "{}", text(&output));
}

/// A copy of `alerts` in which `from` is `to` in one file.
fn mutated(file: &str, from: &str, to: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for each in [
        "objectives.toml",
        "alertmanager.yml",
        "rules/causes.yml",
        "rules/objectives.yml",
    ] {
        let original =
            std::fs::read_to_string(repository().join("alerts").join(each)).expect("a file");
        let changed = if each == file {
            original.replacen(from, to, 1)
        } else {
            original.clone()
        };
        assert!(
            each != file || changed != original,
            "{file} does not hold {from}"
        );
        let path = folder.path().join(each);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(path, changed).expect("written");
    }
    folder
}

#[test]
fn each_mistake_in_the_rules_of_this_project_is_found() {
    let causes = "rules/causes.yml";
    for (file, from, to, code) in [
        (
            causes,
            "severity: page",
            "severity: critical",
            "severity-unknown",
        ),
        (
            causes,
            "docs/runbooks/service-down.md",
            "docs/runbooks/service-gone.md",
            "runbook-missing",
        ),
        (
            causes,
            "avg_over_time(up[5m]) < 0.5\n        for",
            "avg_over_time(up[5m])\n        for",
            "alert-without-comparison",
        ),
        (
            causes,
            "error_type=\"not_writable\"}[5m]",
            "error_type=\"not_writable\"}[10s]",
            "range-too-short",
        ),
        (
            causes,
            "budget: decoded",
            "budget: '{{ $value }}'",
            "value-in-a-label",
        ),
        (causes, "le=\"0.25\"", "le=\"1\"", "bound-without-point"),
        (
            causes,
            "increase(chitram_log_lines_dropped",
            "max_over_time(chitram_log_lines_dropped",
            "raw-counter",
        ),
        (
            causes,
            "alert: ServiceDown",
            "alert: ServiceGone",
            "inhibition-without-alert",
        ),
        (
            "alertmanager.yml",
            "equal: [service, job]",
            "equal: [cluster]",
            "inhibition-by-an-absent-label",
        ),
        (
            "objectives.toml",
            "objective = 0.999",
            "objective = 0.99",
            "burn-threshold-wrong",
        ),
        (
            "objectives.toml",
            "objective = 0.999",
            "objective = 0.99",
            "generated-file-stale",
        ),
        (
            "rules/objectives.yml",
            "14.4 * 0.001",
            "1.44 * 0.001",
            "burn-threshold-wrong",
        ),
        (
            "rules/objectives.yml",
            "rate1h{slo=\"reads-availability\"} >",
            "rate6h{slo=\"reads-availability\"} >",
            "burn-window-wrong",
        ),
        (
            "rules/objectives.yml",
            "record: slo:events:rate30m",
            "record: slo:events:rate31m",
            "never-recorded",
        ),
    ] {
        let folder = mutated(file, from, to);
        let path = folder.path().to_str().expect("a path");
        let output = rules(&[path, "--runbooks", "docs/runbooks"]);
        let said = text(&output);
        assert_eq!(output.status.code(), Some(1), "{to}: {said}");
        assert!(
            said.contains(&format!("    {code}: ")),
            "{to} is not found as {code}: {said}"
        );
    }
}

#[test]
fn a_test_that_fails_is_a_finding() {
    if tool("promtool").is_none() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let write =
        |name: &str, text: &str| std::fs::write(folder.path().join(name), text).expect("written");
    write(
        "rules.yml",
        "groups: [{name: a, rules: [{alert: Down, expr: up == 0}]}]",
    );
    write(
        "tests.yml",
        "rule_files: [rules.yml]\ntests: [{input_series: [{series: up, values: '0x5'}], alert_rule_test: [{eval_time: 3m, alertname: Down}]}]",
    );
    let output = rules(&[folder.path().to_str().expect("a path")]);
    let said = text(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("promtool-test") && said.contains("severity-missing"),
        "{said}"
    );
}

#[test]
fn a_folder_without_rules_is_refused_by_name() {
    let folder = tempfile::tempdir().expect("a folder");
    let output = rules(&[folder.path().to_str().expect("a path")]);
    assert_eq!(output.status.code(), Some(64));
    assert!(text(&output).contains("no rule file"), "{}", text(&output));
}

#[test]
fn findings_are_printed_as_data() {
    let folder = mutated("rules/causes.yml", "severity: page", "severity: critical");
    let output = rules(&[folder.path().to_str().expect("a path"), "--output", "json"]);
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let codes: Vec<_> = report["findings"]
        .as_array()
        .expect("findings")
        .iter()
        .map(|finding| &finding["code"])
        .collect();
    assert!(
        codes.iter().any(|code| *code == "severity-unknown"),
        "{report}"
    );
}
