//! The routes of Jaeger's query API, `/api/...`.

use std::sync::Arc;

use axum::{
    Router,
    extract::{Path, Query, State},
    http::{StatusCode, header},
    response::{Html, IntoResponse, Response},
    routing::get,
};
use serde_json::{Value as Json, json};

use super::{json, search, store::Store};

type Parameters = Query<Vec<(String, String)>>;

/// Everything that the stand-in answers over HTTP.
pub(super) fn router(store: Arc<Store>) -> Router {
    Router::new()
        .route("/api/services", get(services))
        .route("/api/services/{service}/operations", get(service_operations))
        .route("/api/operations", get(operations))
        .route("/api/traces", get(traces))
        .route("/api/traces/{id}", get(trace))
        .route("/metrics", get(metrics))
        .fallback(|| async { Html("<!doctype html><title>Jaeger stand-in</title><p>There is no user interface here: ask /api/traces.") })
        .with_state(store)
}

async fn services(State(store): State<Arc<Store>>) -> Response {
    let services = store.services();
    answer(json!(services), services.len())
}

/// Names only; an unknown service has `null`.
async fn service_operations(
    State(store): State<Arc<Store>>,
    Path(service): Path<String>,
) -> Response {
    match store.operations(&service) {
        None => answer(Json::Null, 0),
        Some(operations) => {
            let mut names: Vec<String> = operations
                .into_iter()
                .map(|operation| operation.name)
                .collect();
            names.dedup();
            answer(json!(names), names.len())
        }
    }
}

/// Names with their kinds; an unknown service has none.
async fn operations(State(store): State<Arc<Store>>, Query(parameters): Parameters) -> Response {
    let value = |name: &str| {
        parameters
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    };
    let Some(service) = value("service").filter(|service| !service.is_empty()) else {
        return refuse(StatusCode::BAD_REQUEST, "parameter 'service' is required");
    };
    let kind = value("spanKind").filter(|kind| !kind.is_empty());
    let operations: Vec<Json> = store
        .operations(service)
        .unwrap_or_default()
        .iter()
        .filter(|operation| kind.is_none_or(|kind| operation.kind == kind))
        .map(json::operation)
        .collect();
    let total = operations.len();
    answer(Json::Array(operations), total)
}

async fn traces(State(store): State<Arc<Store>>, Query(parameters): Parameters) -> Response {
    let found: Vec<Json> = match search::parse(&parameters) {
        Err(search::Refusal::Parameter(message)) => {
            return refuse(StatusCode::BAD_REQUEST, &message);
        }
        Err(search::Refusal::SearchDepth) => {
            return refuse(
                StatusCode::INTERNAL_SERVER_ERROR,
                "search depth must be greater than 0 and less than max traces",
            );
        }
        Ok(search::Query::Ids(ids)) => ids
            .into_iter()
            .filter_map(|id| store.trace(id))
            .map(|trace| json::trace(&trace))
            .collect(),
        Ok(search::Query::Search(search)) => store
            .newest(search.limit, |trace| search.matches(trace))
            .iter()
            .map(json::trace)
            .collect(),
    };
    answer(Json::Array(found), 0)
}

async fn trace(State(store): State<Arc<Store>>, Path(id): Path<String>) -> Response {
    match search::trace_id(&id).map(|id| store.trace(id)) {
        Err(message) => refuse(StatusCode::BAD_REQUEST, &message),
        Ok(None) => refuse(StatusCode::NOT_FOUND, "trace not found"),
        Ok(Some(trace)) => answer(json!([json::trace(&trace)]), 0),
    }
}

fn answer(data: Json, total: usize) -> Response {
    axum::Json(json::envelope(data, total)).into_response()
}

/// How full the store is and what it dropped. The real server has a listener of its own for its metrics.
async fn metrics(State(store): State<Arc<Store>>) -> Response {
    let text = store.counts().to_prometheus(store.limits());
    (
        [(
            header::CONTENT_TYPE,
            "text/plain; version=0.0.4; charset=utf-8",
        )],
        text,
    )
        .into_response()
}

/// Jaeger's errors are JSON that call themselves text.
fn refuse(status: StatusCode, message: &str) -> Response {
    let body = json::error(status.as_u16(), message).to_string();
    (
        status,
        [(header::CONTENT_TYPE, "text/plain; charset=utf-8")],
        body,
    )
        .into_response()
}
