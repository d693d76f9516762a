//! Whether anything may be concluded: a steady baseline, a fault that was proven, a generator that sent what it should,
//! and processes that had a CPU when they needed one.

use report::model::{Class, Expectation, Outcome, Source};

use super::expectations;
use crate::definition::Experiment;
use crate::evidence::Evidence;
use crate::figures::percent;
use crate::phases::{Phase, Span};
use crate::usage;
use crate::verdict::{Finding, Verdict};
use crate::windows::{self, Recovered};

/// Of the arrivals of a phase, so large a share may be lost by the generator.
const MAX_LOST: f64 = 0.02;

pub(super) fn findings(
    experiment: &Experiment,
    evidence: &Evidence,
    expectations: &[Expectation],
    recovered: Option<Recovered>,
) -> Vec<Finding> {
    let mut reasons: Vec<String> = Vec::new();
    if let Some(Err(unstable)) = &evidence.baseline {
        reasons.push(unstable.clone());
    }
    reasons.extend(evidence.unsteady.clone());
    if let Some(Err(unproven)) = &evidence.injection {
        reasons.push(unproven.clone());
    }
    // Without a steady state something broke as well: where something was starved, that is why.
    let broke = matches!(evidence.baseline, Some(Err(_)))
        || expectations
            .iter()
            .any(|expectation| expectation.outcome == Outcome::Broke);
    for phase in [Phase::Baseline, Phase::Fault] {
        let Some(span) = evidence.span(phase).filter(|span| span.to > span.from) else {
            continue;
        };
        let place = place(phase, experiment);
        reasons.extend(under_delivered(evidence, span).map(|why| format!("{place}, {why}")));
        let why = starved(experiment, evidence, phase, span, broke);
        reasons.extend(why.map(|why| format!("{place}, {why}")));
    }
    // What ended an experiment early is named above; that the rest was not measured follows from it.
    if !ended_early(evidence) {
        reasons.extend(unmeasured(expectations));
    }
    let mut findings: Vec<Finding> = reasons
        .into_iter()
        .map(|reason| Finding::new(Verdict::Inconclusive, reason))
        .collect();
    findings.extend(not_recovered(experiment, evidence, recovered));
    findings
}

/// An unstable baseline, telemetry that says what can't be judged, an unproven fault: each ends the experiment, and is a
/// reason of its own.
fn ended_early(evidence: &Evidence) -> bool {
    matches!(evidence.baseline, Some(Err(_)))
        || evidence.unsteady.is_some()
        || matches!(evidence.injection, Some(Err(_)))
}

/// That something without which nothing may be concluded was not measured: what is required, and anything at all of the
/// promise.
fn unmeasured(expectations: &[Expectation]) -> Option<String> {
    let is_unmeasured = |row: &&Expectation| row.outcome == Outcome::NotMeasured;
    let sentence = |row: &Expectation| format!("{} ({})", row.expected, row.seen);
    let required: Vec<String> = expectations
        .iter()
        .filter(|row| row.required)
        .filter(is_unmeasured)
        .map(sentence)
        .collect();
    if !required.is_empty() {
        return Some(format!(
            "not measured, but required: {}",
            required.join("; ")
        ));
    }
    // Where only alerts are promised, they are what has to be measured.
    let has_promise = expectations.iter().any(|row| row.class == Class::Promise);
    let counts = if has_promise {
        Class::Promise
    } else {
        Class::Detection
    };
    let mut promise = expectations.iter().filter(|row| row.class == counts);
    promise
        .all(|row| is_unmeasured(&row))
        .then(|| "nothing of the promise was measured".to_owned())
}

fn place(phase: Phase, experiment: &Experiment) -> &'static str {
    match (phase, &experiment.fault) {
        (Phase::Baseline, _) => "in the baseline",
        (_, Some(_)) => "during the fault",
        (_, None) => "during the observation",
    }
}

fn under_delivered(evidence: &Evidence, span: Span) -> Option<String> {
    let seconds = evidence
        .seconds
        .iter()
        .filter(|second| span.contains(second.from));
    let (due, lost) = seconds.fold((0, 0), |(due, lost), second| {
        (due + second.due, lost + second.lost)
    });
    let share = lost as f64 / (due as f64).max(1.0);
    (share > MAX_LOST).then(|| {
        format!(
            "the load generator lost {lost} of {due} arrivals ({}, more than {})",
            percent(share),
            percent(MAX_LOST)
        )
    })
}

/// Severe starvation over a whole phase spoils it. Less, or that of a single window, only matters when something broke:
/// then the fault can't be told from the starvation, while a promise that held in spite of it held.
fn starved(
    experiment: &Experiment,
    evidence: &Evidence,
    phase: Phase,
    span: Span,
    broke: bool,
) -> Option<String> {
    if let Some(why) = usage::spoiled(&evidence.usage, span) {
        return Some(why);
    }
    if !broke {
        return None;
    }
    if let Some(why) = usage::starved(&evidence.usage, span) {
        return Some(why);
    }
    let at_bound = at_bound(evidence, phase, span);
    let bound = at_bound.first().map(|first| {
        format!(
            "the load generator was at its bound in {} s, first in second {}: what was slow then may be its own doing",
            at_bound.len(),
            (first.from - evidence.marks.started) / SECOND_US
        )
    });
    let width = evidence
        .steady()
        .map_or(windows::MIN_SECONDS, |baseline| baseline.window_s)
        * 1_000_000;
    let (starved, mut reasons): (Vec<Span>, Vec<String>) = (span.from..span.to)
        .step_by(width as usize)
        .filter_map(|from| {
            let window = Span {
                from,
                to: from + width,
            };
            usage::starved(&evidence.usage, window).map(|why| (window, why))
        })
        .unzip();
    // What a starved window slows reaches into those beside it; what a stall of the generator slows was due before its end.
    let starved = starved
        .into_iter()
        .map(|window| widened(window, width, width));
    let at_bound = at_bound
        .into_iter()
        .map(|second| widened(second, SECOND_US, 0));
    let spoiled: Vec<Span> = starved.chain(at_bound).collect();
    if phase == Phase::Fault && breaks_without(experiment, evidence, &spoiled) {
        return None;
    }
    reasons.extend(bound);
    (!reasons.is_empty()).then(|| reasons.swap_remove(0))
}

const SECOND_US: i64 = 1_000_000;

/// Seconds in which the generator was at its bound, where that matters: during the fault, and in a baseline that was no steady
/// state. In one that was, it only makes the band wider.
fn at_bound(evidence: &Evidence, phase: Phase, span: Span) -> Vec<Span> {
    if phase != Phase::Fault && evidence.steady().is_some() {
        return Vec::new();
    }
    evidence
        .seconds
        .iter()
        .filter(|second| second.at_bound && span.contains(second.from))
        .map(|second| Span {
            from: second.from,
            to: second.from + SECOND_US,
        })
        .collect()
}

fn widened(span: Span, before: i64, after: i64) -> Span {
    Span {
        from: span.from - before,
        to: span.to + after,
    }
}

/// Whether the promise breaks even without the requests that were due in these stretches: then they are not why. Only for
/// what is judged by requests alone; traces can't be told apart by when they were due.
fn breaks_without(experiment: &Experiment, evidence: &Evidence, spoiled: &[Span]) -> bool {
    let mut calm = evidence.clone();
    calm.samples
        .retain(|sample| !spoiled.iter().any(|span| span.contains(sample.due_us)));
    expectations::judge(experiment, &calm)
        .iter()
        .any(|row| row.outcome == Outcome::Broke && row.source == Source::Requests)
}

/// Service that did not return; unless something was starved meanwhile, so that nobody knows.
fn not_recovered(
    experiment: &Experiment,
    evidence: &Evidence,
    recovered: Option<Recovered>,
) -> Option<Finding> {
    let lifted = evidence.marks.lifted?;
    if recovered.is_some() || !evidence.recovery_watched || experiment.fault.is_none() {
        return None;
    }
    let span = Span {
        from: lifted,
        to: evidence.end(),
    };
    let seconds = || {
        let within = evidence.seconds.iter();
        within.filter(|second| span.contains(second.from))
    };
    let at_bound = seconds().filter(|second| second.at_bound).count();
    let why = usage::starved(&evidence.usage, span).or_else(|| {
        // In most of them: three windows in a row outside of these are not to be found.
        (at_bound * 2 > seconds().count())
            .then(|| format!("the load generator was at its bound in {at_bound} s"))
    });
    Some(match why {
        Some(why) => Finding::new(Verdict::Inconclusive, format!("during the recovery, {why}")),
        None => Finding::new(
            Verdict::NotRecovered,
            format!(
                "no three windows in a row that begin within {} s of the lift were in the baseline band",
                experiment.recovery.within_s
            ),
        ),
    })
}
