//! The catalog: which pictures there are, which variants are stored, and which jobs wait. The row is the truth;
//! objects in the store only follow it.
//!
//! [`Catalog`] is implemented once, by `SqlCatalog` over the dialects of SQLite and PostgreSQL, and decorated by
//! `Observed`, which times and spans each operation. Nothing outside this module knows SQL.
//!
//! # Deleting against uploading the same bytes
//! Equal bytes of several pictures share one row in `blobs`, counted by `refs`. Whoever changes the count holds the
//! row's lock, always taken before the picture's row. The delete that takes `refs` to 0 removes the row and enqueues
//! the purge of that copy in the same transaction; an upload that comes later starts a new row with a new
//! [generation](Blob), so with object keys that the purge does not know. An upload that finds the row alive joins
//! it, and its own copy is purged. No interleaving, retry or late delete can lose bytes that a row refers to.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use observability::Registry;

use crate::domain::{
    Blob, ClaimedJob, Hash, Image, ImageId, Job, JobId, JobState, NewImage, Owner, Page,
    PageRequest, QueueStats, Variant, Work,
};

mod blobs;
mod dialect;
mod error;
mod images;
mod jobs;
pub(crate) mod metrics;
pub(crate) mod observed;
#[cfg(test)]
mod plans;
mod pool;
mod query;
mod schema;
mod sql;
mod url;

pub use error::CatalogError;
use observed::Observed;
use sql::SqlCatalog;
pub use url::{BadUrl, CatalogUrl};

/// Attempts after which a job is dead.
pub const MAX_ATTEMPTS: u32 = 5;

/// What [`Catalog::insert_image`] did.
#[derive(Debug, Clone)]
pub struct Inserted {
    /// The picture: the new one, or the one with the same bytes that its owner had already.
    pub image: Image,
    /// Whether it is new.
    pub created: bool,
    /// The job that will store the presets, if one was enqueued.
    pub job: Option<JobId>,
}

/// Pictures, variants and jobs. Each operation is one transaction and ends within a deadline.
#[async_trait]
pub trait Catalog: Send + Sync + 'static {
    /// Enters a picture whose bytes are stored under `image.blob`, and the job that renders its presets.
    ///
    /// When the owner has a picture with these bytes already, that one is answered. When the bytes are known under
    /// another copy, the picture joins that copy: read `inserted.image.blob`. In both cases the purge of the
    /// redundant copy is enqueued, so the caller has nothing to clean up.
    async fn insert_image(&self, image: NewImage) -> Result<Inserted, CatalogError>;

    /// A picture with its variants.
    async fn image(&self, id: ImageId) -> Result<Option<Image>, CatalogError>;

    /// The owner's picture with these bytes.
    async fn image_by_hash(
        &self,
        owner: &Owner,
        hash: &Hash,
    ) -> Result<Option<Image>, CatalogError>;

    /// A page of pictures, newest first, without variants.
    async fn list_images(&self, page: &PageRequest) -> Result<Page, CatalogError>;

    /// Whether a picture relies on this copy. Once `false`, for ever.
    async fn has_copy(&self, blob: &Blob) -> Result<bool, CatalogError>;

    /// Removes a picture; `false` when there is none. The last picture of a copy enqueues its purge.
    async fn delete_image(&self, id: ImageId) -> Result<bool, CatalogError>;

    /// Records a stored render of a copy; again for the same preset and format replaces it. `false` when the copy is
    /// gone: the caller then deletes what it stored.
    async fn record_variant(&self, blob: &Blob, variant: &Variant) -> Result<bool, CatalogError>;

    /// Adds a job.
    async fn enqueue(&self, work: Work, traceparent: Option<String>)
    -> Result<JobId, CatalogError>;

    /// Takes the job that has been due for longest, counts the attempt, and holds it for `lease`. A job whose lease
    /// ended is due again, or dead after [`MAX_ATTEMPTS`].
    async fn claim(
        &self,
        worker: &str,
        lease: Duration,
    ) -> Result<Option<ClaimedJob>, CatalogError>;

    /// Holds a claimed job for `lease` from now; `false` when the claim has been lost.
    async fn heartbeat(&self, job: &ClaimedJob, lease: Duration) -> Result<bool, CatalogError>;

    /// Ends a claimed job well; `false` when the claim has been lost.
    async fn complete(&self, job: &ClaimedJob) -> Result<bool, CatalogError>;

    /// Ends an attempt badly: due again after `delay`, or dead when it was the last. `None` when the claim has been
    /// lost.
    async fn fail(
        &self,
        job: &ClaimedJob,
        error: &str,
        delay: Duration,
    ) -> Result<Option<JobState>, CatalogError>;

    /// Gives a claimed job back unharmed, due again after `delay`: the attempt does not count. `false` when the claim
    /// has been lost.
    async fn hand_back(&self, job: &ClaimedJob, delay: Duration) -> Result<bool, CatalogError>;

    /// A job.
    async fn job(&self, id: JobId) -> Result<Option<Job>, CatalogError>;

    /// Depth, age and dead letters of each kind's queue, one entry for each of [`Work::KINDS`].
    async fn queue_stats(&self) -> Result<Vec<QueueStats>, CatalogError>;

    /// Forgets jobs that were done longer than `age` ago, a bounded number at a time; says how many.
    async fn forget_done(&self, age: Duration) -> Result<u64, CatalogError>;

    /// Waits until a job may have been enqueued, by this process or, with PostgreSQL, by another. Wakes late or
    /// never when the notification is lost, so callers poll as well.
    async fn job_enqueued(&self);

    /// Whether the catalog answers.
    async fn ping(&self) -> Result<(), CatalogError>;

    /// `db.system.name` of telemetry: `sqlite` or `postgresql`.
    fn system(&self) -> &'static str;
}

/// How to open a catalog.
#[derive(Debug, Clone)]
pub struct Options {
    /// What the server sees as the name of this client, e.g. `chitram-api`.
    pub application_name: String,
    /// Whether to bring an older schema up to date; otherwise it is refused.
    pub migrate: bool,
    /// The longest that one operation may take; `None` for the database's default.
    pub deadline: Option<Duration>,
}

/// Opens the catalog behind `url`, checks that its schema is the one this program knows, and observes it.
pub async fn open(
    url: &CatalogUrl,
    options: &Options,
    registry: &Registry,
) -> Result<Arc<dyn Catalog>, CatalogError> {
    Ok(match url {
        CatalogUrl::Sqlite(_) => Arc::new(Observed::new(
            SqlCatalog::<sqlx::Sqlite>::open(url, options, registry).await?,
            registry,
        )),
        CatalogUrl::Postgres(_) => Arc::new(Observed::new(
            SqlCatalog::<sqlx::Postgres>::open(url, options, registry).await?,
            registry,
        )),
    })
}
