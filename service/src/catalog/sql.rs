//! The catalog over a database: each operation's statements on a connection, as one transaction.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use async_trait::async_trait;
use observability::Registry;
use tokio::{sync::Notify, task::JoinHandle};

use super::{
    Catalog, CatalogError, CatalogUrl, Inserted, Options, blobs,
    dialect::{Dialect, Pools},
    images, jobs,
    metrics::PoolMetrics,
    pool::Pool,
    query::Query,
    schema,
};
use crate::domain::{
    Blob, ClaimedJob, Hash, Image, ImageId, Job, JobId, JobState, NewImage, Owner, Page,
    PageRequest, QueueStats, Variant, Work,
};

/// A catalog in the database that `D` speaks to.
pub(super) struct SqlCatalog<D: Dialect> {
    writers: Arc<Pool<D>>,
    readers: Arc<Pool<D>>,
    connections: sqlx::Pool<D>,
    enqueued: Arc<Notify>,
    listener: OnceLock<Option<Listener>>,
}

/// The task that hears of other processes' jobs; it ends with the catalog.
struct Listener(JoinHandle<()>);

impl Drop for Listener {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl<D: Dialect> SqlCatalog<D> {
    pub(super) async fn open(
        url: &CatalogUrl,
        options: &Options,
        registry: &Registry,
    ) -> Result<Self, CatalogError> {
        let deadline = options.deadline.unwrap_or(D::DEADLINE);
        let Pools { writers, readers } = D::connect(url, options).await?;
        schema::settle(&writers, options.migrate).await?;
        let pool = |connections, name| {
            Arc::new(Pool::new(
                connections,
                deadline,
                PoolMetrics::new(registry, name),
            ))
        };
        let connections = writers.clone();
        let writers = pool(writers, "catalog");
        let readers = readers.map_or_else(
            || Arc::clone(&writers),
            |readers| pool(readers, "catalog-readers"),
        );
        Ok(Self {
            writers,
            readers,
            connections,
            enqueued: Arc::default(),
            listener: OnceLock::new(),
        })
    }

    fn listen(&self) {
        self.listener
            .get_or_init(|| D::listen(&self.connections, Arc::clone(&self.enqueued)).map(Listener));
    }
}

#[async_trait]
impl<D: Dialect> Catalog for SqlCatalog<D> {
    async fn insert_image(&self, image: NewImage) -> Result<Inserted, CatalogError> {
        let inserted = self
            .writers
            .transaction(|c| Box::pin(images::insert::<D>(c, image)))
            .await?;
        self.enqueued.notify_one();
        Ok(inserted)
    }

    async fn image(&self, id: ImageId) -> Result<Option<Image>, CatalogError> {
        self.readers
            .run(|c| Box::pin(images::by_id::<D>(c, id)))
            .await
    }

    async fn image_by_hash(
        &self,
        owner: &Owner,
        hash: &Hash,
    ) -> Result<Option<Image>, CatalogError> {
        let (owner, hash) = (owner.clone(), *hash);
        self.readers
            .run(|c| Box::pin(async move { images::by_hash::<D>(c, &owner, &hash).await }))
            .await
    }

    async fn list_images(&self, page: &PageRequest) -> Result<Page, CatalogError> {
        let page = page.clone();
        self.readers
            .run(|c| Box::pin(images::list::<D>(c, page)))
            .await
    }

    async fn has_copy(&self, blob: &Blob) -> Result<bool, CatalogError> {
        let blob = *blob;
        self.readers
            .run(|c| Box::pin(blobs::is_there::<D>(c, blob)))
            .await
    }

    async fn delete_image(&self, id: ImageId) -> Result<bool, CatalogError> {
        let deleted = self
            .writers
            .transaction(|c| Box::pin(images::delete::<D>(c, id)))
            .await?;
        self.enqueued.notify_one();
        Ok(deleted)
    }

    async fn record_variant(&self, blob: &Blob, variant: &Variant) -> Result<bool, CatalogError> {
        let (blob, variant) = (*blob, variant.clone());
        self.writers
            .run(|c| Box::pin(images::record_variant::<D>(c, blob, variant)))
            .await
    }

    async fn enqueue(
        &self,
        work: Work,
        traceparent: Option<String>,
    ) -> Result<JobId, CatalogError> {
        let enqueue = self.writers.transaction(|c| {
            Box::pin(async move { jobs::enqueue::<D>(c, &work, traceparent).await })
        });
        let id = enqueue.await?;
        self.enqueued.notify_one();
        Ok(id)
    }

    async fn claim(
        &self,
        worker: &str,
        lease: Duration,
    ) -> Result<Option<ClaimedJob>, CatalogError> {
        let worker = worker.to_owned();
        self.writers
            .run(|c| Box::pin(jobs::claim::<D>(c, worker, lease)))
            .await
    }

    async fn heartbeat(&self, job: &ClaimedJob, lease: Duration) -> Result<bool, CatalogError> {
        let (id, claim) = (job.id, job.lease);
        self.writers
            .run(|c| Box::pin(jobs::heartbeat::<D>(c, id, claim, lease)))
            .await
    }

    async fn complete(&self, job: &ClaimedJob) -> Result<bool, CatalogError> {
        let (id, claim) = (job.id, job.lease);
        self.writers
            .run(|c| Box::pin(jobs::complete::<D>(c, id, claim)))
            .await
    }

    async fn fail(
        &self,
        job: &ClaimedJob,
        error: &str,
        delay: Duration,
    ) -> Result<Option<JobState>, CatalogError> {
        let (id, claim, error) = (job.id, job.lease, error.to_owned());
        self.writers
            .run(|c| Box::pin(jobs::fail::<D>(c, id, claim, error, delay)))
            .await
    }

    async fn hand_back(&self, job: &ClaimedJob, delay: Duration) -> Result<bool, CatalogError> {
        let (id, claim) = (job.id, job.lease);
        self.writers
            .run(|c| Box::pin(jobs::hand_back::<D>(c, id, claim, delay)))
            .await
    }

    async fn job(&self, id: JobId) -> Result<Option<Job>, CatalogError> {
        self.readers
            .run(|c| Box::pin(jobs::by_id::<D>(c, id)))
            .await
    }

    async fn queue_stats(&self) -> Result<Vec<QueueStats>, CatalogError> {
        self.readers.run(|c| Box::pin(jobs::stats::<D>(c))).await
    }

    async fn forget_done(&self, age: Duration) -> Result<u64, CatalogError> {
        self.writers
            .run(|c| Box::pin(jobs::forget_done::<D>(c, age)))
            .await
    }

    async fn job_enqueued(&self) {
        self.listen();
        self.enqueued.notified().await;
    }

    async fn ping(&self) -> Result<(), CatalogError> {
        let read = self
            .readers
            .run(|c| Box::pin(Query::<D>::new(schema::READ_VERSION).optional(c)));
        read.await.map(drop)
    }

    fn system(&self) -> &'static str {
        D::SYSTEM
    }
}
