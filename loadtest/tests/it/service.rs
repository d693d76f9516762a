//! A service with Chitram's API, in memory, that misbehaves when told to.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// What a test tells the service, and what it saw.
#[derive(Default)]
pub(crate) struct Controls {
    /// From this load request on (the first is 1), for the time given, no request is answered.
    pub stall: Mutex<Option<(u64, Duration)>>,
    /// Each load request is answered so much later.
    pub delay: Mutex<Duration>,
    /// No load request is answered at all.
    pub silent: AtomicBool,
    /// Content comes with one byte changed.
    pub corrupt: AtomicBool,
    /// Content is answered 503, as when the store is away.
    pub unavailable: AtomicBool,
    /// Renders come as JPEG.
    pub wrong_type: AtomicBool,
    /// Headers of each request that carried a `traceparent`, with its path.
    pub seen: Mutex<Vec<(String, HeaderMap)>>,
    stall_ends: OnceLock<tokio::time::Instant>,
    images: Mutex<Vec<Stored>>,
    requests: AtomicU64,
}

struct Stored {
    bytes: Bytes,
    /// How often its metadata was asked for.
    asked: u64,
}

/// A running service; it stops when it is dropped.
pub(crate) struct Service {
    pub address: String,
    pub controls: Arc<Controls>,
    _runtime: tokio::runtime::Runtime,
}

impl Service {
    /// With that many pictures.
    pub(crate) fn start(pictures: usize) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("runtime");
        let controls = Arc::new(Controls::default());
        for index in 0..pictures {
            let bytes = Bytes::from(vec![index as u8; 20_000]);
            controls
                .images
                .lock()
                .expect("images")
                .push(Stored { bytes, asked: 0 });
        }
        let app = Router::new()
            .route("/v1/images", get(list).post(upload))
            .route("/v1/images/{id}", get(metadata))
            .route("/v1/images/{id}/content", get(content))
            .route("/v1/images/{id}/render", get(render))
            .layer(from_fn_with_state(Arc::clone(&controls), misbehave))
            .with_state(Arc::clone(&controls));
        let listener = runtime
            .block_on(TcpListener::bind("127.0.0.1:0"))
            .expect("free port");
        let address = format!("http://{}", listener.local_addr().expect("address"));
        runtime.spawn(async move { axum::serve(listener, app).await });
        Self {
            address,
            controls,
            _runtime: runtime,
        }
    }

    /// Requests of the load so far; those that prepare it carry no `traceparent`.
    pub(crate) fn requests(&self) -> u64 {
        self.controls.requests.load(Ordering::Relaxed)
    }

    /// The pictures it holds.
    pub(crate) fn pictures(&self) -> Vec<Bytes> {
        self.controls
            .images
            .lock()
            .expect("images")
            .iter()
            .map(|image| image.bytes.clone())
            .collect()
    }
}

async fn misbehave(
    State(controls): State<Arc<Controls>>,
    request: Request,
    next: Next,
) -> Response {
    if !request.headers().contains_key("traceparent") {
        return next.run(request).await;
    }
    let seen = (request.uri().path().to_owned(), request.headers().clone());
    controls.seen.lock().expect("seen").push(seen);
    let number = controls.requests.fetch_add(1, Ordering::Relaxed) + 1;
    if controls.silent.load(Ordering::Relaxed) {
        std::future::pending::<()>().await;
    }
    let delay = *controls.delay.lock().expect("delay");
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
    let stall = *controls.stall.lock().expect("stall");
    if let Some((from, length)) = stall
        && number >= from
    {
        stalled(&controls, length).await;
    }
    next.run(request).await
}

/// All requests of a stall wait for the same end of it.
async fn stalled(controls: &Controls, length: Duration) {
    let end = *controls
        .stall_ends
        .get_or_init(|| tokio::time::Instant::now() + length);
    tokio::time::sleep_until(end).await;
}

fn image(id: usize, stored: &Stored, variants: &Value) -> Value {
    json!({
        "id": id.to_string(), "hash": blake3::hash(&stored.bytes).to_hex().to_string(),
        "width": 640, "height": 480, "bytes": stored.bytes.len(), "title": null, "tags": [], "variants": variants,
    })
}

async fn list(State(controls): State<Arc<Controls>>) -> Response {
    let images = controls.images.lock().expect("images");
    let listed: Vec<Value> = images
        .iter()
        .enumerate()
        .take(20)
        .map(|(id, stored)| image(id, stored, &json!([])))
        .collect();
    axum::Json(json!({ "images": listed, "next_cursor": null })).into_response()
}

/// The presets are ready when they have been asked for twice.
async fn metadata(State(controls): State<Arc<Controls>>, Path(id): Path<usize>) -> Response {
    let mut images = controls.images.lock().expect("images");
    let Some(stored) = images.get_mut(id) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    stored.asked += 1;
    let presets: &[&str] = if stored.asked > 1 {
        &["thumb", "small", "medium"]
    } else {
        &["thumb"]
    };
    let variants = presets
        .iter()
        .map(|preset| json!({ "preset": preset }))
        .collect();
    axum::Json(image(id, stored, &variants)).into_response()
}

async fn content(State(controls): State<Arc<Controls>>, Path(id): Path<usize>) -> Response {
    if controls.unavailable.load(Ordering::Relaxed) {
        let problem = [
            (header::CONTENT_TYPE, "application/problem+json"),
            (header::RETRY_AFTER, "1"),
        ];
        return (
            StatusCode::SERVICE_UNAVAILABLE,
            problem,
            r#"{"title":"store unavailable"}"#,
        )
            .into_response();
    }
    let images = controls.images.lock().expect("images");
    let Some(stored) = images.get(id) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let mut bytes = stored.bytes.to_vec();
    if controls.corrupt.load(Ordering::Relaxed) {
        bytes[0] ^= 1;
    }
    ([(header::CONTENT_TYPE, "image/jpeg")], bytes).into_response()
}

async fn render(State(controls): State<Arc<Controls>>) -> Response {
    let media_type = if controls.wrong_type.load(Ordering::Relaxed) {
        "image/jpeg"
    } else {
        "image/webp"
    };
    (
        [(header::CONTENT_TYPE, media_type)],
        &b"RIFF\x04\0\0\0WEBPVP8L"[..],
    )
        .into_response()
}

async fn upload(
    State(controls): State<Arc<Controls>>,
    headers: HeaderMap,
    bytes: Bytes,
) -> Response {
    let media_type = headers[header::CONTENT_TYPE].to_str().expect("text");
    if !media_type.starts_with("image/") || bytes.starts_with(b"no picture") {
        return (
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            r#"{"detail":"this is no picture"}"#,
        )
            .into_response();
    }
    let mut images = controls.images.lock().expect("images");
    let known = images.iter().position(|stored| stored.bytes == bytes);
    let status = if known.is_some() {
        StatusCode::OK
    } else {
        StatusCode::CREATED
    };
    let id = known.unwrap_or_else(|| {
        images.push(Stored { bytes, asked: 0 });
        images.len() - 1
    });
    (status, axum::Json(image(id, &images[id], &json!([])))).into_response()
}
