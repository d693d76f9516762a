//! When nothing may be concluded, and what is not measured.

use std::collections::BTreeMap;

use report::model::Outcome;

use super::*;
use crate::usage::{ProcessReading, Reading};

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
fn an_unstable_baseline_names_who_was_starved_in_it() {
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
    let window = Span {
        from: 9 * S,
        to: 11 * S,
    };
    seen.usage = waiting("service", 0.3, window);
    let judgement = judge(&experiment("store-slow"), &seen, false);
    assert_eq!(judgement.verdict, Verdict::Inconclusive);
    let said: Vec<_> = judgement
        .findings
        .iter()
        .map(|finding| finding.sentence.as_str())
        .collect();
    assert_eq!(said[0], "the baseline is unstable");
    assert!(
        said[1].starts_with("in the baseline, service was starved"),
        "{said:?}"
    );
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

#[test]
fn what_broke_only_in_seconds_in_which_the_generator_was_at_its_bound_blames_nobody() {
    let slow = |from: i64, to: i64| {
        let mut seen = evidence(false, |_| ());
        let hit = seen.samples.iter_mut();
        hit.filter(|s| (from * S..to * S).contains(&s.due_us))
            .for_each(|s| s.latency_us = 900_000);
        for second in &mut seen.seconds {
            second.at_bound = (24 * S..27 * S).contains(&second.from);
        }
        seen
    };
    assert_verdict(
        "control",
        &slow(24, 27),
        Verdict::Inconclusive,
        "during the observation, the load generator was at its bound in 3 s, first in second 24",
    );
    // A stall in a baseline that was steady all the same excuses nothing.
    let mut before = slow(20, 32);
    for second in &mut before.seconds {
        second.at_bound = second.from < 17 * S;
    }
    assert_verdict("control", &before, Verdict::Deviated, "");
    // It breaks without these seconds just as well.
    assert_verdict("control", &slow(20, 32), Verdict::Deviated, "");
    // And what held in spite of them held.
    assert_verdict("control", &slow(0, 0), Verdict::Pass, "");
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
fn severe_starvation_over_a_phase_concludes_nothing_and_names_the_process() {
    let mut seen = evidence(true, slow_store);
    seen.usage = waiting(
        "generator",
        0.4,
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
        0.4,
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
fn starvation_excuses_a_deviation_but_does_not_spoil_a_promise_that_held() {
    let span = |from, to| Span {
        from: from * S,
        to: to * S,
    };
    excused_but_not_spoiled(waiting("service", 0.3, span(24, 26)));
    excused_but_not_spoiled(waiting("service", 0.2, span(20, 32)));
}

#[test]
fn starvation_does_not_excuse_what_broke_far_from_it() {
    let span = |from, to| Span {
        from: from * S,
        to: to * S,
    };
    let mut broke = evidence(true, |sample| {
        if is_on_store(sample) {
            sample.latency_us = 5_000_000;
            sample.error = Some(ErrorKind::Timeout);
            sample.status = None;
        }
    });
    broke.usage = waiting("stack", 0.3, span(24, 26));
    assert_verdict(
        "store-blackhole",
        &broke,
        Verdict::Deviated,
        "answered otherwise",
    );
    broke.usage = waiting("stack", 0.15, span(20, 32));
    assert_verdict(
        "store-blackhole",
        &broke,
        Verdict::Inconclusive,
        "stack was starved",
    );
}

fn excused_but_not_spoiled(usage: Vec<Reading>) {
    let mut held = evidence(true, slow_store);
    held.usage.clone_from(&usage);
    assert_verdict("store-slow", &held, Verdict::Pass, "");
    let mut broke = evidence(true, |sample| sample.latency_us += 400_000);
    broke.usage = usage;
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
