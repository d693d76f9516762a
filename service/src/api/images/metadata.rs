//! `GET /v1/images/{id}`.

use axum::Json;
use axum::extract::State;

use super::super::Api;
use super::super::parameters::Id;
use super::super::problem::Problem;
use super::{Document, find};
use crate::domain::ImageId;

pub(super) async fn metadata(
    State(api): State<Api>,
    Id(id): Id<ImageId>,
) -> Result<Json<Document>, Problem> {
    Ok(Json(find(&api, id).await?.into()))
}
