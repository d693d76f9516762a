//! Whether the causes file is about every alert of the rules, and shows each kind of evidence for each run.

use std::collections::BTreeMap;

use super::causes::{Causes, Column, Run};
use super::codes;
use super::evidence;
use super::scale::rules::{Alert, name_and_labels};
use crate::boards::folder::Folder;
use crate::finding::Finding;

/// Compares the file with the rules and the boards.
pub(crate) fn check(
    causes: &Causes,
    file: &str,
    alerts: &[Alert],
    boards: Option<&Folder>,
) -> Vec<Finding> {
    let mut check = Check {
        file,
        alerts,
        findings: Vec::new(),
        runs_of: vec![0; alerts.len()],
        excepted: vec![false; alerts.len()],
    };
    for run in &causes.runs {
        check.run(run, boards);
    }
    for exception in &causes.unproven {
        let subject = name_and_labels(&exception.alert, &exception.labels);
        let all = check.named(&exception.alert, &exception.labels);
        if all.is_empty() {
            let sentence = format!("no rule has the alert {subject}");
            check.add(codes::ALERT_UNKNOWN, "unproven", sentence);
        }
        for index in all {
            check.excepted[index] = true;
            if check.runs_of[index] > 0 {
                let sentence = format!("{subject} is declared unproven, and a run expects it");
                check.add(codes::EXCEPTION_UNUSED, "unproven", sentence);
            }
        }
    }
    check.rest(causes.watchdog.as_deref());
    check.findings
}

struct Check<'c> {
    file: &'c str,
    alerts: &'c [Alert],
    findings: Vec<Finding>,
    runs_of: Vec<usize>,
    excepted: Vec<bool>,
}

impl Check<'_> {
    fn run(&mut self, run: &Run, boards: Option<&Folder>) {
        let subject = format!("run {}", run.name);
        for expected in &run.alerts {
            let alert = name_and_labels(&expected.name, &expected.labels);
            match self.named(&expected.name, &expected.labels)[..] {
                [] => self.add(
                    codes::ALERT_UNKNOWN,
                    &subject,
                    format!("no rule has the alert {alert}"),
                ),
                [index] => self.runs_of[index] += 1,
                _ => {
                    let sentence = format!(
                        "several rules have the alert {alert}: add labels that tell which is meant"
                    );
                    self.add(codes::ALERT_UNKNOWN, &subject, sentence);
                }
            }
        }
        let silent = run.silent.iter().map(|silent| &silent.alert);
        for name in silent.chain(&run.may_fire) {
            let all = self.named(name, &BTreeMap::new());
            if all.is_empty() {
                self.add(
                    codes::ALERT_UNKNOWN,
                    &subject,
                    format!("no rule has the alert {name}"),
                );
            }
        }
        for silent in &run.silent {
            for index in self.named(&silent.alert, &BTreeMap::new()) {
                self.runs_of[index] += 1;
            }
        }
        if run.is_control() {
            return;
        }
        for column in Column::ALL {
            if !run.shows(column) && !run.not_applicable.contains_key(&column) {
                let name = column.name();
                let sentence =
                    format!("no {name} is shown, and not_applicable.{name} does not say why");
                self.add(codes::HOLE, &subject, sentence);
            }
        }
        for panel in &run.panels {
            if let Some(Err(sentence)) = boards.map(|boards| evidence::has_panel(boards, panel)) {
                self.add(codes::NO_EVIDENCE, &subject, sentence);
            }
        }
    }

    /// Every alert must be some run's, or an exception. One that always fires is seen before each cause.
    fn rest(&mut self, watchdog: Option<&str>) {
        let alerts = self.alerts;
        for (index, alert) in alerts.iter().enumerate() {
            if self.runs_of[index] > 0 || self.excepted[index] {
                continue;
            }
            let what = if watchdog == Some(&alert.name) {
                "no run shows that its silence is noticed"
            } else {
                "no run makes it fire"
            };
            self.findings.push(Finding {
                code: codes::ALERT_WITHOUT_RUN,
                file: alert.file.clone(),
                subject: alert.subject(),
                query: None,
                sentence: format!("{what}, and [[unproven]] does not say why"),
            });
        }
    }

    fn named(&self, name: &str, labels: &BTreeMap<String, String>) -> Vec<usize> {
        let all = self.alerts.iter().enumerate();
        all.filter(|(_, alert)| alert.may_be(name, labels))
            .map(|(index, _)| index)
            .collect()
    }

    fn add(&mut self, code: &'static str, subject: &str, sentence: String) {
        self.findings.push(Finding {
            code,
            file: self.file.to_owned(),
            subject: subject.to_owned(),
            query: None,
            sentence,
        });
    }
}
