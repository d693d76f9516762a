//! What every answer has: headers, and which requests get one at all.

use crate::toxiproxy::{api::make, on_both, subject::Subject};

on_both! {
    answers_carry_the_real_servers_headers,
    browsers_are_refused,
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
