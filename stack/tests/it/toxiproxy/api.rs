//! The HTTP API: what each request answers, and what it changes.

mod answers;
mod many;
mod proxies;
mod toxics;

use serde_json::{Value, json};

use super::subject::Subject;

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
