//! What a request does to proxies.

use serde_json::{Value, json};

use crate::toxiproxy::{
    api::{busy, check, check_raw, error, make, proxy},
    on_both,
    subject::Subject,
};

on_both! {
    a_proxy_is_created_shown_listed_changed_and_deleted,
    a_bad_proxy_is_refused_and_not_made,
    bodies_are_read_leniently,
    addresses_are_made_concrete_when_a_listener_is_bound,
    a_proxy_that_cannot_listen_is_not_made,
    a_move_to_a_busy_port_leaves_the_proxy_disabled_there,
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
