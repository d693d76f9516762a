//! How a run ends: thresholds, signals, bad input.

use std::time::{Duration, Instant};

use loadtest::events::Event;
use loadtest::result::Conclusion;
use rustix::process::Signal;

use crate::process::{Run, chitram_load, plan};
use crate::service::Service;

#[test]
fn a_threshold_that_fails_ends_in_1_and_says_what_was_seen() {
    let service = Service::start(3);
    let thresholds = "[[thresholds]]\nrule = \"p50 < 1us\"\nroute = \"list\"\n[[thresholds]]\nrule = \"error_rate < 1%\"\n";
    let ended = Run::of(
        &(plan(20.0, "1s", "", "list = { share = 1 }") + thresholds),
        &service.address,
    )
    .end();
    assert_eq!(ended.code, Some(1));
    let result = ended.result();
    assert_eq!(result.conclusion, Conclusion::Fail);
    assert!(
        result.reasons[0].starts_with("list, measure: `p50 < 1us` failed: "),
        "{:?}",
        result.reasons
    );
    assert!(
        ended.stdout.contains("FAILED") && ended.stdout.contains("held"),
        "{}",
        ended.stdout
    );
}

#[test]
fn sigterm_stops_the_run_which_proves_nothing_and_leaves_a_whole_result() {
    for signal in [Signal::TERM, Signal::HUP] {
        let service = Service::start(3);
        let running = Run::of(
            &plan(50.0, "60s", "", "content = { share = 1 }"),
            &service.address,
        )
        .start();
        running.until("requests", || service.requests() > 60);
        running.signal(signal);
        let asked = Instant::now();
        let ended = running.end();
        assert!(
            asked.elapsed() < Duration::from_secs(20),
            "{:?}",
            asked.elapsed()
        );
        assert_eq!(ended.code, Some(2), "{}", ended.stderr);
        let result = ended.result();
        assert!(result.stopped && !result.aborted);
        assert_eq!(result.conclusion, Conclusion::Inconclusive);
        assert!(
            result.reasons[0].starts_with("stopped before its time: "),
            "{:?}",
            result.reasons
        );
        assert!(
            result.totals.due > 60 && result.totals.due < 3_000,
            "{:?}",
            result.totals
        );
        assert_eq!(
            result.totals.sent,
            service.requests(),
            "what was in flight is counted"
        );
        assert!(
            matches!(ended.events().last(), Some(Event::End(end)) if end.stopped && !end.aborted)
        );
        let windowed: u64 = ended.windows().iter().map(|window| window.due).sum();
        assert_eq!(
            windowed, result.totals.due,
            "the last second is told as far as it went"
        );
    }
}

#[test]
fn sigint_interrupts_the_run_and_ends_in_130() {
    let service = Service::start(3);
    let running = Run::of(
        &plan(50.0, "60s", "", "content = { share = 1 }"),
        &service.address,
    )
    .start();
    running.until("requests", || service.requests() > 20);
    running.signal(Signal::INT);
    let ended = running.end();
    assert_eq!(ended.code, Some(130), "{}", ended.stderr);
    let result = ended.result();
    assert!(result.aborted && !result.stopped);
    assert_eq!(result.conclusion, Conclusion::Inconclusive);
    assert!(matches!(ended.events().last(), Some(Event::End(end)) if end.aborted));
}

#[test]
fn a_second_sigint_does_not_wait_for_the_requests_in_flight() {
    let service = Service::start(3);
    service
        .controls
        .silent
        .store(true, std::sync::atomic::Ordering::Relaxed);
    let text = plan(
        20.0,
        "60s",
        "timeout = \"60s\"\nmax_workers = 50",
        "content = { share = 1 }",
    );
    let running = Run::of(&text, &service.address).start();
    running.until("requests", || service.requests() > 5);
    running.signal(Signal::INT);
    running.until("the first is taken note of", || {
        std::fs::read_to_string(running.folder().join("stderr"))
            .is_ok_and(|text| text.contains("waiting for the requests"))
    });
    let asked = Instant::now();
    running.signal(Signal::INT);
    let ended = running.end();
    assert_eq!(ended.code, Some(130), "{}", ended.stderr);
    assert!(
        asked.elapsed() < Duration::from_secs(20),
        "{:?}",
        asked.elapsed()
    );
}

#[test]
fn a_threshold_on_what_the_plan_does_not_send_or_sends_too_rarely_is_refused_before_any_load() {
    let text = plan(10.0, "5s", "", "list = { share = 1 }");
    for (threshold, arguments, words) in [
        (
            "rule = \"max < 5s\"\nroute = \"lits\"",
            &[][..],
            "did you mean \"list\"?",
        ),
        (
            "rule = \"p95 < 5s\"",
            &[],
            "needs 200 requests, and the plan sends at most 50",
        ),
        (
            "rule = \"max < 5s\"\nphase = \"warmup\"",
            &["--warmup", "0"],
            "there is no warm-up",
        ),
    ] {
        let text = format!("{text}[[thresholds]]\n{threshold}\n");
        let text = text.replace("warmup = \"0s\"", "warmup = \"1s\"");
        let ended = Run::of(&text, "http://127.0.0.1:9")
            .arguments(arguments)
            .end();
        assert_eq!(ended.code, Some(64), "{}", ended.stderr);
        assert!(
            ended.stderr.contains("plan.toml: threshold `") && ended.stderr.contains(words),
            "{}",
            ended.stderr
        );
    }
}

#[test]
fn a_plan_with_an_unknown_key_is_refused_by_file_line_and_key() {
    let text = plan(10.0, "1s", "colour = \"red\"", "list = { share = 1 }");
    let ended = Run::of(&text, "http://127.0.0.1:9").end();
    assert_eq!(ended.code, Some(64));
    assert!(
        ended
            .stderr
            .starts_with("chitram-load: plan.toml:8: unknown field `colour`"),
        "{}",
        ended.stderr
    );
    assert_eq!(ended.stderr.lines().count(), 1);
    assert!(!ended.file("events.ndjson").exists());
}

#[test]
fn a_target_that_does_not_answer_is_named_in_one_sentence_before_any_load() {
    // A port that was free a moment ago.
    let address = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("port");
        format!("http://{}", listener.local_addr().expect("address"))
    };
    let ended = Run::of(&plan(10.0, "1s", "", "list = { share = 1 }"), &address).end();
    assert_eq!(ended.code, Some(69));
    assert!(
        ended.stderr.contains(&address) && ended.stderr.contains("does not answer"),
        "{}",
        ended.stderr
    );
    assert_eq!(ended.stderr.lines().count(), 1);
    assert!(!ended.file("events.ndjson").exists() && !ended.file("result.json").exists());
}

#[test]
fn a_target_without_pictures_asks_to_be_seeded() {
    let service = Service::start(0);
    let ended = Run::of(
        &plan(10.0, "1s", "", "content = { share = 1 }"),
        &service.address,
    )
    .end();
    assert_eq!(ended.code, Some(69));
    assert!(ended.stderr.contains("seed it first"), "{}", ended.stderr);
}

#[test]
fn bad_usage_ends_in_64_and_help_lists_the_exit_codes() {
    for arguments in [
        &["run"][..],
        &["run", "smoke"],
        &["run", "smoke", "--target", "ftp://x"],
        &["fly"],
    ] {
        assert_eq!(chitram_load(arguments).code, Some(64), "{arguments:?}");
    }
    let service = Service::start(1);
    let id = Run::of(
        &plan(10.0, "1s", "", "list = { share = 1 }"),
        &service.address,
    )
    .arguments(&["--run-id", "a b"])
    .end();
    assert_eq!(
        (id.code, id.stderr.contains("--run-id")),
        (Some(64), true),
        "{}",
        id.stderr
    );
    let help = chitram_load(&["run", "--help"]);
    assert_eq!(help.code, Some(0));
    assert!(
        help.stdout.contains("Exit codes:") && help.stdout.contains("inconclusive"),
        "{}",
        help.stdout
    );
}

#[test]
fn an_events_file_that_cannot_be_made_is_named() {
    let service = Service::start(1);
    let run = Run::of(
        &plan(10.0, "1s", "", "list = { share = 1 }"),
        &service.address,
    );
    // The plan is a file, so nothing can lie below it.
    let ended = run.arguments(&["--targets-dir", "plan.toml/below"]).end();
    assert_eq!(ended.code, Some(70));
    assert!(ended.stderr.contains("plan.toml/below"), "{}", ended.stderr);
}
