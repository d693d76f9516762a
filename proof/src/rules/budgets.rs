//! Burn-rate alerts against the objectives: thresholds and windows are computed again and compared with what is in the rules.

use std::collections::BTreeSet;
use std::path::Path;

use promql_parser::parser::Expr;
use promql_parser::parser::token::{T_GTE, T_GTR, T_LAND, T_LOR, T_MUL, TokenId};

use super::burn::{PAIRS, Pair};
use super::codes;
use super::files::Rule;
use super::generate;
use super::objectives::{Objective, Objectives};
use super::tree::constant;
use crate::finding::Finding;
use crate::promql::{self, bare, matchers, metric, selector, walk};

/// How recorded ratios are named, before their window.
const RATIO: &str = "slo:error_ratio:rate";
/// How recorded rates of valid events are named, before their window.
const EVENTS: &str = "slo:events:rate";

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
#[derive(Debug)]
struct Burn {
    window: String,
    slo: String,
    threshold: f64,
    /// Whether it is above the threshold that it fires.
    above: bool,
}

/// Conditions that must all hold.
#[derive(Debug, Default)]
struct Alternative {
    burns: Vec<Burn>,
    /// Least events in a window, by the window's name.
    guards: Vec<(String, f64)>,
}

/// Checks each alert that compares recorded ratios, and that each objective has its alerts. `file` holds the objectives.
pub(super) fn check(
    rules: &[Rule],
    objectives: &Objectives,
    file: &Path,
    findings: &mut Vec<Finding>,
) {
    let mut alerted: BTreeSet<(String, String)> = BTreeSet::new();
    for rule in rules {
        let severity = rule.labels.get("severity").map_or("", String::as_str);
        for slo in of_rule(rule, objectives, findings) {
            alerted.insert((slo, severity.to_owned()));
        }
    }
    let severities: BTreeSet<&str> = PAIRS.iter().map(|pair| pair.severity).collect();
    for objective in &objectives.list {
        for severity in &severities {
            let wanted = (objective.name.clone(), (*severity).to_owned());
            if !alerted.contains(&wanted) {
                findings.push(Finding {
                    code: codes::OBJECTIVE_WITHOUT_ALERT,
                    file: file.display().to_string(),
                    subject: format!("objective {}", objective.name),
                    query: None,
                    sentence: format!("no alert of severity {severity} is on its burn rate"),
                });
            }
        }
    }
}

/// Checks one alert; returns the objectives that it is on.
fn of_rule(rule: &Rule, objectives: &Objectives, findings: &mut Vec<Finding>) -> Vec<String> {
    let (Some(_), Some(expr)) = (rule.alert(), &rule.expr) else {
        return Vec::new();
    };
    let mut all = Vec::new();
    walk(expr, &mut |node, _| all.extend(burn(node)));
    let slos: BTreeSet<String> = all.iter().map(|burn| burn.slo.clone()).collect();
    let alternatives: Vec<Alternative> = sides(expr, T_LOR).into_iter().map(alternative).collect();
    for slo in &slos {
        let Some(objective) = objectives.get(slo) else {
            findings.push(rule.finding(
                codes::UNKNOWN_OBJECTIVE,
                format!("no objective is named {slo:?}"),
            ));
            continue;
        };
        let own = all.iter().filter(|burn| burn.slo == *slo).count();
        let with =
            |alternative: &&Alternative| alternative.burns.iter().any(|burn| burn.slo == *slo);
        let with: Vec<&Alternative> = alternatives.iter().filter(with).collect();
        let joined: usize = with.iter().map(|alternative| alternative.burns.len()).sum();
        if joined < own {
            findings.push(rule.finding(
                codes::BURN_WINDOW_WRONG,
                "a ratio stands where it is not needed for the alert to fire; join both windows of a pair by `and`, and pairs by `or`",
            ));
        }
        pairs(rule, objective, &with, findings);
    }
    slos.into_iter().collect()
}

/// Whether the alternatives are the pairs of the alert's severity, each with its threshold and its guard.
fn pairs(
    rule: &Rule,
    objective: &Objective,
    alternatives: &[&Alternative],
    findings: &mut Vec<Finding>,
) {
    let severity = rule.labels.get("severity").map_or("", String::as_str);
    let mut missing: Vec<&Pair> = PAIRS
        .iter()
        .filter(|pair| pair.severity == severity)
        .collect();
    let mut strange: Vec<String> = Vec::new();
    for alternative in alternatives {
        let windows: Vec<&str> = alternative
            .burns
            .iter()
            .map(|burn| burn.window.as_str())
            .collect();
        let is_pair = |pair: &&&Pair| {
            windows.len() == 2
                && windows.contains(&pair.long.name)
                && windows.contains(&pair.short.name)
        };
        for burn in alternative.burns.iter().filter(|burn| !burn.above) {
            let sentence = format!(
                "the ratio over {} must be above its threshold (`>`) for the alert to fire",
                burn.window
            );
            findings.push(rule.finding(codes::BURN_COMPARISON_WRONG, sentence));
        }
        match missing.iter().find(is_pair).copied() {
            Some(pair) => {
                missing.retain(|other| !std::ptr::eq(*other, pair));
                of_pair(rule, objective, pair, alternative, findings);
            }
            None => strange.push(windows.join(" and ")),
        }
    }
    if !missing.is_empty() || !strange.is_empty() {
        let wanted = PAIRS.iter().filter(|pair| pair.severity == severity);
        let wanted: Vec<String> = wanted
            .map(|pair| format!("{} and {}", pair.long.name, pair.short.name))
            .collect();
        findings.push(rule.finding(
            codes::BURN_WINDOW_WRONG,
            format!(
                "an alert of severity {severity} looks at {}, each pair joined by `and`; this one looks {}",
                wanted.join(", or "),
                if strange.is_empty() {
                    "at fewer".to_owned()
                } else {
                    format!("at {}", strange.join(", or "))
                }
            ),
        ));
    }
}

fn of_pair(
    rule: &Rule,
    objective: &Objective,
    pair: &Pair,
    alternative: &Alternative,
    findings: &mut Vec<Finding>,
) {
    let expected = pair.threshold(objective);
    for burn in &alternative.burns {
        if (burn.threshold - expected).abs() >= 1e-9 {
            findings.push(rule.finding(
                codes::BURN_THRESHOLD_WRONG,
                format!(
                    "the ratio over {} is compared with {}, but the objective {} gives {expected}",
                    burn.window, burn.threshold, objective.name
                ),
            ));
        }
    }
    let least = pair.least_events(objective);
    let guarded = alternative
        .guards
        .iter()
        .any(|(window, events)| window == pair.short.name && *events + 0.5 >= least as f64);
    if !guarded {
        findings.push(rule.finding(
            codes::BURN_WITHOUT_GUARD,
            format!(
                "nothing asks for at least {least} events within {}: with little traffic one failure fires the alert",
                pair.short.name
            ),
        ));
    }
}

/// The expressions that a set operator joins, through parentheses.
fn sides(expr: &Expr, operator: TokenId) -> Vec<&Expr> {
    match bare(expr) {
        Expr::Binary(binary) if binary.op.id() == operator => {
            let [left, right] = [&binary.lhs, &binary.rhs].map(|side| sides(side, operator));
            [left, right].concat()
        }
        other => vec![other],
    }
}

fn alternative(expr: &Expr) -> Alternative {
    let mut alternative = Alternative::default();
    for condition in sides(expr, T_LAND) {
        alternative.burns.extend(burn(condition));
        alternative.guards.extend(guard(condition));
    }
    alternative
}

fn burn(node: &Expr) -> Option<Burn> {
    let Expr::Binary(binary) = node else {
        return None;
    };
    if !binary.op.is_comparison_operator() {
        return None;
    }
    let selector = selector(bare(&binary.lhs))?;
    let window = metric(selector)?.strip_prefix(RATIO)?.to_owned();
    let threshold = constant(&binary.rhs)?;
    let slo = matchers(selector).find(|matcher| matcher.name == "slo");
    Some(Burn {
        window,
        slo: slo.map(|matcher| matcher.value.clone()).unwrap_or_default(),
        threshold,
        above: matches!(binary.op.id(), T_GTR | T_GTE) && !binary.return_bool(),
    })
}

/// `slo:events:rate5m * 300 >= 100`: events of a window, by their rate.
fn guard(node: &Expr) -> Option<(String, f64)> {
    let Expr::Binary(comparison) = node else {
        return None;
    };
    if !matches!(comparison.op.id(), T_GTR | T_GTE) {
        return None;
    }
    let least = constant(&comparison.rhs)?;
    let (rate, seconds) = match bare(&comparison.lhs) {
        Expr::Binary(product) if product.op.id() == T_MUL => {
            match (constant(&product.lhs), constant(&product.rhs)) {
                (Some(factor), None) => (bare(&product.rhs), factor),
                (None, Some(factor)) => (bare(&product.lhs), factor),
                _ => return None,
            }
        }
        rate => (rate, 1.0),
    };
    let window = metric(selector(rate)?)?.strip_prefix(EVENTS)?;
    let length = promql::duration(window).ok()?.as_secs_f64();
    Some((window.to_owned(), least * length / seconds))
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
        of_rule(&rule("ReadsBudgetBurn", expr), &objectives, &mut findings);
        findings.into_iter().map(|finding| finding.code).collect()
    }

    /// A ticket's expression.
    fn ticket(windows: [&str; 4], thresholds: [&str; 2]) -> String {
        let side = |window, threshold| {
            format!("slo:error_ratio:rate{window}{{slo=\"reads\"}} > {threshold}")
        };
        let pair = |long, short, threshold| {
            let guard = format!("slo:events:rate{short}{{slo=\"reads\"}} * 3600 >= 10000");
            format!(
                "({} and {} and {guard})",
                side(long, threshold),
                side(short, threshold)
            )
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
        let right = ticket(windows, ["0.003", "0.001"]);
        for (from, to, code) in [
            ("> 0.003", "< 0.003", codes::BURN_COMPARISON_WRONG),
            ("> 0.003", "> bool 0.003", codes::BURN_COMPARISON_WRONG),
            ("* 3600 >= 10000", "* 3600 >= 10", codes::BURN_WITHOUT_GUARD),
            (
                "* 3600 >= 10000",
                "* 3600 <= 10000",
                codes::BURN_WITHOUT_GUARD,
            ),
            ("events:rate2h", "events:rate6h", codes::BURN_WITHOUT_GUARD),
            (" > 0.003 and", " > 0.003 or", codes::BURN_WINDOW_WRONG),
            (") or (", ") and (", codes::BURN_WINDOW_WRONG),
        ] {
            let changed = right.replacen(from, to, 1);
            assert_ne!(changed, right, "{from}");
            assert!(
                codes(&changed).contains(&code),
                "{changed}: {:?}",
                codes(&changed)
            );
        }
        // The windows of two pairs, each with the other's partner: as a set they are the same.
        let exchanged = ticket(["1d", "6h", "3d", "2h"], ["0.003", "0.001"]);
        assert_eq!(codes(&exchanged), [codes::BURN_WINDOW_WRONG]);
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
        check(&rules.rules, &objectives, &file, &mut findings);
        assert_eq!(findings, []);
        check(&[], &objectives, &file, &mut findings);
        let codes: Vec<_> = findings.drain(..).map(|finding| finding.code).collect();
        assert_eq!(codes, [codes::OBJECTIVE_WITHOUT_ALERT; 2]);
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
