//! What was proven: data, apart from how it is printed.

use std::collections::BTreeMap;

use serde::Serialize;

use super::causes::{Column, Run};
use super::codes;
use crate::finding::Finding;

/// Version of the JSON's form.
pub(crate) const VERSION: u32 = 1;

/// The share of a run in which work waited for a CPU, above which a failure says nothing. In more than half of the time something
/// was late: scrapes, evaluations and notifications, which are a second apart or less, come in another order than they would.
const STARVED: f64 = 0.5;

/// The whole result.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    /// [`VERSION`].
    pub(crate) version: u32,
    /// Unix seconds at which it began.
    pub(crate) began_at: f64,
    /// How long it took, in seconds.
    pub(crate) took_seconds: f64,
    /// By how much time was scaled.
    pub(crate) scale: f64,
    /// Versions of the servers.
    pub(crate) servers: BTreeMap<&'static str, String>,
    /// Each run, in the order of the file.
    pub(crate) runs: Vec<RunReport>,
    /// Runs of the file that were not asked for.
    pub(crate) not_asked: Vec<String>,
    /// Alerts that no run proves, with the reason.
    pub(crate) unproven: Vec<(String, String)>,
    /// What is wrong with rules, routes and the causes file; those of runs are with them.
    pub(crate) findings: Vec<Finding>,
    /// What could not be looked at.
    pub(crate) not_run: Vec<String>,
}

impl Report {
    /// Every finding, those of runs included.
    pub(crate) fn all_findings(&self) -> impl Iterator<Item = &Finding> {
        let runs = self.runs.iter().flat_map(|run| &run.findings);
        self.findings.iter().chain(runs)
    }
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Verdict {
    /// Everything was seen.
    Proven,
    /// Something was seen that must not be, or not seen that must be.
    Failed,
    /// Nothing can be said.
    Inconclusive,
}

impl Verdict {
    /// Its name in reports.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Proven => "proven",
            Self::Failed => "failed",
            Self::Inconclusive => "inconclusive",
        }
    }
}

/// One run.
#[derive(Debug, Serialize)]
pub(crate) struct RunReport {
    /// Its name.
    pub(crate) name: String,
    /// What was broken.
    pub(crate) cause: String,
    /// How it ended.
    pub(crate) verdict: Verdict,
    /// Whether the system did not even start.
    pub(crate) not_started: bool,
    /// How long it took, in seconds.
    pub(crate) took_seconds: f64,
    /// The share of the run in which some work of this machine waited for a CPU, where the kernel tells it. At a high one, alerts
    /// fire that have nothing to do with the cause.
    pub(crate) waited_for_cpu: Option<f64>,
    /// How long nothing fired before the cause, in scaled seconds.
    pub(crate) control_seconds: Option<f64>,
    /// The alerts that had to fire.
    pub(crate) alerts: Vec<AlertSeen>,
    /// The alerts that had to fall silent.
    pub(crate) silent: Vec<SilentSeen>,
    /// Consequences that fired as well.
    pub(crate) consequences: Vec<String>,
    /// Evidence by column.
    pub(crate) evidence: Vec<Evidence>,
    /// Columns that do not apply, with the reason.
    pub(crate) not_applicable: Vec<(&'static str, String)>,
    /// What is wrong.
    pub(crate) findings: Vec<Finding>,
}

/// An alert that had to fire. Times in scaled seconds.
#[derive(Debug, Serialize)]
pub(crate) struct AlertSeen {
    /// Name and labels.
    pub(crate) alert: String,
    /// From the end of the injection to the webhook.
    pub(crate) detected_after: Option<f64>,
    /// The bound of it.
    pub(crate) within: f64,
    /// From the roll-back to the notification that it is resolved.
    pub(crate) cleared_after: Option<f64>,
    /// Who was notified.
    pub(crate) receiver: String,
}

/// An alert that had to fall silent. Times in scaled seconds.
#[derive(Debug, Serialize)]
pub(crate) struct SilentSeen {
    /// Its name.
    pub(crate) alert: String,
    /// From the end of the injection until its silence was noticed.
    pub(crate) noticed_after: Option<f64>,
    /// From the roll-back until it was heard again.
    pub(crate) heard_after: Option<f64>,
}

/// One piece of evidence.
#[derive(Debug, Serialize)]
pub(crate) struct Evidence {
    /// The column of the matrix.
    pub(crate) column: &'static str,
    /// What was looked for.
    pub(crate) what: String,
    /// What was seen, or why not.
    #[serde(flatten)]
    pub(crate) seen: Seen,
}

/// Whether evidence was seen.
#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Seen {
    /// What.
    Seen(String),
    /// Why not.
    NotSeen(String),
}

impl From<Result<String, String>> for Seen {
    fn from(result: Result<String, String>) -> Self {
        result.map_or_else(Self::NotSeen, Self::Seen)
    }
}

impl RunReport {
    /// Of a run that has not begun.
    pub(crate) fn new(run: &Run) -> Self {
        let reasons = run.not_applicable.iter();
        Self {
            name: run.name.clone(),
            cause: run.cause.clone(),
            verdict: Verdict::Inconclusive,
            not_started: false,
            took_seconds: 0.0,
            waited_for_cpu: None,
            control_seconds: None,
            alerts: Vec::new(),
            silent: Vec::new(),
            consequences: Vec::new(),
            evidence: Vec::new(),
            not_applicable: reasons
                .map(|(column, reason)| (column.name(), reason.clone()))
                .collect(),
            findings: Vec::new(),
        }
    }

    /// Adds a finding.
    pub(crate) fn finding(&mut self, file: &str, code: &'static str, sentence: impl Into<String>) {
        self.findings.push(Finding {
            code,
            file: file.to_owned(),
            subject: format!("run {}", self.name),
            query: None,
            sentence: sentence.into(),
        });
    }

    /// Adds that the machine was short of CPU, when something is wrong that may come of it. What was seen in spite of it was seen.
    pub(crate) fn excuse_starved(&mut self, file: &str) {
        if let Some(share) = self.waited_for_cpu.filter(|share| *share > STARVED)
            && self.judged() == Verdict::Failed
        {
            let sentence = format!(
                "work waited for a CPU {:.0} % of the time, more than {:.0} %: run it again with less beside it, or fewer --jobs",
                share * 100.0,
                STARVED * 100.0
            );
            self.finding(file, codes::INCONCLUSIVE, sentence);
        }
    }

    /// The verdict that follows from the findings.
    pub(crate) fn judged(&self) -> Verdict {
        let code = |code: &str| self.findings.iter().any(|finding| finding.code == code);
        if code(codes::INCONCLUSIVE) {
            Verdict::Inconclusive
        } else if self.findings.is_empty() {
            Verdict::Proven
        } else {
            Verdict::Failed
        }
    }

    /// The evidence of a column.
    pub(crate) fn of(&self, column: Column) -> impl Iterator<Item = &Evidence> {
        self.evidence
            .iter()
            .filter(move |evidence| evidence.column == column.name())
    }

    /// The longest time from the roll-back until everything was as before, in scaled seconds.
    pub(crate) fn recovered_after(&self) -> Option<f64> {
        let alerts = self.alerts.iter().filter_map(|alert| alert.cleared_after);
        let silent = self.silent.iter().filter_map(|silent| silent.heard_after);
        alerts.chain(silent).reduce(f64::max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_on_a_starved_machine_is_inconclusive_and_a_proof_stays_one() {
        let run = "name = 'a'\ncause = 'A.'\nlasts = '5m'\n";
        let run: Run = toml::from_str(run).unwrap();
        for (waited, fails, verdict) in [
            (Some(0.9), true, Verdict::Inconclusive),
            (Some(0.2), true, Verdict::Failed),
            (None, true, Verdict::Failed),
            (Some(0.9), false, Verdict::Proven),
        ] {
            let mut report = RunReport::new(&run);
            report.waited_for_cpu = waited;
            if fails {
                report.finding("causes.toml", codes::NOT_FIRED, "it was not seen");
            }
            report.excuse_starved("causes.toml");
            assert_eq!(report.judged(), verdict, "{waited:?} {fails}");
        }
    }
}
