//! Toxiproxy's HTTP API: routes, status codes and headers. What is done is the collection's business.

use std::{future::Future, sync::Arc};

use axum::{
    Json, Router,
    body::Bytes,
    extract::{DefaultBodyLimit, Path, Request, State},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{MethodRouter, get, post},
};
use http::{HeaderName, HeaderValue, Method, StatusCode, header};
use serde::Serialize;

use super::{
    VERSION,
    api_error::{ApiError, plain_text},
    collection::{Collection, Populated},
    json,
    proxy::ProxyView,
};

/// The largest body that is read.
const MAX_BODY: usize = 1 << 20;

static REQUEST_ID: HeaderName = HeaderName::from_static("x-toxiproxy-request-id");

type Proxies = State<Arc<Collection>>;

/// The routes of Toxiproxy 2.12.
pub(super) fn router(proxies: Arc<Collection>) -> Router {
    Router::new()
        .route("/version", route(get(version)))
        .route("/proxies", route(get(list_proxies).post(create_proxy)))
        .route(
            "/proxies/{proxy}",
            route(
                get(show_proxy)
                    .post(update_proxy)
                    .patch(update_proxy)
                    .delete(delete_proxy),
            ),
        )
        .route(
            "/proxies/{proxy}/toxics",
            route(get(list_toxics).post(create_toxic)),
        )
        .route(
            "/proxies/{proxy}/toxics/{toxic}",
            route(
                get(show_toxic)
                    .post(update_toxic)
                    .patch(update_toxic)
                    .delete(delete_toxic),
            ),
        )
        .route("/populate", route(post(populate)))
        .route("/reset", route(post(reset)))
        .fallback(|| async { plain_text(StatusCode::NOT_FOUND, "404 page not found") })
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .with_state(proxies)
}

/// A route answers its methods with a request id, others with 405 and none.
fn route(methods: MethodRouter<Arc<Collection>>) -> MethodRouter<Arc<Collection>> {
    methods
        .route_layer(middleware::from_fn(identify))
        .fallback(|| async { StatusCode::METHOD_NOT_ALLOWED })
}

/// Refuses browsers, whose pages could otherwise reach the API across origins, and numbers the answer.
async fn identify(request: Request, next: Next) -> Response {
    if request.method() == Method::HEAD {
        return StatusCode::METHOD_NOT_ALLOWED.into_response();
    }
    let agent = request.headers().get(header::USER_AGENT);
    let mut response = if agent.is_some_and(|agent| agent.as_bytes().starts_with(b"Mozilla/")) {
        plain_text(StatusCode::FORBIDDEN, "User agent not allowed")
    } else {
        next.run(request).await
    };
    let id = format!("{:020x}", rand::random::<u64>());
    if let Ok(id) = HeaderValue::try_from(id) {
        response.headers_mut().insert(&REQUEST_ID, id);
    }
    response
}

/// Completes an operation even if the client hangs up: a proxy must not stay half changed.
async fn complete<T: Send + 'static>(
    operation: impl Future<Output = T> + Send + 'static,
) -> Result<T, ApiError> {
    tokio::spawn(operation)
        .await
        .map_err(|error| ApiError::internal(error.to_string()))
}

async fn version() -> impl IntoResponse {
    (
        [(header::CONTENT_TYPE, "application/json;charset=utf-8")],
        format!("{{\"version\": \"{VERSION}\"}}\n"),
    )
}

async fn list_proxies(State(proxies): Proxies) -> impl IntoResponse {
    Json(proxies.list().await)
}

async fn create_proxy(State(proxies): Proxies, body: Bytes) -> Result<impl IntoResponse, ApiError> {
    let body = json::first_value(&body)?;
    let proxy = complete(async move { proxies.create(&body).await }).await??;
    Ok((StatusCode::CREATED, Json(proxy)))
}

async fn show_proxy(
    State(proxies): Proxies,
    Path(proxy): Path<String>,
) -> Result<impl IntoResponse, ApiError> {
    proxies.with(&proxy, |proxy| Ok(Json(proxy.view()))).await
}

async fn update_proxy(
    State(proxies): Proxies,
    Path(proxy): Path<String>,
    body: Bytes,
) -> Result<impl IntoResponse, ApiError> {
    // An unknown proxy is told before a bad body.
    proxies.with(&proxy, |_| Ok(())).await?;
    let body = json::first_value(&body)?;
    complete(async move { proxies.update(&proxy, &body).await })
        .await?
        .map(Json)
}

async fn delete_proxy(
    State(proxies): Proxies,
    Path(proxy): Path<String>,
) -> Result<impl IntoResponse, ApiError> {
    complete(async move { proxies.delete(&proxy).await }).await??;
    Ok(StatusCode::NO_CONTENT)
}

async fn list_toxics(
    State(proxies): Proxies,
    Path(proxy): Path<String>,
) -> Result<impl IntoResponse, ApiError> {
    proxies.with(&proxy, |proxy| Ok(Json(proxy.toxics()))).await
}

async fn create_toxic(
    State(proxies): Proxies,
    Path(proxy): Path<String>,
    body: Bytes,
) -> Result<impl IntoResponse, ApiError> {
    proxies
        .with(&proxy, |proxy| {
            proxy.add_toxic(&json::first_value(&body)?).map(Json)
        })
        .await
}

async fn show_toxic(
    State(proxies): Proxies,
    Path((proxy, toxic)): Path<(String, String)>,
) -> Result<impl IntoResponse, ApiError> {
    proxies
        .with(&proxy, |proxy| proxy.toxic(&toxic).map(Json))
        .await
}

async fn update_toxic(
    State(proxies): Proxies,
    Path((proxy, toxic)): Path<(String, String)>,
    body: Bytes,
) -> Result<impl IntoResponse, ApiError> {
    proxies
        .with(&proxy, |proxy| {
            proxy.toxic(&toxic)?;
            proxy
                .update_toxic(&toxic, &json::first_value(&body)?)
                .map(Json)
        })
        .await
}

async fn delete_toxic(
    State(proxies): Proxies,
    Path((proxy, toxic)): Path<(String, String)>,
) -> Result<impl IntoResponse, ApiError> {
    proxies
        .with(&proxy, |proxy| proxy.remove_toxic(&toxic))
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The only route whose errors are JSON by name too, beside the proxies that were populated before.
async fn populate(State(proxies): Proxies, body: Bytes) -> Result<Response, ApiError> {
    let body = json::first_value(&body);
    let populated = complete(async move {
        match body {
            Ok(body) => proxies.populate(&body).await,
            Err(failure) => Populated {
                proxies: Vec::new(),
                failure: Some(failure),
            },
        }
    });
    let Populated { proxies, failure } = populated.await?;
    let status = failure
        .as_ref()
        .map_or(StatusCode::CREATED, ApiError::status);
    // An empty list is null.
    let proxies = (!proxies.is_empty()).then_some(proxies);
    Ok((status, Json(PopulateAnswer { failure, proxies })).into_response())
}

#[derive(Serialize)]
struct PopulateAnswer {
    #[serde(flatten)]
    failure: Option<ApiError>,
    proxies: Option<Vec<ProxyView>>,
}

async fn reset(State(proxies): Proxies) -> Result<impl IntoResponse, ApiError> {
    complete(async move { proxies.reset().await }).await??;
    Ok(StatusCode::NO_CONTENT)
}
