//! `POST /v1/images`: spool and hash, inspect, put the object, then enter the row and its job in one transaction.

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
use super::Document;
use crate::catalog::Inserted;
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
    if let Some(image) = api.catalog.image_by_hash(&owner, &hash).await? {
        return answer(StatusCode::OK, image, None);
    }

    // From here on the whole picture is in memory, once.
    let room = api.originals.room(spooled.len()).await?;
    let bytes = spooled.into_bytes().await?;
    let inspected = api.renderer.inspect(bytes.clone()).await?;
    let image = describe(owner, Blob::new(hash), inspected, bytes.len() as u64);

    // In a task of its own: a client that leaves now must not leave an object without its row.
    let storing = store(api.clone(), image, bytes, room);
    let inserted = scope::spawn(storing)
        .await
        .map_err(|error| Problem::Internal(format!("storing an upload failed: {error}")))??;
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

/// The object first: a row always has its object. When the row is refused or its fate unknown, the object stays, under a
/// key that nothing else uses, for the sweeper.
async fn store(api: Api, image: NewImage, bytes: Bytes, _room: Room) -> Result<Inserted, Problem> {
    let began = Instant::now();
    api.store.put(&Key::Original(image.blob), bytes).await?;
    api.renderer.record(Stage::Store, image.format, began);
    let inserted = api.catalog.insert_image(image).await?;
    if inserted.created {
        api.metrics.uploads_accepted.inc();
    }
    Ok(inserted)
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
