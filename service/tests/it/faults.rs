//! The faults of the experiments, injected as the experiments do: by a fault proxy between the service and an S3 server.

use std::time::Duration;

use observability::testing::{SpanRecord, capture};
use serde_json::json;

use crate::support::faults::FaultyStore;
use crate::support::service::{Answer, Service, send};
use crate::support::{pictures, until};

async fn uploaded(service: &Service, picture: Vec<u8>) -> String {
    let image = service.uploaded(picture).await;
    format!(
        "/v1/images/{}/content",
        image["id"].as_str().expect("an id")
    )
}

#[track_caller]
fn assert_store_unavailable(answer: &Answer) {
    answer.assert_problem(503, "store-unavailable");
    let seconds: u64 = answer.header("retry-after").parse().expect("seconds");
    assert!((1..=5).contains(&seconds), "{seconds}");
}

/// Asks until the store is there again and the picture is whole.
async fn until_served(service: &Service, path: &str, picture: &[u8]) {
    until("content again", async || {
        let answer = send(service.get(path)).await;
        answer.status == 200 && answer.body == picture
    })
    .await;
}

#[tokio::test]
async fn a_slow_store_makes_content_slower_and_its_span_says_why() {
    let telemetry = capture();
    let store = FaultyStore::start().await;
    // However busy the machine is, the call is only slow.
    let patient = [
        ("CHITRAM_STORE_DEADLINE", "20s"),
        ("CHITRAM_STORE_BREAKER", "off"),
    ];
    let service = store.service(&patient).await;
    let picture = pictures::jpeg(1, 400);
    let path = uploaded(&service, picture.clone()).await;
    assert_eq!(send(service.get(&path)).await.body, picture);

    let delay = Duration::from_millis(400);
    store.inject("latency", json!({ "latency": 400 })).await;
    telemetry.clear();
    let answer = send(service.get(&path)).await;
    assert_eq!((answer.status.as_u16(), &answer.body), (200, &picture));
    assert!(answer.took >= delay, "{:?}", answer.took);
    let mut get: Option<SpanRecord> = None;
    until("the call's span", async || {
        get = telemetry.span("GetObject");
        get.is_some()
    })
    .await;
    let get = get.expect("just seen");
    assert!(get.duration >= delay, "{get:?}");
    assert_eq!(get.trace_id, answer.header("x-trace-id"));
    assert_eq!((get.kind.as_str(), get.error), ("client", false));
    assert_eq!(get.attributes["peer.service"], "store");
    assert_eq!(get.attributes["server.address"], store.address.to_string());
    // What does not need the store does not feel it.
    assert_eq!(send(service.get("/v1/images")).await.status, 200);
    assert_eq!(
        telemetry
            .spans()
            .iter()
            .filter(|span| span.name == "GetObject")
            .count(),
        1
    );

    store.lift().await;
    until_served(&service, &path, &picture).await;
    service.stop().await;
}

#[tokio::test]
async fn a_black_hole_is_a_503_that_says_when_to_retry_and_ends_with_the_fault() {
    let store = FaultyStore::start().await;
    let service = store.service(&[]).await;
    let picture = pictures::jpeg(2, 400);
    let path = uploaded(&service, picture.clone()).await;

    store.inject("timeout", json!({ "timeout": 0 })).await;
    for _ in 0..3 {
        assert_store_unavailable(&send(service.get(&path)).await);
        let lost = service.upload(pictures::png(3, 40, 40, false)).await;
        assert_store_unavailable(&lost);
    }
    let render = path.replace("/content", "/render?preset=thumb");
    assert_store_unavailable(&send(service.get(&render)).await);
    assert_eq!(send(service.get("/v1/images")).await.status, 200);

    store.lift().await;
    until_served(&service, &path, &picture).await;
    assert_eq!(send(service.get(&render)).await.status, 200);
    let again = service.upload(pictures::png(3, 40, 40, false)).await;
    assert_eq!(again.status, 201, "{}", again.text());
    let list = send(service.get("/v1/images")).await.json();
    let images = list["images"].as_array().map(Vec::len);
    assert_eq!(images, Some(2), "a failed upload left a row: {list}");
    service.stop().await;
}

#[tokio::test]
async fn a_store_that_is_down_or_resets_is_a_503_and_no_connection_of_then_is_used_later() {
    let store = FaultyStore::start().await;
    let service = store.service(&[]).await;
    let picture = pictures::png(4, 60, 60, false);
    let path = uploaded(&service, picture.clone()).await;

    store.set_enabled(false).await;
    assert_store_unavailable(&send(service.get(&path)).await);
    store.set_enabled(true).await;
    until_served(&service, &path, &picture).await;

    store.inject("reset_peer", json!({ "timeout": 0 })).await;
    assert_store_unavailable(&send(service.get(&path)).await);
    store.lift().await;
    until_served(&service, &path, &picture).await;
    for _ in 0..20 {
        assert_eq!(send(service.get(&path)).await.body, picture);
    }
    service.stop().await;
}
