//! Whom the process believes about traces and runs, and what it passes on.

use std::net::SocketAddr;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{HeaderMap, Request};
use axum::routing::get;
use observability::testing::{Capture, SpanRecord, capture};
use observability::{client, http, propagation};
use tower::ServiceExt as _;
use tracing::{Instrument as _, info, info_span};

use crate::support::{TRACE, TRACEPARENT, registry};

const LOOPBACK: Option<&str> = Some("127.0.0.1:40000");

fn app() -> Router {
    let handler = async || {
        info!("inside");
        let call = client::Call::new("GetObject", "store").server_address("127.0.0.1:9000");
        let sent = client::span(call, async { Ok::<_, ()>(outgoing()) }, |()| "never")
            .await
            .unwrap();
        let text = |name: &str| {
            sent.get(name)
                .map_or("-", |value| value.to_str().unwrap())
                .to_owned()
        };
        format!("{} {}", text("traceparent"), text("baggage"))
    };
    Router::new().route("/", get(handler)).layer(http::layer(
        &registry(),
        &[crate::support::get("/", &[200])],
    ))
}

fn outgoing() -> HeaderMap {
    let mut headers = HeaderMap::new();
    http::inject(&mut headers);
    headers
}

/// One request as from `peer`; what the handler sent on.
async fn ask(peer: Option<&str>, headers: &[(&str, &str)]) -> String {
    let mut request = Request::get("/").body(Body::empty()).unwrap();
    for (name, value) in headers {
        request.headers_mut().append(
            name.parse::<axum::http::HeaderName>().unwrap(),
            value.parse().unwrap(),
        );
    }
    if let Some(peer) = peer {
        request
            .extensions_mut()
            .insert(ConnectInfo(peer.parse::<SocketAddr>().unwrap()));
    }
    let answer = app().oneshot(request).await.unwrap();
    let body = axum::body::to_bytes(answer.into_body(), 1024)
        .await
        .unwrap();
    String::from_utf8(body.to_vec()).unwrap()
}

fn server_span(telemetry: &Capture) -> SpanRecord {
    telemetry.span("GET /").unwrap()
}

#[tokio::test]
async fn a_traceparent_from_loopback_is_continued_and_passed_on() {
    for peer in ["127.0.0.1:40000", "[::1]:40000", "[::ffff:127.0.0.1]:40000"] {
        let telemetry = capture();
        let sent = ask(Some(peer), &[("traceparent", TRACEPARENT)]).await;
        let server = server_span(&telemetry);
        assert_eq!(server.trace_id, TRACE, "{peer}");
        assert_eq!(server.parent_span_id.as_deref(), Some("00f067aa0ba902b7"));
        let call = telemetry.span("GetObject").unwrap();
        assert_eq!(call.parent_span_id, Some(server.span_id));
        assert_eq!(sent, format!("00-{TRACE}-{}-01 -", call.span_id));
    }
}

#[tokio::test]
async fn a_traceparent_from_elsewhere_is_only_linked_to() {
    for peer in [Some("192.0.2.7:40000"), None] {
        let telemetry = capture();
        let sent = ask(
            peer,
            &[("traceparent", TRACEPARENT), ("baggage", "run.id=r1")],
        )
        .await;
        let server = server_span(&telemetry);
        assert_ne!(server.trace_id, TRACE);
        assert_eq!(server.parent_span_id, None);
        assert_eq!(server.links, [TRACE]);
        assert!(!server.attributes.contains_key("run.id"));
        assert!(sent.ends_with(" -"), "{sent}");
    }
}

#[tokio::test]
async fn a_broken_traceparent_begins_a_new_trace() {
    for broken in [
        "",
        "00-",
        "garbage",
        "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
    ] {
        let telemetry = capture();
        ask(LOOPBACK, &[("traceparent", broken)]).await;
        let server = server_span(&telemetry);
        assert_eq!(server.parent_span_id, None, "{broken:?}");
        assert_eq!(server.trace_id.len(), 32);
    }
}

#[tokio::test]
async fn a_request_that_is_not_sampled_leaves_no_span_but_has_its_trace_id_in_the_log() {
    let telemetry = capture();
    let sent = ask(
        LOOPBACK,
        &[("traceparent", &TRACEPARENT.replace("-01", "-00"))],
    )
    .await;
    assert_eq!(telemetry.spans(), []);
    assert_eq!(telemetry.line("request").unwrap()["trace.id"], TRACE);
    assert!(sent.contains(TRACE) && sent.ends_with("-00 -"), "{sent}");
}

#[tokio::test]
async fn run_and_experiment_are_on_every_span_and_line_and_travel_on() {
    let telemetry = capture();
    let baggage = (
        "baggage",
        "run.id=load-7;p=1 , other=x, experiment.id=store-latency",
    );
    let sent = ask(LOOPBACK, &[("traceparent", TRACEPARENT), baggage]).await;
    for span in telemetry.spans() {
        assert_eq!(span.attributes["run.id"], "load-7", "{}", span.name);
        assert_eq!(span.attributes["experiment.id"], "store-latency");
    }
    for line in telemetry.lines() {
        assert_eq!(line["labels.run_id"], "load-7", "{line}");
        assert_eq!(line["labels.experiment_id"], "store-latency");
    }
    assert!(
        sent.ends_with(" run.id=load-7,experiment.id=store-latency"),
        "{sent}"
    );
}

#[tokio::test]
async fn a_run_id_beyond_its_alphabet_is_dropped() {
    let long = format!("run.id={}", "a".repeat(65));
    for baggage in [
        &*long,
        "run.id=",
        "run.id=Upper",
        "run.id=a b",
        "run.id=a%0Ab",
        "run.id=\"x\"",
        "run.id",
        "=",
        "",
    ] {
        let telemetry = capture();
        ask(LOOPBACK, &[("baggage", baggage)]).await;
        assert!(
            !server_span(&telemetry).attributes.contains_key("run.id"),
            "{baggage:?}"
        );
        assert!(
            telemetry
                .line("request")
                .unwrap()
                .get("labels.run_id")
                .is_none()
        );
    }
}

#[tokio::test]
async fn a_client_span_names_its_peer_and_its_failure() {
    let telemetry = capture();
    let call = client::Call::new("SELECT images", "catalog").attribute("db.system.name", "sqlite");
    let mut recorded = None;
    let failed = client::timed(
        call,
        async { Err::<(), _>("no") },
        |_| "circuit_open",
        |_, error| recorded = error,
    )
    .await;
    assert_eq!(failed, Err("no"));
    assert_eq!(recorded, Some("circuit_open"));
    let span = telemetry.span("SELECT images").unwrap();
    assert_eq!(span.kind, "client");
    assert!(span.error);
    assert_eq!(span.attributes["peer.service"], "catalog");
    assert_eq!(span.attributes["db.system.name"], "sqlite");
    assert_eq!(span.attributes["error.type"], "circuit_open");
}

#[tokio::test]
async fn a_call_whose_caller_went_away_is_recorded_as_cancelled() {
    let telemetry = capture();
    let mut recorded = None;
    let call = client::timed(
        client::Call::new("PutObject", "store"),
        std::future::pending::<Result<(), ()>>(),
        |()| "never",
        |_, error| recorded = error,
    );
    let expired = tokio::time::timeout(std::time::Duration::from_millis(5), call).await;
    assert!(expired.is_err());
    assert_eq!(recorded, Some("cancelled"));
    assert_eq!(
        telemetry.span("PutObject").unwrap().attributes["error.type"],
        "cancelled"
    );
}

#[tokio::test]
async fn a_stored_traceparent_is_continued_or_linked_to() {
    let telemetry = capture();
    assert_eq!(propagation::current_traceparent(), None);
    let stored = async { propagation::current_traceparent().unwrap() }
        .instrument(info_span!("send"))
        .await;
    let sender = telemetry.span("send").unwrap();

    let first = propagation::continue_from(
        &stored,
        || info_span!(parent: None, "first", otel.kind = "consumer"),
    );
    first.in_scope(|| {
        assert_eq!(
            propagation::current_trace_id().as_ref(),
            Some(&sender.trace_id)
        );
    });
    drop(first);
    drop(propagation::link_to(
        &stored,
        || info_span!(parent: None, "retry", otel.kind = "consumer"),
    ));
    drop(propagation::continue_from(
        "not a traceparent",
        || info_span!(parent: None, "none"),
    ));

    let first = telemetry.span("first").unwrap();
    assert_eq!(
        (&first.trace_id, &first.parent_span_id),
        (&sender.trace_id, &Some(sender.span_id))
    );
    assert_eq!(first.kind, "consumer");
    let retry = telemetry.span("retry").unwrap();
    assert_ne!(retry.trace_id, sender.trace_id);
    assert_eq!(retry.links, std::slice::from_ref(&sender.trace_id));
    let none = telemetry.span("none").unwrap();
    assert_ne!(none.trace_id, sender.trace_id);
    assert_eq!((none.parent_span_id, none.links), (None, vec![]));
}
