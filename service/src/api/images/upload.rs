//! `POST /v1/images`: spool and hash, inspect, put the object, then enter the row and its job in one transaction. It is
//! acknowledged when the row is there and its object was seen or put.

use std::sync::Arc;
use std::time::Instant;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::header::{LINK, LOCATION};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use observability::{propagation, scope};

use super::super::originals::Room;
use super::super::problem::Problem;
use super::super::{Api, body};
use super::{Document, repair};
use crate::catalog::{CatalogError, Inserted};
use crate::domain::{Blob, Image, NewImage, Owner};
use crate::renders::{Inspected, input_format};
use crate::store::Key;
use crate::telemetry::{Rejection, Stage};

pub(super) async fn upload(State(api): State<Api>, request: Request) -> Result<Response, Problem> {
    // Boxed: the state of a body that is arriving is large, and a connection keeps the largest it has seen.
    let answer = Box::pin(accept(&api, request)).await;
    if let Err(problem) = &answer
        && let Some(reason) = rejection(problem)
    {
        api.metrics.rejected(reason);
    }
    answer
}

async fn accept(api: &Api, request: Request) -> Result<Response, Problem> {
    let receiving = body::spool(request, &api.spool, api.upload_bytes, api.upload_pace);
    let spooled = scope::stage("receive", Box::pin(receiving)).await?;
    if spooled.is_empty() {
        return Err(Problem::BadBody("the body is empty".to_owned()));
    }
    let owner = Owner::default();
    let hash = spooled.hash;
    let known = match api.catalog.image_by_hash(&owner, &hash).await? {
        None => None,
        Some(image) => match repair::damage(api, &image).await? {
            None => return answer(StatusCode::OK, image, None),
            Some(damage) => Some((image, damage)),
        },
    };

    // From here on the whole picture is in memory, once.
    let room = Arc::new(api.originals.room(spooled.len()).await?);
    let bytes = spooled.into_bytes().await?;
    if let Some((image, damage)) = known {
        let repairing = {
            let (api, image, bytes, room) =
                (api.clone(), image.clone(), bytes.clone(), Arc::clone(&room));
            async move {
                let _room = room;
                repair::repair(&api, &image, damage, bytes).await
            }
        };
        if finished(repairing).await? {
            return answer(StatusCode::OK, image, None);
        }
        // Deleted meanwhile: the bytes are new again.
    }
    let inspected = api.renderer.inspect(bytes.clone()).await?;
    let image = describe(owner, Blob::new(hash), inspected, bytes.len() as u64);

    let inserted = finished(store(api.clone(), image, bytes, room)).await?;
    let status = if inserted.created {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    answer(
        status,
        inserted.image,
        inserted
            .job
            .map(|job| format!("</v1/jobs/{job}>; rel=\"status\"")),
    )
}

/// Runs `storing` to its end in a task of its own: a client that leaves now must not leave an object without its row.
async fn finished<T: Send + 'static>(
    storing: impl Future<Output = Result<T, Problem>> + Send + 'static,
) -> Result<T, Problem> {
    scope::spawn(storing)
        .await
        .map_err(|error| Problem::Internal(format!("storing an upload failed: {error}")))?
}

fn describe(
    owner: Owner,
    blob: Blob,
    Inspected { info, color }: Inspected,
    bytes: u64,
) -> NewImage {
    NewImage {
        owner,
        blob,
        format: input_format(info.format),
        width: info.displayed.width,
        height: info.displayed.height,
        alpha: info.has_alpha,
        bytes,
        color,
        traceparent: propagation::current_traceparent(),
    }
}

/// The object first: a row always has its object.
async fn store(
    api: Api,
    image: NewImage,
    bytes: Bytes,
    _room: Arc<Room>,
) -> Result<Inserted, Problem> {
    let (own, began) = (image.blob, Instant::now());
    api.store.put(&Key::Original(own), bytes.clone()).await?;
    api.renderer.record(Stage::Store, image.format, began);
    let inserted = match api.catalog.insert_image(image).await {
        Ok(inserted) => inserted,
        Err(error) => {
            withdraw(&api, own, &error).await;
            return Err(error.into());
        }
    };
    // The picture joined an older copy, and its own is purged: the older one has to be there.
    if inserted.image.blob != own
        && let Some(damage) = repair::damage(&api, &inserted.image).await?
    {
        // Deleted meanwhile is as good as deleted after the answer.
        let _still_there = repair::repair(&api, &inserted.image, damage, bytes).await?;
    }
    if inserted.created {
        api.metrics.uploads_accepted.inc();
    }
    Ok(inserted)
}

/// There is no row for an object, so it goes as well: a catalog that takes no rows would fill the store. When there may be
/// a row after all, it stays, under a key that nothing else uses.
async fn withdraw(api: &Api, blob: Blob, error: &CatalogError) {
    let key = Key::Original(blob);
    match error {
        CatalogError::OutcomeUnknown { .. } => repair::orphaned(api, &key, error),
        _ => repair::remove(api, &key).await,
    }
}

fn answer(status: StatusCode, image: Image, link: Option<String>) -> Result<Response, Problem> {
    let value = |text: String| {
        HeaderValue::try_from(text).map_err(|error| Problem::Internal(error.to_string()))
    };
    let location = value(format!("/v1/images/{}", image.id))?;
    let mut response = (status, Json(Document::from(image))).into_response();
    response.headers_mut().insert(LOCATION, location);
    if let Some(link) = link {
        response.headers_mut().insert(LINK, value(link)?);
    }
    Ok(response)
}

/// The reason under which a refused upload is counted; `None` when the upload was not at fault.
fn rejection(problem: &Problem) -> Option<Rejection> {
    match problem {
        Problem::TooLarge { .. } => Some(Rejection::TooLarge),
        Problem::UnsupportedMediaType(_) => Some(Rejection::Unsupported),
        Problem::Undecodable(_) => Some(Rejection::Undecodable),
        Problem::OverLimit(_) => Some(Rejection::OverLimit),
        Problem::BadBody(_) => Some(Rejection::Malformed),
        Problem::BodyStalled => Some(Rejection::Stalled),
        Problem::BodySlow => Some(Rejection::Slow),
        Problem::SpoolFull => Some(Rejection::SpoolFull),
        _ => None,
    }
}
