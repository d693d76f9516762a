//! What a request does to toxics.

use serde_json::{Value, json};

use crate::toxiproxy::{
    api::{check, check_raw, error, make, proxy},
    on_both,
    subject::Subject,
};

on_both! {
    a_toxic_is_created_shown_listed_changed_and_deleted,
    a_bad_toxic_is_refused_and_not_made,
    a_toxic_is_hardly_validated,
    a_partly_bad_toxic_update_is_refused_yet_applies_its_good_attributes,
    upstream_toxics_are_listed_first,
}

fn toxic(name: &str, kind: &str, stream: &str, toxicity: f32, attributes: &Value) -> Value {
    // Numbers that are whole are printed so.
    let toxicity: Value = serde_json::from_str(&toxicity.to_string()).unwrap();
    json!({"name": name, "type": kind, "stream": stream, "toxicity": toxicity, "attributes": attributes})
}

async fn a_toxic_is_created_shown_listed_changed_and_deleted(subject: Subject) {
    make(&subject).await;
    let slow = toxic(
        "latency_downstream",
        "latency",
        "downstream",
        0.3,
        &json!({"latency": 10, "jitter": 2}),
    );
    let slower = toxic(
        "latency_downstream",
        "latency",
        "downstream",
        0.3,
        &json!({"latency": 20, "jitter": 2}),
    );
    let rarer = toxic(
        "latency_downstream",
        "latency",
        "downstream",
        0.1,
        &json!({"latency": 20, "jitter": 2}),
    );
    let new = json!({"type": "latency", "toxicity": 0.3, "attributes": {"latency": 10, "JITTER": 2, "unknown": 3}});
    let mut whole = proxy("a", "127.0.0.1:0", false);
    whole["toxics"] = json!([slow]);
    let one = "/proxies/a/toxics/latency_downstream";
    check(
        &subject,
        &[
            ("POST /proxies/a/toxics", new.clone(), 200, slow.clone()),
            (
                "POST /proxies/a/toxics",
                new,
                409,
                error(409, "toxic already exists"),
            ),
            ("GET /proxies/a/toxics", Value::Null, 200, json!([slow])),
            (&format!("GET {one}"), Value::Null, 200, slow),
            ("GET /proxies/a", Value::Null, 200, whole),
            (
                &format!("POST {one}"),
                json!({"attributes": {"latency": 20}}),
                200,
                slower.clone(),
            ),
            (
                &format!("PATCH {one}"),
                json!({"toxicity": 0.1, "stream": "upstream", "name": "b"}),
                200,
                rarer.clone(),
            ),
            (&format!("PATCH {one}"), json!({}), 200, rarer),
            (&format!("DELETE {one}"), Value::Null, 204, Value::Null),
            (
                &format!("DELETE {one}"),
                Value::Null,
                404,
                error(404, "toxic not found"),
            ),
            (
                &format!("GET {one}"),
                Value::Null,
                404,
                error(404, "toxic not found"),
            ),
            (
                &format!("PATCH {one}"),
                json!("bad"),
                404,
                error(404, "toxic not found"),
            ),
            ("GET /proxies/a/toxics", Value::Null, 200, json!([])),
        ],
    )
    .await;
}

async fn a_bad_toxic_is_refused_and_not_made(subject: Subject) {
    make(&subject).await;
    subject
        .ok(
            "POST /proxies/a/toxics",
            json!({"type": "timeout", "name": "taken"}),
        )
        .await;
    let bad_stream = "stream was invalid, can be either upstream or downstream";
    for (body, status, message) in [
        ("", 400, "bad request body: EOF"),
        ("7", 400, "bad request body: *"),
        ("{}", 400, "invalid toxic type"),
        (r#"{"type": "slime"}"#, 400, "invalid toxic type"),
        (r#"{"type": "Latency"}"#, 400, "invalid toxic type"),
        (
            r#"{"type": "slime", "stream": "sideways"}"#,
            400,
            bad_stream,
        ),
        (r#"{"type": "latency", "stream": ""}"#, 400, bad_stream),
        (
            r#"{"type": "latency", "toxicity": "1"}"#,
            400,
            "bad request body: *",
        ),
        (
            r#"{"type": "latency", "attributes": "x"}"#,
            400,
            "bad request body: *",
        ),
        (
            r#"{"type": "latency", "attributes": {"latency": "1"}}"#,
            400,
            "bad request body: *",
        ),
        (
            r#"{"type": "latency", "attributes": {"latency": 1.5}}"#,
            400,
            "bad request body: *",
        ),
        (
            r#"{"type": "latency", "attributes": {"latency": 1.0}}"#,
            400,
            "bad request body: *",
        ),
        (
            r#"{"type": "latency", "attributes": {"latency": 9223372036854775808}}"#,
            400,
            "bad request body: *",
        ),
        (
            r#"{"type": "latency", "name": "taken", "attributes": {"latency": 1.5}}"#,
            409,
            "toxic already exists",
        ),
    ] {
        check_raw(
            &subject,
            "POST /proxies/a/toxics",
            body,
            status,
            &error(status, message),
        )
        .await;
    }
    let only = toxic(
        "taken",
        "timeout",
        "downstream",
        1.0,
        &json!({"timeout": 0}),
    );
    check(
        &subject,
        &[("GET /proxies/a/toxics", Value::Null, 200, json!([only]))],
    )
    .await;
}

async fn a_toxic_is_hardly_validated(subject: Subject) {
    make(&subject).await;
    let least = i64::MIN;
    let odd = json!({"type": "latency", "name": "odd", "toxicity": -1, "attributes": {"latency": least, "jitter": -4}});
    let loud =
        json!({"type": "reset_peer", "stream": "UpStream", "toxicity": 2.5, "attributes": null});
    check(
        &subject,
        &[
            (
                "POST /proxies/a/toxics",
                odd,
                200,
                toxic(
                    "odd",
                    "latency",
                    "downstream",
                    -1.0,
                    &json!({"latency": least, "jitter": -4}),
                ),
            ),
            (
                "POST /proxies/a/toxics",
                loud,
                200,
                toxic(
                    "reset_peer_UpStream",
                    "reset_peer",
                    "UpStream",
                    2.5,
                    &json!({"timeout": 0}),
                ),
            ),
        ],
    )
    .await;
}

async fn a_partly_bad_toxic_update_is_refused_yet_applies_its_good_attributes(subject: Subject) {
    make(&subject).await;
    subject
        .ok(
            "POST /proxies/a/toxics",
            json!({"type": "latency", "name": "t", "attributes": {"jitter": 2}}),
        )
        .await;
    let bad = json!({"attributes": {"latency": 77, "jitter": 1.5}, "toxicity": 0.5});
    let applied = toxic(
        "t",
        "latency",
        "downstream",
        1.0,
        &json!({"latency": 77, "jitter": 2}),
    );
    check(
        &subject,
        &[
            (
                "PATCH /proxies/a/toxics/t",
                bad,
                400,
                error(400, "bad request body: *"),
            ),
            ("GET /proxies/a/toxics/t", Value::Null, 200, applied.clone()),
            (
                "PATCH /proxies/a/toxics/t",
                json!({"attributes": 5}),
                400,
                error(400, "bad request body: *"),
            ),
            ("GET /proxies/a/toxics/t", Value::Null, 200, applied),
        ],
    )
    .await;
    check_raw(
        &subject,
        "PATCH /proxies/a/toxics/t",
        "{",
        400,
        &error(400, "bad request body: *"),
    )
    .await;
}

async fn upstream_toxics_are_listed_first(subject: Subject) {
    make(&subject).await;
    for (name, stream) in [
        ("1", "downstream"),
        ("2", "upstream"),
        ("3", "downstream"),
        ("4", "upstream"),
    ] {
        let body = json!({"type": "latency", "name": name, "stream": stream});
        subject.ok("POST /proxies/a/toxics", body).await;
    }
    let listed = subject.ok("GET /proxies/a/toxics", "").await;
    let names: Vec<&str> = listed
        .as_array()
        .unwrap()
        .iter()
        .map(|toxic| toxic["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["2", "4", "1", "3"]);
}
