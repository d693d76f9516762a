//! The judging rules on made-up evidence: an experiment in which everything is right, and one thing wrong at a time.

mod soundness;
mod telemetry;

use std::path::Path;

use loadtest::events::{ErrorKind, RequestSample};

use super::*;
use crate::definition::parse;
use crate::evidence::Arrivals;
use crate::invariants::Lost;
use crate::phases::{Marks, Span};
use crate::testing::{failed, steady, store_trace};

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
                at_bound: false,
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

fn without_traces(mut seen: Evidence) -> Evidence {
    seen.traces = Some(Err("no Jaeger".into()));
    seen
}

/// The experiment of this name with everything required.
fn all_required(name: &str) -> Experiment {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("experiments/{name}.toml"));
    let text = std::fs::read_to_string(file).expect("an experiment");
    let text = text.replace("optional = true", "optional = false");
    parse::parse(Path::new("x.toml"), &text).expect("an experiment")
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
                sample.latency_us += added;
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
    let blackhole = judge(
        &experiment("store-blackhole"),
        &without_traces(evidence(true, black_hole)),
        false,
    );
    assert_eq!(blackhole.words(), "pass (5 of 6 measured)");
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
    seen.content = Some(Err(Lost::Changed("image 7: 404".into())));
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
    seen.content = Some(Err(Lost::Changed("lost".into())));
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
fn a_required_expectation_that_was_not_measured_concludes_nothing_and_is_named() {
    let seen = without_traces(evidence(true, slow_store));
    let judgement = judge(&all_required("store-slow"), &seen, false);
    assert_eq!(judgement.verdict, Verdict::Inconclusive);
    let said = &judgement.findings[0].sentence;
    assert!(
        said.contains("not measured, but required: content slower by 400 ms")
            && said.contains("(no Jaeger)"),
        "{said}"
    );
}

#[test]
fn a_required_detection_without_traces_or_with_too_few_concludes_nothing() {
    let experiment = all_required("store-blackhole");
    let no_jaeger = without_traces(evidence(true, black_hole));
    let mut too_few = evidence(true, black_hole);
    let traces = too_few.traces.as_mut().and_then(|t| t.as_mut().ok());
    let mut left = 29;
    traces.expect("traces").retain(|_, trace| {
        left -= i32::from(trace.spans[1].error.is_some());
        left >= 0 || trace.spans[1].error.is_none()
    });
    for (seen, why) in [
        (no_jaeger, "no Jaeger"),
        (too_few, "traces of failed requests; 30 are needed"),
    ] {
        let judgement = judge(&experiment, &seen, false);
        assert_eq!(judgement.verdict, Verdict::Inconclusive, "{why}");
        let said = &judgement.findings[0].sentence;
        assert!(
            said.contains("the first error of") && said.contains(why),
            "{said}"
        );
        let shipped = self::experiment("store-blackhole");
        assert_eq!(
            judge(&shipped, &seen, false).words(),
            "pass (5 of 6 measured)"
        );
        assert_eq!(judge(&shipped, &seen, true).verdict, Verdict::Inconclusive);
    }
}

#[test]
fn a_fault_under_which_nothing_failed_is_not_a_fault_that_telemetry_named() {
    let seen = evidence(true, |_| ());
    let judgement = judge(&all_required("store-blackhole"), &seen, false);
    let row = judgement.expectations.last().expect("a detection");
    assert_eq!(
        (row.class, row.outcome),
        (Class::Detection, Outcome::NotMeasured)
    );
}

#[test]
fn a_route_without_a_request_is_not_measured_among_others_that_have_some() {
    let mut seen = evidence(true, slow_store);
    let during = 20 * S..32 * S;
    seen.samples
        .retain(|sample| sample.route != "render" || !during.contains(&sample.due_us));
    let judgement = judge(&experiment("store-slow"), &seen, false);
    assert_eq!(judgement.verdict, Verdict::Inconclusive);
    let said = &judgement.findings[0].sentence;
    assert!(said.contains("(no request on render)"), "{said}");
}

#[test]
fn nothing_of_the_promise_measured_is_never_a_pass() {
    for (name, has_fault) in [("control", false), ("store-slow", true)] {
        let mut experiment = experiment(name);
        experiment.expect.clear();
        let judgement = judge(&experiment, &evidence(has_fault, |_| ()), false);
        assert_eq!(judgement.verdict, Verdict::Inconclusive, "{name}");
        assert!(
            judgement.findings[0]
                .sentence
                .contains("nothing of the promise")
        );
    }
    let optional = "[[expect]]\nkind = \"unchanged\"\noptional = true\nroutes = [\"teapot\"]";
    let text = format!(
        "name = \"x\"\ntitle = \"t\"\npromise = \"p\"\nload = {{ plan = \"browse\" }}\n{optional}"
    );
    let experiment = parse::parse(Path::new("x.toml"), &text).expect("an experiment");
    let judgement = judge(&experiment, &evidence(false, |_| ()), false);
    assert_eq!(judgement.words(), "inconclusive (0 of 1 measured)");
}

#[test]
fn recovery_that_was_not_watched_or_data_that_was_not_looked_at_is_never_a_pass() {
    let mut unwatched = evidence(true, slow_store);
    unwatched.recovery_watched = false;
    unwatched.marks.ended = Some(34 * S);
    assert_verdict(
        "store-slow",
        &unwatched,
        Verdict::Inconclusive,
        "service as before within 10 s",
    );
    for (content, why) in [
        (None, "the experiment ended before"),
        (Some(Ok(0)), "no image is listed"),
        (Some(Err(Lost::Unreachable("503".into()))), "503"),
    ] {
        let mut seen = evidence(true, slow_store);
        seen.content = content;
        assert_verdict("store-slow", &seen, Verdict::Inconclusive, why);
    }
}

#[test]
fn a_service_that_stays_away_has_not_recovered_and_lost_nothing_that_anybody_saw() {
    let mut seen = evidence(true, black_hole);
    seen.content = Some(Err(Lost::Unreachable("no answer".into())));
    let after = seen.samples.iter_mut().filter(|s| s.due_us >= 33 * S);
    after.for_each(|s| s.error = Some(ErrorKind::Connect));
    assert_verdict("store-blackhole", &seen, Verdict::NotRecovered, "");
}

#[test]
fn slower_requests_whose_traces_show_nothing_break_the_promise_also_where_it_is_optional() {
    let mut seen = evidence(true, slow_store);
    let traces = seen.traces.as_mut().and_then(|t| t.as_mut().ok());
    for trace in traces.expect("traces").values_mut() {
        let spans = &mut trace.spans;
        (spans[0].duration_us, spans[1].duration_us) = (10_000, 4_000);
    }
    let judgement = judge(&experiment("store-slow"), &seen, false);
    assert_eq!(judgement.verdict, Verdict::Deviated);
    let said = &judgement.findings[0].sentence;
    assert!(
        said.contains("became slower by 400 ms") && said.contains("their traces by 0 ms"),
        "{said}"
    );
}
