//! `DELETE /v1/images/{id}`: the row is the truth, so the image is gone at once; a job removes its objects.

use axum::extract::State;
use axum::http::StatusCode;

use super::super::Api;
use super::super::parameters::Id;
use super::super::problem::Problem;
use crate::domain::ImageId;

pub(super) async fn delete(
    State(api): State<Api>,
    Id(id): Id<ImageId>,
) -> Result<StatusCode, Problem> {
    if api.catalog.delete_image(id).await? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(Problem::NotFound(format!("there is no image {id}")))
    }
}
