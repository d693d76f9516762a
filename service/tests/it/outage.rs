//! The store away in each of its ways: what the service answers, how soon, and how it comes back.

use std::time::{Duration, Instant};

use futures::stream::{FuturesUnordered, StreamExt};
use tokio::net::TcpListener;

use crate::support::service::{Answer, Service, send};
use crate::support::store::{Behaviour, FakeStore};
use crate::support::{PATIENCE, pictures, until};

const STATE: &str = "chitram_circuit_state";
const TRANSITIONS: &str = "chitram_circuit_transitions_total";
const CALLS: &str = "http_client_request_duration_seconds_count";
const SHED: &str = "chitram_shed_total";

/// Whether the circuit of reads is in this state.
async fn is(service: &Service, state: &str) -> bool {
    circuit_is(service, "read", state).await
}

async fn circuit_is(service: &Service, direction: &str, state: &str) -> bool {
    let labels = [
        ("dependency", "store"),
        ("direction", direction),
        ("state", state),
    ];
    service.count(STATE, &labels).await == 1
}

async fn with_picture(store: &FakeStore, settings: &[(&str, &str)]) -> (Service, Vec<u8>, String) {
    let service = store.service(settings).await;
    let picture = pictures::jpeg(1, 400);
    let id = service.uploaded(picture.clone()).await["id"]
        .as_str()
        .expect("an id")
        .to_owned();
    (service, picture, format!("/v1/images/{id}/content"))
}

#[track_caller]
fn assert_store_unavailable(answer: &Answer) {
    answer.assert_problem(503, "store-unavailable");
    let seconds: u64 = answer.header("retry-after").parse().expect("seconds");
    assert!((1..=5).contains(&seconds), "{seconds}");
    assert!(
        !answer.text().contains("127.0.0.1"),
        "a cause was sent: {}",
        answer.text()
    );
}

/// Asks until the circuit is in this state.
async fn ask_until(service: &Service, path: &str, state: &str) {
    until(state, async || {
        let asked: FuturesUnordered<_> = (0..4).map(|_| send(service.get(path))).collect();
        asked.collect::<Vec<_>>().await;
        is(service, state).await
    })
    .await;
}

#[tokio::test]
async fn a_refused_store_costs_content_and_uploads_a_503_and_the_rest_nothing() {
    let closed = TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port")
        .local_addr()
        .expect("bound");
    let endpoint = format!("http://{closed}");
    let service = Service::start(&[
        ("CHITRAM_STORE_URL", "s3://test"),
        ("CHITRAM_STORE_ENDPOINT", &endpoint),
        ("CHITRAM_STORE_ACCESS_KEY", "key"),
        ("CHITRAM_STORE_SECRET_KEY", "secret"),
    ])
    .await;

    let picture = pictures::png(1, 40, 40, false);
    for _ in 0..12 {
        assert_store_unavailable(&service.upload(picture.clone()).await);
    }
    assert_eq!(
        send(service.get("/v1/images")).await.json()["images"],
        serde_json::json!([])
    );
    let ready = service.admin("/ready").await;
    assert_eq!(ready.status, 200, "degraded, not down: {}", ready.text());

    assert!(circuit_is(&service, "write", "open").await);
    let refused = service
        .count(
            CALLS,
            &[("http_request_method", "PUT"), ("error_type", "connect")],
        )
        .await;
    assert!(refused >= 5, "{refused}");
    assert!(service.count(SHED, &[("reason", "circuit_open")]).await >= 1);
    assert!(
        service
            .count("chitram_retries_total", &[("dependency", "store")])
            .await
            >= 1
    );
    service.stop().await;
}

#[tokio::test]
async fn a_black_hole_opens_the_circuit_and_is_forgotten_after_it_ends() {
    let store = FakeStore::start().await;
    let (service, picture, path) = with_picture(&store, &[]).await;
    // Connections of the pool that will be dead afterwards.
    let warm: FuturesUnordered<_> = (0..16).map(|_| send(service.get(&path))).collect();
    assert!(warm.all(async |answer| answer.status == 200).await);

    store.behave(Behaviour::Silent);
    for (_, answer) in load(&service, &path, Duration::from_secs(2)).await {
        assert_store_unavailable(&answer);
    }
    assert!(
        service.count(TRANSITIONS, &[("state", "open")]).await >= 1,
        "still not open 2 s after the onset"
    );

    // From now on only probes, one at a time and half a second apart, wait for the store's deadline: every other request
    // is refused without asking it.
    let timeouts = [("http_request_method", "GET"), ("error_type", "timeout")];
    let refusals = [("reason", "circuit_open")];
    let overdue = service.count(CALLS, &timeouts).await;
    let refused = service.count(SHED, &refusals).await;
    let began = Instant::now();
    let answers = load(&service, &path, Duration::from_secs(2)).await;
    let most = 1 + began.elapsed().as_millis() as u64 / 500;
    for (_, answer) in &answers {
        assert_store_unavailable(answer);
    }
    let probes = service.count(CALLS, &timeouts).await - overdue;
    assert!(probes <= most, "an open circuit let {probes} calls through");
    let refused = service.count(SHED, &refusals).await - refused;
    assert_eq!(refused, answers.len() as u64 - probes);
    assert_eq!(send(service.get("/v1/images")).await.status, 200);
    assert_store_unavailable(&service.upload(pictures::png(2, 30, 30, false)).await);
    assert!(service.count(CALLS, &timeouts).await >= 5);

    store.behave(Behaviour::Healthy);
    let lifted = Instant::now();
    until("content again", async || {
        let answer = send(service.get(&path)).await;
        answer.status == 200 && answer.body == picture
    })
    .await;
    assert!(
        lifted.elapsed() < Duration::from_secs(10),
        "{:?}",
        lifted.elapsed()
    );
    until("closed", async || is(&service, "closed").await).await;
    let list = send(service.get("/v1/images")).await.json();
    assert_eq!(
        list["images"].as_array().map(Vec::len),
        Some(1),
        "no row without an object"
    );
    service.stop().await;
}

/// 60 requests a second for `time`; each answer with when its request was due.
async fn load(service: &Service, path: &str, time: Duration) -> Vec<(Duration, Answer)> {
    let began = tokio::time::Instant::now();
    let requests = time.as_millis() as u32 * 60 / 1000;
    let asked: FuturesUnordered<_> = (0..requests)
        .map(|number| async move {
            let due = Duration::from_secs(1) * number / 60;
            tokio::time::sleep_until(began + due).await;
            (due, send(service.get(path)).await)
        })
        .collect();
    asked.collect().await
}

#[tokio::test]
async fn a_store_that_is_slow_within_the_deadline_answers_and_keeps_its_circuit_closed() {
    let store = FakeStore::start().await;
    let (service, picture, path) = with_picture(&store, &[]).await;
    store.behave(Behaviour::Slow(Duration::from_millis(400)));
    for (_, answer) in load(&service, &path, Duration::from_secs(2)).await {
        assert_eq!((answer.status.as_u16(), &answer.body), (200, &picture));
        assert!(answer.took >= Duration::from_millis(400));
    }
    assert!(is(&service, "closed").await);
    assert_eq!(service.count(TRANSITIONS, &[("state", "open")]).await, 0);
    service.stop().await;
}

#[tokio::test]
async fn calls_that_are_slower_than_the_breaker_allows_open_it_though_they_succeed() {
    let store = FakeStore::start().await;
    let (service, _, path) = with_picture(&store, &[("CHITRAM_STORE_DEADLINE", "10s")]).await;
    store.behave(Behaviour::Slow(Duration::from_millis(900)));
    ask_until(&service, &path, "open").await;
    store.behave(Behaviour::Healthy);
    ask_until(&service, &path, "closed").await;
    service.stop().await;
}

#[tokio::test]
async fn a_failing_store_is_asked_once_more_within_the_budget_and_then_left_alone() {
    let store = FakeStore::start().await;
    // However busy the machine is, no call is given up.
    let patient = [
        ("CHITRAM_STORE_BREAKER", "off"),
        ("CHITRAM_STORE_DEADLINE", "20s"),
    ];
    let (service, _, path) = with_picture(&store, &patient).await;
    store.behave(Behaviour::Failing);
    let before = store.calls();
    for _ in 0..100 {
        assert_store_unavailable(&send(service.get(&path)).await);
    }
    // A purse of 10, and a tenth of the calls.
    let calls = store.calls() - before;
    assert!((105..=121).contains(&calls), "{calls}");
    let retries = service
        .count("chitram_retries_total", &[("dependency", "store")])
        .await;
    assert_eq!(retries, calls - 100);
    assert_eq!(
        service.count(CALLS, &[("error_type", "server")]).await,
        calls
    );
    service.stop().await;
}

#[tokio::test]
async fn without_breaker_and_deadline_the_store_is_waited_for() {
    let store = FakeStore::start().await;
    let off = [
        ("CHITRAM_STORE_BREAKER", "off"),
        ("CHITRAM_STORE_DEADLINE", "off"),
        ("CHITRAM_REQUEST_DEADLINE", "2s"),
    ];
    let (service, _, path) = with_picture(&store, &off).await;
    store.behave(Behaviour::Silent);
    let asked: FuturesUnordered<_> = (0..30).map(|_| send(service.get(&path))).collect();
    for answer in asked.collect::<Vec<_>>().await {
        answer.assert_problem(504, "deadline-exceeded");
        assert!(answer.took >= Duration::from_secs(2));
    }
    assert!(is(&service, "closed").await);
    service.stop().await;
}

#[tokio::test]
async fn a_body_that_stalls_is_cut_off_and_never_passes_for_whole() {
    let store = FakeStore::start().await;
    let (service, picture, path) =
        with_picture(&store, &[("CHITRAM_STORE_IDLE_TIMEOUT", "200ms")]).await;
    store.behave(Behaviour::Stalling);
    let response = service.get(&path).send().await.expect("a head");
    assert_eq!(response.content_length(), Some(picture.len() as u64));
    let body = tokio::time::timeout(PATIENCE, response.bytes())
        .await
        .expect("an end");
    assert!(body.is_err(), "half a picture passed for a whole one");
    send(service.get(&path.replace("/content", "/render?preset=thumb")))
        .await
        .assert_problem(503, "store-unavailable");
    service.stop().await;
}

#[tokio::test]
async fn more_calls_than_the_bulkhead_holds_are_refused_at_once() {
    let store = FakeStore::start().await;
    let (service, _, path) = with_picture(&store, &[("CHITRAM_STORE_CONCURRENCY", "3")]).await;
    store.behave(Behaviour::Slow(Duration::from_millis(500)));
    let asked: FuturesUnordered<_> = (0..12).map(|_| send(service.get(&path))).collect();
    let (good, bad): (Vec<_>, Vec<_>) = asked
        .collect::<Vec<_>>()
        .await
        .into_iter()
        .partition(|answer| answer.status == 200);
    assert!(good.len() >= 3 && !bad.is_empty(), "{} good", good.len());
    bad.iter().for_each(assert_store_unavailable);
    assert_eq!(
        service.count(SHED, &[("reason", "bulkhead")]).await,
        bad.len() as u64
    );
    assert_eq!(
        service
            .count(
                "chitram_bulkhead_limit",
                &[("dependency", "store"), ("direction", "read")]
            )
            .await,
        3
    );
    service.stop().await;
}

#[tokio::test]
async fn requests_over_the_bound_are_shed_with_a_503() {
    let store = FakeStore::start().await;
    let (service, _, path) = with_picture(&store, &[("CHITRAM_REQUEST_CONCURRENCY", "2")]).await;
    store.behave(Behaviour::Slow(Duration::from_millis(500)));
    let asked: FuturesUnordered<_> = (0..8).map(|_| send(service.get(&path))).collect();
    let shed: Vec<_> = asked
        .filter(|answer| std::future::ready(answer.status != 200))
        .collect()
        .await;
    assert!(!shed.is_empty());
    for answer in &shed {
        answer.assert_problem(503, "overloaded");
        assert_eq!(answer.header("retry-after"), "1");
    }
    assert_eq!(
        service.count(SHED, &[("reason", "in_flight")]).await,
        shed.len() as u64
    );
    service.stop().await;
}

#[tokio::test]
async fn readiness_names_the_dependency_that_is_away() {
    let store = FakeStore::start().await;
    let (service, ..) = with_picture(&store, &[]).await;
    assert_eq!(service.admin("/ready").await.status, 200);
    assert!(
        !service
            .admin("/ready")
            .await
            .text()
            .contains("\"degraded\"")
    );
    store.behave(Behaviour::Failing);
    until("degraded", async || {
        service
            .admin("/ready")
            .await
            .text()
            .contains("\"degraded\"")
    })
    .await;
    let answer = service.admin("/ready").await;
    assert_eq!(answer.status, 200);
    assert!(answer.text().contains("store"), "{}", answer.text());
    service.stop().await;
}
