//! What an experiment expects of metrics and alerts.

use std::collections::BTreeMap;

use super::*;
use crate::alerts::{Look, Sighting};
use crate::prometheus::{AlertState, Value};

/// `store-slow` as it is, with these expectations besides.
fn with(more: &str) -> Experiment {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("experiments/store-slow.toml");
    let text = std::fs::read_to_string(&file).expect("an experiment of the repository");
    parse::parse(&file, &format!("{text}\n{more}")).expect("an experiment")
}

const ALERT: &str = "[[expect]]\nkind = \"alert\"\nalert = \"Slow\"\nwithin_s = 10\n";
const READING: &str = "[[expect]]\nkind = \"promql\"\nquery = \"x\"\nphase = \"PHASE\"\nmax = 2\n";

/// The place of the added expectation in the file.
fn index(experiment: &Experiment) -> usize {
    experiment.expect.len() - 1
}

fn slowed() -> Evidence {
    evidence(true, |sample| {
        if is_on_store(sample) {
            sample.latency_us += 400_000;
        }
    })
}

/// The alert fires at this second, from which on it is there.
fn fires(evidence: &mut Evidence, index: usize, second: i64) {
    let look = |at: i64| Look {
        at: at * S,
        seen: Ok((at >= second).then_some(Sighting {
            state: AlertState::Firing,
            active_us: second * S,
        })),
    };
    let looks = (0..49).map(look).collect();
    evidence.observed.looks.insert(index, looks);
    evidence.observed.scrapes.insert(index, Ok(()));
    evidence.observed.clearing_scrapes.insert(index, Ok(()));
}

fn values(numbers: &[f64]) -> Vec<Value> {
    let value = |number: &f64| Value {
        labels: BTreeMap::from([("job".to_owned(), "x".to_owned())]),
        value: Some(*number),
    };
    numbers.iter().map(value).collect()
}

/// The verdict and the added expectation's row.
fn judged(experiment: &Experiment, evidence: &Evidence) -> (Verdict, Expectation) {
    let judgement = judge(experiment, evidence, false);
    let row = judgement.expectations.last().cloned().expect("a row");
    (judgement.verdict, row)
}

#[test]
fn an_alert_that_fires_in_time_is_a_pass_with_its_time_to_detect() {
    let experiment = with(ALERT);
    let mut evidence = slowed();
    fires(&mut evidence, index(&experiment), 25);
    let judgement = judge(&experiment, &evidence, false);
    assert_eq!(judgement.verdict, Verdict::Pass, "{judgement:#?}");
    let told = "time to detect: 5.0 s from the verified injection to the firing alert Slow";
    assert!(
        judgement.remarks.iter().any(|remark| remark == told),
        "{judgement:#?}"
    );
}

#[test]
fn a_promise_that_held_without_its_alert_is_not_detected() {
    let experiment = with(ALERT);
    let mut evidence = slowed();
    fires(&mut evidence, index(&experiment), 99);
    let (verdict, row) = judged(&experiment, &evidence);
    assert_eq!(
        (verdict, row.outcome),
        (Verdict::NotDetected, Outcome::Broke)
    );
    assert_eq!(row.seen, "it was not active");
}

#[test]
fn without_a_prometheus_a_required_alert_is_inconclusive_and_an_optional_one_is_left_out() {
    let mut evidence = slowed();
    evidence.observed.missing = Some("no Prometheus".into());
    let (verdict, row) = judged(&with(ALERT), &evidence);
    assert_eq!(
        (verdict, row.outcome),
        (Verdict::Inconclusive, Outcome::NotMeasured)
    );
    assert_eq!(row.seen, "no Prometheus");
    let optional = with(&format!("{ALERT}optional = true\n"));
    let judgement = judge(&optional, &evidence, false);
    assert_eq!(judgement.words(), "pass (8 of 9 measured)");
    assert_eq!(
        judge(&optional, &evidence, true).verdict,
        Verdict::Inconclusive
    );
}

#[test]
fn an_alert_that_is_all_that_is_promised_must_be_measured() {
    let mut experiment = with(&format!("{ALERT}optional = true\n"));
    experiment
        .expect
        .retain(|expect| matches!(expect, crate::definition::Expect::Alert(_)));
    experiment.invariants.content = false;
    let mut evidence = slowed();
    fires(&mut evidence, 0, 25);
    assert_eq!(judge(&experiment, &evidence, false).verdict, Verdict::Pass);
    evidence.observed.missing = Some("no Prometheus".into());
    let judgement = judge(&experiment, &evidence, false);
    assert_eq!(judgement.verdict, Verdict::Inconclusive, "{judgement:#?}");
}

#[test]
fn a_required_alert_that_is_active_ends_the_experiment_before_its_fault() {
    let experiment = with(ALERT);
    let mut evidence = slowed();
    fires(&mut evidence, index(&experiment), 10);
    let why = unsteady(&experiment, &evidence, false).expect("a reason");
    assert!(
        why.contains("alert Slow: it was active before the fault"),
        "{why}"
    );
    let optional = with(&format!("{ALERT}optional = true\n"));
    assert_eq!(unsteady(&optional, &evidence, false), None);
    assert!(unsteady(&optional, &evidence, true).is_some());
    let (verdict, row) = judged(&optional, &evidence);
    assert_eq!(
        (verdict, row.outcome),
        (Verdict::Pass, Outcome::NotMeasured)
    );
}

fn reading(phase: &str, result: Result<Vec<Value>, String>) -> (Verdict, Expectation) {
    let experiment = with(&READING.replace("PHASE", phase));
    let mut evidence = slowed();
    let index = index(&experiment);
    evidence.observed.readings.insert(index, result);
    judged(&experiment, &evidence)
}

#[test]
fn each_value_of_a_result_must_be_within_the_bounds_their_ends_included() {
    for held in [&[2.0][..], &[1.0, -3.0]] {
        let (verdict, row) = reading("fault", Ok(values(held)));
        assert_eq!((verdict, row.outcome), (Verdict::Pass, Outcome::Held));
    }
    let (verdict, row) = reading("recovery", Ok(values(&[1.0, 2.5])));
    assert_eq!((verdict, row.outcome), (Verdict::Deviated, Outcome::Broke));
    assert_eq!(row.seen, "1 of 2 out of bounds: 2.5 (job=\"x\")");
}

#[test]
fn a_result_that_says_nothing_is_neither_held_nor_broken() {
    let histogram = Value {
        labels: BTreeMap::new(),
        value: None,
    };
    for nothing in [
        Ok(values(&[])),
        Ok(values(&[f64::NAN])),
        Ok(values(&[1.0, f64::INFINITY])),
        Ok(vec![histogram]),
        Err("Prometheus at x answers 503".into()),
        Err("a scrape of x at y failed meanwhile".into()),
    ] {
        let (verdict, row) = reading("fault", nothing);
        assert_eq!(
            (verdict, row.outcome),
            (Verdict::Inconclusive, Outcome::NotMeasured)
        );
    }
}

#[test]
fn a_steady_state_that_is_none_ends_the_experiment_before_its_fault() {
    let experiment = with(&READING.replace("PHASE", "baseline"));
    let mut evidence = slowed();
    let index = index(&experiment);
    evidence.observed.readings.insert(index, Ok(values(&[3.0])));
    let why = unsteady(&experiment, &evidence, false).expect("a reason");
    assert_eq!(why, "in the baseline, x is not at most 2: 3 (job=\"x\")");
    evidence.unsteady = Some(why);
    let judgement = judge(&experiment, &evidence, false);
    assert_eq!(judgement.verdict, Verdict::Inconclusive);
    evidence
        .observed
        .readings
        .insert(index, Ok(values(&[f64::NAN])));
    assert_eq!(unsteady(&experiment, &evidence, false), None);
}
