//! `/v1/images`: one file for each operation; here the routes, the table of their answers, and an image as JSON.

mod content;
mod delete;
mod list;
mod metadata;
mod render;
mod repair;
mod upload;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::Method;
use axum::routing::{get, post};
use observability::http::RouteSpec;
use serde::Serialize;

use super::Api;
use super::body::MULTIPART_OVERHEAD;
use super::problem::Problem;
use crate::domain::{Image, ImageId, Variant};

const IMAGES: &str = "/v1/images";
const IMAGE: &str = "/v1/images/{id}";
const CONTENT: &str = "/v1/images/{id}/content";
const RENDER: &str = "/v1/images/{id}/render";

/// 400, 421, 500, 503 and 504 may come from every route: a bad host, another host, a defect, overload or a lost dependency,
/// the deadline; 403 from those that change something.
pub(super) const TABLE: &[RouteSpec] = &[
    RouteSpec {
        method: Method::POST,
        route: IMAGES,
        statuses: UPLOAD,
    },
    RouteSpec {
        method: Method::GET,
        route: IMAGES,
        statuses: LIST,
    },
    RouteSpec {
        method: Method::HEAD,
        route: IMAGES,
        statuses: LIST,
    },
    RouteSpec {
        method: Method::GET,
        route: IMAGE,
        statuses: METADATA,
    },
    RouteSpec {
        method: Method::HEAD,
        route: IMAGE,
        statuses: METADATA,
    },
    RouteSpec {
        method: Method::DELETE,
        route: IMAGE,
        statuses: DELETE,
    },
    RouteSpec {
        method: Method::GET,
        route: CONTENT,
        statuses: CONTENT_STATUSES,
    },
    RouteSpec {
        method: Method::HEAD,
        route: CONTENT,
        statuses: CONTENT_STATUSES,
    },
    RouteSpec {
        method: Method::GET,
        route: RENDER,
        statuses: RENDER_STATUSES,
    },
    RouteSpec {
        method: Method::HEAD,
        route: RENDER,
        statuses: RENDER_STATUSES,
    },
];
const UPLOAD: &[u16] = &[
    200, 201, 400, 403, 408, 413, 415, 421, 422, 500, 503, 504, 507,
];
const LIST: &[u16] = &[200, 400, 421, 500, 503, 504];
const METADATA: &[u16] = &[200, 400, 404, 421, 500, 503, 504];
/// 507: what is deleted is written down, too.
const DELETE: &[u16] = &[204, 400, 403, 404, 421, 500, 503, 504, 507];
const CONTENT_STATUSES: &[u16] = &[200, 206, 304, 400, 404, 416, 421, 500, 503, 504];
/// 415 and 422: a picture that was accepted by its header may turn out undecodable.
const RENDER_STATUSES: &[u16] = &[200, 304, 400, 404, 415, 421, 422, 500, 503, 504];

pub(super) fn router() -> Router<Api> {
    Router::new()
        .route(IMAGES, get(list::list))
        .route(IMAGE, get(metadata::metadata).delete(delete::delete))
        .route(CONTENT, get(content::content))
        .route(RENDER, get(render::render))
}

/// The upload stands apart, since it may take longer. `limit` is the largest picture in bytes.
pub(super) fn upload_router(limit: u64) -> Router<Api> {
    let largest_body = usize::try_from(limit + MULTIPART_OVERHEAD).unwrap_or(usize::MAX);
    Router::new()
        .route(IMAGES, post(upload::upload))
        .layer(DefaultBodyLimit::max(largest_body))
}

/// An image as the API shows it.
#[derive(Serialize)]
struct Document {
    id: String,
    title: Option<String>,
    tags: Vec<String>,
    format: &'static str,
    width: u32,
    height: u32,
    bytes: u64,
    hash: String,
    color: String,
    created_at: String,
    variants: Vec<VariantDocument>,
}

/// A stored render as the API shows it.
#[derive(Serialize)]
struct VariantDocument {
    preset: &'static str,
    format: &'static str,
    width: u32,
    height: u32,
    bytes: u64,
}

impl From<Image> for Document {
    fn from(image: Image) -> Self {
        Self {
            id: image.id.to_string(),
            title: image.title,
            tags: image.tags,
            format: image.format.name(),
            width: image.width,
            height: image.height,
            bytes: image.bytes,
            hash: image.blob.hash.to_string(),
            color: image.color.to_string(),
            created_at: image.created_at.to_string(),
            variants: image.variants.iter().map(VariantDocument::from).collect(),
        }
    }
}

impl From<&Variant> for VariantDocument {
    fn from(variant: &Variant) -> Self {
        Self {
            preset: variant.preset.name(),
            format: variant.format.name(),
            width: variant.width,
            height: variant.height,
            bytes: variant.bytes,
        }
    }
}

/// The image, or the problem that there is none.
async fn find(api: &Api, id: ImageId) -> Result<Image, Problem> {
    api.catalog
        .image(id)
        .await?
        .ok_or_else(|| Problem::NotFound(format!("there is no image {id}")))
}
