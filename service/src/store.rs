//! The object store: originals and variants under typed keys, in a folder or in S3.
//!
//! Every call passes the same decorators, put together in one place ([`Store::call`]), and has its CLIENT span. Reads and
//! writes have a set of them each, so that a store that takes no writes goes on being read. What a call costs and why it
//! failed is visible in the metrics; what the objects mean is the catalog's business.

mod answer;
mod backend;
mod body;
mod error;
mod guards;
pub(crate) mod observed;
mod refusals;

use std::fmt;
use std::future::Future;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::stream::{BoxStream, StreamExt};
use object_store::path::Path;
use object_store::{GetOptions, GetRange, ObjectStore, ObjectStoreExt, PutPayload};
use observability::Registry;

pub use self::error::StoreError;
use self::guards::Guards;
use self::observed::{Observed, Operation};
use self::refusals::LastRefusal;
use crate::config::{StoreConfig, StoreLocation};
use crate::domain::{Blob, Format, Preset};
use crate::resilience::{Deadline, Direction};

/// The name of the store wherever a dependency is named: metrics, spans, readiness.
pub const NAME: &str = "store";

/// The slowest link over which an upload is still given time: its deadline grows with its size.
const SLOWEST_UPLOAD_BYTES_PER_SECOND: f64 = 8.0 * 1024.0 * 1024.0;

/// The name of an object. Made of typed parts only, so nothing a client sends can become a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Key {
    /// An original: the hash of its bytes, and the generation of this copy. No key is used twice, so a late delete of an
    /// old copy never hits a newer one (see `catalog`).
    Original(Blob),
    /// A stored rendering of an original.
    Variant(Blob, Preset, Format),
}

/// What the names of all objects begin with.
const FOLDERS: [&str; 2] = ["blobs", "variants"];

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Original(blob) => write!(f, "blobs/{blob}"),
            Self::Variant(blob, preset, format) => {
                write!(
                    f,
                    "variants/{blob}/{}.{}",
                    preset.name(),
                    format.extension()
                )
            }
        }
    }
}

impl Key {
    fn path(self) -> Path {
        Path::from(self.to_string())
    }
}

/// An object that has begun to arrive.
pub struct Object {
    /// The size of the whole object in bytes, also when only a range of it follows.
    pub size: u64,
    key: Key,
    body: BoxStream<'static, Result<Bytes, StoreError>>,
}

impl Object {
    /// The object, if it has the size that its row says; before a byte of another one is used.
    pub fn sized(self, bytes: u64) -> Result<Self, StoreError> {
        if self.size == bytes {
            return Ok(self);
        }
        Err(StoreError::Damaged {
            reason: format!("{} has {} bytes instead of {bytes}", self.key, self.size),
        })
    }

    /// The bytes as they arrive. A pause longer than the idle timeout ends the stream with [`StoreError::Timeout`].
    pub fn into_stream(self) -> BoxStream<'static, Result<Bytes, StoreError>> {
        self.body
    }

    /// All the bytes at once.
    pub async fn bytes(mut self) -> Result<Bytes, StoreError> {
        let mut whole = BytesMut::with_capacity(self.size as usize);
        while let Some(chunk) = self.body.next().await {
            whole.extend_from_slice(&chunk?);
        }
        Ok(whole.freeze())
    }
}

/// The store with everything that guards it. Clones share connections, breakers and budgets.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    objects: Arc<dyn ObjectStore>,
    observed: Observed,
    reads: Guards,
    writes: Guards,
    last_refusal: LastRefusal,
    deadline: Deadline,
    idle: Option<Duration>,
}

/// The store can't be used as configured.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The folder can't be created or opened.
    #[error(
        "can't use {folder} as the object store: {source}; set CHITRAM_STORE_URL to a folder that can be written"
    )]
    Folder {
        /// The folder as configured.
        folder: String,
        /// Why.
        source: std::io::Error,
    },
    /// The client library refuses the settings.
    #[error("can't use {url} as the object store: {source}")]
    Client {
        /// The URL as configured.
        url: String,
        /// Why.
        source: object_store::Error,
    },
}

impl Store {
    /// Opens the configured store. A folder is created; an S3 server is not asked, so that the service starts without it.
    pub fn open(config: &StoreConfig, registry: &Registry) -> Result<Self, OpenError> {
        let address = match &config.location {
            StoreLocation::Folder(_) => "folder".to_owned(),
            StoreLocation::S3(s3) => s3.address(),
        };
        Ok(Self(Arc::new(Inner {
            objects: backend::open(&config.location)?,
            observed: Observed::new(registry, &address),
            reads: Guards::new(config, registry, Direction::Read),
            writes: Guards::new(config, registry, Direction::Write),
            last_refusal: LastRefusal::default(),
            deadline: Deadline::new(config.deadline),
            idle: config.idle_timeout,
        })))
    }

    /// The whole object.
    pub async fn get(&self, key: &Key) -> Result<Object, StoreError> {
        self.get_with(key, GetOptions::default()).await
    }

    /// The bytes of `range`. An object that ends before it is [damaged](StoreError::Damaged).
    pub async fn get_range(&self, key: &Key, range: Range<u64>) -> Result<Object, StoreError> {
        let options = GetOptions {
            range: Some(GetRange::Bounded(range)),
            ..GetOptions::default()
        };
        self.get_with(key, options).await
    }

    async fn get_with(&self, key: &Key, options: GetOptions) -> Result<Object, StoreError> {
        let path = key.path();
        let answer = self
            .call(Operation::Get, Duration::ZERO, || {
                self.0.objects.get_opts(&path, options.clone())
            })
            .await?;
        Ok(Object {
            size: answer.meta.size,
            key: *key,
            body: body::guarded(
                answer.into_stream(),
                self.0.idle,
                self.0.reads.breaker.clone(),
            ),
        })
    }

    /// The size of an object in bytes.
    pub async fn size(&self, key: &Key) -> Result<u64, StoreError> {
        let path = key.path();
        let head = self.call(Operation::Head, Duration::ZERO, || {
            self.0.objects.head(&path)
        });
        Ok(head.await?.size)
    }

    /// Writes an object. Again under the same key, it writes the same bytes: each key belongs to one copy of one content.
    pub async fn put(&self, key: &Key, bytes: Bytes) -> Result<(), StoreError> {
        let path = key.path();
        let sending = Duration::from_secs_f64(bytes.len() as f64 / SLOWEST_UPLOAD_BYTES_PER_SECOND);
        self.call(Operation::Put, sending, || {
            self.0.objects.put(&path, PutPayload::from(bytes.clone()))
        })
        .await
        .map(drop)
    }

    /// Removes an object. One that is not there is as good as removed.
    pub async fn delete(&self, key: &Key) -> Result<(), StoreError> {
        let path = key.path();
        match self
            .call(Operation::Delete, Duration::ZERO, || {
                self.0.objects.delete(&path)
            })
            .await
        {
            Err(StoreError::NotFound { .. }) => Ok(()),
            other => other,
        }
    }

    /// Whether the store takes writes, by what became of those of late: nothing is written to find out.
    pub fn takes_writes(&self) -> Result<(), String> {
        if self.0.writes.breaker.would_refuse() {
            return Err("the store was not asked: its circuit for writes is open".to_owned());
        }
        self.0.last_refusal.reason().map_or(Ok(()), Err)
    }

    /// Whether the store answers reads, asked through all the decorators.
    pub async fn ping(&self) -> Result<(), StoreError> {
        let path = Path::from("ping");
        match self
            .call(Operation::Head, Duration::ZERO, || {
                self.0.objects.head(&path)
            })
            .await
        {
            Ok(_) | Err(StoreError::NotFound { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Every call goes through here. From the outside in: at most one retry; a span and a duration for each attempt,
    /// refused or not; the bulkhead; the breaker; the deadline, which all attempts share. Each operation may be repeated,
    /// because a key belongs to one content for ever. Nothing but the deadline's length is common to reads and writes.
    async fn call<T, F>(
        &self,
        operation: Operation,
        sending: Duration,
        attempt: impl Fn() -> F,
    ) -> Result<T, StoreError>
    where
        F: Future<Output = object_store::Result<T>>,
    {
        let (direction, observed) = (operation.direction(), &self.0.observed);
        let Guards {
            bulkhead,
            breaker,
            retry,
        } = match direction {
            Direction::Read => &self.0.reads,
            Direction::Write => &self.0.writes,
        };
        let due = self.0.deadline.start(sending);
        let asked = || async {
            let answer = attempt().await;
            answer.map_err(|error| StoreError::sort(direction, error))
        };
        let end = retry
            .run(
                || {
                    let guarded = bulkhead.run(breaker.run(sending, due.run(asked())));
                    observed.run(operation, guarded)
                },
                |error, pause| error.is_transient() && due.allows(pause) && !breaker.would_refuse(),
            )
            .await;
        // A full store still deletes: that says nothing about room.
        let deleted = matches!(operation, Operation::Delete) && end.is_ok();
        if direction == Direction::Write && !deleted {
            self.0.last_refusal.note(&end);
        }
        end
    }
}
