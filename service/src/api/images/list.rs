//! `GET /v1/images`: newest first, page by page.

use axum::Json;
use axum::extract::State;
use observability::scope::stage_sync;
use serde::{Deserialize, Serialize};

use super::super::Api;
use super::super::parameters::Parameters;
use super::super::problem::{BadParameter, Problem};
use super::Document;
use crate::domain::{Owner, PageRequest};

const DEFAULT_LIMIT: u32 = 50;
const MAX_LIMIT: u32 = 100;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Query {
    limit: Option<u32>,
    cursor: Option<String>,
}

#[derive(Serialize)]
pub(super) struct PageDocument {
    images: Vec<Document>,
    next_cursor: Option<String>,
}

pub(super) async fn list(
    State(api): State<Api>,
    Parameters(query): Parameters<Query>,
) -> Result<Json<PageDocument>, Problem> {
    let request = stage_sync("validate", || validate(query))?;
    let page = api.catalog.list_images(&request).await?;
    Ok(Json(PageDocument {
        images: page.images.into_iter().map(Document::from).collect(),
        next_cursor: page.next.map(|cursor| cursor.to_string()),
    }))
}

fn validate(query: Query) -> Result<PageRequest, Problem> {
    let limit = query.limit.unwrap_or(DEFAULT_LIMIT);
    if !(1..=MAX_LIMIT).contains(&limit) {
        let rest = format_args!("must be from 1 to {MAX_LIMIT}, not {limit}");
        return Err(Problem::BadParameters(vec![BadParameter::new(
            "limit", rest,
        )]));
    }
    Ok(PageRequest {
        owner: Owner::default(),
        limit,
        after: query.cursor.map(|cursor| cursor.parse()).transpose()?,
    })
}
