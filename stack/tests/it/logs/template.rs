//! The template is upgraded below lines that are there and lines that come.

use serde_json::{Value, json};
use stack::net;
use stack::server::elasticsearch::index::{self, TEMPLATE};

use super::rig::{
    Producer, Shipper, count, count_of, eventually, mapped_fields, of, own_elasticsearch,
    shared_elasticsearch,
};

/// A later version of the shipped template.
fn version(number: u64, change: impl FnOnce(&mut Value)) -> String {
    let mut template: Value = serde_json::from_str(TEMPLATE).unwrap();
    template["version"] = number.into();
    change(&mut template["template"]["mappings"]["properties"]);
    template.to_string()
}

#[tokio::test]
async fn a_field_that_a_new_version_has_is_found_in_new_lines_and_the_old_ones_stay() {
    let Some(server) = own_elasticsearch().await else {
        return;
    };
    let shipper = Shipper::start(&server.url).await;
    let mut producer = Producer::new(&shipper.log());
    let mut sharded = |count: usize| {
        for _ in 0..count {
            let mut line = producer.next();
            line["labels.shard"] = "seven".into();
            producer.write(line.to_string().as_bytes());
        }
        of(&producer)
    };
    let lines = sharded(10);
    eventually(&server.url, &lines, 10).await;
    let shard = json!({"bool": {"filter": [lines, {"term": {"labels.shard": "seven"}}]}});
    assert_eq!(count(&server.url, &shard).await, Some(0));

    // Nothing changes when the version that is there is installed again.
    let before = mapped_fields(&server.url).await;
    index::install(&server.url, TEMPLATE).await.unwrap();
    assert_eq!(mapped_fields(&server.url).await, before);

    let second = version(2, |fields| {
        fields["labels"]["properties"]["shard"] = json!({"type": "keyword"});
    });
    index::install(&server.url, &second).await.unwrap();
    let lines = sharded(10);
    eventually(&server.url, &shard, 10).await;
    eventually(&server.url, &lines, 20).await;
}

#[tokio::test]
async fn a_field_whose_type_a_new_version_changes_begins_a_new_index_and_all_lines_are_found() {
    let Some(server) = own_elasticsearch().await else {
        return;
    };
    let shipper = Shipper::start(&server.url).await;
    let mut producer = Producer::new(&shipper.log());
    producer.lines(10);
    eventually(&server.url, &of(&producer), 10).await;

    let second = version(2, |fields| {
        fields["event"]["properties"]["duration"] = json!({"type": "keyword"});
    });
    index::install(&server.url, &second).await.unwrap();
    let mut line = producer.next();
    line["event.duration"] = "12 ms".into();
    producer.write(line.to_string().as_bytes());
    eventually(&server.url, &of(&producer), 11).await;
    assert_eq!(count_of(&server.url, &producer).await, Some(11));
}

#[tokio::test]
async fn a_template_that_elasticsearch_refuses_is_one_sentence_with_its_reason() {
    let Some(server) = shared_elasticsearch().await else {
        return;
    };
    let broken = version(2, |fields| fields["message"]["type"] = "txet".into());
    let error = index::install(&server.url, &broken).await.unwrap_err();
    let text = error.to_string();
    assert!(
        text.starts_with("Elasticsearch refused PUT ") && text.contains("txet"),
        "{text}"
    );
    assert_eq!(error.exit_code(), 69);
}

#[tokio::test]
async fn lines_are_in_a_data_stream_and_their_fields_have_the_declared_types() {
    let Some(server) = shared_elasticsearch().await else {
        return;
    };
    let shipper = Shipper::start(&server.url).await;
    let mut producer = Producer::new(&shipper.log());
    producer.lines(2);
    shipper.assert_each_once(&server.url, &producer).await;
    for (query, expected) in [
        (
            json!({"range": {"event.duration": {"gt": 1_000_001, "lt": 9_000_000}}}),
            1,
        ),
        (json!({"term": {"url.path": "/v1/images/1"}}), 1),
        (json!({"term": {"url.path": "images"}}), 0),
        (json!({"match": {"message": "request"}}), 2),
        (
            json!({"range": {"@timestamp": {"gte": "2026-01-02", "lt": "2026-01-03"}}}),
            2,
        ),
    ] {
        let query = json!({"bool": {"filter": [of(&producer), query]}});
        assert_eq!(count(&server.url, &query).await, Some(expected), "{query}");
    }
    let url = format!("{}/{}", server.url, index::STREAM);
    let answer = net::http().unwrap().get(url).send().await.unwrap();
    let indices: Value = answer.json().await.unwrap();
    let name = indices.as_object().unwrap().keys().next().unwrap();
    assert!(name.starts_with(".ds-logs-chitram-default-"), "{name}");
}
