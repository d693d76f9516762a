//! The HTTP API: what each request answers, and what it changes.

use serde_json::{Value, json};

use super::{on_both, subject::Subject};

on_both! {
    a_proxy_is_created_shown_listed_changed_and_deleted,
    a_bad_proxy_is_refused_and_not_made,
    bodies_are_read_leniently,
    addresses_are_made_concrete_when_a_listener_is_bound,
    a_proxy_that_cannot_listen_is_not_made,
    a_move_to_a_busy_port_leaves_the_proxy_disabled_there,
    a_toxic_is_created_shown_listed_changed_and_deleted,
    a_bad_toxic_is_refused_and_not_made,
    a_toxic_is_hardly_validated,
    a_partly_bad_toxic_update_is_refused_yet_applies_its_good_attributes,
    upstream_toxics_are_listed_first,
    populate_makes_replaces_and_keeps_proxies,
    a_bad_population_is_refused_in_json,
    populate_keeps_what_it_made_before_it_failed,
    reset_enables_every_proxy_and_removes_its_toxics,
    reset_stops_at_a_proxy_that_cannot_start,
    answers_carry_the_real_servers_headers,
    browsers_are_refused,
}

/// Sends each request and compares status and JSON. In an expected string, `*` at the end stands for any rest.
async fn check(subject: &Subject, exchanges: &[(&str, Value, u16, Value)]) {
    for (request, body, status, expected) in exchanges {
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        check_raw(subject, request, &body, *status, expected).await;
    }
}

async fn check_raw(subject: &Subject, request: &str, body: &str, status: u16, expected: &Value) {
    let answer = subject.call(request, body).await;
    assert_eq!(answer.status, status, "{request} {body}: {}", answer.text);
    assert!(
        matches(&answer.json(), expected),
        "{request} {body}\n  answers {}\n  not {expected}",
        answer.text
    );
}

fn matches(found: &Value, expected: &Value) -> bool {
    match (found, expected) {
        (Value::String(found), Value::String(expected)) => match expected.strip_suffix('*') {
            Some(start) => found.starts_with(start),
            None => found == expected,
        },
        (Value::Array(found), Value::Array(expected)) => {
            found.len() == expected.len()
                && found
                    .iter()
                    .zip(expected)
                    .all(|(found, expected)| matches(found, expected))
        }
        (Value::Object(found), Value::Object(expected)) => {
            found.len() == expected.len()
                && expected.iter().all(|(key, expected)| {
                    found.get(key).is_some_and(|found| matches(found, expected))
                })
        }
        _ => found == expected,
    }
}

fn error(status: u16, message: &str) -> Value {
    json!({"error": message, "status": status})
}

/// A proxy as it is printed, without toxics.
fn proxy(name: &str, listen: &str, enabled: bool) -> Value {
    json!({"name": name, "listen": listen, "upstream": "127.0.0.1:9", "enabled": enabled, "Logger": {}, "toxics": []})
}

fn toxic(name: &str, kind: &str, stream: &str, toxicity: f32, attributes: &Value) -> Value {
    // Numbers that are whole are printed so.
    let toxicity: Value = serde_json::from_str(&toxicity.to_string()).unwrap();
    json!({"name": name, "type": kind, "stream": stream, "toxicity": toxicity, "attributes": attributes})
}

/// Creates the disabled proxy `a`.
async fn make(subject: &Subject) {
    let body =
        json!({"name": "a", "listen": "127.0.0.1:0", "upstream": "127.0.0.1:9", "enabled": false});
    subject.ok("POST /proxies", body).await;
}

/// A port of this machine that somebody listens on.
async fn busy() -> (tokio::net::TcpListener, String) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    (listener, address)
}

async fn a_proxy_is_created_shown_listed_changed_and_deleted(subject: Subject) {
    let new = json!({"name": "a", "listen": "127.0.0.1:0", "upstream": "127.0.0.1:9"});
    let made = proxy("a", "127.0.0.1:*", true);
    let mut elsewhere = made.clone();
    elsewhere["upstream"] = json!("127.0.0.1:10");
    check(
        &subject,
        &[
            ("GET /proxies", Value::Null, 200, json!({})),
            ("POST /proxies", new.clone(), 201, made.clone()),
            (
                "POST /proxies",
                new,
                409,
                error(409, "proxy already exists"),
            ),
            ("GET /proxies", Value::Null, 200, json!({"a": made})),
            ("GET /proxies/a", Value::Null, 200, made),
            (
                "POST /proxies/a",
                json!({"upstream": "127.0.0.1:10"}),
                200,
                elsewhere.clone(),
            ),
            ("PATCH /proxies/a", json!({}), 200, elsewhere),
            (
                "PATCH /proxies/a",
                json!({"upstream": "127.0.0.1:9", "enabled": false}),
                200,
                proxy("a", "127.0.0.1:*", false),
            ),
            (
                "PATCH /proxies/a",
                json!({"enabled": true, "name": "ignored"}),
                200,
                proxy("a", "127.0.0.1:*", true),
            ),
            ("DELETE /proxies/a", Value::Null, 204, Value::Null),
            (
                "DELETE /proxies/a",
                Value::Null,
                404,
                error(404, "proxy not found"),
            ),
            (
                "GET /proxies/a",
                Value::Null,
                404,
                error(404, "proxy not found"),
            ),
            (
                "POST /proxies/a",
                json!({}),
                404,
                error(404, "proxy not found"),
            ),
            (
                "PATCH /proxies/a",
                json!("bad"),
                404,
                error(404, "proxy not found"),
            ),
            (
                "GET /proxies/a/toxics",
                Value::Null,
                404,
                error(404, "proxy not found"),
            ),
        ],
    )
    .await;
}

async fn a_bad_proxy_is_refused_and_not_made(subject: Subject) {
    for (body, message) in [
        ("", "bad request body: EOF"),
        ("{", "bad request body: *"),
        ("[]", "bad request body: *"),
        (r#"{"name": 3, "upstream": "x:1"}"#, "bad request body: *"),
        (
            r#"{"name": "a", "upstream": "x:1", "enabled": "yes"}"#,
            "bad request body: *",
        ),
        ("null", "missing required field: name"),
        (r#"{"upstream": "x:1"}"#, "missing required field: name"),
        (
            r#"{"name": "", "upstream": "x:1"}"#,
            "missing required field: name",
        ),
        (r#"{"name": "a"}"#, "missing required field: upstream"),
        (
            r#"{"name": "a", "upstream": ""}"#,
            "missing required field: upstream",
        ),
    ] {
        check_raw(&subject, "POST /proxies", body, 400, &error(400, message)).await;
    }
    check(&subject, &[("GET /proxies", Value::Null, 200, json!({}))]).await;
}

async fn bodies_are_read_leniently(subject: Subject) {
    let odd = r#"{"NAME":"a","Listen":"127.0.0.1:0","upstream":"127.0.0.1:9","enabled":false,"unknown":[1]} and more"#;
    check_raw(
        &subject,
        "POST /proxies",
        odd,
        201,
        &proxy("a", "127.0.0.1:0", false),
    )
    .await;
    let absent = r#"{"listen":null,"upstream":null,"enabled":null}"#;
    check_raw(
        &subject,
        "PATCH /proxies/a",
        absent,
        200,
        &proxy("a", "127.0.0.1:0", false),
    )
    .await;
    check_raw(
        &subject,
        "PATCH /proxies/a",
        "null",
        200,
        &proxy("a", "127.0.0.1:0", false),
    )
    .await;
}

async fn addresses_are_made_concrete_when_a_listener_is_bound(subject: Subject) {
    make(&subject).await;
    let shown = |answer: Value| answer["listen"].as_str().unwrap().to_owned();
    assert_eq!(shown(subject.ok("GET /proxies/a", "").await), "127.0.0.1:0");
    let bound = shown(
        subject
            .ok("PATCH /proxies/a", json!({"enabled": true}))
            .await,
    );
    assert!(!bound.ends_with(":0"), "{bound}");
    subject
        .ok("PATCH /proxies/a", json!({"enabled": false}))
        .await;
    assert_eq!(
        shown(
            subject
                .ok("PATCH /proxies/a", json!({"enabled": true}))
                .await
        ),
        bound,
        "it keeps its port"
    );
    let moved = shown(
        subject
            .ok("PATCH /proxies/a", json!({"listen": "localhost:0"}))
            .await,
    );
    assert!(
        moved.starts_with("127.0.0.1:") && moved != bound,
        "port 0 always moves: {bound} to {moved}"
    );
}

async fn a_proxy_that_cannot_listen_is_not_made(subject: Subject) {
    let (_listener, busy) = busy().await;
    let in_use = format!("listen tcp {busy}: bind: address already in use");
    for (listen, message) in [
        (busy.as_str(), in_use.as_str()),
        (
            "nowhere",
            "listen tcp: address nowhere: missing port in address",
        ),
        ("256.1.1.1:1", "listen tcp: lookup 256.1.1.1*"),
    ] {
        let body = json!({"name": "a", "listen": listen, "upstream": "127.0.0.1:9"});
        check(
            &subject,
            &[("POST /proxies", body, 500, error(500, message))],
        )
        .await;
    }
    check(&subject, &[("GET /proxies", Value::Null, 200, json!({}))]).await;
}

async fn a_move_to_a_busy_port_leaves_the_proxy_disabled_there(subject: Subject) {
    let (_listener, busy) = busy().await;
    make(&subject).await;
    subject
        .ok("PATCH /proxies/a", json!({"enabled": true}))
        .await;
    let in_use = error(
        500,
        &format!("listen tcp {busy}: bind: address already in use"),
    );
    check(
        &subject,
        &[
            (
                "PATCH /proxies/a",
                json!({"listen": "nowhere"}),
                500,
                error(500, "address nowhere: missing port in address"),
            ),
            (
                "GET /proxies/a",
                Value::Null,
                200,
                proxy("a", "127.0.0.1:*", true),
            ),
            ("PATCH /proxies/a", json!({"listen": busy}), 500, in_use),
            ("GET /proxies/a", Value::Null, 200, proxy("a", &busy, false)),
        ],
    )
    .await;
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

async fn answers_carry_the_real_servers_headers(subject: Subject) {
    make(&subject).await;
    let json = Some("application/json");
    let text = Some("text/plain; charset=utf-8");
    for (request, status, content_type, routed) in [
        (
            "GET /version",
            200,
            Some("application/json;charset=utf-8"),
            true,
        ),
        ("GET /proxies", 200, json, true),
        ("GET /proxies/a", 200, json, true),
        ("GET /proxies/b", 404, text, true),
        ("POST /proxies", 400, text, true),
        ("POST /reset", 204, None, true),
        ("GET /elsewhere", 404, text, false),
        ("GET /proxies/", 404, text, false),
        ("PUT /proxies", 405, None, false),
        ("HEAD /proxies", 405, None, false),
        ("GET /reset", 405, None, false),
    ] {
        let answer = subject.call(request, "").await;
        assert_eq!(answer.status, status, "{request}");
        assert_eq!(answer.header("content-type"), content_type, "{request}");
        assert_eq!(
            answer.header("x-toxiproxy-request-id").is_some(),
            routed,
            "{request}"
        );
        let nosniff = if content_type == text {
            Some("nosniff")
        } else {
            None
        };
        assert_eq!(
            answer.header("x-content-type-options"),
            nosniff,
            "{request}"
        );
        assert_eq!(
            answer.text.ends_with('\n'),
            content_type == text || request == "GET /version",
            "{request}"
        );
    }
    let unknown = subject.call("GET /elsewhere", "").await;
    assert_eq!(unknown.text, "404 page not found\n");
    let ids = [
        subject.call("GET /version", "").await,
        subject.call("GET /version", "").await,
    ];
    let [first, second] = ids
        .each_ref()
        .map(|answer| answer.header("x-toxiproxy-request-id").unwrap());
    assert!(first.len() == 20 && first != second, "{first} {second}");
}

async fn browsers_are_refused(subject: Subject) {
    for (path, status, text) in [
        ("/version", 403, "User agent not allowed\n"),
        ("/elsewhere", 404, "404 page not found\n"),
    ] {
        let request = subject
            .request(reqwest::Method::GET, path)
            .header("user-agent", "Mozilla/5.0 (X11)");
        let answer = subject.send(request).await;
        assert_eq!(
            (answer.status.as_u16(), answer.text.as_str()),
            (status, text)
        );
    }
}
