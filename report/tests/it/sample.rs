//! A report with everything in it, as a run of the demo would fill it.

use report::model::{
    Class, Ended, Expectation, Experiment, Outcome, Report, RouteFigures, RouteRow, Source,
    SpanBar, Timeline, Waterfall, Window,
};

pub(crate) fn report() -> Report {
    Report {
        title: "Chitram demo".to_owned(),
        generated_at: "2026-11-21T10:00:00Z".to_owned(),
        command: "make demo".to_owned(),
        summary: "3 of 3 experiments ended as expected".to_owned(),
        as_expected: true,
        ended: Ended::Finished,
        unfinished: Vec::new(),
        experiments: vec![
            experiment("control", "Control: no fault", "pass", None),
            experiment(
                "store-slow",
                "Store slowed by 400 ms ± 50",
                "pass",
                Some("latency 400 ms ± 50 on store"),
            ),
            experiment(
                "store-blackhole",
                "Store black-holed",
                "pass (4 of 5 measured)",
                Some("timeout on store"),
            ),
        ],
        environment: vec![
            ("machine".to_owned(), "2 cores, 24 GiB".to_owned()),
            (
                "fault proxy".to_owned(),
                "Toxiproxy stand-in 2.12.0".to_owned(),
            ),
            ("traces".to_owned(), "Jaeger stand-in 2.13.0".to_owned()),
        ],
    }
}

fn experiment(name: &str, title: &str, verdict: &str, fault: Option<&str>) -> Experiment {
    Experiment {
        name: name.to_owned(),
        title: title.to_owned(),
        promise: "Metadata and list stay in the baseline band; content and render give no errors and are slower by the \
                  latency of each call to the store on their path."
            .to_owned(),
        verdict: verdict.to_owned(),
        inconclusive: false,
        as_expected: true,
        expected_verdict: "pass".to_owned(),
        reasons: vec!["every measured expectation held".to_owned(), "recovered 2.0 s after the lift".to_owned()],
        events: vec![(17.0, "injected latency on store, read back".to_owned()), (29.2, "rolled back".to_owned())],
        timeline: timeline(fault),
        routes: ["list", "metadata", "content", "render", "upload"].map(|route| row(route, fault.is_some())).to_vec(),
        expectations: vec![
            expectation("list and metadata stay in their baseline band", "p95 9.1 ms, bound 31.2 ms (n 240)", Outcome::Held),
            expectation("at least 80 % of the added latency lies on store spans", "97 % (n 96 and 94 traces)", Outcome::Held),
            expectation("an alert fires within 60 s", "no Prometheus", Outcome::NotMeasured),
        ],
        waterfalls: vec![waterfall("slowest sampled content before the fault", 1), waterfall("slowest sampled content during the fault", 40)],
        not_measured: vec!["alerts: no Prometheus".to_owned()],
    }
}

fn timeline(fault: Option<&str>) -> Timeline {
    let windows = (0..23)
        .map(|n| {
            let from_s = f64::from(n) * 2.0;
            let during = fault.is_some() && (17.0..29.0).contains(&from_s);
            Window {
                from_s,
                to_s: from_s + 2.0,
                requests: 200,
                errors: if during && from_s < 20.0 { 40 } else { 0 },
                p50_ms: if during {
                    405.0
                } else {
                    6.0 + f64::from(n % 3)
                },
                p95_ms: Some(if during {
                    520.0
                } else {
                    14.0 + f64::from(n % 5)
                }),
            }
        })
        .collect();
    Timeline {
        windows,
        phases: [
            ("warm-up", 0.0, 5.0),
            ("baseline", 5.0, 17.0),
            ("fault", 17.0, 29.0),
            ("recovery", 29.0, 46.0),
        ]
        .map(|(name, from, to)| (name.to_owned(), from, to))
        .to_vec(),
        fault: fault.map(|label| (17.0, 29.2, label.to_owned())),
        band_p95_ms: Some(41.0),
    }
}

fn row(route: &str, fault: bool) -> RouteRow {
    let moved = fault && (route == "content" || route == "render");
    RouteRow {
        route: route.to_owned(),
        baseline: RouteFigures {
            requests: 240,
            errors: 0,
            p50_ms: Some(5.9),
            p95_ms: Some(15.2),
        },
        fault: RouteFigures {
            requests: 240,
            errors: 0,
            p50_ms: Some(if moved { 407.0 } else { 6.1 }),
            p95_ms: (route != "upload").then_some(if moved { 466.0 } else { 15.9 }),
        },
        in_band: (route != "upload").then_some(!moved),
        expected_to_change: moved,
    }
}

fn expectation(expected: &str, seen: &str, outcome: Outcome) -> Expectation {
    Expectation {
        expected: expected.to_owned(),
        seen: seen.to_owned(),
        how: Source::Requests.words().to_owned(),
        class: Class::Promise,
        source: Source::Requests,
        required: false,
        outcome,
    }
}

fn waterfall(title: &str, factor: u64) -> Waterfall {
    let span = |name: &str, dependency: Option<&str>, depth, start_us, duration_us| SpanBar {
        name: name.to_owned(),
        dependency: dependency.map(str::to_owned),
        depth,
        start_us,
        duration_us,
        error: None,
    };
    Waterfall {
        title: title.to_owned(),
        trace_id: "4bf92f3577b34da6a3ce929d0e0e4736".to_owned(),
        link: None,
        spans: vec![
            span(
                "GET /v1/images/{id}/content",
                None,
                0,
                0,
                2_000 + 10_000 * factor,
            ),
            span("SELECT images", Some("catalog"), 1, 150, 700),
            span("GetObject", Some("store"), 1, 1_000, 900 + 10_000 * factor),
        ],
    }
}
