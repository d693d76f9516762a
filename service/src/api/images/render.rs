//! `GET /v1/images/{id}/render`: a preset of the picture, stored or made now, or a render of any size, made now.
//!
//! A client that may read a picture may ask for any size of it. That is work for the operator's CPU, and bounded only by
//! the pool's admission: it may stay open only while the service listens on loopback (see `config`).

mod query;

use std::time::Instant;

use axum::body::Body;
use axum::extract::State;
use axum::http::header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE, VARY};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse, Response};
use imaging::{Fit, Operation, OutputFormat, Size};
use observability::scope::stage_sync;

use self::query::{Query, Shape};
use super::super::Api;
use super::super::conditional::EntityTag;
use super::super::parameters::{Id, Parameters};
use super::super::problem::Problem;
use super::find;
use crate::domain::{Format, Image, ImageId, Preset};
use crate::renders;
use crate::store::{Key, StoreError};
use crate::telemetry::{RenderSource, Stage};

/// A picture on its way out.
struct Picture {
    source: RenderSource,
    bytes: u64,
    body: Body,
}

pub(super) async fn render(
    State(api): State<Api>,
    Id(id): Id<ImageId>,
    Parameters(query): Parameters<Query>,
    request: HeaderMap,
) -> Result<Response, Problem> {
    let began = Instant::now();
    let longest_side = api.renderer.longest_side();
    let wanted = stage_sync("validate", || query.parse(longest_side))?;
    let image = find(&api, id).await?;
    let shape = wanted.shape;
    let format = wanted.format.unwrap_or_else(|| negotiate(&request, &image));
    let tag = EntityTag::new(format_args!("{}-{shape}.{format}", image.blob.hash));
    let mut response = if tag.is_known(&request) {
        tag.not_modified()
    } else {
        let stored = match shape {
            Shape::Preset(preset) => stored(&api, &image, preset, format).await?,
            Shape::Custom(_) => None,
        };
        let picture = match stored {
            Some(picture) => picture,
            None => rendered(&api, &image, shape, format).await?,
        };
        api.metrics
            .rendered(picture.source, format, began.elapsed());
        let mut response = picture.body.into_response();
        let headers = response.headers_mut();
        tag.immutable(headers);
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static(format.content_type()),
        );
        headers.insert(CONTENT_LENGTH, HeaderValue::from(picture.bytes));
        response
    };
    if wanted.format.is_none() {
        response
            .headers_mut()
            .insert(VARY, HeaderValue::from_static("accept"));
    }
    Ok(response)
}

/// WebP if `Accept` lists it (`*/*` is sent by clients that do not know it); otherwise PNG for alpha, JPEG if opaque.
fn negotiate(request: &HeaderMap, image: &Image) -> Format {
    let accepts_webp = request
        .get_all(ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(accepts_webp);
    match (accepts_webp, image.alpha) {
        (true, _) => Format::Webp,
        (false, true) => Format::Png,
        (false, false) => Format::Jpeg,
    }
}

/// Whether one element of an `Accept` list names WebP and does not refuse it by `q=0`.
fn accepts_webp(element: &str) -> bool {
    let mut parts = element.split(';').map(str::trim);
    let named = parts
        .next()
        .is_some_and(|range| range.eq_ignore_ascii_case("image/webp"));
    let refused = parts
        .filter_map(|parameter| parameter.strip_prefix("q="))
        .any(|weight| weight.parse() == Ok(0.0));
    named && !refused
}

/// The stored variant, if there is one. A row whose object is missing costs time only: the original still is there.
async fn stored(
    api: &Api,
    image: &Image,
    preset: Preset,
    format: Format,
) -> Result<Option<Picture>, Problem> {
    let Some(variant) = image.variant(preset, format) else {
        return Ok(None);
    };
    match api
        .store
        .get(&Key::Variant(image.blob, preset, format))
        .await
    {
        Ok(object) if object.size == variant.bytes => Ok(Some(Picture {
            source: RenderSource::Stored,
            bytes: variant.bytes,
            body: Body::from_stream(object.into_stream()),
        })),
        Ok(_) | Err(StoreError::NotFound { .. }) => {
            tracing::warn!(event.dataset = "chitram.api", image = %image.id, %preset, %format, "stored variant lost");
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

async fn rendered(
    api: &Api,
    image: &Image,
    shape: Shape,
    format: Format,
) -> Result<Picture, Problem> {
    let operation = match shape {
        Shape::Preset(preset) => renders::preset(preset, format)?,
        Shape::Custom(custom) => custom.operation(renders::output_format(format)?),
    };
    let displayed = Size {
        width: image.width,
        height: image.height,
    };
    let size = api.renderer.result_size(&operation, displayed)?;
    let room = api
        .answers
        .room(largest_file(&operation, size, image.alpha))
        .await?;
    let _original = api.originals.room(image.bytes).await?;
    let began = Instant::now();
    let original = api
        .store
        .get(&Key::Original(image.blob))
        .await?
        .sized(image.bytes)?
        .bytes()
        .await?;
    api.renderer.record(Stage::Fetch, format, began);
    let encoded = api.renderer.render(original, operation).await?;
    Ok(Picture {
        source: RenderSource::Rendered,
        bytes: encoded.bytes.len() as u64,
        body: Body::from(room.hold(encoded.bytes)),
    })
}

/// About the largest file in bytes that a render of this size can become: a PNG takes as much as its pixels when nothing
/// repeats in them, the lossy formats hardly ever more than a byte for each.
fn largest_file(operation: &Operation, size: Size, alpha: bool) -> u64 {
    /// What even the smallest file has around its pixels, a colour profile among it.
    const AROUND: u64 = 16 * 1024;
    let bytes_per_pixel = match operation.format {
        OutputFormat::Png if alpha || operation.fit == Fit::Contain => 4,
        OutputFormat::Png => 3,
        _ => 1,
    };
    size.pixels() * bytes_per_pixel + AROUND
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn webp_is_accepted_by_name_only() {
        for element in ["image/webp", " Image/WebP ; q=0.8", "image/webp;q=1"] {
            assert!(accepts_webp(element), "{element}");
        }
        for element in [
            "*/*",
            "image/*",
            "image/webp;q=0",
            "image/webp; q=0.0",
            "image/webpx",
            "",
        ] {
            assert!(!accepts_webp(element), "{element}");
        }
    }
}
