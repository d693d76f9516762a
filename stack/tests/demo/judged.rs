//! What a demo concluded, as programs and people read it: the exit code, `result.json`, the table and the report agree.

use std::path::Path;

use serde_json::Value;

use crate::run::Run;

/// The experiments in their order, each with the number of things that it expects.
const EXPERIMENTS: [(&str, usize); 3] = [("control", 7), ("store-slow", 8), ("store-blackhole", 5)];

/// How an experiment says that the machine, and nothing else, kept it from concluding anything.
const MACHINE: [&str; 5] = [
    " was starved: a thread of it waited for a CPU for ",
    "the machine was full: ",
    "the load generator lost ",
    "the load generator was at its bound in ",
    " windows are in its band ",
];

/// Nothing wrong was said of a sound platform. On a machine that is too busy a demo may conclude nothing, after a repetition
/// and for no other reason; it never says that a promise broke.
#[track_caller]
pub(crate) fn assert_sound(run: &Run, files: &Path, code: Option<i32>) {
    let said = format!("{}{}", run.stdout(), run.stderr());
    assert!(matches!(code, Some(0 | 4)), "{code:?}\n{said}");
    let result = std::fs::read_to_string(files.join("result.json")).unwrap();
    let result: Value = serde_json::from_str(&result).unwrap();
    let report = embedded(&std::fs::read_to_string(files.join("report.html")).unwrap());
    assert_eq!(result["exit_code"].as_i64(), code.map(i64::from), "{said}");
    assert_eq!(report["as_expected"], code == Some(0), "{said}");
    let (results, reports) = (list(&result["experiments"]), list(&report["experiments"]));
    assert_eq!((results.len(), reports.len()), (3, 3), "{result:#}");
    for ((name, expectations), (result, report)) in
        EXPERIMENTS.iter().zip(results.iter().zip(reports))
    {
        assert_eq!(result["name"], *name);
        assert_eq!(list(&result["expectations"]).len(), *expectations);
        assert_judged(result);
        assert_told_alike(result, report, &run.stdout());
    }
    let is_inconclusive = |result: &Value| result["verdict"] == "inconclusive";
    assert_eq!(results.iter().any(is_inconclusive), code == Some(4));
}

/// Whether an experiment was given up while the machine left its processes no CPU: then the guardrail tells nothing either.
pub(crate) fn is_starved(result: &Value) -> bool {
    let starved = |finding: &Value| {
        let sentence = finding["sentence"].as_str().unwrap_or_default();
        finding["verdict"] == "inconclusive" && MACHINE.iter().any(|words| sentence.contains(words))
    };
    list(&result["findings"]).iter().any(starved)
}

/// It passed with everything measured, or the machine was too busy also in the repetition.
#[track_caller]
pub(crate) fn assert_judged(result: &Value) {
    let (expectations, findings) = (list(&result["expectations"]), list(&result["findings"]));
    assert_eq!(result["expected"], "pass");
    if result["verdict"] == "pass" {
        let held = |expectation: &Value| expectation["outcome"] == "held";
        assert!(expectations.iter().all(held), "{result:#}");
        assert_eq!(result["measured"].as_u64(), Some(expectations.len() as u64));
        assert!(findings.is_empty(), "{result:#}");
        return;
    }
    assert_eq!(result["verdict"], "inconclusive", "{result:#}");
    assert_eq!(result["repeated"], true, "{result:#}");
    // What broke besides, on a machine that was too busy, is listed too, but decides nothing.
    let (deciding, besides): (Vec<_>, Vec<_>) = findings
        .iter()
        .partition(|finding| finding["verdict"] == "inconclusive");
    assert!(!deciding.is_empty(), "{result:#}");
    for finding in deciding {
        let sentence = finding["sentence"].as_str().unwrap();
        let is_machine = MACHINE.iter().any(|words| sentence.contains(words));
        assert!(is_machine, "{sentence}\n{result:#}");
    }
    let only_broke = besides
        .iter()
        .all(|finding| finding["verdict"] == "deviated");
    assert!(only_broke, "{result:#}");
}

/// The report and the table say what the results say.
#[track_caller]
fn assert_told_alike(result: &Value, report: &Value, table: &str) {
    let (name, verdict) = (
        result["name"].as_str().unwrap(),
        result["verdict"].as_str().unwrap(),
    );
    assert_eq!(
        result["as_expected"],
        result["verdict"] == result["expected"]
    );
    for key in ["name", "as_expected", "expectations"] {
        assert_eq!(report[key], result[key], "{key} of {name}");
    }
    assert_eq!(report["expected_verdict"], result["expected"]);
    // With the share that was measured behind it, where that was not all.
    assert!(report["verdict"].as_str().unwrap().starts_with(verdict));
    let row = |line: &&str| line.starts_with(&format!("{name} "));
    let row = table.lines().find(row).unwrap_or_default();
    assert!(row.contains(verdict), "{name}: {verdict}\n{table}");
}

/// The figures behind a report's page.
fn embedded(page: &str) -> Value {
    assert!(page.starts_with("<!DOCTYPE html>"));
    let (_, data) = page
        .split_once("<script type=\"application/json\" id=\"data\">")
        .unwrap();
    serde_json::from_str(data.split_once("</script>").unwrap().0).unwrap()
}

#[track_caller]
pub(crate) fn list(value: &Value) -> &Vec<Value> {
    value.as_array().unwrap()
}
