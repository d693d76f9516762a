//! `GET /v1/jobs/{id}`: how far the work after an upload or a delete is.

use axum::extract::State;
use axum::http::Method;
use axum::routing::get;
use axum::{Json, Router};
use observability::http::RouteSpec;
use serde::Serialize;

use super::Api;
use super::parameters::Id;
use super::problem::Problem;
use crate::domain::{Job, JobId};

const PATH: &str = "/v1/jobs/{id}";

pub(super) const TABLE: &[RouteSpec] = &[
    RouteSpec {
        method: Method::GET,
        route: PATH,
        statuses: STATUSES,
    },
    RouteSpec {
        method: Method::HEAD,
        route: PATH,
        statuses: STATUSES,
    },
];
const STATUSES: &[u16] = &[200, 400, 404, 421, 500, 503, 504];

pub(super) fn router() -> Router<Api> {
    Router::new().route(PATH, get(job))
}

/// A job as the API shows it. What its last attempt said is not shown: it may name the inside of the service.
#[derive(Serialize)]
struct Document {
    id: String,
    kind: &'static str,
    state: &'static str,
    attempts: u32,
    created_at: String,
    updated_at: String,
}

async fn job(State(api): State<Api>, Id(id): Id<JobId>) -> Result<Json<Document>, Problem> {
    let job = api.catalog.job(id).await?;
    let Job {
        id,
        work,
        state,
        attempts,
        created_at,
        updated_at,
        ..
    } = job.ok_or_else(|| Problem::NotFound(format!("there is no job {id}")))?;
    Ok(Json(Document {
        id: id.to_string(),
        kind: work.kind(),
        state: state.name(),
        attempts,
        created_at: created_at.to_string(),
        updated_at: updated_at.to_string(),
    }))
}
