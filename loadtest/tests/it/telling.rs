//! What a run tells: events, result, headers, metrics.

use std::collections::{BTreeMap, BTreeSet};

use loadtest::events::Event;
use loadtest::result::{MEASURE, RunResult, WARMUP};
use loadtest::stats::LatencyHistogram;

use crate::process::{Ended, Run, plan};
use crate::service::Service;

const EVERY_ROUTE: &str = "list = { share = 20 }\nmetadata = { share = 20 }\ncontent = { share = 40 }\n\
                           render = { share = 18, presets = { thumb = 3, large = 1 } }\nupload = { share = 2 }";

fn whole_run(service: &Service) -> Ended {
    let text = plan(100.0, "2s", "", EVERY_ROUTE);
    let ended = Run::of(&text, &service.address)
        .arguments(&[
            "--warmup",
            "1",
            "--run-id",
            "run-7",
            "--experiment-id",
            "store-slow",
            "--json",
        ])
        .end();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    ended
}

#[test]
fn events_parse_line_by_line_and_sum_up_to_the_result() {
    let service = Service::start(5);
    let ended = whole_run(&service);
    let (events, result) = (ended.events(), ended.result());
    let Some(Event::Run(started)) = events.first() else {
        panic!("first: {:?}", events.first())
    };
    assert_eq!(
        (
            started.run_id.as_str(),
            started.rate,
            started.warmup_seconds
        ),
        ("run-7", 100.0, 1.0)
    );
    assert!(matches!(events.last(), Some(Event::End(end)) if !end.stopped && !end.aborted));

    let windows = ended.windows();
    let seconds: BTreeSet<u64> = windows.iter().map(|window| window.second).collect();
    assert_eq!(seconds, (0..3).collect());
    assert!(
        windows
            .iter()
            .all(|window| window.due == 100 && window.routes["content"].n == 40),
        "{windows:?}"
    );
    let measured = windows.iter().filter(|window| window.second >= 1);
    assert_eq!(
        measured.map(|window| window.ok).sum::<u64>(),
        result.totals.ok
    );

    let samples = ended.samples();
    assert_eq!(samples.len(), 300);
    let counts = |phase: &str, route: &str| {
        let warm = |due_us: i64| {
            if due_us - started.started_at_us < 1_000_000 {
                WARMUP
            } else {
                MEASURE
            }
        };
        samples
            .iter()
            .filter(|sample| sample.route == route && warm(sample.due_us) == phase)
            .count() as u64
    };
    for phase in &result.phases {
        for (route, figures) in &phase.routes {
            assert_eq!(
                figures.n,
                counts(&phase.name, route),
                "{} {route}",
                phase.name
            );
        }
    }
    let goose = result.run.goose_requests.expect("goose ended in time");
    assert!(
        (270..=300).contains(&goose),
        "goose counted {goose} of the same requests"
    );
    assert_eq!(result.events_lost, 0);
}

#[test]
fn all_routes_are_the_merged_histograms_of_the_routes() {
    let service = Service::start(5);
    let result = whole_run(&service).result();
    assert_eq!(
        result
            .phases
            .iter()
            .map(|phase| phase.name.as_str())
            .collect::<Vec<_>>(),
        [WARMUP, MEASURE]
    );
    for phase in &result.phases {
        let mut merged = LatencyHistogram::default();
        for figures in phase.routes.values() {
            merged.merge(&LatencyHistogram::from_base64(&figures.histogram).expect("histogram"));
        }
        assert_eq!(merged.percentiles(), phase.all.latency);
        assert_eq!(merged.to_base64(), phase.all.histogram);
    }
    let (n, p95, p99) = (
        result.phases[1].all.n,
        result.phases[1].all.latency.p95_us,
        result.phases[1].all.latency.p99_us,
    );
    assert!(
        n == 200 && p95.is_some() && p99.is_none(),
        "{n} {p95:?} {p99:?}"
    );
}

#[test]
fn stdout_holds_nothing_but_the_result() {
    let service = Service::start(5);
    let ended = whole_run(&service);
    let printed: RunResult = serde_json::from_str(&ended.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", ended.stdout));
    assert_eq!(printed, ended.result());
    let human = Run::of(
        &plan(20.0, "1s", "", "list = { share = 1 }"),
        &service.address,
    )
    .end()
    .stdout;
    assert!(
        human.starts_with("test against http://127.0.0.1:") && human.contains("\npass\n"),
        "{human}"
    );
}

#[test]
fn every_request_carries_its_trace_and_run_and_one_in_five_is_sampled() {
    let service = Service::start(5);
    let ended = whole_run(&service);
    let seen = service.controls.seen.lock().expect("seen");
    let mut by_route: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    let mut trace_ids = BTreeSet::new();
    for (path, headers) in seen.iter() {
        assert_eq!(headers["baggage"], "run.id=run-7,experiment.id=store-slow");
        let traceparent: Vec<&str> = headers["traceparent"]
            .to_str()
            .expect("text")
            .split('-')
            .collect();
        assert!(
            trace_ids.insert(traceparent[1].to_owned()),
            "each request has a trace of its own"
        );
        let last = path.rsplit('/').next().unwrap_or_default();
        let (n, sampled) = by_route
            .entry(if last.parse::<u64>().is_ok() {
                "metadata"
            } else {
                last
            })
            .or_default();
        *n += 1;
        *sampled += u64::from(traceparent[3] == "01");
    }
    // `images` is list and upload: 60 and 6, the latter rounded up.
    let expected = [
        ("content", (120, 24)),
        ("images", (66, 14)),
        ("metadata", (60, 12)),
        ("render", (54, 11)),
    ];
    assert_eq!(by_route.into_iter().collect::<Vec<_>>(), expected);
    let told: BTreeSet<String> = ended
        .samples()
        .into_iter()
        .filter_map(|sample| sample.trace_id)
        .collect();
    assert_eq!(told.len(), 24 + 14 + 12 + 11);
    assert!(told.is_subset(&trace_ids));
}

#[test]
fn uploads_are_unique_pictures() {
    let service = Service::start(1);
    let ended = Run::of(
        &plan(10.0, "2s", "", "upload = { share = 1 }"),
        &service.address,
    )
    .end();
    assert_eq!(ended.result().totals.ok, 20, "each was created: 201");
    let pictures = service.pictures();
    assert_eq!(
        pictures
            .iter()
            .filter(|bytes| bytes.starts_with(&[0xff, 0xd8]))
            .count(),
        20
    );
}

#[test]
fn two_runs_of_a_plan_ask_for_the_same_in_the_same_order() {
    let paths = |seed: &str| {
        let service = Service::start(5);
        let text = plan(
            100.0,
            "1s",
            "",
            "content = { share = 3 }\nrender = { share = 2, presets = { thumb = 1, small = 1 } }",
        );
        assert_eq!(
            Run::of(&text, &service.address)
                .arguments(&["--seed", seed])
                .end()
                .code,
            Some(0)
        );
        let seen = service.controls.seen.lock().expect("seen");
        // Requests of one moment may overtake each other, so the order is compared as a count.
        let mut paths: Vec<String> = seen.iter().map(|(path, _)| path.clone()).collect();
        paths.sort();
        paths
    };
    let first = paths("3");
    assert_eq!(first, paths("3"));
    assert_ne!(first, paths("4"));
}

#[test]
fn metrics_are_served_and_registered_while_the_run_goes_on_and_gone_afterwards() {
    let service = Service::start(5);
    let running = Run::of(&plan(50.0, "60s", "", EVERY_ROUTE), &service.address)
        .arguments(&["--targets-dir", "targets"])
        .start();
    let folder = running.folder().join("targets");
    running.until("requests", || service.requests() > 50);
    let files: Vec<_> = std::fs::read_dir(&folder)
        .expect("targets")
        .map(|entry| entry.expect("entry").path())
        .collect();
    assert_eq!(files.len(), 1, "{files:?}");
    let targets: serde_json::Value =
        serde_json::from_slice(&std::fs::read(&files[0]).expect("file")).expect("JSON");
    let address = targets[0]["targets"][0]
        .as_str()
        .expect("address")
        .to_owned();
    let scrape = || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("runtime");
        let text = runtime.block_on(async {
            reqwest::get(format!("http://{address}/metrics"))
                .await?
                .text()
                .await
        });
        observability::testing::Scrape::parse(&text.expect("metrics"))
    };
    let scenario = ("scenario", "test");
    assert_eq!(scrape().value("loadtest_active", &[scenario]), Some(1.0));
    assert_eq!(
        scrape().value("loadtest_intended_requests_per_second", &[scenario]),
        Some(50.0)
    );
    let count = |route| {
        scrape().value(
            "loadtest_request_duration_seconds_count",
            &[scenario, ("route", route)],
        )
    };
    assert!(
        count("content").is_some_and(|n| n >= 10.0),
        "{:?}",
        count("content")
    );
    let lost = [
        scenario,
        ("route", "upload"),
        ("outcome", "not_sent_target"),
    ];
    assert_eq!(
        scrape().value("loadtest_arrivals_total", &lost),
        Some(0.0),
        "registered at 0"
    );
    assert!(
        scrape()
            .value("loadtest_send_lag_seconds_count", &[scenario])
            .is_some_and(|n| n >= 50.0)
    );
    running.signal(rustix::process::Signal::TERM);
    let ended = running.end();
    assert_eq!(
        std::fs::read_dir(ended.file("targets"))
            .expect("targets")
            .count(),
        0
    );
}
