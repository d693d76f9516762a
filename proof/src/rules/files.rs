//! Rule files, their promtool tests and Alertmanager's configuration, as the YAML says them.
//!
//! A folder may hold all of them mixed, as projects do: a file is what its keys say it is.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use promql_parser::parser::Expr;
use serde::Deserialize;

use super::codes;
use super::matching;
use super::routes::Routes;
use crate::exit::Refusal;
use crate::finding::Finding;
use crate::promql;

/// More files than this below one folder are not rules.
const MAX_FILES: usize = 1_000;
/// The largest file that is read, in bytes.
const MAX_BYTES: u64 = 4 << 20;

/// Everything below the folders.
#[derive(Debug, Default)]
pub(super) struct Folder {
    /// Files with rules.
    pub(super) rule_files: Vec<PathBuf>,
    /// Files with promtool tests.
    pub(super) test_files: Vec<PathBuf>,
    /// Each rule, in the order of files, groups and rules.
    pub(super) rules: Vec<Rule>,
    /// Each promtool test.
    pub(super) tests: Vec<Test>,
    /// Inhibition rules of Alertmanager, with their file.
    pub(super) inhibitions: Vec<(String, Inhibition)>,
    /// What else Alertmanager is told, with the file.
    pub(super) routes: Vec<(String, Routes)>,
    /// `objectives.toml`, if there is one.
    pub(super) objectives: Option<PathBuf>,
    /// What can't be read.
    pub(super) findings: Vec<Finding>,
}

/// One rule.
#[derive(Debug)]
pub(super) struct Rule {
    /// Its file.
    pub(super) file: String,
    /// Its group.
    pub(super) group: String,
    /// How often the group is evaluated, if it says so itself.
    pub(super) interval: Option<Duration>,
    /// Its place in the group.
    pub(super) index: usize,
    /// How long an alert must last until it fires (`for`).
    pub(super) hold: Option<Duration>,
    /// Recording or alert, and the name.
    pub(super) kind: Kind,
    /// The expression as written.
    pub(super) text: String,
    /// The expression; `None` when it can't be read, which is a finding already.
    pub(super) expr: Option<Expr>,
    /// Labels that it sets.
    pub(super) labels: BTreeMap<String, String>,
    /// Annotations of an alert.
    pub(super) annotations: BTreeMap<String, String>,
}

/// What a rule makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    /// A series of this name.
    Record(String),
    /// An alert of this name.
    Alert(String),
}

impl Rule {
    /// The alert's name, if it is one.
    pub(super) fn alert(&self) -> Option<&str> {
        match &self.kind {
            Kind::Alert(name) => Some(name),
            Kind::Record(_) => None,
        }
    }

    /// A finding about this rule.
    pub(super) fn finding(&self, code: &'static str, sentence: impl Into<String>) -> Finding {
        let subject = match &self.kind {
            Kind::Record(name) => format!("{}: record {name}", self.group),
            Kind::Alert(name) => match self.labels.get("severity") {
                Some(severity) => format!("{}: alert {name} ({severity})", self.group),
                None => format!("{}: alert {name}", self.group),
            },
        };
        Finding {
            code,
            file: self.file.clone(),
            subject,
            query: Some(self.text.clone()),
            sentence: sentence.into(),
        }
    }
}

/// One promtool test, as far as it tells which alerts it expects.
#[derive(Debug, Deserialize)]
pub(super) struct Test {
    /// Alerts that are looked at.
    #[serde(default)]
    pub(super) alert_rule_test: Vec<AlertTest>,
    /// Expressions that are looked at; `ALERTS` among them.
    #[serde(default)]
    pub(super) promql_expr_test: Vec<ExpressionTest>,
}

/// An alert at a moment.
#[derive(Debug, Deserialize)]
pub(super) struct AlertTest {
    /// Its name.
    pub(super) alertname: String,
    /// What fires then: nothing, if empty.
    #[serde(default)]
    pub(super) exp_alerts: Vec<ExpectedAlert>,
}

/// An alert that is expected to fire.
#[derive(Debug, Deserialize)]
pub(super) struct ExpectedAlert {
    /// All its labels but the name.
    #[serde(default)]
    pub(super) exp_labels: BTreeMap<String, String>,
}

/// An expression at a moment.
#[derive(Debug, Deserialize)]
pub(super) struct ExpressionTest {
    /// The expression.
    pub(super) expr: String,
    /// Its result.
    #[serde(default)]
    pub(super) exp_samples: Vec<ExpectedSample>,
}

/// One sample of a result.
#[derive(Debug, Deserialize)]
pub(super) struct ExpectedSample {
    /// Name and labels, as PromQL writes them.
    #[serde(default)]
    pub(super) labels: String,
}

/// A rule by which firing alerts silence others.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Inhibition {
    /// Which alerts silence, as Alertmanager's matchers.
    pub(super) source_matchers: Vec<String>,
    /// Which they silence.
    pub(super) target_matchers: Vec<String>,
    /// The older ways to write the same: labels with values, and with patterns.
    pub(super) source_match: BTreeMap<String, String>,
    pub(super) source_match_re: BTreeMap<String, String>,
    pub(super) target_match: BTreeMap<String, String>,
    pub(super) target_match_re: BTreeMap<String, String>,
    /// Labels whose values must be equal. Absent on both sides is equal, too.
    pub(super) equal: Vec<String>,
}

impl Inhibition {
    /// Which alerts silence, however it is written.
    pub(super) fn source(&self) -> Vec<String> {
        matching::written(
            &self.source_matchers,
            &self.source_match,
            &self.source_match_re,
        )
    }

    /// Which they silence.
    pub(super) fn target(&self) -> Vec<String> {
        matching::written(
            &self.target_matchers,
            &self.target_match,
            &self.target_match_re,
        )
    }
}

/// Any of the files.
#[derive(Deserialize)]
struct Any {
    groups: Option<Vec<RawGroup>>,
    tests: Option<Vec<Test>>,
    #[serde(default)]
    inhibit_rules: Vec<Inhibition>,
    #[serde(flatten)]
    routes: Routes,
}

#[derive(Deserialize)]
struct RawGroup {
    name: String,
    interval: Option<String>,
    #[serde(default)]
    rules: Vec<RawRule>,
}

#[derive(Deserialize)]
struct RawRule {
    record: Option<String>,
    alert: Option<String>,
    expr: String,
    #[serde(rename = "for")]
    hold: Option<String>,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

impl Folder {
    /// Reads the YAML files below each folder. A file that can't be read is a finding; a folder without rules is refused.
    pub(super) fn read(folders: &[&Path]) -> Result<Self, Refusal> {
        let mut files = Vec::new();
        for folder in folders {
            collect(folder, &mut files)?;
        }
        files.sort();
        files.dedup();
        let mut found = Self::default();
        for file in files {
            if file
                .file_name()
                .is_some_and(|name| name == "objectives.toml")
            {
                found.objectives = Some(file);
            } else if let Err(reason) = found.add(&file) {
                found.findings.push(Finding {
                    code: codes::FILE_UNREADABLE,
                    file: file.display().to_string(),
                    subject: "the file".to_owned(),
                    query: None,
                    sentence: reason,
                });
            }
        }
        if found.rule_files.is_empty() && found.findings.is_empty() {
            let names: Vec<String> = folders.iter().map(|f| f.display().to_string()).collect();
            return Err(Refusal::usage(format!(
                "{}: no rule file (a .yml with `groups:`) below it; give the folder of the rules",
                names.join(", ")
            )));
        }
        Ok(found)
    }

    fn add(&mut self, file: &Path) -> Result<(), String> {
        let size = file.metadata().map_err(|error| error.to_string())?.len();
        if size > MAX_BYTES {
            return Err(format!(
                "{size} bytes are more than the {MAX_BYTES} that are read"
            ));
        }
        let text = std::fs::read_to_string(file).map_err(|error| error.to_string())?;
        let any: Any = serde_saphyr::from_str(&text).map_err(|error| error.to_string())?;
        self.inhibitions.extend(
            any.inhibit_rules
                .into_iter()
                .map(|inhibition| (file.display().to_string(), inhibition)),
        );
        if any.routes.route.is_some() {
            self.routes.push((file.display().to_string(), any.routes));
        }
        if let Some(tests) = any.tests {
            self.test_files.push(file.to_owned());
            self.tests.extend(tests);
        }
        if let Some(groups) = any.groups {
            self.rule_files.push(file.to_owned());
            for group in groups {
                self.add_group(file, group);
            }
        }
        Ok(())
    }

    fn add_group(&mut self, file: &Path, group: RawGroup) {
        let interval = group
            .interval
            .as_deref()
            .and_then(|text| promql::duration(text).ok());
        for (index, raw) in group.rules.into_iter().enumerate() {
            let kind = match (raw.alert, raw.record) {
                (Some(alert), _) => Kind::Alert(alert),
                (None, record) => Kind::Record(record.unwrap_or_default()),
            };
            let parsed = promql::parse(&raw.expr);
            let mut rule = Rule {
                file: file.display().to_string(),
                group: group.name.clone(),
                interval,
                index,
                hold: raw.hold.and_then(|text| promql::duration(&text).ok()),
                kind,
                text: raw.expr,
                expr: None,
                labels: raw.labels,
                annotations: raw.annotations,
            };
            match parsed {
                Ok(expr) => rule.expr = Some(expr),
                Err(error) => self.findings.push(rule.finding(
                    codes::SYNTAX,
                    format!("the expression can't be read: {error}"),
                )),
            }
            self.rules.push(rule);
        }
    }
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<(), Refusal> {
    let unreadable = |error| {
        Refusal::usage(format!(
            "can't read the folder {}: {error}",
            folder.display()
        ))
    };
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if files.len() >= MAX_FILES {
            return Err(Refusal::usage(format!(
                "{}: more than {MAX_FILES} files; give the folder of the rules",
                folder.display()
            )));
        }
        let yaml = path
            .extension()
            .is_some_and(|extension| extension == "yml" || extension == "yaml");
        if path.is_dir() {
            collect(&path, files)?;
        } else if yaml
            || path
                .file_name()
                .is_some_and(|name| name == "objectives.toml")
        {
            files.push(path);
        }
    }
    Ok(())
}
