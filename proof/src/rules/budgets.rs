//! Burn-rate alerts against the objectives: thresholds and windows are computed again and compared with what is in the rules.

use std::collections::BTreeSet;
use std::path::Path;

use promql_parser::parser::Expr;

use super::burn::PAIRS;
use super::codes;
use super::files::Rule;
use super::generate;
use super::objectives::{Objective, Objectives};
use super::tree::constant;
use crate::finding::Finding;
use crate::promql::{bare, walk};

/// How recorded ratios are named, before their window.
const RATIO: &str = "slo:error_ratio:rate";

/// Whether the committed rules are those of the objectives.
pub(super) fn fresh(file: &Path, objectives: &Objectives) -> Option<Finding> {
    let path = generate::path(file);
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    let expected = generate::text(objectives);
    if committed == expected {
        return None;
    }
    let lines = committed.lines().zip(expected.lines());
    let line = lines.take_while(|(left, right)| left == right).count() + 1;
    Some(Finding {
        code: codes::GENERATED_FILE_STALE,
        file: path.display().to_string(),
        subject: format!("line {line}"),
        query: None,
        sentence: format!(
            "it is not what {} generates; run `chitram-proof rules --generate {}`",
            file.display(),
            file.display()
        ),
    })
}

/// A comparison of a recorded ratio with a number.
struct Burn {
    window: String,
    slo: String,
    threshold: f64,
}

/// Checks each alert that compares recorded ratios.
pub(super) fn check(rule: &Rule, objectives: &Objectives, findings: &mut Vec<Finding>) {
    let (Some(_), Some(expr)) = (rule.alert(), &rule.expr) else {
        return;
    };
    let burns = burns(expr);
    let slos: BTreeSet<&str> = burns.iter().map(|burn| burn.slo.as_str()).collect();
    for slo in slos {
        let Some(objective) = objectives.get(slo) else {
            findings.push(rule.finding(
                codes::UNKNOWN_OBJECTIVE,
                format!("no objective is named {slo:?}"),
            ));
            continue;
        };
        let own: Vec<&Burn> = burns.iter().filter(|burn| burn.slo == slo).collect();
        for burn in &own {
            threshold(rule, objective, burn, findings);
        }
        windows(rule, &own, findings);
    }
}

fn threshold(rule: &Rule, objective: &Objective, burn: &Burn, findings: &mut Vec<Finding>) {
    let expected: Vec<f64> = PAIRS
        .iter()
        .filter(|pair| pair.long.name == burn.window || pair.short.name == burn.window)
        .map(|pair| pair.threshold(objective))
        .collect();
    if !expected
        .iter()
        .any(|threshold| (threshold - burn.threshold).abs() < 1e-9)
    {
        let expected: Vec<String> = expected.iter().map(f64::to_string).collect();
        findings.push(rule.finding(
            codes::BURN_THRESHOLD_WRONG,
            format!(
                "the ratio over {} is compared with {}, but the objective {} gives {}",
                burn.window,
                burn.threshold,
                objective.name,
                if expected.is_empty() {
                    "this window to no alert".to_owned()
                } else {
                    expected.join(" or ")
                }
            ),
        ));
    }
}

fn windows(rule: &Rule, burns: &[&Burn], findings: &mut Vec<Finding>) {
    let severity = rule.labels.get("severity").map_or("", String::as_str);
    let expected: BTreeSet<&str> = PAIRS
        .iter()
        .filter(|pair| pair.severity == severity)
        .flat_map(|pair| [pair.long.name, pair.short.name])
        .collect();
    let found: BTreeSet<&str> = burns.iter().map(|burn| burn.window.as_str()).collect();
    if expected != found {
        let list =
            |windows: &BTreeSet<&str>| windows.iter().copied().collect::<Vec<_>>().join(", ");
        findings.push(rule.finding(
            codes::BURN_WINDOW_WRONG,
            format!(
                "an alert of severity {severity} looks at {}, but this one at {}",
                list(&expected),
                list(&found)
            ),
        ));
    }
}

fn burns(expr: &Expr) -> Vec<Burn> {
    let mut burns = Vec::new();
    walk(expr, &mut |node, _| {
        if let Expr::Binary(binary) = node
            && binary.op.is_comparison_operator()
            && let Expr::VectorSelector(selector) = bare(&binary.lhs)
            && let Some(window) = selector
                .name
                .as_deref()
                .and_then(|name| name.strip_prefix(RATIO))
            && let Some(threshold) = constant(&binary.rhs)
        {
            let mut matchers = selector.matchers.matchers.iter();
            let slo = matchers.find(|matcher| matcher.name == "slo");
            burns.push(Burn {
                window: window.to_owned(),
                slo: slo.map(|matcher| matcher.value.clone()).unwrap_or_default(),
                threshold,
            });
        }
    });
    burns
}

#[cfg(test)]
mod tests {
    use super::super::testing::rule;
    use super::*;

    const OBJECTIVES: &str = r#"
        service = "x"
        window = "30d"
        [[objective]]
        name = "reads"
        title = "Reads"
        objective = 0.999
        total = 'reads_total'
        bad = 'reads_failed_total'
        minimum_events = 100
        dashboard = "/d/x"
    "#;

    fn codes(expr: &str) -> Vec<&'static str> {
        let objectives = Objectives::parse(OBJECTIVES).unwrap();
        let mut findings = Vec::new();
        check(&rule("ReadsBudgetBurn", expr), &objectives, &mut findings);
        findings.into_iter().map(|finding| finding.code).collect()
    }

    /// A ticket's expression.
    fn ticket(windows: [&str; 4], thresholds: [&str; 2]) -> String {
        let side = |window, threshold| {
            format!("slo:error_ratio:rate{window}{{slo=\"reads\"}} > {threshold}")
        };
        let pair = |long, short, threshold| {
            format!("({} and {})", side(long, threshold), side(short, threshold))
        };
        format!(
            "{} or {}",
            pair(windows[0], windows[1], thresholds[0]),
            pair(windows[2], windows[3], thresholds[1])
        )
    }

    #[test]
    fn thresholds_and_windows_follow_from_the_objective() {
        let windows = ["1d", "2h", "3d", "6h"];
        assert_eq!(
            codes(&ticket(windows, ["3 * 0.001", "0.001"])),
            Vec::<&str>::new()
        );
        assert_eq!(
            codes(&ticket(windows, ["3 * 0.01", "0.001"])),
            [codes::BURN_THRESHOLD_WRONG; 2]
        );
        assert_eq!(
            codes(&ticket(["1d", "1d", "3d", "6h"], ["0.003", "0.001"])),
            [codes::BURN_WINDOW_WRONG]
        );
        let other = ticket(windows, ["0.003", "0.001"]).replace("reads", "writes");
        assert_eq!(codes(&other), [codes::UNKNOWN_OBJECTIVE]);
    }

    #[test]
    fn generated_rules_pass_the_check() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("objectives.toml");
        std::fs::write(&file, OBJECTIVES).unwrap();
        generate::write(&file).unwrap();
        let objectives = Objectives::read(&file).unwrap();
        assert_eq!(fresh(&file, &objectives), None);
        let rules = super::super::files::Folder::read(&[folder.path()]).unwrap();
        assert_eq!(rules.findings, []);
        let mut findings = Vec::new();
        for rule in &rules.rules {
            check(rule, &objectives, &mut findings);
        }
        assert_eq!(findings, []);
        assert_eq!(
            rules
                .rules
                .iter()
                .filter(|rule| rule.alert().is_some())
                .count(),
            3
        );
        std::fs::write(generate::path(&file), "# edited").unwrap();
        assert_eq!(
            fresh(&file, &objectives).unwrap().code,
            codes::GENERATED_FILE_STALE
        );
    }
}
