//! What Elasticsearch refuses: a document for good, a document for the moment, a whole request.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use stack::net;
use stack::server::rsyslog::refused::{Counts, Redelivered, follow};
use stack::server::rsyslog::statistics;
use stack::wait;
use tokio_util::sync::CancellationToken;

use super::rig::{DEADLINE, Producer, Shipper, eventually, of, shared_elasticsearch, sources};

#[tokio::test]
async fn a_line_with_a_wrong_type_is_kept_as_text_with_the_reason_and_counted() {
    let Some(server) = shared_elasticsearch().await else {
        return;
    };
    let shipper = Shipper::start(&server.url).await;
    let mut producer = Producer::new(&shipper.log());
    producer.lines(200);
    let mut wrong = Vec::new();
    for (field, value) in [
        ("event.duration", json!("fast")),
        ("http.response.status_code", json!({"code": 200})),
        ("@timestamp", json!("yesterday")),
        ("trace.id", json!({"id": 1})),
    ] {
        let mut line = producer.next();
        line[field] = value;
        producer.write(line.to_string().as_bytes());
        wrong.push(field);
    }
    producer.lines(200);

    eventually(&server.url, &of(&producer), 400).await;
    // The text can be searched, so a rejected line is found by what it held.
    let rejected = json!({"bool": {"filter": [
        {"term": {"event.dataset": "rejected"}},
        {"match_phrase": {"message": producer.node}},
    ]}});
    eventually(&server.url, &rejected, wrong.len() as u64).await;
    for kept in sources(&server.url, &rejected).await {
        assert_eq!(kept["event.kind"], "pipeline_error");
        let reason = kept["error.message"].as_str().unwrap();
        assert!(wrong.iter().any(|field| reason.contains(field)), "{reason}");
        let line: Value = serde_json::from_str(kept["message"].as_str().unwrap()).unwrap();
        assert_eq!(line["service.node.name"], producer.node.as_str());
    }

    let counted = shipper.settled().await;
    assert_eq!((counted.confirmed, counted.rejected), (404, 4));
    let text = statistics::render(
        &shipper.shipment().files().statistics,
        Redelivered::default(),
    );
    assert!(text.contains("{outcome=\"rejected\"} 4\n"), "{text}");
}

/// Stands before Elasticsearch and refuses the first requests that bring lines, in one of its ways.
#[derive(Clone)]
struct Front {
    elasticsearch: String,
    refusals: Arc<AtomicUsize>,
    refuse: fn(&str) -> Response,
}

async fn front(elasticsearch: &str, refusals: usize, refuse: fn(&str) -> Response) -> String {
    let listener = net::listen(0, "").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let front = Front {
        elasticsearch: elasticsearch.to_owned(),
        refusals: Arc::new(AtomicUsize::new(refusals)),
        refuse,
    };
    let app = Router::new().fallback(pass).with_state(front);
    tokio::spawn(async move { axum::serve(listener, app).await });
    url
}

async fn pass(State(front): State<Front>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 64 * 1024 * 1024).await.unwrap();
    let brings_lines = head.uri.path() == "/_bulk";
    let left = |left: usize| left.checked_sub(1);
    if brings_lines
        && front
            .refusals
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, left)
            .is_ok()
    {
        return (front.refuse)(std::str::from_utf8(&body).unwrap());
    }
    let url = format!("{}{}", front.elasticsearch, head.uri);
    let request = net::http().unwrap().request(head.method, url);
    let sent = request
        .header("content-type", "application/json")
        .body(body)
        .timeout(DEADLINE)
        .send()
        .await;
    let answer = sent.unwrap();
    let status = answer.status();
    (status, answer.bytes().await.unwrap()).into_response()
}

/// The server is overloaded: each line is refused for itself.
fn each_item(bulk: &str) -> Response {
    let actions = bulk.lines().step_by(2);
    let items: Vec<Value> = actions
        .map(|action| {
            let mut item: Value = serde_json::from_str(action).unwrap();
            item["create"]["status"] = 429.into();
            item["create"]["error"] =
                json!({"type": "es_rejected_execution_exception", "reason": "busy"});
            item
        })
        .collect();
    axum::Json(json!({"took": 1, "errors": true, "items": items})).into_response()
}

/// No line was looked at.
fn whole_request(_: &str) -> Response {
    let error = json!({"type": "cluster_block_exception", "reason": "state not recovered"});
    let body = axum::Json(json!({"error": error, "status": 503}));
    (StatusCode::SERVICE_UNAVAILABLE, body).into_response()
}

/// Something between answers in its own words.
fn not_json(_: &str) -> Response {
    (StatusCode::BAD_GATEWAY, "<html>bad gateway</html>").into_response()
}

/// Lines that are refused some times, while refused batches are sent again as the platform does it. How many refusals
/// were counted.
async fn assert_arrive_in_spite_of(refuse: fn(&str) -> Response) -> Option<u64> {
    let server = shared_elasticsearch().await?;
    let address = front(&server.url, 3, refuse).await;
    let shipper = Shipper::start(&address).await;
    let (counts, shutdown) = (Counts::default(), CancellationToken::new());
    let refused = shipper.shipment().files().refused;
    let following = follow(refused, address, counts.clone(), shutdown.clone());
    let following = tokio::spawn(following);

    let mut producer = Producer::new(&shipper.log());
    producer.lines(3_000);
    shipper.assert_each_once(&server.url, &producer).await;
    let waiting = async || (counts.get().waiting == 0).then_some(());
    assert!(wait::until(DEADLINE, waiting).await.is_some());

    let (itself, again) = (shipper.settled().await, counts.get());
    // A batch whose answer was late is there when it is sent again.
    let there = |counts: [u64; 2]| counts.iter().sum::<u64>();
    let confirmed = there([itself.confirmed, again.confirmed]);
    let duplicate = there([itself.duplicate, again.duplicate]);
    assert!(
        (confirmed..=confirmed + duplicate).contains(&3_000),
        "{itself:?} {again:?}"
    );
    shutdown.cancel();
    assert_eq!(following.await.unwrap(), Ok(()));
    Some(itself.failed + again.failed)
}

#[tokio::test]
async fn lines_that_are_refused_for_the_moment_are_sent_again() {
    assert_ne!(assert_arrive_in_spite_of(each_item).await, Some(0));
}

#[tokio::test]
async fn lines_of_a_request_that_is_refused_as_a_whole_are_sent_again() {
    assert_ne!(assert_arrive_in_spite_of(whole_request).await, Some(0));
}

#[tokio::test]
async fn lines_are_sent_again_when_the_answer_is_not_elasticsearchs() {
    assert_arrive_in_spite_of(not_json).await;
}
