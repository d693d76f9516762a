//! What is measured: from the due time, with every arrival accounted for.

use std::sync::atomic::Ordering;
use std::time::Duration;

use loadtest::events::{ErrorKind, RequestSample};
use loadtest::result::Conclusion;
use loadtest::stats::quantile;
use rustix::process::Signal;

use crate::process::{Run, plan};
use crate::service::Service;

fn latency(samples: &[RequestSample], q: f64) -> Duration {
    let latencies: Vec<u64> = samples.iter().map(|sample| sample.latency_us).collect();
    Duration::from_micros(quantile(&latencies, q).expect("samples"))
}

/// 40 requests a second for 3 s, and a stall of 1 s after the first: 40 requests are due meanwhile, and their latencies
/// fall evenly from 1 s to nothing. The 12th of 120 from above took 0.7 s. A tool that sends one request after another
/// would have seen one slow request, and a p90 of a millisecond.
#[test]
fn a_stall_of_the_target_shows_in_every_request_that_was_due_meanwhile() {
    let service = Service::start(3);
    *service.controls.stall.lock().expect("stall") = Some((40, Duration::from_secs(1)));
    let ended = Run::of(
        &plan(40.0, "3s", "", "metadata = { share = 1 }"),
        &service.address,
    )
    .end();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let samples = ended.samples();
    assert_eq!(samples.len(), 120);
    let (p50, p90, max) = (
        latency(&samples, 0.5),
        latency(&samples, 0.9),
        latency(&samples, 1.0),
    );
    assert!(p50 < Duration::from_millis(400), "{p50:?}");
    assert!(
        (Duration::from_millis(500)..Duration::from_millis(1_100)).contains(&p90),
        "{p90:?}"
    );
    assert!(max >= Duration::from_millis(950), "{max:?}");
}

#[test]
fn without_a_stall_requests_are_sent_when_they_are_due() {
    let service = Service::start(3);
    let routes = "list = { share = 1 }\nmetadata = { share = 1 }\ncontent = { share = 2 }";
    let ended = Run::of(&plan(100.0, "3s", "", routes), &service.address).end();
    let result = ended.result();
    assert_eq!(
        (result.totals.due, result.totals.ok),
        (300, 300),
        "{:?}",
        result.reasons
    );
    let lag = result.phases[0].send_lag.p50_us.expect("lag");
    // A timer's millisecond, and room for a machine that does other things.
    assert!(lag < 20_000, "{lag} us");
}

#[test]
fn arrivals_that_find_every_one_of_too_few_workers_waiting_are_nobodys_errors() {
    let service = Service::start(3);
    service.controls.silent.store(true, Ordering::Relaxed);
    let run = "timeout = \"400ms\"\nmax_workers = 2";
    for (rule, conclusion, code) in [
        ("error_rate < 50%", Conclusion::Inconclusive, 2),
        // What was sent failed, which is more than this even if the rest had been answered.
        ("error_rate < 1%", Conclusion::Fail, 1),
    ] {
        let text = plan(50.0, "2s", run, "content = { share = 1 }")
            + &format!("[[thresholds]]\nrule = \"{rule}\"\n");
        let ended = Run::of(&text, &service.address).end();
        let result = ended.result();
        let totals = result.totals;
        assert_eq!((totals.due, totals.ok), (100, 0));
        assert!(totals.not_sent.workers > 50, "{totals:?}");
        assert_eq!(totals.errors + totals.not_sent.lost(), 100, "{totals:?}");
        let samples = ended.samples();
        assert_eq!(samples.len() as u64, totals.errors);
        assert!(
            samples
                .iter()
                .any(|sample| sample.error == Some(ErrorKind::Timeout))
        );
        assert_eq!(
            (result.conclusion, ended.code),
            (conclusion, Some(code)),
            "{:?}",
            result.reasons
        );
    }
}

#[test]
fn arrivals_lost_to_a_generator_that_stands_still_make_the_run_inconclusive() {
    let service = Service::start(3);
    let text =
        plan(50.0, "3s", "", "metadata = { share = 1 }") + "[[thresholds]]\nrule = \"max < 60s\"\n";
    let running = Run::of(&text, &service.address).start();
    running.until("requests", || service.requests() > 10);
    running.signal(Signal::STOP);
    std::thread::sleep(Duration::from_millis(900)); // how long the generator stands still
    running.signal(Signal::CONT);
    let ended = running.end();
    let result = ended.result();
    let not_sent = result.totals.not_sent;
    assert!(
        not_sent.generator >= 20 && not_sent.target == 0,
        "{not_sent:?}"
    );
    assert_eq!(
        (result.conclusion, ended.code),
        (Conclusion::Inconclusive, Some(2))
    );
    assert!(
        result.reasons[0].contains("the generator lost"),
        "{:?}",
        result.reasons
    );
    assert_eq!(
        ended.samples().len() as u64,
        result.totals.sent,
        "what the generator lost is no sample"
    );
    assert!(
        result.phases[0].event_loop_lag_max_us > 500_000,
        "{}",
        result.phases[0].event_loop_lag_max_us
    );
}

#[test]
fn content_with_another_hash_is_a_body_error_and_other_routes_are_fine() {
    let service = Service::start(3);
    service.controls.corrupt.store(true, Ordering::Relaxed);
    service.controls.wrong_type.store(true, Ordering::Relaxed);
    let routes = "metadata = { share = 1 }\ncontent = { share = 1 }\nrender = { share = 1, presets = { thumb = 1 } }";
    let result = Run::of(&plan(60.0, "1s", "", routes), &service.address)
        .end()
        .result();
    let errors = |route: &str| result.phases[0].routes[route].errors.clone();
    assert_eq!(errors("content"), [(ErrorKind::Body, 20)].into());
    assert_eq!(errors("render"), [(ErrorKind::Body, 20)].into());
    assert!(errors("metadata").is_empty());
}

#[test]
fn a_problem_answer_is_told_as_such() {
    let service = Service::start(3);
    service.controls.unavailable.store(true, Ordering::Relaxed);
    let samples = Run::of(
        &plan(20.0, "1s", "", "content = { share = 1 }"),
        &service.address,
    )
    .end()
    .samples();
    assert_eq!(samples.len(), 20);
    for sample in samples {
        assert_eq!(
            (sample.status, sample.error),
            (Some(503), Some(ErrorKind::Status))
        );
        assert!(sample.problem && sample.retry_after && sample.bytes > 0);
    }
}

#[test]
fn a_target_that_goes_away_counts_as_connect_or_io_errors() {
    let service = Service::start(3);
    let running = Run::of(
        &plan(40.0, "2s", "", "metadata = { share = 1 }"),
        &service.address,
    )
    .start();
    running.until("requests", || service.requests() > 10);
    drop(service);
    let result = running.end().result();
    let errors = &result.phases[0].all.errors;
    assert!(errors.contains_key(&ErrorKind::Connect), "{errors:?}");
    assert!(
        errors
            .keys()
            .all(|kind| matches!(kind, ErrorKind::Connect | ErrorKind::Io)),
        "{errors:?}"
    );
}
