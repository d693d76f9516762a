//! From what was observed to a verdict. Pure: evidence goes in, a judgement comes out.
//!
//! `expectations` judges the lines of the promise, `soundness` whether anything may be concluded at all.

mod expectations;
mod soundness;

use report::model::{Expectation, Outcome};

use crate::attribution;
use crate::definition::Experiment;
use crate::evidence::Evidence;
use crate::figures::percent;
use crate::phases::Phase;
use crate::verdict::{self, Finding, Verdict};
use crate::windows::{self, Recovered};

/// A verdict and everything that explains it.
#[derive(Clone, Debug)]
pub struct Judgement {
    /// The verdict.
    pub verdict: Verdict,
    /// All that decided it, the weightiest first.
    pub findings: Vec<Finding>,
    /// The promise line by line, with recovery and invariants.
    pub expectations: Vec<Expectation>,
    /// When service returned.
    pub recovered: Option<Recovered>,
    /// Figures worth knowing that decide nothing.
    pub remarks: Vec<String>,
}

impl Judgement {
    /// How many expectations were measured, of how many.
    pub fn measured(&self) -> (usize, usize) {
        let measured = self
            .expectations
            .iter()
            .filter(|e| e.outcome != Outcome::NotMeasured)
            .count();
        (measured, self.expectations.len())
    }

    /// The verdict's word, with the share that was measured where it was not all: `pass (3 of 5 measured)`.
    pub fn words(&self) -> String {
        match self.measured() {
            (measured, all) if measured < all => {
                format!("{} ({measured} of {all} measured)", self.verdict)
            }
            _ => self.verdict.to_string(),
        }
    }
}

/// Judges one experiment. `require_all` makes an expectation that could not be measured a reason to conclude nothing.
pub fn judge(experiment: &Experiment, evidence: &Evidence, require_all: bool) -> Judgement {
    let recovered = recovered(experiment, evidence);
    let mut expectations = expectations::judge(experiment, evidence);
    expectations.extend(recovery_expectation(experiment, evidence, recovered));
    expectations.extend(content_expectation(experiment, evidence));

    let mut findings =
        soundness::findings(experiment, evidence, &expectations, recovered, require_all);
    findings.extend(failures(evidence));
    for broken in expectations
        .iter()
        .filter(|expectation| expectation.outcome == Outcome::Broke)
    {
        let verdict = match broken.how.as_str() {
            RECOVERY => continue,
            CONTENT => Verdict::InvariantBroken,
            _ => Verdict::Deviated,
        };
        findings.push(Finding::new(
            verdict,
            format!("expected {}; seen: {}", broken.expected, broken.seen),
        ));
    }
    let promise_held = !findings
        .iter()
        .any(|finding| finding.verdict == Verdict::Deviated);
    findings.extend(
        promise_held
            .then(|| detection(experiment, evidence))
            .flatten(),
    );
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.verdict));
    let verdict = verdict::of(&findings);
    Judgement {
        verdict,
        findings,
        expectations,
        recovered,
        remarks: remarks(experiment, evidence, recovered),
    }
}

/// How recovery and content are measured; also what tells their expectations from the promise's own.
const RECOVERY: &str = "windows of all routes against the baseline band";
const CONTENT: &str = "every listed image fetched and hashed";

fn failures(evidence: &Evidence) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Some(Err(sentence)) = &evidence.rollback {
        findings.push(Finding::new(Verdict::RollbackFailed, sentence.clone()));
    }
    if let Some(sentence) = &evidence.aborted {
        findings.push(Finding::new(Verdict::Aborted, sentence.clone()));
    }
    findings
}

fn recovered(experiment: &Experiment, evidence: &Evidence) -> Option<Recovered> {
    let (baseline, lifted) = (evidence.steady()?, evidence.marks.lifted?);
    windows::recovered(
        &evidence.samples,
        baseline,
        lifted,
        experiment.recovery.within_s,
        evidence.end(),
    )
}

fn recovery_expectation(
    experiment: &Experiment,
    evidence: &Evidence,
    recovered: Option<Recovered>,
) -> Option<Expectation> {
    experiment.fault.as_ref()?;
    let (outcome, seen) = match recovered {
        Some(recovered) => (
            Outcome::Held,
            format!("after {:.1} s", recovered.after_us as f64 / 1e6),
        ),
        None if evidence.recovery_watched => (
            Outcome::Broke,
            "no three windows in a row were in the band".into(),
        ),
        None => (Outcome::NotMeasured, "the experiment ended before".into()),
    };
    let expected = format!(
        "service as before within {} s of the lift",
        experiment.recovery.within_s
    );
    Some(Expectation {
        expected,
        seen,
        how: RECOVERY.into(),
        outcome,
    })
}

fn content_expectation(experiment: &Experiment, evidence: &Evidence) -> Option<Expectation> {
    if !experiment.invariants.content {
        return None;
    }
    let (outcome, seen) = match &evidence.content {
        Some(Ok(images)) => (Outcome::Held, format!("all {images} images")),
        Some(Err(lost)) => (Outcome::Broke, lost.clone()),
        None => (Outcome::NotMeasured, "the experiment ended before".into()),
    };
    let expected = "the content of every listed image is 200 with its hash afterwards".into();
    Some(Expectation {
        expected,
        seen,
        how: CONTENT.into(),
        outcome,
    })
}

/// Whether telemetry named the fault, where the experiment says which must.
fn detection(experiment: &Experiment, evidence: &Evidence) -> Option<Finding> {
    let (least, dependency) = (
        experiment.detection.first_error_share?,
        experiment.fault.as_ref()?.dependency(),
    );
    let (share, n) = named_by_traces(evidence, dependency)?.ok()?;
    (share < least).then(|| {
        let sentence = format!(
            "of {n} failed requests' traces {} have their first error on a span of {dependency}, {} are needed",
            percent(share),
            percent(least)
        );
        Finding::new(Verdict::NotDetected, sentence)
    })
}

fn named_by_traces(evidence: &Evidence, dependency: &str) -> Option<Result<(f64, usize), String>> {
    let mut failed = evidence.routes(Phase::Fault, &evidence.route_names());
    failed.retain(|sample| sample.error.is_some());
    (!failed.is_empty()).then(|| {
        evidence
            .traces()
            .and_then(|traces| attribution::of_failures(&failed, traces, dependency))
    })
}

/// Time to recover, blast radius, what the traces say of failures, and retry amplification.
fn remarks(
    experiment: &Experiment,
    evidence: &Evidence,
    recovered: Option<Recovered>,
) -> Vec<String> {
    let Some(fault) = &experiment.fault else {
        return Vec::new();
    };
    let mut remarks = Vec::new();
    if let Some(recovered) = recovered {
        remarks.push(format!(
            "time to recover: {:.1} s after the lift",
            recovered.after_us as f64 / 1e6
        ));
    }
    if evidence.marks.verified.is_some() {
        let changing = experiment.changing_routes();
        let mut outside: Vec<String> = evidence.route_names();
        outside.retain(|route| {
            !changing.contains(&route.as_str()) && in_band(evidence, route) == Some(false)
        });
        let radius = if outside.is_empty() {
            "no other route left its band".into()
        } else {
            outside.join(", ")
        };
        remarks.push(format!("blast radius outside the promise: {radius}"));
    }
    if let Some(Ok((share, n))) = named_by_traces(evidence, fault.dependency()) {
        remarks.push(format!(
            "{} of {n} failed requests' traces have their first error on a span of {}",
            percent(share),
            fault.dependency()
        ));
    }
    remarks.extend(amplification(experiment, evidence, fault.dependency()));
    remarks
}

fn amplification(experiment: &Experiment, evidence: &Evidence, dependency: &str) -> Option<String> {
    let (traces, routes) = (evidence.traces().ok()?, experiment.changing_routes());
    let calls =
        |phase| attribution::mean_calls(&evidence.routes(phase, &routes), traces, dependency);
    let (before, during) = (calls(Phase::Baseline)?, calls(Phase::Fault)?);
    Some(format!(
        "calls of {dependency} for each request: {before:.2} before, {during:.2} during the fault"
    ))
}

/// Whether a route stayed in its own band during the fault; `None` with too few requests to say.
pub fn in_band(evidence: &Evidence, route: &str) -> Option<bool> {
    let (before, during) = (
        evidence.figures(Phase::Baseline, route),
        evidence.figures(Phase::Fault, route),
    );
    let band = windows::Band::around(before.p95_us?, before.error_ratio());
    Some(band.holds(during.p95_us?, during.error_ratio()))
}

#[cfg(test)]
mod tests;
