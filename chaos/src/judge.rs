//! From what was observed to a verdict. Pure: evidence goes in, a judgement comes out.
//!
//! `expectations` judges the lines of the promise, `soundness` whether anything may be concluded at all.

mod expectations;
mod soundness;
mod telemetry;

use report::model::{Class, Expectation, Outcome, Source};

use crate::attribution;
use crate::definition::Experiment;
use crate::evidence::Evidence;
use crate::figures::percent;
use crate::invariants::Lost;
use crate::phases::Phase;
use crate::verdict::{self, Finding, Verdict};
use crate::windows::{self, Recovered};
pub use telemetry::{alerts, unsteady};

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

/// Judges one experiment. `require_all` requires also what the experiment calls optional.
pub fn judge(experiment: &Experiment, evidence: &Evidence, require_all: bool) -> Judgement {
    let recovered = recovered(experiment, evidence);
    let mut expectations = expectations::judge(experiment, evidence);
    expectations.extend(recovery_expectation(experiment, evidence, recovered));
    expectations.extend(content_expectation(experiment, evidence));
    expectations.extend(detection_expectation(experiment, evidence));
    expectations.extend(telemetry::rows(experiment, evidence));
    for expectation in &mut expectations {
        expectation.required |= require_all;
    }

    let mut findings = soundness::findings(experiment, evidence, &expectations, recovered);
    findings.extend(failures(evidence));
    let broken = || {
        expectations
            .iter()
            .filter(|row| row.outcome == Outcome::Broke)
    };
    let promise_held = !broken().any(|row| row.class == Class::Promise);
    for row in broken() {
        let verdict = match row.class {
            Class::Promise => Verdict::Deviated,
            Class::Invariant => Verdict::InvariantBroken,
            Class::Detection if promise_held => Verdict::NotDetected,
            // What broke is more than what nobody named; and how recovery went is a finding of its own.
            Class::Detection | Class::Recovery => continue,
        };
        let sentence = format!("expected {}; seen: {}", row.expected, row.seen);
        findings.push(Finding::new(verdict, sentence));
    }
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
    let seen = match recovered {
        Some(recovered) => Ok((
            true,
            format!("after {:.1} s", recovered.after_us as f64 / 1e6),
        )),
        None if evidence.recovery_watched => {
            Ok((false, "no three windows in a row were in the band".into()))
        }
        None => Err(expectations::NOT_REACHED.into()),
    };
    let expected = format!(
        "service as before within {} s of the lift",
        experiment.recovery.within_s
    );
    Some(expectations::row(
        expected,
        Class::Recovery,
        Source::Windows,
        seen,
    ))
}

fn content_expectation(experiment: &Experiment, evidence: &Evidence) -> Option<Expectation> {
    if !experiment.invariants.content {
        return None;
    }
    let seen = match &evidence.content {
        Some(Ok(0)) => Err("no image is listed".into()),
        Some(Ok(images)) => Ok((true, format!("all {images} images"))),
        Some(Err(Lost::Changed(what))) => Ok((false, what.clone())),
        // A service that is not there says nothing of its data.
        Some(Err(Lost::Unreachable(why))) => Err(why.clone()),
        None => Err(expectations::NOT_REACHED.into()),
    };
    let expected = "the content of every listed image is 200 with its hash afterwards".into();
    Some(expectations::row(
        expected,
        Class::Invariant,
        Source::Images,
        seen,
    ))
}

/// Whether telemetry named the fault, where the experiment says which must.
fn detection_expectation(experiment: &Experiment, evidence: &Evidence) -> Option<Expectation> {
    let (least, dependency) = (
        experiment.detection.first_error_share?,
        experiment.fault.as_ref()?.dependency(),
    );
    let seen = match named_by_traces(evidence, dependency) {
        None if evidence.marks.verified.is_none() => Err(expectations::NOT_REACHED.into()),
        None => Err("no request failed, so that no trace could name the fault".into()),
        Some(Err(why)) => Err(why),
        Some(Ok((share, n))) => Ok((
            share >= least,
            format!(
                "{} of {n} failed requests' traces have their first error on a span of {dependency}",
                percent(share)
            ),
        )),
    };
    let expected = format!(
        "the first error of at least {} of the failed requests' traces on a span of {dependency}",
        percent(least)
    );
    let mut row = expectations::row(expected, Class::Detection, Source::Traces, seen);
    row.required = !experiment.detection.optional;
    Some(row)
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
    remarks.extend(telemetry::times_to_detect(experiment, evidence));
    if evidence.marks.verified.is_some() {
        remarks.push(format!(
            "blast radius outside the promise: {}",
            blast_radius(experiment, evidence)
        ));
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

/// The routes that left their band and were not expected to; and those of which nobody can tell.
fn blast_radius(experiment: &Experiment, evidence: &Evidence) -> String {
    let changing = experiment.changing_routes();
    let mut others = evidence.route_names();
    others.retain(|route| !changing.contains(&route.as_str()));
    let of = |wanted: Option<bool>| -> Vec<&str> {
        let of_wanted = others
            .iter()
            .filter(|route| in_band(evidence, route) == wanted);
        of_wanted.map(String::as_str).collect()
    };
    let (outside, unknown) = (of(Some(false)), of(None));
    let unknown = if unknown.is_empty() {
        String::new()
    } else {
        format!(" (too few requests to say of {})", unknown.join(", "))
    };
    let radius = match (outside.as_slice(), of(Some(true)).is_empty()) {
        ([], true) => "no other route was measured".to_owned(),
        ([], false) => "no other route left its band".to_owned(),
        (outside, _) => outside.join(", "),
    };
    radius + &unknown
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
    // Too many errors are too many, whatever the latency.
    let errors = windows::Band::around(0, before.error_ratio()).error_ratio;
    if before.n > 0 && during.n > 0 && during.error_ratio() > errors && during.errors > 1 {
        return Some(false);
    }
    let band = windows::Band::around(before.p95_us?, before.error_ratio());
    Some(band.holds(during.p95_us?, during.error_ratio()))
}

#[cfg(test)]
mod tests;
