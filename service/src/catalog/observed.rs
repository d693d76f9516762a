//! Observes a catalog: one duration, and in a trace one CLIENT span, for each operation, whatever happens to it.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use observability::{
    Registry,
    client::{self, Call},
    metrics::Histogram,
};
use tracing::Span;

use super::{Catalog, CatalogError, Inserted, metrics::OPERATION_DURATION};
use crate::domain::{
    Blob, ClaimedJob, Hash, Image, ImageId, Job, JobId, JobState, NewImage, Owner, Page,
    PageRequest, QueueStats, Variant, Work,
};

/// The name by which faults are attributed to the catalog.
const PEER: &str = "catalog";

/// What an operation does, as the conventions for databases name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Operation {
    /// Span name: the other two.
    summary: &'static str,
    name: &'static str,
    collection: &'static str,
}

macro_rules! operations {
    ($($constant:ident = $name:literal $collection:literal;)*) => {
        $(const $constant: Operation = Operation {
            summary: concat!($name, " ", $collection),
            name: $name,
            collection: $collection,
        };)*
        const OPERATIONS: &[Operation] = &[$($constant),*];
    };
}

operations! {
    SELECT_IMAGES = "SELECT" "images";
    INSERT_IMAGES = "INSERT" "images";
    DELETE_IMAGES = "DELETE" "images";
    INSERT_VARIANTS = "INSERT" "variants";
    SELECT_BLOBS = "SELECT" "blobs";
    SELECT_JOBS = "SELECT" "jobs";
    INSERT_JOBS = "INSERT" "jobs";
    UPDATE_JOBS = "UPDATE" "jobs";
    DELETE_JOBS = "DELETE" "jobs";
    SELECT_SCHEMA_VERSION = "SELECT" "schema_version";
}

/// The names of the spans.
pub(crate) fn span_names() -> impl Iterator<Item = &'static str> {
    OPERATIONS.iter().map(|operation| operation.summary)
}

/// A catalog whose operations are timed and spanned.
pub(super) struct Observed<C> {
    inner: C,
    registry: Registry,
    succeeded: HashMap<Operation, Histogram>,
}

impl<C: Catalog> Observed<C> {
    pub(super) fn new(inner: C, registry: &Registry) -> Self {
        let histogram = |operation: &Operation| duration(registry, inner.system(), *operation, "");
        let succeeded = OPERATIONS
            .iter()
            .map(|operation| (*operation, histogram(operation)))
            .collect();
        Self {
            inner,
            registry: registry.clone(),
            succeeded,
        }
    }

    async fn observe<T>(
        &self,
        operation: Operation,
        work: impl Future<Output = Result<T, CatalogError>>,
    ) -> Result<T, CatalogError> {
        // What nobody's trace asked for, like the poll of a queue, would be a trace of its own about nothing.
        if Span::current().is_none() {
            let began = Instant::now();
            let result = work.await;
            self.record(
                operation,
                began.elapsed(),
                result.as_ref().err().map(CatalogError::error_type),
            );
            return result;
        }
        let call = Call::new(operation.summary, PEER)
            .attribute("db.system.name", self.inner.system())
            .attribute("db.operation.name", operation.name)
            .attribute("db.collection.name", operation.collection);
        let record = |elapsed, error| self.record(operation, elapsed, error);
        client::timed(call, work, CatalogError::error_type, record).await
    }

    fn record(&self, operation: Operation, elapsed: Duration, error: Option<&'static str>) {
        match error {
            None => self.succeeded[&operation].record(elapsed),
            Some(error) => {
                duration(&self.registry, self.inner.system(), operation, error).record(elapsed);
            }
        }
    }
}

fn duration(registry: &Registry, system: &str, operation: Operation, error: &str) -> Histogram {
    registry.histogram(
        &OPERATION_DURATION,
        &[
            ("db_system_name", system),
            ("db_operation_name", operation.name),
            ("db_collection_name", operation.collection),
            ("error_type", error),
        ],
    )
}

#[async_trait]
impl<C: Catalog> Catalog for Observed<C> {
    async fn insert_image(&self, image: NewImage) -> Result<Inserted, CatalogError> {
        self.observe(INSERT_IMAGES, self.inner.insert_image(image))
            .await
    }

    async fn image(&self, id: ImageId) -> Result<Option<Image>, CatalogError> {
        self.observe(SELECT_IMAGES, self.inner.image(id)).await
    }

    async fn image_by_hash(
        &self,
        owner: &Owner,
        hash: &Hash,
    ) -> Result<Option<Image>, CatalogError> {
        self.observe(SELECT_IMAGES, self.inner.image_by_hash(owner, hash))
            .await
    }

    async fn list_images(&self, page: &PageRequest) -> Result<Page, CatalogError> {
        self.observe(SELECT_IMAGES, self.inner.list_images(page))
            .await
    }

    async fn has_copy(&self, blob: &Blob) -> Result<bool, CatalogError> {
        self.observe(SELECT_BLOBS, self.inner.has_copy(blob)).await
    }

    async fn delete_image(&self, id: ImageId) -> Result<bool, CatalogError> {
        self.observe(DELETE_IMAGES, self.inner.delete_image(id))
            .await
    }

    async fn record_variant(&self, blob: &Blob, variant: &Variant) -> Result<bool, CatalogError> {
        self.observe(INSERT_VARIANTS, self.inner.record_variant(blob, variant))
            .await
    }

    async fn enqueue(
        &self,
        work: Work,
        traceparent: Option<String>,
    ) -> Result<JobId, CatalogError> {
        self.observe(INSERT_JOBS, self.inner.enqueue(work, traceparent))
            .await
    }

    async fn claim(
        &self,
        worker: &str,
        lease: Duration,
    ) -> Result<Option<ClaimedJob>, CatalogError> {
        self.observe(UPDATE_JOBS, self.inner.claim(worker, lease))
            .await
    }

    async fn heartbeat(&self, job: &ClaimedJob, lease: Duration) -> Result<bool, CatalogError> {
        self.observe(UPDATE_JOBS, self.inner.heartbeat(job, lease))
            .await
    }

    async fn complete(&self, job: &ClaimedJob) -> Result<bool, CatalogError> {
        self.observe(UPDATE_JOBS, self.inner.complete(job)).await
    }

    async fn fail(
        &self,
        job: &ClaimedJob,
        error: &str,
        delay: Duration,
    ) -> Result<Option<JobState>, CatalogError> {
        self.observe(UPDATE_JOBS, self.inner.fail(job, error, delay))
            .await
    }

    async fn hand_back(&self, job: &ClaimedJob, delay: Duration) -> Result<bool, CatalogError> {
        self.observe(UPDATE_JOBS, self.inner.hand_back(job, delay))
            .await
    }

    async fn job(&self, id: JobId) -> Result<Option<Job>, CatalogError> {
        self.observe(SELECT_JOBS, self.inner.job(id)).await
    }

    async fn queue_stats(&self) -> Result<Vec<QueueStats>, CatalogError> {
        self.observe(SELECT_JOBS, self.inner.queue_stats()).await
    }

    async fn forget_done(&self, age: Duration) -> Result<u64, CatalogError> {
        self.observe(DELETE_JOBS, self.inner.forget_done(age)).await
    }

    /// No operation: it waits for one of somebody else's.
    async fn job_enqueued(&self) {
        self.inner.job_enqueued().await;
    }

    async fn ping(&self) -> Result<(), CatalogError> {
        self.observe(SELECT_SCHEMA_VERSION, self.inner.ping()).await
    }

    fn system(&self) -> &'static str {
        self.inner.system()
    }
}
