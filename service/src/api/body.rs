//! The body of an upload, raw or multipart, on its way into the spool.

use std::time::Duration;

use axum::body::Body;
use axum::extract::multipart::MultipartError;
use axum::extract::{FromRequest, Multipart, Request};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use futures::StreamExt;

use super::pace::{Breach, Pace};
use super::problem::Problem;
use crate::spool::{Spool, Spooled};

/// What a multipart body may have around its file: boundaries, headers and small fields.
pub(super) const MULTIPART_OVERHEAD: u64 = 64 * 1024;
/// How much of a refused body is read, and for how long, so that the client sees the answer: a connection that is closed
/// while the client still writes is reset, and the answer is lost with it.
const DISCARDED_BYTES: usize = 64 * 1024 * 1024;
const DISCARDED_FOR: Duration = Duration::from_secs(2);

/// How the bytes of a picture are wrapped.
enum Wrapping {
    Raw,
    Multipart,
}

/// Spools the picture in `request`. `limit` is the largest picture, `pace` how fast it must arrive.
pub(super) async fn spool(
    request: Request,
    spool: &Spool,
    limit: u64,
    pace: Pace,
) -> Result<Spooled, Problem> {
    let wrapping = wrapping(request.headers())?;
    if let Some(length) = content_length(request.headers())
        && length > limit + MULTIPART_OVERHEAD
    {
        discard(request.into_body()).await;
        return Err(Problem::TooLarge { limit });
    }
    let (head, body) = request.into_parts();
    let (body, breach) = pace.keep(body);
    match wrapping {
        Wrapping::Raw => raw(body, spool, &breach).await,
        Wrapping::Multipart => {
            multipart(Request::from_parts(head, body), spool, limit, &breach).await
        }
    }
}

fn wrapping(headers: &HeaderMap) -> Result<Wrapping, Problem> {
    let given = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let essence = given
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    match essence.as_str() {
        "multipart/form-data" => Ok(Wrapping::Multipart),
        // A document that can hold scripts, whatever its bytes turn out to be.
        "image/svg+xml" => Err(Problem::UnsupportedMediaType("SVG is not taken".to_owned())),
        other if other.starts_with("image/") => Ok(Wrapping::Raw),
        _ => Err(Problem::UnsupportedMediaType(
            "the Content-Type must be image/* for a picture as the body, or multipart/form-data"
                .to_owned(),
        )),
    }
}

fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

async fn raw(body: Body, spool: &Spool, breach: &Breach) -> Result<Spooled, Problem> {
    let mut spooling = spool.begin().await?;
    let mut chunks = body.into_data_stream();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk
            .map_err(|error| breach.or(Problem::BadBody(format!("the body broke off: {error}"))))?;
        if let Err(error) = spooling.write(&chunk).await {
            discard(Body::from_stream(chunks)).await;
            return Err(error.into());
        }
    }
    Ok(spooling.finish().await?)
}

async fn multipart(
    request: Request,
    spool: &Spool,
    limit: u64,
    breach: &Breach,
) -> Result<Spooled, Problem> {
    let broken = |error: MultipartError| breach.or(broken(&error, limit));
    let mut form = Multipart::from_request(request, &())
        .await
        .map_err(|error| Problem::BadBody(error.body_text()))?;
    let mut picture = None;
    while let Some(mut field) = form.next_field().await.map_err(broken)? {
        if field.name() != Some("file") {
            continue;
        }
        if picture.is_some() {
            return Err(Problem::BadBody(
                "the form has more than one part named \"file\"".to_owned(),
            ));
        }
        let mut spooling = spool.begin().await?;
        while let Some(chunk) = field.chunk().await.map_err(broken)? {
            spooling.write(&chunk).await?;
        }
        picture = Some(spooling);
    }
    match picture {
        Some(spooling) => Ok(spooling.finish().await?),
        None => Err(Problem::BadBody(
            "the form has no part named \"file\"".to_owned(),
        )),
    }
}

/// A form that breaks off, is malformed, or is larger than a picture and what may be around it.
fn broken(error: &MultipartError, limit: u64) -> Problem {
    if error.status() == StatusCode::PAYLOAD_TOO_LARGE {
        return Problem::TooLarge { limit };
    }
    Problem::BadBody(format!("the form can't be read: {}", error.body_text()))
}

async fn discard(body: Body) {
    let mut left = DISCARDED_BYTES;
    let mut chunks = body.into_data_stream();
    let reading = async {
        while let Some(Ok(chunk)) = chunks.next().await {
            left = left.saturating_sub(chunk.len());
            if left == 0 {
                return;
            }
        }
    };
    // Whether it all arrived does not matter: the request is refused either way.
    let _ = tokio::time::timeout(DISCARDED_FOR, reading).await;
}
