//! An S3 server just good enough for the service's calls, which can be made slow, silent or failing.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use futures::StreamExt;
use service::app::Role;
use tokio::net::TcpListener;
use tokio::sync::Notify;

use super::service::Service;

/// How the server behaves towards calls that arrive from now on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Behaviour {
    Healthy,
    /// Answers after this time.
    Slow(Duration),
    /// Never answers. A call that began then stays unanswered, so its connection is dead for ever.
    Silent,
    /// Answers 500.
    Failing,
    /// Sends the head and half of the body, then nothing.
    Stalling,
    /// Answers writes with this status and this code, and reads as ever.
    RefusingWrites(u16, &'static str),
    /// Answers reads with this status and this code, and takes writes as ever.
    RefusingReads(u16, &'static str),
    /// Answers deletes with 403, and everything else as ever.
    RefusingDeletes,
    /// Answers writes once it behaves in another way, and reads at once.
    HeldWrites,
}

/// A running store. It ends with the test's runtime.
#[derive(Clone)]
pub(crate) struct FakeStore {
    pub(crate) address: SocketAddr,
    shared: Arc<Mutex<Shared>>,
    changed: Arc<Notify>,
}

struct Shared {
    behaviour: Behaviour,
    objects: HashMap<String, Bytes>,
    calls: u64,
    /// One more clone for each body that is not sent to its end.
    bodies: Arc<()>,
}

impl FakeStore {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let shared = Shared {
            behaviour: Behaviour::Healthy,
            objects: HashMap::new(),
            calls: 0,
            bodies: Arc::new(()),
        };
        let store = Self {
            address,
            shared: Arc::new(Mutex::new(shared)),
            changed: Arc::default(),
        };
        let app = Router::new()
            .fallback(answer)
            .layer(DefaultBodyLimit::disable())
            .with_state(store.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        store
    }

    /// A service that uses this store, with these settings besides.
    pub(crate) async fn service(&self, settings: &[(&str, &str)]) -> Service {
        self.service_as(Role::Api, settings).await
    }

    pub(crate) async fn service_as(&self, role: Role, settings: &[(&str, &str)]) -> Service {
        let endpoint = format!("http://{}", self.address);
        let own = [
            ("CHITRAM_STORE_URL", "s3://test"),
            ("CHITRAM_STORE_ENDPOINT", &endpoint),
            ("CHITRAM_STORE_ACCESS_KEY", "key"),
            ("CHITRAM_STORE_SECRET_KEY", "secret"),
        ];
        Service::start_as(role, &[&own, settings].concat()).await
    }

    pub(crate) fn behave(&self, behaviour: Behaviour) {
        self.shared.lock().expect("no panic").behaviour = behaviour;
        self.changed.notify_waiters();
    }

    async fn released(&self) {
        loop {
            let changed = self.changed.notified();
            if self.shared.lock().expect("no panic").behaviour != Behaviour::HeldWrites {
                return;
            }
            changed.await;
        }
    }

    pub(crate) fn keys(&self) -> Vec<String> {
        self.shared
            .lock()
            .expect("no panic")
            .objects
            .keys()
            .cloned()
            .collect()
    }

    /// Loses every object, as a bucket does that is restored from before.
    pub(crate) fn lose_all(&self) {
        self.shared.lock().expect("no panic").objects.clear();
    }

    /// Cuts every object to this size.
    pub(crate) fn truncate_all(&self, size: usize) {
        let objects = &mut self.shared.lock().expect("no panic").objects;
        for object in objects.values_mut() {
            object.truncate(size);
        }
    }

    pub(crate) fn calls(&self) -> u64 {
        self.shared.lock().expect("no panic").calls
    }

    /// Bodies of objects that are on their way.
    pub(crate) fn bodies(&self) -> usize {
        Arc::strong_count(&self.shared.lock().expect("no panic").bodies) - 1
    }

    fn note_call(&self) -> Behaviour {
        let mut shared = self.shared.lock().expect("no panic");
        shared.calls += 1;
        shared.behaviour
    }
}

async fn answer(
    State(store): State<FakeStore>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let behaviour = store.note_call();
    let writing = matches!(method, Method::PUT | Method::DELETE);
    match behaviour {
        Behaviour::RefusingWrites(status, code) if writing => return refusal(status, code),
        Behaviour::RefusingReads(status, code) if !writing => return refusal(status, code),
        Behaviour::RefusingDeletes if method == Method::DELETE => {
            return refusal(403, "AccessDenied");
        }
        Behaviour::HeldWrites if writing => store.released().await,
        Behaviour::Slow(time) => tokio::time::sleep(time).await,
        Behaviour::Silent => std::future::pending().await,
        Behaviour::Failing => return StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        _ => {}
    }
    let key = uri.path().to_owned();
    let shared = &mut *store.shared.lock().expect("no panic");
    let (objects, body_guard) = (&mut shared.objects, Arc::clone(&shared.bodies));
    match method {
        Method::PUT => {
            objects.insert(key, body);
            (StatusCode::OK, [("etag", "\"tag\"")]).into_response()
        }
        Method::DELETE => {
            objects.remove(&key);
            StatusCode::NO_CONTENT.into_response()
        }
        _ => match objects.get(&key) {
            None => StatusCode::NOT_FOUND.into_response(),
            Some(object) => serve(object, &headers, behaviour, body_guard),
        },
    }
}

fn serve(object: &Bytes, headers: &HeaderMap, behaviour: Behaviour, guard: Arc<()>) -> Response {
    let size = object.len();
    let (status, range) = match headers
        .get("range")
        .map(|range| parse(range.to_str().expect("text")))
    {
        Some(range) => (StatusCode::PARTIAL_CONTENT, range),
        None => (StatusCode::OK, 0..size),
    };
    if range.start >= size && size > 0 {
        return refusal(416, "InvalidRange");
    }
    let range = range.start..range.end.min(size);
    let part = object.slice(range.clone());
    let body = if behaviour == Behaviour::Stalling {
        let half = part.slice(..part.len() / 2);
        Body::from_stream(
            futures::stream::iter([Ok::<_, std::io::Error>(half)])
                .chain(futures::stream::pending()),
        )
    } else {
        // In pieces, so that it is on its way for as long as its reader takes.
        let mut rest = part.clone();
        let pieces = std::iter::from_fn(move || {
            let _ = &guard;
            let length = rest.len().min(16 * 1024);
            (length > 0).then(|| Ok::<_, std::io::Error>(rest.split_to(length)))
        });
        Body::from_stream(futures::stream::iter(pieces))
    };
    let head = [
        ("etag", "\"tag\"".to_owned()),
        ("content-length", part.len().to_string()),
        (
            "content-range",
            format!(
                "bytes {}-{}/{size}",
                range.start,
                range.end.saturating_sub(1)
            ),
        ),
    ];
    (status, head, body).into_response()
}

/// An error as S3 words it.
fn refusal(status: u16, code: &str) -> Response {
    let document = format!("<Error><Code>{code}</Code><Message>a test</Message></Error>");
    let status = StatusCode::from_u16(status).expect("a status");
    (status, [("content-type", "application/xml")], document).into_response()
}

fn parse(range: &str) -> Range<usize> {
    let (first, last) = range
        .strip_prefix("bytes=")
        .and_then(|range| range.split_once('-'))
        .expect("a range");
    first.parse().expect("a number")..last.parse::<usize>().expect("a number") + 1
}
