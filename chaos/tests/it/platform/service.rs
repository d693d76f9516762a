//! A service that keeps the promises which experiments are about: content comes from a store through a proxy, with a
//! deadline; the list does not. It remembers what each traced request did and answers Jaeger's query for it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Json;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::get;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

/// What every image holds.
const CONTENT: &[u8] = b"a picture";
const STORE_DEADLINE: Duration = Duration::from_millis(800);

/// A server that stops when dropped.
pub(crate) struct Server {
    pub(crate) address: String,
    _stop: DropGuard,
}

async fn serve(app: Router) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    let stop = CancellationToken::new();
    let stopped = stop.clone();
    tokio::spawn(async move {
        let server = axum::serve(listener, app);
        tokio::select! {
            _ = server => {}
            () = stopped.cancelled() => {}
        }
    });
    Server {
        address,
        _stop: stop.drop_guard(),
    }
}

/// The dependency.
pub(crate) async fn store() -> Server {
    serve(Router::new().fallback(|| async { CONTENT })).await
}

/// The service with its store.
pub(crate) struct Service {
    pub(crate) address: String,
    _servers: [Server; 2],
}

#[derive(Clone)]
struct App {
    http: reqwest::Client,
    store: String,
    traces: Arc<Mutex<HashMap<String, Call>>>,
}

#[derive(Clone, Copy)]
struct Call {
    took_us: i64,
    failed: bool,
}

pub(crate) async fn start(store: Server, through: &str) -> Service {
    let http = reqwest::Client::builder()
        .no_proxy()
        .tcp_nodelay(true)
        .build()
        .expect("a client");
    let app = App {
        http,
        store: format!("http://{through}/blob"),
        traces: Arc::default(),
    };
    let routes = Router::new()
        .route("/v1/images", get(list))
        .route("/v1/images/{id}/content", get(content))
        .route(
            "/api/services",
            get(|| async { Json(json!({ "data": ["chitram"] })) }),
        )
        .route("/api/traces/{id}", get(trace))
        .with_state(app);
    let server = serve(routes).await;
    Service {
        address: server.address.clone(),
        _servers: [server, store],
    }
}

async fn list() -> Json<Value> {
    let hash = blake3::hash(CONTENT).to_hex().to_string();
    Json(json!({ "images": [{ "id": "one", "hash": hash }], "next_cursor": null }))
}

async fn content(State(app): State<App>, headers: HeaderMap) -> Response {
    let begun = Instant::now();
    let fetched = fetch(&app).await;
    let call = Call {
        took_us: begun.elapsed().as_micros() as i64,
        failed: fetched.is_none(),
    };
    if let Some(id) = headers
        .get("traceparent")
        .and_then(|value| value.to_str().ok()?.split('-').nth(1))
    {
        app.traces
            .lock()
            .expect("unpoisoned")
            .insert(id.to_owned(), call);
    }
    if let Some(bytes) = fetched {
        return bytes.into_response();
    }
    let headers = [
        (header::CONTENT_TYPE, "application/problem+json"),
        (header::RETRY_AFTER, "1"),
    ];
    (StatusCode::SERVICE_UNAVAILABLE, headers, "{}").into_response()
}

async fn fetch(app: &App) -> Option<Bytes> {
    let answer = app
        .http
        .get(&app.store)
        .timeout(STORE_DEADLINE)
        .send()
        .await
        .ok()?;
    answer.error_for_status().ok()?.bytes().await.ok()
}

/// As Jaeger's query API answers: a server span with one call of the store in it.
async fn trace(State(app): State<App>, Path(id): Path<String>) -> Response {
    let Some(call) = app.traces.lock().expect("unpoisoned").get(&id).copied() else {
        return (
            StatusCode::NOT_FOUND,
            Json(json!({ "data": null, "errors": [{ "code": 404 }] })),
        )
            .into_response();
    };
    let span = |span_id: &str, parent: Value, duration: i64, tags: Value| {
        json!({ "traceID": id, "spanID": span_id, "operationName": span_id, "references": parent, "startTime": 0,
                "duration": duration, "tags": tags, "logs": [], "processID": "p1" })
    };
    let kind = |kind: &str| json!({ "key": "span.kind", "type": "string", "value": kind });
    let failed = json!({ "key": "error", "type": "bool", "value": call.failed });
    let peer = json!({ "key": "peer.service", "type": "string", "value": "store" });
    let parent = json!([{ "refType": "CHILD_OF", "traceID": id, "spanID": "root" }]);
    let spans = [
        span(
            "root",
            json!([]),
            call.took_us + 100,
            json!([kind("server"), failed]),
        ),
        span(
            "GetObject",
            parent,
            call.took_us,
            json!([kind("client"), failed, peer]),
        ),
    ];
    Json(json!({ "data": [{ "traceID": id, "spans": spans, "processes": {} }], "errors": null }))
        .into_response()
}

/// An API in front of another that can be made to hang, as a wedged Toxiproxy does.
pub(crate) struct Wedgeable {
    pub(crate) url: String,
    wedged: Arc<AtomicBool>,
    waiting: Arc<AtomicUsize>,
    _server: Server,
}

impl Wedgeable {
    /// Passes everything on to `inner`, until it is wedged.
    pub(crate) async fn before(inner: String) -> Self {
        let (wedged, inner) = (Arc::new(AtomicBool::new(false)), Inner::at(inner));
        let waiting = Arc::new(AtomicUsize::new(0));
        let (flag, count) = (wedged.clone(), waiting.clone());
        let app = Router::new().fallback(move |method: Method, uri: Uri, body: Bytes| {
            let (flag, count, inner) = (flag.clone(), count.clone(), inner.clone());
            async move {
                if flag.load(Ordering::SeqCst) {
                    count.fetch_add(1, Ordering::SeqCst);
                }
                while flag.load(Ordering::SeqCst) {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                inner.answer(method, &uri, body).await.into_response()
            }
        });
        let server = serve(app).await;
        Self {
            url: format!("http://{}", server.address),
            wedged,
            waiting,
            _server: server,
        }
    }

    /// How many calls have met it wedged.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::SeqCst)
    }

    /// From now on nothing is answered; or everything is again.
    pub(crate) fn set_wedged(&self, wedged: bool) {
        self.wedged.store(wedged, Ordering::SeqCst);
    }
}

/// An API in front of another that answers with a redirect, which no Toxiproxy does, the first time that it is asked about
/// a proxy with a toxic of ours.
pub(crate) struct Misled {
    pub(crate) url: String,
    redirected: Arc<AtomicBool>,
    _server: Server,
}

impl Misled {
    /// Passes everything else on to `inner`.
    pub(crate) async fn before(inner: String) -> Self {
        let (redirected, inner) = (Arc::new(AtomicBool::new(false)), Inner::at(inner));
        let flag = redirected.clone();
        let app = Router::new().fallback(move |method: Method, uri: Uri, body: Bytes| {
            let (flag, inner) = (flag.clone(), inner.clone());
            async move {
                let is_read = method == Method::GET;
                let (status, body) = inner.answer(method, &uri, body).await;
                let has_our_toxic = String::from_utf8_lossy(&body).contains("chitram-");
                if is_read && has_our_toxic && !flag.swap(true, Ordering::SeqCst) {
                    return Redirect::temporary("/elsewhere").into_response();
                }
                (status, body).into_response()
            }
        });
        let server = serve(app).await;
        Self {
            url: format!("http://{}", server.address),
            redirected,
            _server: server,
        }
    }

    /// Whether it came to the redirect.
    pub(crate) fn has_redirected(&self) -> bool {
        self.redirected.load(Ordering::SeqCst)
    }
}

/// An API in front of another that refuses some calls, as a server in trouble does, and remembers all that were made.
pub(crate) struct Refusing {
    pub(crate) url: String,
    made: Arc<Mutex<Vec<String>>>,
    _server: Server,
}

impl Refusing {
    /// Passes everything on to `inner`, but the calls `METHOD /path` that `refuses` says.
    pub(crate) async fn before(
        inner: String,
        refuses: impl FnMut(&str) -> bool + Send + 'static,
    ) -> Self {
        let (made, inner) = (Arc::<Mutex<Vec<String>>>::default(), Inner::at(inner));
        let (calls, refuses) = (made.clone(), Arc::new(Mutex::new(refuses)));
        let app = Router::new().fallback(move |method: Method, uri: Uri, body: Bytes| {
            let call = format!("{method} {}", uri.path());
            let is_refused = refuses.lock().expect("unpoisoned")(&call);
            calls.lock().expect("unpoisoned").push(call);
            let inner = inner.clone();
            async move {
                if is_refused {
                    return (StatusCode::INTERNAL_SERVER_ERROR, "in trouble").into_response();
                }
                inner.answer(method, &uri, body).await.into_response()
            }
        });
        let server = serve(app).await;
        Self {
            url: format!("http://{}", server.address),
            made,
            _server: server,
        }
    }

    /// How often this call was made.
    pub(crate) fn count(&self, call: &str) -> usize {
        let made = self.made.lock().expect("unpoisoned");
        made.iter().filter(|made| *made == call).count()
    }
}

/// The API behind such a front.
#[derive(Clone)]
struct Inner {
    http: reqwest::Client,
    base: String,
}

impl Inner {
    fn at(base: String) -> Self {
        let http = reqwest::Client::builder().no_proxy().build();
        Self {
            http: http.expect("a client"),
            base,
        }
    }

    async fn answer(&self, method: Method, uri: &Uri, body: Bytes) -> (StatusCode, Bytes) {
        let url = format!("{}{}", self.base, uri.path());
        let answer = self.http.request(method, url).body(body).send().await;
        let answer = answer.expect("the inner API answers");
        (answer.status(), answer.bytes().await.expect("a body"))
    }
}
