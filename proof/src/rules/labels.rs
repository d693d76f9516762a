//! Labels and annotations of alerts, and that what they point at exists.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::Deserialize;

use super::codes;
use super::files::Rule;
use crate::exit::Refusal;
use crate::finding::Finding;

const SEVERITIES: [&str; 3] = ["page", "ticket", "none"];
const ANNOTATIONS: [&str; 4] = ["summary", "description", "runbook_url", "dashboard_url"];

/// Panel ids by the uid of their board.
pub(super) type Boards = BTreeMap<String, BTreeSet<u64>>;

/// Checks the labels and annotations of an alert.
pub(super) fn check(rule: &Rule, findings: &mut Vec<Finding>) {
    let Some(name) = rule.alert() else { return };
    if !name.starts_with(|first: char| first.is_ascii_uppercase()) || name.contains(['_', '-', ' '])
    {
        findings.push(rule.finding(codes::ALERT_MISNAMED, format!("{name} is not in CamelCase")));
    }
    match rule.labels.get("severity").map(String::as_str) {
        Some(severity) if SEVERITIES.contains(&severity) => {}
        Some(severity) => findings.push(rule.finding(
            codes::SEVERITY_UNKNOWN,
            format!("severity is {severity:?}; routes know page, ticket and none"),
        )),
        None => findings.push(rule.finding(
            codes::SEVERITY_MISSING,
            "no label severity: page, ticket or none",
        )),
    }
    if !rule.labels.contains_key("service") {
        findings.push(rule.finding(
            codes::SERVICE_MISSING,
            "no label service, by which alerts are grouped and silenced",
        ));
    }
    for (label, value) in &rule.labels {
        if ["$value", ".Value", "query \"", "| value"]
            .iter()
            .any(|part| value.contains(part))
        {
            findings.push(rule.finding(
                codes::VALUE_IN_A_LABEL,
                format!("the label {label} holds the value, so that each change of it is another alert that waits `for` anew; put it into an annotation"),
            ));
        }
    }
    for annotation in ANNOTATIONS {
        if rule
            .annotations
            .get(annotation)
            .is_none_or(|text| text.trim().is_empty())
        {
            findings.push(rule.finding(
                codes::ANNOTATION_MISSING,
                format!("no annotation {annotation}"),
            ));
        }
    }
}

/// Checks that each runbook exists, and that each belongs to an alert.
pub(super) fn runbooks(
    folder: &Path,
    rules: &[Rule],
    findings: &mut Vec<Finding>,
) -> Result<(), Refusal> {
    let mut unused = files(folder, "md")?;
    let present = unused.clone();
    for rule in rules.iter().filter(|rule| rule.alert().is_some()) {
        let Some(url) = rule.annotations.get("runbook_url") else {
            continue;
        };
        let file = url
            .split('#')
            .next()
            .unwrap_or_default()
            .rsplit('/')
            .next()
            .unwrap_or_default();
        unused.remove(file);
        if !present.contains(file) {
            findings.push(rule.finding(
                codes::RUNBOOK_MISSING,
                format!(
                    "runbook_url is {url}, but there is no {file} in {}",
                    folder.display()
                ),
            ));
        }
    }
    unused.remove("README.md");
    findings.extend(unused.into_iter().map(|file| Finding {
        code: codes::RUNBOOK_WITHOUT_ALERT,
        file: folder.join(&file).display().to_string(),
        subject: file,
        query: None,
        sentence:
            "no alert names this runbook: remove it, or mend the alert's runbook_url".to_owned(),
    }));
    Ok(())
}

/// The boards of a folder.
pub(super) fn boards(folder: &Path) -> Result<Boards, Refusal> {
    #[derive(Deserialize)]
    struct Board {
        uid: Option<String>,
        #[serde(default)]
        panels: Vec<Panel>,
    }
    #[derive(Deserialize)]
    struct Panel {
        id: Option<u64>,
        #[serde(default)]
        panels: Vec<Panel>,
    }
    fn ids(panels: &[Panel], into: &mut BTreeSet<u64>) {
        for panel in panels {
            into.extend(panel.id);
            ids(&panel.panels, into);
        }
    }
    let mut boards = Boards::new();
    for file in files(folder, "json")? {
        let path = folder.join(&file);
        let refused = |reason: String| Refusal::usage(format!("{}: {reason}", path.display()));
        let text = crate::files::read(&path)?;
        let board: Board =
            serde_json::from_str(&text).map_err(|error| refused(format!("no board: {error}")))?;
        if let Some(uid) = board.uid {
            ids(&board.panels, boards.entry(uid).or_default());
        }
    }
    Ok(boards)
}

/// Checks that the board that an alert names exists, and its panel if it names one.
pub(super) fn dashboard(rule: &Rule, boards: &Boards, findings: &mut Vec<Finding>) {
    let Some(url) = rule.annotations.get("dashboard_url") else {
        return;
    };
    let rest = url.split_once("/d/").map_or("", |(_, rest)| rest);
    let uid = rest.split(['/', '?']).next().unwrap_or_default();
    let Some(panels) = boards.get(uid) else {
        let known: Vec<&str> = boards.keys().map(String::as_str).collect();
        findings.push(rule.finding(
            codes::BOARD_MISSING,
            format!(
                "dashboard_url is {url}, but no board has the uid {uid:?}; there are {}",
                known.join(", ")
            ),
        ));
        return;
    };
    if let Some((_, panel)) = url.split_once("viewPanel=") {
        let id = panel
            .trim_start_matches("panel-")
            .split('&')
            .next()
            .unwrap_or_default()
            .parse();
        if !id.is_ok_and(|id: u64| panels.contains(&id)) {
            findings.push(rule.finding(
                codes::PANEL_MISSING,
                format!("dashboard_url is {url}, but the board has no such panel"),
            ));
        }
    }
}

/// Names of the files of a folder with this extension.
fn files(folder: &Path, extension: &str) -> Result<BTreeSet<String>, Refusal> {
    let entries = std::fs::read_dir(folder).map_err(|error| {
        Refusal::usage(format!(
            "can't read the folder {}: {error}",
            folder.display()
        ))
    })?;
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    Ok(names
        .filter(|name| {
            Path::new(name)
                .extension()
                .is_some_and(|found| found == extension)
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::super::testing::rule;
    use super::*;

    fn codes(change: impl FnOnce(&mut Rule)) -> Vec<&'static str> {
        let mut good = rule("StoreFailing", "up == 0");
        change(&mut good);
        let mut findings = Vec::new();
        check(&good, &mut findings);
        let boards = Boards::from([("known".to_owned(), BTreeSet::from([3]))]);
        dashboard(&good, &boards, &mut findings);
        findings.into_iter().map(|finding| finding.code).collect()
    }

    #[test]
    fn an_alert_by_the_scheme_has_no_finding() {
        assert_eq!(codes(|_| {}), Vec::<&str>::new());
    }

    #[test]
    fn each_departure_from_the_scheme_has_its_code() {
        fn set(rule: &mut Rule, label: &str, value: &str) {
            rule.labels.insert(label.to_owned(), value.to_owned());
        }
        fn note(rule: &mut Rule, annotation: &str, value: &str) {
            rule.annotations
                .insert(annotation.to_owned(), value.to_owned());
        }
        assert_eq!(
            codes(|rule| {
                rule.labels.remove("severity");
            }),
            [codes::SEVERITY_MISSING]
        );
        assert_eq!(
            codes(|rule| set(rule, "severity", "critical")),
            [codes::SEVERITY_UNKNOWN]
        );
        assert_eq!(
            codes(|rule| {
                rule.labels.remove("service");
            }),
            [codes::SERVICE_MISSING]
        );
        assert_eq!(
            codes(|rule| set(rule, "ratio", "{{ $value }}")),
            [codes::VALUE_IN_A_LABEL]
        );
        assert_eq!(
            codes(|rule| set(rule, "x", "{{ query \"up\" | first | value }}")),
            [codes::VALUE_IN_A_LABEL]
        );
        assert_eq!(
            codes(|rule| note(rule, "summary", " ")),
            [codes::ANNOTATION_MISSING]
        );
        assert_eq!(
            codes(|rule| note(rule, "dashboard_url", "/d/other")),
            [codes::BOARD_MISSING]
        );
        assert_eq!(
            codes(|rule| note(rule, "dashboard_url", "/d/known?viewPanel=4")),
            [codes::PANEL_MISSING]
        );
        assert_eq!(
            codes(|rule| note(rule, "dashboard_url", "/d/known?viewPanel=3")),
            Vec::<&str>::new()
        );
    }

    #[test]
    fn a_runbook_must_exist_and_belong_to_an_alert() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("other.md"), "").unwrap();
        let mut findings = Vec::new();
        runbooks(
            folder.path(),
            &[rule("StoreFailing", "up == 0")],
            &mut findings,
        )
        .unwrap();
        let codes: Vec<_> = findings.iter().map(|finding| finding.code).collect();
        assert_eq!(
            codes,
            [codes::RUNBOOK_MISSING, codes::RUNBOOK_WITHOUT_ALERT]
        );
    }
}
