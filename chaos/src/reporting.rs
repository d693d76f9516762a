//! Fills the report's model: every figure is computed here or in the judgement, none while drawing.

mod machine;
mod waterfalls;

use report::model::{
    Experiment, Outcome as Measured, Report, RouteFigures, RouteRow, Timeline, Window,
};

use crate::context::Context;
use crate::evidence::Evidence;
use crate::figures::Figures;
use crate::judge;
use crate::phases::{Marks, Phase, Span};
use crate::results::{Course, Done, summary};
use crate::verdict::Verdict;
use crate::windows::cut;

/// The whole report of a command.
pub fn report(course: &Course, context: &Context, command: &str) -> Report {
    Report {
        title: "Chitram: experiments".into(),
        generated_at: jiff::Timestamp::now()
            .round(jiff::Unit::Second)
            .unwrap_or_default()
            .to_string(),
        command: command.to_owned(),
        summary: summary(course),
        as_expected: course.as_expected(),
        ended: course.ended(),
        experiments: course
            .done
            .iter()
            .map(|done| experiment(done, context))
            .collect(),
        unfinished: course.unfinished(),
        environment: machine::environment(context),
    }
}

fn experiment(done: &Done, context: &Context) -> Experiment {
    let (definition, outcome) = (&done.experiment, &done.outcome);
    let evidence = &outcome.evidence;
    // Without a single request, time begins with whatever was done first.
    let first_event = outcome.events.first().map_or(0, |(at, _)| *at);
    let started = if evidence.marks.started > 0 {
        evidence.marks.started
    } else {
        first_event
    };
    Experiment {
        name: definition.name.clone(),
        title: definition.title.clone(),
        promise: definition.promise.clone(),
        verdict: outcome.judgement.words(),
        inconclusive: outcome.judgement.verdict == Verdict::Inconclusive,
        as_expected: done.as_expected(),
        expected_verdict: definition.expect_verdict.word().into(),
        reasons: done.reasons(),
        events: outcome
            .events
            .iter()
            .map(|(at, what)| (seconds(*at, started), what.clone()))
            .collect(),
        timeline: timeline(done),
        routes: routes(done),
        expectations: outcome.judgement.expectations.clone(),
        waterfalls: waterfalls::of(evidence, context.jaeger().as_ref()),
        not_measured: not_measured(done, context),
    }
}

/// Seconds since the first request was due.
fn seconds(at: i64, started: i64) -> f64 {
    ((at - started) as f64 / 1e3).round() / 1e3
}

fn timeline(done: &Done) -> Timeline {
    let evidence = &done.outcome.evidence;
    let marks = &evidence.marks;
    let fault = done.experiment.fault.as_ref();
    let at = |moment| seconds(moment, marks.started);
    Timeline {
        windows: windows(evidence),
        phases: marks
            .reached(fault.is_some())
            .into_iter()
            .map(|(phase, span)| {
                (
                    phase_name(phase, fault.is_some()),
                    at(span.from),
                    at(span.to),
                )
            })
            .collect(),
        fault: fault
            .zip(active(marks))
            .map(|(_, (from, to))| (at(from), at(to), done.experiment.title.clone())),
        band_p95_ms: evidence
            .steady()
            .map(|baseline| baseline.band.p95_us as f64 / 1e3),
    }
}

fn phase_name(phase: Phase, has_fault: bool) -> String {
    if phase == Phase::Fault && !has_fault {
        "observation".into()
    } else {
        phase.word().into()
    }
}

fn active(marks: &Marks) -> Option<(i64, i64)> {
    Some((marks.injecting?, marks.lifted.or(marks.ended)?))
}

/// Windows from the first request to the end, laid side by side; without a steady state, of two seconds.
fn windows(evidence: &Evidence) -> Vec<Window> {
    let marks = &evidence.marks;
    let width = evidence.steady().map_or(2, |baseline| baseline.window_s);
    let span = Span {
        from: marks.started,
        to: evidence.end(),
    };
    let ms = |us: u64| us as f64 / 1e3;
    cut(&evidence.samples, span, width)
        .into_iter()
        .map(|window| Window {
            from_s: seconds(window.span.from, marks.started),
            to_s: seconds(window.span.to, marks.started),
            requests: window.n,
            errors: window.errors,
            p50_ms: ms(window.p50_us),
            p95_ms: window.p95_us.map(ms),
        })
        .collect()
}

fn routes(done: &Done) -> Vec<RouteRow> {
    let evidence = &done.outcome.evidence;
    let changing = done.experiment.changing_routes();
    evidence
        .route_names()
        .into_iter()
        .map(|route| {
            let (baseline, fault) = (
                evidence.figures(Phase::Baseline, &route),
                evidence.figures(Phase::Fault, &route),
            );
            RouteRow {
                in_band: judge::in_band(evidence, &route),
                expected_to_change: changing.contains(&route.as_str()),
                baseline: route_figures(&baseline),
                fault: route_figures(&fault),
                route,
            }
        })
        .collect()
}

fn route_figures(figures: &Figures) -> RouteFigures {
    let ms = |us: Option<u64>| us.map(|us| us as f64 / 1e3);
    RouteFigures {
        requests: figures.n,
        errors: figures.errors,
        p50_ms: ms(figures.p50_us),
        p95_ms: ms(figures.p95_us),
    }
}

/// What could not be measured, and why.
fn not_measured(done: &Done, context: &Context) -> Vec<String> {
    let judgement = &done.outcome.judgement;
    let expectations = judgement
        .expectations
        .iter()
        .filter(|expectation| expectation.outcome == Measured::NotMeasured);
    let mut missing: Vec<String> = expectations
        .map(|e| format!("{}: {}", e.expected, e.seen))
        .collect();
    if done.experiment.fault.is_some() {
        if done.experiment.expected_alerts().next().is_none() {
            missing.push("time to detect by an alert: the experiment expects none".into());
        }
        missing.push("log lines that name the fault: no experiment reads them".into());
    }
    if context.jaeger().is_none() {
        missing.push("traces: no Jaeger".into());
    }
    missing
}
