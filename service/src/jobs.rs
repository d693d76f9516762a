//! Jobs: the worker that takes them from the catalog's queue, and what each kind does.
//!
//! The queue itself is the catalog's. Nothing here answers HTTP, and no request waits for a job.

pub(crate) mod metrics;
mod pace;
mod purge;
mod render_presets;
mod worker;

use std::sync::Arc;

use async_trait::async_trait;
use observability::{Registry, metrics::Histogram};

pub use self::pace::Pace;
pub use self::worker::Worker;
use crate::{
    catalog::{Catalog, CatalogError},
    domain::{ClaimedJob, Work},
    renders::{RenderError, Renderer},
    store::{Store, StoreError},
};

/// Does the work of jobs. One job may be worked on more than once, also at the same moment: doing it again must be
/// harmless.
#[async_trait]
pub trait Handler: Send + Sync + 'static {
    /// One attempt. It may be dropped at any await.
    async fn handle(&self, job: &ClaimedJob) -> Result<(), JobError>;
}

/// Why an attempt failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JobError {
    /// Something that the job needs is out of order. Not the job's fault: the attempt does not count.
    #[error("{0}")]
    Unavailable(String),
    /// The job itself failed.
    #[error("{0}")]
    Failed(String),
}

impl From<CatalogError> for JobError {
    fn from(error: CatalogError) -> Self {
        sort(error.is_unavailable(), &error)
    }
}

impl From<StoreError> for JobError {
    fn from(error: StoreError) -> Self {
        sort(error.is_unavailable(), &error)
    }
}

impl From<RenderError> for JobError {
    fn from(error: RenderError) -> Self {
        sort(matches!(error, RenderError::Busy), &error)
    }
}

fn sort(unavailable: bool, error: &dyn std::error::Error) -> JobError {
    if unavailable {
        JobError::Unavailable(error.to_string())
    } else {
        JobError::Failed(error.to_string())
    }
}

/// What the service's jobs do.
struct Handlers {
    catalog: Arc<dyn Catalog>,
    store: Store,
    renderer: Renderer,
    image_ready: Histogram,
}

impl Handlers {
    fn new(
        catalog: Arc<dyn Catalog>,
        store: Store,
        renderer: Renderer,
        registry: &Registry,
    ) -> Self {
        Self {
            catalog,
            store,
            renderer,
            image_ready: registry.histogram_from_zero(&metrics::IMAGE_READY, &[]),
        }
    }
}

#[async_trait]
impl Handler for Handlers {
    async fn handle(&self, job: &ClaimedJob) -> Result<(), JobError> {
        match &job.work {
            Work::RenderPresets { image } => self.render_presets(*image, job.created_at).await,
            Work::Purge { blob } => self.purge(blob).await,
        }
    }
}
