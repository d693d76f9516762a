//! The judging rules on made-up evidence: an experiment in which everything is right, and one thing wrong at a time.

use std::collections::BTreeMap;
use std::path::Path;

use loadtest::events::{ErrorKind, RequestSample};

use super::*;
use crate::definition::parse;
use crate::evidence::Arrivals;
use crate::phases::{Marks, Span};
use crate::testing::{failed, steady, store_trace};
use crate::usage::{ProcessReading, Reading};

const S: i64 = 1_000_000;

fn experiment(name: &str) -> Experiment {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("experiments/{name}.toml"));
    parse::read(&file).expect("an experiment of the repository")
}

fn marks(has_fault: bool) -> Marks {
    let lifted = has_fault.then_some(33 * S);
    let (verified, rolling_back) = (Some(20 * S), Some(33 * S));
    Marks {
        started: 0,
        baseline: 5 * S,
        baseline_end: 17 * S,
        injecting: Some(18 * S),
        verified,
        rolling_back,
        lifted,
        ended: Some(if has_fault { 49 * S } else { 33 * S }),
    }
}

/// What is seen when all is well: a steady 100 requests a second at 10 ms, changed during the fault by `during`.
fn evidence(has_fault: bool, during: impl Fn(&mut RequestSample)) -> Evidence {
    let mut samples = steady(
        Span {
            from: 0,
            to: 49 * S,
        },
        100,
        10_000,
    );
    let marks = marks(has_fault);
    samples
        .iter_mut()
        .filter(|s| matches!(marks.phase_of(s.due_us), Phase::Onset | Phase::Fault))
        .for_each(during);
    let mut evidence = Evidence {
        baseline: Some(windows::baseline(&samples, marks.baseline_span())),
        seconds: (0..49)
            .map(|second| Arrivals {
                from: second * S,
                due: 100,
                lost: 0,
            })
            .collect(),
        injection: has_fault.then_some(Ok(())),
        rollback: has_fault.then_some(Ok(())),
        recovery_watched: has_fault,
        content: Some(Ok(40)),
        marks,
        samples,
        ..Evidence::default()
    };
    evidence.traces = Some(Ok(traces(&evidence.samples)));
    evidence
}

fn is_on_store(sample: &RequestSample) -> bool {
    matches!(sample.route.as_str(), "content" | "render" | "upload")
}

/// A trace for each sampled request, whose time beyond 6 ms lies on the store.
fn traces(samples: &[RequestSample]) -> attribution::Traces {
    let trace = |sample: &RequestSample| {
        let id = sample.trace_id.as_ref()?;
        let latency = sample.latency_us as i64;
        Some((
            id.clone(),
            store_trace(
                id,
                latency,
                (latency - 6_000).max(1),
                sample.error.is_some(),
            ),
        ))
    };
    samples.iter().filter_map(trace).collect()
}

fn slow_store(sample: &mut RequestSample) {
    if is_on_store(sample) {
        sample.latency_us += 400_000;
    }
}

fn black_hole(sample: &mut RequestSample) {
    if is_on_store(sample) {
        let due = sample.due_us;
        let latency = if due < 21 * S { 1_010_000 } else { 8_000 };
        *sample = RequestSample {
            trace_id: sample.trace_id.take(),
            ..failed(due, &sample.route, 503, latency)
        };
    }
}

#[track_caller]
fn assert_verdict(name: &str, evidence: &Evidence, verdict: Verdict, says: &str) {
    let judgement = judge(&experiment(name), evidence, false);
    let all: Vec<_> = judgement
        .findings
        .iter()
        .map(|f| f.sentence.as_str())
        .collect();
    assert_eq!(
        judgement.verdict, verdict,
        "{all:#?}\n{:#?}",
        judgement.expectations
    );
    assert!(says.is_empty() || all[0].contains(says), "{all:#?}");
}

#[test]
fn each_experiment_passes_when_its_promise_holds() {
    assert_verdict("control", &evidence(false, |_| ()), Verdict::Pass, "");
    assert_verdict("store-slow", &evidence(true, slow_store), Verdict::Pass, "");
    assert_verdict(
        "store-blackhole",
        &evidence(true, black_hole),
        Verdict::Pass,
        "",
    );
    let judgement = judge(&experiment("store-slow"), &evidence(true, slow_store), true);
    assert_eq!(
        (judgement.words().as_str(), judgement.measured()),
        ("pass", (8, 8))
    );
}

#[test]
fn a_control_that_becomes_slower_deviates() {
    let slower = evidence(false, |sample| sample.latency_us += 30_000);
    assert_verdict("control", &slower, Verdict::Deviated, "windows");
}

#[test]
fn a_route_that_should_be_unchanged_and_is_not_deviates() {
    let evidence = evidence(true, |sample| {
        slow_store(sample);
        if sample.route == "list" {
            sample.latency_us = 36_000;
        }
    });
    assert_verdict(
        "store-slow",
        &evidence,
        Verdict::Deviated,
        "expected list in its baseline band",
    );
}

#[test]
fn one_error_breaks_a_promise_of_none() {
    let mut seen = evidence(true, slow_store);
    let hit = seen
        .samples
        .iter_mut()
        .find(|s| s.due_us > 25 * S && s.route == "content")
        .expect("a request");
    hit.error = Some(ErrorKind::Body);
    assert_verdict("store-slow", &seen, Verdict::Deviated, "1 errors");
}

#[test]
fn a_route_that_is_slower_than_its_calls_explain_deviates() {
    for added in [299_000, 501_000] {
        let seen = evidence(true, |sample| {
            if is_on_store(sample) {
                sample.latency_us += added
            }
        });
        assert_verdict(
            "store-slow",
            &seen,
            Verdict::Deviated,
            "for each span of store",
        );
    }
}

#[test]
fn a_fault_that_the_traces_do_not_show_on_the_dependency_deviates() {
    let mut seen = evidence(true, slow_store);
    let elsewhere = |trace: &mut crate::trace::Trace| trace.spans[1].duration_us = 4_000;
    seen.traces
        .as_mut()
        .and_then(|t| t.as_mut().ok())
        .expect("traces")
        .values_mut()
        .for_each(elsewhere);
    assert_verdict(
        "store-slow",
        &seen,
        Verdict::Deviated,
        "of the added latency",
    );
}

#[test]
fn without_traces_what_needs_them_is_not_measured_and_the_verdict_says_so() {
    let mut seen = evidence(true, slow_store);
    seen.traces = Some(Err("no Jaeger".into()));
    let judgement = judge(&experiment("store-slow"), &seen, false);
    assert_eq!(judgement.words(), "pass (5 of 8 measured)");
    assert_eq!(
        judge(&experiment("store-slow"), &seen, true).verdict,
        Verdict::Inconclusive
    );
}

#[test]
fn a_black_hole_may_take_two_seconds_to_be_noticed_and_no_longer() {
    let late = |until| {
        evidence(true, move |sample| {
            black_hole(sample);
            if is_on_store(sample) && sample.due_us < until {
                sample.latency_us = 5_000_000;
            }
        })
    };
    assert_verdict("store-blackhole", &late(22 * S), Verdict::Pass, "");
    assert_verdict(
        "store-blackhole",
        &late(23 * S),
        Verdict::Deviated,
        "p95 5.00 s",
    );
}

#[test]
fn a_failure_must_be_a_problem_with_the_status_and_a_time_to_retry() {
    let breakages: [fn(&mut RequestSample); 4] = [
        |s| s.status = Some(500),
        |s| s.problem = false,
        |s| s.retry_after = false,
        |s| s.status = None,
    ];
    for breakage in breakages {
        let mut seen = evidence(true, black_hole);
        breakage(
            seen.samples
                .iter_mut()
                .find(|s| s.due_us > 25 * S && s.route == "upload")
                .expect("an upload"),
        );
        assert_verdict("store-blackhole", &seen, Verdict::Deviated, "1 of");
    }
}

#[test]
fn a_promise_that_held_but_that_no_trace_explains_is_not_detected() {
    let mut seen = evidence(true, black_hole);
    let silent = |trace: &mut crate::trace::Trace| trace.spans[1].error = None;
    seen.traces
        .as_mut()
        .and_then(|t| t.as_mut().ok())
        .expect("traces")
        .values_mut()
        .for_each(silent);
    assert_verdict(
        "store-blackhole",
        &seen,
        Verdict::NotDetected,
        "first error on a span of store",
    );
}

#[test]
fn service_that_stays_slow_after_the_lift_has_not_recovered() {
    let mut seen = evidence(true, black_hole);
    seen.samples
        .iter_mut()
        .filter(|s| s.due_us >= 33 * S)
        .for_each(|s| s.latency_us = 90_000);
    assert_verdict(
        "store-blackhole",
        &seen,
        Verdict::NotRecovered,
        "within 10 s of the lift",
    );
    let lasting = judge(&experiment("store-blackhole"), &seen, false);
    assert_eq!(
        lasting
            .findings
            .iter()
            .filter(|f| f.verdict == Verdict::Deviated)
            .count(),
        0
    );
}

#[test]
fn requests_cut_by_the_rollback_are_judged_by_no_promise() {
    let mut seen = evidence(true, slow_store);
    let cut = seen
        .samples
        .iter_mut()
        .filter(|s| s.due_us >= 32 * S && s.due_us < 33 * S);
    cut.for_each(|s| s.error = Some(ErrorKind::Io));
    assert_verdict("store-slow", &seen, Verdict::Pass, "");
}

#[test]
fn lost_content_breaks_the_invariant_whatever_else_held() {
    let mut seen = evidence(true, slow_store);
    seen.content = Some(Err("image 7: 404".into()));
    assert_verdict(
        "store-slow",
        &seen,
        Verdict::InvariantBroken,
        "image 7: 404",
    );
}

#[test]
fn a_rollback_that_failed_outweighs_everything() {
    let mut seen = evidence(true, |sample| sample.latency_us += 900_000);
    seen.rollback = Some(Err("type this".into()));
    seen.content = Some(Err("lost".into()));
    assert_verdict("store-slow", &seen, Verdict::RollbackFailed, "type this");
    let judgement = judge(&experiment("store-slow"), &seen, false);
    let verdicts: Vec<_> = judgement
        .findings
        .iter()
        .map(|finding| finding.verdict)
        .collect();
    assert!(
        verdicts.contains(&Verdict::InvariantBroken) && verdicts.contains(&Verdict::Deviated),
        "{verdicts:?}"
    );
}

#[test]
fn an_unstable_baseline_or_an_unproven_fault_concludes_nothing() {
    let mut seen = evidence(true, slow_store);
    seen.baseline = Some(Err("the baseline is unstable".into()));
    seen.marks = Marks {
        injecting: None,
        verified: None,
        rolling_back: None,
        lifted: None,
        ..seen.marks
    };
    seen.recovery_watched = false;
    assert_verdict("store-slow", &seen, Verdict::Inconclusive, "unstable");

    let mut seen = evidence(true, slow_store);
    seen.injection = Some(Err("the probe felt nothing".into()));
    seen.marks.verified = None;
    assert_verdict("store-slow", &seen, Verdict::Inconclusive, "felt nothing");
}

#[test]
fn more_than_two_percent_of_arrivals_lost_by_the_generator_conclude_nothing() {
    let lose = |lost| {
        let mut seen = evidence(true, slow_store);
        seen.seconds
            .iter_mut()
            .filter(|s| (20 * S..32 * S).contains(&s.from))
            .for_each(|s| s.lost = lost);
        seen
    };
    assert_verdict("store-slow", &lose(2), Verdict::Pass, "");
    assert_verdict(
        "store-slow",
        &lose(3),
        Verdict::Inconclusive,
        "lost 36 of 1200 arrivals",
    );
}

/// One reading a second; a thread of `who` waits for this share of each second in the stretch.
fn waiting(who: &str, share: f64, during: Span) -> Vec<Reading> {
    let mut waited = 0.0;
    let reading = |at: i64, waited: f64| Reading {
        at,
        machine_s: at as f64 / 1e6,
        cpus: 2.0,
        processes: BTreeMap::from([(
            who.to_owned(),
            ProcessReading {
                cpu_s: 0.0,
                waited_s: BTreeMap::from([(1, waited)]),
            },
        )]),
    };
    (0..50)
        .map(|second| {
            let now = reading(second * S, waited);
            waited += if during.contains(second * S) {
                share
            } else {
                0.0
            };
            now
        })
        .collect()
}

#[test]
fn starvation_over_a_phase_concludes_nothing_and_names_the_process() {
    let mut seen = evidence(true, slow_store);
    seen.usage = waiting(
        "generator",
        0.2,
        Span {
            from: 20 * S,
            to: 32 * S,
        },
    );
    assert_verdict(
        "store-slow",
        &seen,
        Verdict::Inconclusive,
        "during the fault, generator was starved",
    );
    seen.usage = waiting(
        "service",
        0.2,
        Span {
            from: 5 * S,
            to: 17 * S,
        },
    );
    assert_verdict(
        "store-slow",
        &seen,
        Verdict::Inconclusive,
        "in the baseline, service was starved",
    );
}

#[test]
fn starvation_of_one_window_excuses_a_deviation_but_does_not_spoil_a_promise_that_held() {
    let one_window = waiting(
        "service",
        0.3,
        Span {
            from: 24 * S,
            to: 26 * S,
        },
    );
    let mut held = evidence(true, slow_store);
    held.usage.clone_from(&one_window);
    assert_verdict("store-slow", &held, Verdict::Pass, "");
    let mut broke = evidence(true, |sample| sample.latency_us += 400_000);
    broke.usage = one_window;
    assert_verdict(
        "store-slow",
        &broke,
        Verdict::Inconclusive,
        "service was starved",
    );
}

#[test]
fn a_recovery_under_starvation_is_no_failure_to_recover() {
    let mut seen = evidence(true, slow_store);
    seen.samples
        .iter_mut()
        .filter(|s| s.due_us >= 33 * S)
        .for_each(|s| s.latency_us = 90_000);
    seen.usage = waiting(
        "service",
        0.3,
        Span {
            from: 33 * S,
            to: 49 * S,
        },
    );
    assert_verdict(
        "store-slow",
        &seen,
        Verdict::Inconclusive,
        "during the recovery",
    );
}

#[test]
fn an_abort_is_said_with_its_reason() {
    let mut seen = evidence(true, slow_store);
    seen.aborted = Some("the load generator died: out of memory".into());
    assert_verdict("store-slow", &seen, Verdict::Aborted, "out of memory");
}

#[test]
fn too_few_requests_on_a_route_are_not_measured() {
    let mut seen = evidence(true, slow_store);
    let mut kept = 0;
    seen.samples.retain(|sample| {
        kept += u32::from(sample.route == "list" && sample.due_us >= 20 * S);
        sample.route != "list" || sample.due_us < 20 * S || kept < 200
    });
    let judgement = judge(&experiment("store-slow"), &seen, false);
    let list = judgement
        .expectations
        .iter()
        .find(|e| e.expected.starts_with("list"))
        .expect("a row");
    assert_eq!(list.outcome, Outcome::NotMeasured);
    assert!(list.seen.contains("n too small"), "{}", list.seen);
}
