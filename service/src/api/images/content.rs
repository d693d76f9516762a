//! `GET /v1/images/{id}/content`: the original, as it was uploaded.

use axum::body::Body;
use axum::extract::State;
use axum::http::header::{
    ACCEPT_RANGES, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE,
};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use observability::scope::stage_sync;

use super::super::Api;
use super::super::conditional::{EntityTag, Wanted};
use super::super::parameters::Id;
use super::super::problem::Problem;
use super::find;
use crate::domain::{Image, ImageId};
use crate::store::{Key, Object, StoreError};

pub(super) async fn content(
    State(api): State<Api>,
    Id(id): Id<ImageId>,
    method: Method,
    request: HeaderMap,
) -> Result<Response, Problem> {
    let image = find(&api, id).await?;
    let tag = EntityTag::new(image.blob.hash);
    if tag.is_known(&request) {
        return Ok(tag.not_modified());
    }
    let wanted = stage_sync("validate", || tag.wanted(&request, image.bytes));
    let (status, range) = match wanted {
        Wanted::Nothing => return Err(Problem::RangeNotSatisfiable { size: image.bytes }),
        Wanted::Whole => (StatusCode::OK, 0..image.bytes),
        Wanted::Part(range) => (StatusCode::PARTIAL_CONTENT, range),
    };
    // What HEAD answers is known without the store, so it works when the store is away.
    let body = match (&method, status) {
        (&Method::HEAD, _) => Body::empty(),
        (_, StatusCode::OK) => streamed(api.store.get(&Key::Original(image.blob)).await, &image)?,
        _ => streamed(
            api.store
                .get_range(&Key::Original(image.blob), range.clone())
                .await,
            &image,
        )?,
    };

    let mut response = (status, body).into_response();
    let headers = response.headers_mut();
    tag.immutable(headers);
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static(image.format.content_type()),
    );
    headers.insert(CONTENT_LENGTH, HeaderValue::from(range.end - range.start));
    if status == StatusCode::PARTIAL_CONTENT {
        let text = format!("bytes {}-{}/{}", range.start, range.end - 1, image.bytes);
        headers.insert(CONTENT_RANGE, value(text)?);
    }
    let name = format!("inline; filename=\"{id}.{}\"", image.format.extension());
    headers.insert(CONTENT_DISPOSITION, value(name)?);
    Ok(response)
}

/// The row is the truth: an object that is missing or of another size is a loss to be looked at, not a "not found".
fn streamed(object: Result<Object, StoreError>, image: &Image) -> Result<Body, Problem> {
    let object = object?.sized(image.bytes)?;
    Ok(Body::from_stream(object.into_stream()))
}

fn value(text: String) -> Result<HeaderValue, Problem> {
    HeaderValue::try_from(text).map_err(|error| Problem::Internal(error.to_string()))
}
