//! What stands between the tool and the servers: it passes their real answers on, recorded once, with one of them changed.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde_json::Value;

use super::table::Change;

/// An answer of a server.
#[derive(Clone, Debug)]
struct Answer {
    status: u16,
    media_type: String,
    text: String,
}

#[derive(Default)]
struct Shared {
    /// Each kind of question with the answer that a server gave.
    recorded: Mutex<HashMap<String, Answer>>,
    change: Mutex<Option<Change>>,
}

/// The proxy, on a port of its own.
pub(crate) struct Proxy {
    pub(crate) url: String,
    shared: Arc<Shared>,
}

/// Where the servers are.
#[derive(Clone, Debug)]
pub(crate) struct Upstream {
    pub(crate) metrics: String,
    pub(crate) jaeger: String,
    pub(crate) elasticsearch: String,
}

impl Proxy {
    pub(crate) async fn start(upstream: Upstream) -> Self {
        let shared = Arc::new(Shared::default());
        let state = (shared.clone(), upstream);
        let app = Router::new().fallback(pass).with_state(state);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { url, shared }
    }

    /// From now on, answers are changed like this, or not at all.
    pub(crate) fn change(&self, change: Option<Change>) {
        *self.shared.change.lock().unwrap() = change;
    }
}

async fn pass(
    State((shared, upstream)): State<(Arc<Shared>, Upstream)>,
    request: Request,
) -> Response {
    let (head, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    let accept = header_of(&head.headers, header::ACCEPT);
    // A search without its times and its point in time, which differ from run to run.
    let further = body.windows(12).any(|bytes| bytes == b"search_after");
    let path = head.uri.path().to_owned();
    let key = format!("{} {path} {accept} {further}", head.method);
    let known = shared.recorded.lock().unwrap().get(&key).cloned();
    let answer = if let Some(answer) = known {
        answer
    } else {
        let answer = ask(&upstream, &head, body, &path).await;
        shared.recorded.lock().unwrap().insert(key, answer.clone());
        answer
    };
    let change = *shared.change.lock().unwrap();
    let answer = change.map_or(answer.clone(), |change| {
        changed(change, &path, &accept, answer)
    });
    let status = StatusCode::from_u16(answer.status).unwrap();
    (
        status,
        [(header::CONTENT_TYPE, answer.media_type)],
        answer.text,
    )
        .into_response()
}

fn header_of(headers: &HeaderMap, name: header::HeaderName) -> String {
    let value = headers.get(name).and_then(|value| value.to_str().ok());
    value.unwrap_or_default().to_owned()
}

async fn ask(
    upstream: &Upstream,
    head: &axum::http::request::Parts,
    body: Bytes,
    path: &str,
) -> Answer {
    let query = head
        .uri
        .query()
        .map_or(String::new(), |query| format!("?{query}"));
    let url = if let Some(rest) = path.strip_prefix("/jaeger") {
        format!("{}{rest}{query}", upstream.jaeger)
    } else if let Some(rest) = path.strip_prefix("/es") {
        format!("{}{rest}{query}", upstream.elasticsearch)
    } else {
        format!("{}{path}{query}", upstream.metrics)
    };
    let client = stack::net::http().unwrap();
    let mut request = client.request(head.method.clone(), url).body(body);
    for name in [header::ACCEPT, header::CONTENT_TYPE] {
        if let Some(value) = head.headers.get(&name) {
            request = request.header(name, value);
        }
    }
    let answer = request.send().await.unwrap();
    let media_type = header_of(answer.headers(), header::CONTENT_TYPE);
    Answer {
        status: answer.status().as_u16(),
        media_type,
        text: answer.text().await.unwrap(),
    }
}

fn changed(change: Change, path: &str, accept: &str, mut answer: Answer) -> Answer {
    let in_json = |answer: &mut Answer, change: fn(&mut Value)| {
        let mut value: Value = serde_json::from_str(&answer.text).unwrap();
        change(&mut value);
        answer.text = value.to_string();
    };
    match change {
        Change::Page(change) if path == "/metrics" => answer.text = change(&answer.text),
        Change::Open(change) if path == "/metrics" && accept.starts_with("application/") => {
            answer.text = change(&answer.text);
        }
        Change::Classic(change) if path == "/metrics" && accept.starts_with("text/") => {
            answer.text = change(&answer.text);
        }
        Change::MediaType(media_type) if path == "/metrics" => {
            media_type.clone_into(&mut answer.media_type);
        }
        Change::Traces(change) if path == "/jaeger/api/traces" => in_json(&mut answer, change),
        Change::Documents(change) if path == "/es/_search" => in_json(&mut answer, change),
        Change::Mapping(change) if path.ends_with("/_mapping") => in_json(&mut answer, change),
        _ => {}
    }
    answer
}
