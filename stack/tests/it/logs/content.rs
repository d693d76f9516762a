//! What a line may hold, and what becomes of one that is not a line.

use serde_json::{Value, json};

use super::rig::{
    Producer, Shipper, count, eventually, mapped_fields, of, shared_elasticsearch, sources,
};

/// A line's text and the one that arrived.
async fn assert_message_arrives(message: &str) {
    let Some(server) = shared_elasticsearch().await else {
        return;
    };
    let shipper = Shipper::start(&server.url).await;
    let mut producer = Producer::new(&shipper.log());
    producer.lines(1);
    let mut line = producer.next();
    line["message"] = message.into();
    producer.write(line.to_string().as_bytes());
    producer.lines(1);
    shipper.assert_each_once(&server.url, &producer).await;
    let arrived = sources(&server.url, &of(&producer)).await;
    assert_eq!(arrived[1], line, "the whole line is what was written");
}

#[tokio::test]
async fn a_line_of_32_kb_arrives_whole() {
    assert_message_arrives(&"0123456789abcde ".repeat(2048)).await;
}

#[tokio::test]
async fn a_line_near_the_limit_of_64_kib_arrives_whole() {
    assert_message_arrives(&"x".repeat(64_000)).await;
}

#[tokio::test]
async fn quotes_line_ends_and_letters_of_every_width_arrive_as_they_were() {
    assert_message_arrives("\"quoted\" \\ \r\n\t\u{1} é € 𝄞 👩‍👩‍👧 \u{0}").await;
}

/// The documents of a kind that came from this shipper's file.
fn from(shipper: &Shipper, dataset: &str) -> Value {
    let file = shipper.log().display().to_string();
    json!({"bool": {"filter": [
        {"term": {"event.dataset": dataset}},
        {"term": {"event.kind": "pipeline_error"}},
        {"term": {"log.file.path": file}},
    ]}})
}

/// Writes a line that cannot be one between two that can; the text that was kept of it.
async fn unparsed(line: &[u8]) -> Option<Vec<String>> {
    let server = shared_elasticsearch().await?;
    let shipper = Shipper::start(&server.url).await;
    let mut producer = Producer::new(&shipper.log());
    producer.lines(1);
    producer.write(line);
    producer.lines(1);
    shipper.assert_each_once(&server.url, &producer).await;
    let kept = sources(&server.url, &from(&shipper, "unparsed")).await;
    let text = |source: &Value| source["message"].as_str().unwrap().to_owned();
    Some(kept.iter().map(text).collect())
}

#[tokio::test]
async fn what_is_not_an_object_of_json_is_kept_as_text() {
    for line in [
        "thread 'main' panicked at src/main.rs:1:1:",
        r#"{"@timestamp":"2026-01-02T03:04:05Z","message":"torn"#,
        r#"{"message":"one"}{"message":"two"}"#,
        r#"["an","array"]"#,
        "17",
        "text with a \"quote\", a \\ and a tab\t",
    ] {
        let Some(kept) = unparsed(line.as_bytes()).await else {
            return;
        };
        assert_eq!(kept, [line]);
    }
}

#[tokio::test]
async fn a_line_beyond_64_kib_is_cut_and_kept_as_text() {
    let line = format!("{{\"message\":\"{}\"}}", "y".repeat(150_000));
    let Some(kept) = unparsed(line.as_bytes()).await else {
        return;
    };
    assert_eq!(kept, [&line[..64 * 1024]]);
}

#[tokio::test]
async fn a_line_with_a_zero_byte_is_kept_up_to_it() {
    let Some(kept) = unparsed(b"before\0after").await else {
        return;
    };
    assert_eq!(kept, ["before"]);
}

#[tokio::test]
async fn bytes_that_are_not_utf8_become_question_marks_and_the_line_arrives() {
    let Some(server) = shared_elasticsearch().await else {
        return;
    };
    let shipper = Shipper::start(&server.url).await;
    let mut producer = Producer::new(&shipper.log());
    producer.lines(1);
    let mut line = producer.next();
    line["message"] = "before PLACE after é".into();
    let line = line.to_string();
    let (head, tail) = line.split_once("PLACE").unwrap();
    // A lone continuation, a cut sequence, Latin 1.
    producer.write(&[head.as_bytes(), b"\x80 \xe2\x82 \xe9", tail.as_bytes()].concat());
    producer.lines(1);
    shipper.assert_each_once(&server.url, &producer).await;
    let arrived = sources(&server.url, &of(&producer)).await;
    let message = arrived[1]["message"].as_str().unwrap();
    assert!(
        message.starts_with("before ?") && message.ends_with(" after é"),
        "{message}"
    );
}

#[tokio::test]
async fn a_field_that_nobody_declared_is_kept_and_does_not_grow_the_mapping() {
    let Some(server) = shared_elasticsearch().await else {
        return;
    };
    let shipper = Shipper::start(&server.url).await;
    let mut producer = Producer::new(&shipper.log());
    producer.lines(1);
    shipper.assert_each_once(&server.url, &producer).await;
    let before = mapped_fields(&server.url).await;
    for number in 0..500 {
        let mut line = producer.next();
        line[format!("labels.unknown_{number}")] = number.into();
        line[format!("unknown_{number}")] = json!({"deep": {"er": number}});
        producer.write(line.to_string().as_bytes());
    }
    shipper.assert_each_once(&server.url, &producer).await;
    assert_eq!(mapped_fields(&server.url).await, before);
    let arrived = sources(&server.url, &of(&producer)).await;
    assert_eq!(arrived[7]["labels.unknown_6"], 6);
}

#[tokio::test]
async fn an_over_long_keyword_is_kept_and_only_not_searchable() {
    let Some(server) = shared_elasticsearch().await else {
        return;
    };
    let shipper = Shipper::start(&server.url).await;
    let mut producer = Producer::new(&shipper.log());
    // Characters are counted, and Lucene's own limit is in bytes: four for each of these.
    let long = "𝄞".repeat(9_000);
    let mut line = producer.next();
    line["url.path"] = long.as_str().into();
    producer.write(line.to_string().as_bytes());
    shipper.assert_each_once(&server.url, &producer).await;
    let arrived = sources(&server.url, &of(&producer)).await;
    assert_eq!(arrived[0]["url.path"], long.as_str());
    let found = json!({"bool": {"filter": [of(&producer), {"exists": {"field": "url.path"}}]}});
    assert_eq!(count(&server.url, &found).await, Some(0));
}

#[tokio::test]
async fn an_identity_that_would_break_the_request_costs_nobody_a_line() {
    let Some(server) = shared_elasticsearch().await else {
        return;
    };
    let shipper = Shipper::start(&server.url).await;
    let mut producer = Producer::new(&shipper.log());
    producer.lines(100);
    let marker = format!("marker-{}", producer.node);
    for hostile in ["\"},\"x\":{\"", "a\nb", "", "\\", "é"] {
        let mut line = producer.next();
        line["service.node.name"] = hostile.into();
        line["log.logger"] = marker.as_str().into();
        producer.write(line.to_string().as_bytes());
    }
    // They have numbers, and are not the producer's.
    let good = json!({"bool": {"filter": [of(&producer)]}});
    eventually(&server.url, &good, 100).await;
    let hostile = json!({"term": {"log.logger": marker}});
    eventually(&server.url, &hostile, 5).await;
    let statistics = shipper.settled().await;
    assert_eq!((statistics.confirmed, statistics.rejected), (105, 0));
}
