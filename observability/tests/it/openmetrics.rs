//! OpenMetrics text: exemplars, units and when a series came to be, for readers who ask for it.

use std::time::{Duration, SystemTime};

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, header};
use axum::routing::get;
use observability::guard::Hosts;
use observability::metrics::{Desc, SECONDS};
use observability::testing::{Scrape, capture};
use observability::{Registry, admin, client, http};
use tower::ServiceExt as _;

use crate::support::{self, TRACE, registry};

const DURATION: &str = "http_server_request_duration_seconds";
const CALL: Desc = Desc::histogram("test_call_seconds", "A call.", &[], SECONDS);

/// The page as a reader gets it who accepts this.
async fn page(registry: &Registry, accept: Option<&str>) -> (HeaderMap, String) {
    let app = admin::router(registry.clone(), Hosts::default(), std::future::pending);
    let mut request = Request::get("/metrics").header("host", "localhost");
    if let Some(accept) = accept {
        request = request.header(header::ACCEPT, accept);
    }
    let answer = app
        .oneshot(request.body(Body::empty()).unwrap())
        .await
        .unwrap();
    let (head, body) = answer.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    (head.headers, String::from_utf8(body.to_vec()).unwrap())
}

async fn openmetrics(registry: &Registry) -> String {
    let (headers, text) = page(
        registry,
        Some("application/openmetrics-text; version=1.0.0"),
    )
    .await;
    assert_eq!(
        headers[header::CONTENT_TYPE],
        "application/openmetrics-text; version=1.0.0; charset=utf-8"
    );
    text
}

/// An app whose requests make a call each; a request is in the trace [`TRACE`] when `flags` say so, sampled or not.
async fn ask(registry: &Registry, flags: &str) {
    let call = registry.histogram(&CALL, &[]);
    let handler = move || {
        let call = call.clone();
        async move {
            let item = async { Ok::<_, ()>("item") };
            let record = |elapsed, _| call.record(elapsed);
            client::timed(
                client::Call::new("GetObject", "store"),
                item,
                |()| "never",
                record,
            )
            .await
            .unwrap()
        }
    };
    let app = Router::new()
        .route("/item", get(handler))
        .layer(http::layer(registry, &[support::get("/item", &[200, 503])]));
    let loopback: std::net::SocketAddr = "127.0.0.1:1".parse().unwrap();
    let request = Request::get("/item")
        .header(
            "traceparent",
            format!("00-{TRACE}-00f067aa0ba902b7-{flags}"),
        )
        .extension(axum::extract::ConnectInfo(loopback))
        .body(Body::empty())
        .unwrap();
    let answer = app.oneshot(request).await.unwrap();
    axum::body::to_bytes(answer.into_body(), 64).await.unwrap();
}

#[tokio::test]
async fn the_latency_of_a_sampled_request_and_of_its_calls_names_its_trace() {
    let _telemetry = capture();
    let registry = registry();
    ask(&registry, "01").await;
    let text = openmetrics(&registry).await;
    for name in [DURATION, "test_call_seconds"] {
        let exemplars: Vec<&str> = text
            .lines()
            .filter(|line| line.starts_with(&format!("{name}_bucket")))
            .filter_map(|line| Some(line.split_once(" # ")?.1))
            .collect();
        let [exemplar] = exemplars[..] else {
            panic!("one bucket has an exemplar: {exemplars:?}");
        };
        let rest = exemplar
            .strip_prefix(&format!("{{trace_id=\"{TRACE}\"}} "))
            .unwrap();
        let (value, at) = rest.split_once(' ').unwrap();
        let (value, at): (f64, f64) = (value.parse().unwrap(), at.parse().unwrap());
        assert!(value > 0.0 && value < 30.0, "{exemplar}");
        let now = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs_f64();
        assert!((now - at).abs() < 120.0, "{exemplar} at {now}");
    }
}

#[tokio::test]
async fn a_request_that_is_not_sampled_is_no_example() {
    let _telemetry = capture();
    let registry = registry();
    ask(&registry, "00").await;
    let text = openmetrics(&registry).await;
    let scrape = Scrape::parse(&text);
    assert_eq!(scrape.value("test_call_seconds_count", &[]), Some(1.0));
    assert!(!text.contains("trace_id"), "{text}");
}

#[tokio::test]
async fn classic_text_never_has_an_exemplar() {
    let _telemetry = capture();
    let registry = registry();
    ask(&registry, "01").await;
    for accept in [None, Some("*/*"), Some("text/plain")] {
        let (headers, text) = page(&registry, accept).await;
        assert_eq!(
            headers[header::CONTENT_TYPE],
            "text/plain; version=0.0.4; charset=utf-8"
        );
        for strange in ["trace_id", "# EOF", "# UNIT", "_created"] {
            assert!(!text.contains(strange), "{strange} in classic text");
        }
    }
}

#[tokio::test]
async fn both_formats_have_the_same_samples() {
    let registry = registry();
    ask(&registry, "01").await;
    let (_, classic) = page(&registry, None).await;
    let open = openmetrics(&registry).await;
    // Nothing of the process changes its name or labels between the two.
    let samples = |text: &str| -> Vec<_> {
        let scrape = Scrape::parse(text);
        scrape
            .all()
            .iter()
            .filter(|series| !series.name.ends_with("_created"))
            .map(|series| (series.name.clone(), series.labels.clone()))
            .collect()
    };
    assert_eq!(samples(&classic), samples(&open));
    assert!(open.ends_with("\n# EOF\n"));
    assert!(open.contains("\n# TYPE process_cpu_seconds counter\n# UNIT process_cpu_seconds seconds\nprocess_cpu_seconds_total "));
    assert!(open.contains("\n# TYPE chitram_build_info gauge\n"));
    assert!(!open.contains("\n\n"), "an empty line");
}

#[tokio::test]
async fn a_series_says_when_it_came_to_be_before_its_first_observation() {
    let registry = registry();
    let call = registry.histogram(&CALL, &[]);
    let before = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs_f64() - 0.001;
    assert!(!openmetrics(&registry).await.contains("test_call_seconds"));
    call.record(Duration::from_millis(3));
    let text = openmetrics(&registry).await;
    let created = Scrape::parse(&text).value("test_call_seconds_created", &[]);
    assert!(
        created.is_some_and(|created| created >= before && created < before + 60.0),
        "{created:?}, not before {before}"
    );
    // Directly after the series that it is about, as Prometheus looks for it.
    let place = text.find("test_call_seconds_count 1\ntest_call_seconds_created ");
    assert!(place.is_some(), "{text}");
}

/// A histogram has it in any case, or Prometheus reads on to the family's end for each of its lines.
#[tokio::test]
async fn every_histogram_and_every_counter_above_0_has_its_own_time() {
    let registry = registry();
    ask(&registry, "01").await;
    let text = openmetrics(&registry).await;
    let scrape = Scrape::parse(&text);
    for (suffix, created) in [("_total", "_created"), ("_count", "_created")] {
        for series in scrape.all() {
            let Some(family) = series.name.strip_suffix(suffix) else {
                continue;
            };
            let of_process = family.starts_with("process_") || family.starts_with("tokio_");
            if of_process || (suffix == "_total" && series.value == 0.0) {
                continue;
            }
            let times = scrape.series(&format!("{family}{created}"));
            assert!(
                times.iter().any(|time| time.labels == series.labels),
                "{}",
                series.name
            );
        }
    }
}
