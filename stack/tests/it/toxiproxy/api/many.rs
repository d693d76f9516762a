//! What a request does to many proxies at once: `/populate` and `/reset`.

use serde_json::{Value, json};

use crate::toxiproxy::{
    api::{busy, check, check_raw, error, make, proxy},
    on_both,
    subject::Subject,
};

on_both! {
    populate_makes_replaces_and_keeps_proxies,
    a_bad_population_is_refused_in_json,
    populate_keeps_what_it_made_before_it_failed,
    reset_enables_every_proxy_and_removes_its_toxics,
    reset_stops_at_a_proxy_that_cannot_start,
}

async fn populate_makes_replaces_and_keeps_proxies(subject: Subject) {
    make(&subject).await;
    let bound = subject
        .ok("PATCH /proxies/a", json!({"enabled": true}))
        .await["listen"]
        .clone();
    subject
        .ok("POST /proxies/a/toxics", json!({"type": "latency"}))
        .await;
    let entry = |name: &str, listen: &Value, enabled: bool| json!({"name": name, "listen": listen, "upstream": "127.0.0.1:9", "enabled": enabled});
    let off = json!("127.0.0.1:0");

    let kept = subject
        .call(
            "POST /populate",
            json!([entry("a", &bound, false), entry("b", &off, false)]),
        )
        .await;
    assert_eq!(kept.status, 201);
    let kept = kept.json();
    assert_eq!(
        kept["proxies"][0]["enabled"], true,
        "same addresses: `enabled` is ignored"
    );
    assert_eq!(
        kept["proxies"][0]["toxics"][0]["name"], "latency_downstream",
        "and toxics stay"
    );
    assert_eq!(kept["proxies"][1], proxy("b", "127.0.0.1:0", false));

    let replaced = subject
        .ok("POST /populate", json!([entry("a", &off, false)]))
        .await;
    assert_eq!(
        replaced,
        json!({"proxies": [proxy("a", "127.0.0.1:0", false)]}),
        "other addresses: toxics are gone"
    );
    assert_eq!(
        subject
            .ok("GET /proxies", "")
            .await
            .as_object()
            .unwrap()
            .len(),
        2
    );

    let enabled = subject
        .ok(
            "POST /populate",
            json!([{"name": "c", "listen": off, "upstream": "127.0.0.1:9"}]),
        )
        .await;
    assert_eq!(enabled["proxies"][0]["enabled"], true, "enabled by default");
    check(
        &subject,
        &[("POST /populate", json!([]), 201, json!({"proxies": null}))],
    )
    .await;
}

async fn a_bad_population_is_refused_in_json(subject: Subject) {
    for (body, message) in [
        ("", "bad request body: EOF"),
        ("{}", "bad request body: *"),
        ("[3]", "bad request body: *"),
        (
            r#"[{"name": "a", "upstream": "x:1"}, {"upstream": "x:1"}]"#,
            "missing required field: name at proxy 2",
        ),
        (
            r#"[{"name": "a"}]"#,
            "missing required field: upstream at proxy 1",
        ),
    ] {
        let expected = json!({"error": message, "status": 400, "proxies": null});
        check_raw(&subject, "POST /populate", body, 400, &expected).await;
        let answer = subject.call("POST /populate", body).await;
        assert_eq!(answer.header("content-type"), Some("application/json"));
    }
    check(&subject, &[("GET /proxies", Value::Null, 200, json!({}))]).await;
}

async fn populate_keeps_what_it_made_before_it_failed(subject: Subject) {
    let (_listener, busy) = busy().await;
    let body = json!([
        {"name": "a", "listen": "127.0.0.1:0", "upstream": "127.0.0.1:9"},
        {"name": "b", "listen": busy, "upstream": "127.0.0.1:9"},
        {"name": "c", "listen": "127.0.0.1:0", "upstream": "127.0.0.1:9"},
    ]);
    let made = proxy("a", "127.0.0.1:*", true);
    let message = format!("listen tcp {busy}: bind: address already in use");
    let expected = json!({"error": message, "status": 500, "proxies": [made]});
    check(
        &subject,
        &[
            ("POST /populate", body, 500, expected),
            ("GET /proxies", Value::Null, 200, json!({"a": made})),
        ],
    )
    .await;
}

async fn reset_enables_every_proxy_and_removes_its_toxics(subject: Subject) {
    make(&subject).await;
    subject
        .ok(
            "POST /proxies",
            json!({"name": "b", "listen": "127.0.0.1:0", "upstream": "127.0.0.1:9"}),
        )
        .await;
    for path in ["POST /proxies/a/toxics", "POST /proxies/b/toxics"] {
        subject
            .ok(path, json!({"type": "latency", "stream": "upstream"}))
            .await;
        subject.ok(path, json!({"type": "timeout"})).await;
    }
    let all = json!({"a": proxy("a", "127.0.0.1:*", true), "b": proxy("b", "127.0.0.1:*", true)});
    check(
        &subject,
        &[
            ("POST /reset", Value::Null, 204, Value::Null),
            ("GET /proxies", Value::Null, 200, all),
        ],
    )
    .await;
}

async fn reset_stops_at_a_proxy_that_cannot_start(subject: Subject) {
    let (_listener, busy) = busy().await;
    let body = json!({"name": "a", "listen": busy, "upstream": "127.0.0.1:9", "enabled": false});
    subject.ok("POST /proxies", body).await;
    subject
        .ok("POST /proxies/a/toxics", json!({"type": "latency"}))
        .await;
    let message = format!("listen tcp {busy}: bind: address already in use");
    check(
        &subject,
        &[("POST /reset", Value::Null, 500, error(500, &message))],
    )
    .await;
    assert_eq!(
        subject
            .ok("GET /proxies/a/toxics", "")
            .await
            .as_array()
            .unwrap()
            .len(),
        1
    );
}
