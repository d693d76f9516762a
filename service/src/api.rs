//! The HTTP API: a router for each resource, merged here, and the table of every answer it may give.
//!
//! Handlers check what they are given, ask catalog, store and CPU pool, and say the result in HTTP. They hold no state
//! of their own and retry nothing.

mod answers;
mod body;
mod conditional;
mod images;
mod jobs;
mod originals;
mod pace;
mod parameters;
pub mod problem;

use std::sync::Arc;

use axum::Router;
use axum::http::Uri;
use observability::http::RouteSpec;

pub use self::answers::Answers;
pub use self::originals::Originals;
pub use self::pace::Pace;
use self::problem::Problem;
use crate::catalog::Catalog;
use crate::renders::Renderer;
use crate::spool::Spool;
use crate::store::Store;
use crate::telemetry::ApiMetrics;

/// What every handler works with.
#[derive(Clone)]
pub struct Api(Arc<Parts>);

/// The parts of an [`Api`].
pub struct Parts {
    /// The truth about images and jobs.
    pub catalog: Arc<dyn Catalog>,
    /// The bytes.
    pub store: Store,
    /// The CPU pool.
    pub renderer: Renderer,
    /// Unfinished uploads.
    pub spool: Spool,
    /// Room for whole originals in memory.
    pub originals: Originals,
    /// Room for renders on their way out.
    pub answers: Answers,
    /// How fast an upload's body must arrive.
    pub upload_pace: Pace,
    /// The largest upload in bytes.
    pub upload_bytes: u64,
    /// What the API counts itself.
    pub metrics: ApiMetrics,
}

impl std::ops::Deref for Api {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

/// The routes whose answers must begin within the deadline of a request, and those of uploads, which take longer.
pub struct Routes {
    /// Everything but uploads.
    pub quick: Router,
    /// Uploads.
    pub uploads: Router,
}

/// Every route of the API.
pub fn routes(parts: Parts) -> Routes {
    let limit = parts.upload_bytes;
    let api = Api(Arc::new(parts));
    let quick = Router::new().merge(images::router()).merge(jobs::router());
    Routes {
        quick: quick.with_state(api.clone()),
        uploads: images::upload_router(limit).with_state(api),
    }
}

/// What a path without a route answers.
pub async fn unknown_path(uri: Uri) -> Problem {
    Problem::NotFound(format!("there is nothing at {}", uri.path()))
}

/// What a route answers to a method that it does not have.
pub async fn unknown_method() -> Problem {
    Problem::MethodNotAllowed
}

/// Every route with every status it may answer. An answer that is not in it is a defect, and a test says so.
pub fn table() -> Vec<RouteSpec> {
    [images::TABLE, jobs::TABLE].concat()
}
