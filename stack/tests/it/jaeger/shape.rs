//! The shape of a trace: every type of value, references, events, derived tags.

use opentelemetry_proto::tonic::{
    common::v1::{AnyValue, ArrayValue, KeyValueList, any_value::Value},
    trace::v1::{
        Status,
        span::{Event, Link},
    },
};
use serde_json::{Value as Json, json};

use super::{
    spans::{START, attribute, request, span, text},
    target::both,
};

/// Order within a list of tags means nothing.
fn sorted(list: &Json) -> Vec<String> {
    let mut items: Vec<String> = list
        .as_array()
        .unwrap()
        .iter()
        .map(Json::to_string)
        .collect();
    items.sort();
    items
}

#[allow(
    clippy::needless_pass_by_value,
    reason = "it reads better at twenty calls"
)]
fn tag(key: &str, kind: &str, value: Json) -> Json {
    json!({ "key": key, "type": kind, "value": value })
}

#[tokio::test]
async fn a_span_shows_its_attributes_in_five_types_and_what_is_derived_from_it() {
    let list = [Value::StringValue("q".to_owned()), Value::IntValue(3)];
    let list = ArrayValue {
        values: list.map(|value| AnyValue { value: Some(value) }).to_vec(),
    };
    let map = KeyValueList {
        values: vec![
            attribute("z", Value::IntValue(1)),
            attribute("a", Value::BoolValue(false)),
        ],
    };
    let mut root = span(0x0000_abc0_0000_0000_0000_0000_0000_0001, 1, "root");
    root.kind = 2;
    root.trace_state = "a=b".to_owned();
    root.status = Some(Status {
        code: 2,
        message: "it broke".to_owned(),
    });
    root.attributes = vec![
        text("s", "x"),
        attribute("b", Value::BoolValue(true)),
        attribute("d", Value::DoubleValue(1.5)),
        attribute("exact", Value::IntValue((1 << 53) - 1)),
        attribute("beyond", Value::IntValue(1 << 53)),
        attribute("below", Value::IntValue(-(1 << 60))),
        attribute("list", Value::ArrayValue(list)),
        attribute("map", Value::KvlistValue(map)),
        attribute("bytes", Value::BytesValue(vec![1, 2, 255])),
    ];
    let expected = [
        tag("s", "string", json!("x")),
        tag("b", "bool", json!(true)),
        tag("d", "float64", json!(1.5)),
        tag("exact", "int64", json!(9_007_199_254_740_991_i64)),
        tag("beyond", "int64", json!("9007199254740992")),
        tag("below", "int64", json!("-1152921504606846976")),
        tag("list", "string", json!(r#"["q",3]"#)),
        tag("map", "string", json!(r#"{"a":false,"z":1}"#)),
        tag("bytes", "binary", json!("AQL/")),
        tag("otel.scope.name", "string", json!("a-scope")),
        tag("otel.scope.version", "string", json!("1.2")),
        tag("span.kind", "string", json!("server")),
        tag("otel.status_code", "string", json!("ERROR")),
        tag("otel.status_description", "string", json!("it broke")),
        tag("error", "bool", json!(true)),
        tag("w3c.tracestate", "string", json!("a=b")),
    ];
    for target in both().await {
        target
            .send(request(Some("shape"), vec![root.clone()]))
            .await;
        let trace = target.trace("abc0000000000000000000000001", 1).await;
        let seen = &trace["spans"][0];
        assert_eq!(
            sorted(&seen["tags"]),
            sorted(&json!(expected)),
            "{}",
            target.name()
        );
        assert_eq!(
            trace["traceID"],
            "0000abc0000000000000000000000001",
            "{}",
            target.name()
        );
        assert_eq!(
            (&seen["startTime"], &seen["duration"]),
            (&json!(START / 1000), &json!(5000)),
            "{}",
            target.name()
        );
        assert_eq!(seen["warnings"], Json::Null, "{}", target.name());
        let process = &trace["processes"][seen["processID"].as_str().unwrap()];
        let expected = json!({ "serviceName": "shape", "tags": [tag("host.name", "string", json!("a-host"))] });
        assert_eq!(*process, expected, "{}", target.name());
    }
}

#[tokio::test]
async fn parents_links_and_events_are_references_and_logs() {
    let root = span(0xdef, 1, "root");
    let mut child = span(0xdef, 2, "child");
    child.parent_span_id = root.span_id.clone();
    child.links = vec![Link {
        trace_id: 5_u128.to_be_bytes().to_vec(),
        span_id: 9_u64.to_be_bytes().to_vec(),
        ..Link::default()
    }];
    child.events = vec![Event {
        time_unix_nano: START + 1_500,
        name: "retry".to_owned(),
        attributes: vec![text("k", "v")],
        ..Event::default()
    }];
    for target in both().await {
        target
            .send(request(Some("shape"), vec![root.clone(), child.clone()]))
            .await;
        let trace = target.trace("def", 2).await;
        let seen = trace["spans"]
            .as_array()
            .unwrap()
            .iter()
            .find(|span| span["operationName"] == "child")
            .unwrap();
        let parent = json!({ "refType": "CHILD_OF", "traceID": "0000000000000def", "spanID": "0000000000000001" });
        let link = json!({ "refType": "FOLLOWS_FROM", "traceID": "0000000000000005", "spanID": "0000000000000009" });
        assert_eq!(
            seen["references"],
            json!([parent, link]),
            "{}",
            target.name()
        );
        let fields = [
            tag("event", "string", json!("retry")),
            tag("k", "string", json!("v")),
        ];
        assert_eq!(
            seen["logs"],
            json!([{ "timestamp": START / 1000 + 1, "fields": fields }]),
            "{}",
            target.name()
        );
    }
}

#[tokio::test]
async fn a_span_sent_twice_shows_once_and_one_without_length_carries_a_warning() {
    let mut instant = span(0xe0, 2, "instant");
    instant.end_time_unix_nano = instant.start_time_unix_nano;
    for target in both().await {
        let twice = span(0xe1, 1, "twice");
        target
            .send(request(
                Some("shape"),
                vec![instant.clone(), twice.clone(), twice],
            ))
            .await;
        let trace = target.trace("e0", 1).await;
        let warning = trace["spans"][0]["warnings"][0]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        assert!(
            warning.starts_with("Negative duration detected"),
            "{}: {warning:?}",
            target.name()
        );
        assert_eq!(trace["spans"][0]["duration"], 0, "{}", target.name());
        assert_eq!(
            target.trace("e1", 1).await["spans"]
                .as_array()
                .unwrap()
                .len(),
            1,
            "{}",
            target.name()
        );
    }
}

#[tokio::test]
async fn a_value_that_json_cannot_hold_does_not_hide_the_trace() {
    let mut odd = span(0xf1, 1, "odd");
    odd.attributes = vec![attribute("nan", Value::DoubleValue(f64::NAN))];
    for target in both().await {
        target
            .send(request(Some("shape"), vec![span(0xf2, 1, "sound")]))
            .await;
        target.trace("f2", 1).await;
        target.send(request(Some("shape"), vec![odd.clone()])).await;
        if target.stand_in {
            assert_eq!(
                target.trace("f1", 1).await["spans"][0]["tags"][2],
                tag("nan", "float64", json!("NaN"))
            );
        }
        // The real server answers 500 wherever the value would show: what the stand-in is there to survive.
    }
}
