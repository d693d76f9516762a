//! Beyond what the generator can do a run says nothing, and below that the target's failures are the target's.

use std::time::Duration;

use loadtest::result::{Conclusion, GENERATOR_LOSS_BOUND, MEASURE, RunResult};
use loadtest::threshold::Outcome;

use crate::process::{Ended, Run, plan};
use crate::service::Service;

const THRESHOLDS: &str =
    "[[thresholds]]\nrule = \"p95 < 250ms\"\n[[thresholds]]\nrule = \"error_rate < 1%\"\n";

fn run(service: &Service, rate: f64, seconds: &str, more: &str) -> Ended {
    let text = plan(rate, seconds, more, "list = { share = 1 }") + THRESHOLDS;
    Run::of(&text, &service.address).end()
}

#[test]
fn a_rate_that_no_machine_can_send_is_inconclusive_and_says_why() {
    let service = Service::start(1);
    let ended = run(&service, 200_000.0, "1s", "");
    let result = ended.result();
    assert_eq!(
        (ended.code, result.conclusion),
        (Some(2), Conclusion::Inconclusive),
        "{}",
        ended.stdout
    );
    let why = &result.reasons[0];
    assert!(
        why.contains("the generator lost") || why.contains("raise run.max_workers"),
        "{why}"
    );
    assert_eq!(result.totals.due, 200_000);
    assert_eq!(result.totals.not_sent.target, 0, "{:?}", result.totals);
}

/// A threshold failed, whatever the generator itself added; and so did the run, unless the machine kept the generator from
/// sending what it should.
#[track_caller]
fn assert_failed(ended: &Ended, result: &RunResult, threshold: usize) {
    assert_eq!(
        result.thresholds[threshold].outcome,
        Outcome::Failed,
        "{}",
        ended.stdout
    );
    let totals = result.totals;
    let lost = totals.not_sent.generator as f64 / totals.due as f64;
    let (conclusion, code) = if lost > GENERATOR_LOSS_BOUND {
        (Conclusion::Inconclusive, 2)
    } else {
        (Conclusion::Fail, 1)
    };
    assert_eq!(
        (result.conclusion, ended.code),
        (conclusion, Some(code)),
        "{}",
        ended.stdout
    );
}

#[test]
fn a_target_that_stalls_at_a_low_rate_fails() {
    let service = Service::start(1);
    *service.controls.stall.lock().expect("stall") = Some((100, Duration::from_secs(3)));
    let ended = run(&service, 100.0, "8s", "");
    let result = ended.result();
    assert_failed(&ended, &result, 0);
    let measured = result.phases.iter().find(|phase| phase.name == MEASURE);
    let p95 = measured.and_then(|phase| phase.all.latency.p95_us);
    assert!(p95.is_some_and(|p95| p95 > 1_000_000), "{p95:?}");
}

#[test]
fn a_target_that_never_answers_fails_although_every_worker_waits() {
    for bound in ["timeout = \"2s\"", "timeout = \"2s\"\nmax_workers = 50"] {
        let service = Service::start(1);
        let silent = &service.controls.silent;
        silent.store(true, std::sync::atomic::Ordering::Relaxed);
        let ended = run(&service, 50.0, "5s", bound);
        assert_failed(&ended, &ended.result(), 1);
    }
}

#[test]
fn too_few_workers_for_a_slow_target_are_not_its_failure() {
    let service = Service::start(1);
    // Each of the answers comes within a second: of 100 a second, 20 workers can send 20.
    *service.controls.delay.lock().expect("delay") = Duration::from_secs(1);
    let bound = "timeout = \"3s\"\nmax_workers = 20";
    let text = plan(100.0, "6s", bound, "list = { share = 1 }")
        + "[[thresholds]]\nrule = \"p95 < 2500ms\"\n[[thresholds]]\nrule = \"error_rate < 1%\"\n";
    let ended = Run::of(&text, &service.address).end();
    let result = ended.result();
    assert_eq!(
        (ended.code, result.conclusion),
        (Some(2), Conclusion::Inconclusive),
        "{}",
        ended.stdout
    );
    assert!(
        result.reasons[0].contains("there were 20 workers")
            && result.reasons[0].contains("can need 300: raise run.max_workers"),
        "{:?}",
        result.reasons
    );
    assert_eq!(result.totals.not_sent.target, 0, "{:?}", result.totals);
}
