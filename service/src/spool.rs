//! Where uploads lie until they are complete: unlinked files in a bounded folder.
//!
//! A file is unlinked before its first byte is written, so nothing is left however the upload or the process ends. The
//! bytes are hashed as they pass. A slow client thus costs disk, not memory.

use std::io::{self, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use observability::Registry;
use observability::metrics::Gauge;
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt};

use crate::config::UploadConfig;
use crate::domain::Hash;
use crate::telemetry;

/// The folder and its budget. Clones share them.
#[derive(Clone)]
pub struct Spool(Arc<Inner>);

struct Inner {
    folder: PathBuf,
    budget: Budget,
    max_bytes: u64,
}

/// Why an upload can't be spooled.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// It is larger than an upload may be.
    #[error("it is larger than {limit} bytes")]
    TooLarge {
        /// The largest upload.
        limit: u64,
    },
    /// The budget is used up by other uploads, or the disk has no room.
    #[error("the upload spool is full")]
    Full,
    /// The disk fails, or the folder can't be written or is gone.
    #[error("the upload spool failed: {0}")]
    Io(io::Error),
}

impl From<io::Error> for SpoolError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull
            | io::ErrorKind::QuotaExceeded
            | io::ErrorKind::FileTooLarge => Self::Full,
            _ => Self::Io(error),
        }
    }
}

impl Spool {
    /// Uses, and makes if need be, the configured folder.
    pub fn open(config: &UploadConfig, registry: &Registry) -> io::Result<Self> {
        std::fs::create_dir_all(&config.spool_dir)?;
        // Fails here, not in the first upload, when the folder can't be written.
        tempfile::tempfile_in(&config.spool_dir)?;
        Ok(Self(Arc::new(Inner {
            folder: config.spool_dir.clone(),
            budget: Budget {
                limit: config.spool_bytes,
                used: AtomicU64::new(0),
                in_use: telemetry::spool(registry, config.spool_bytes),
            },
            max_bytes: config.max_bytes,
        })))
    }

    /// Begins an upload.
    pub async fn begin(&self) -> Result<Spooling, SpoolError> {
        let file = unlinked(&self.0.folder).await?;
        Ok(Spooling {
            file,
            hasher: blake3::Hasher::new(),
            reserved: Reserved {
                spool: Arc::clone(&self.0),
                bytes: 0,
            },
        })
    }
}

async fn unlinked(folder: &Path) -> io::Result<File> {
    let folder = folder.to_owned();
    let file = tokio::task::spawn_blocking(move || tempfile::tempfile_in(folder))
        .await
        .map_err(io::Error::other)??;
    Ok(File::from_std(file))
}

/// An upload that is arriving. Dropped, it is gone.
pub struct Spooling {
    file: File,
    hasher: blake3::Hasher,
    reserved: Reserved,
}

impl Spooling {
    /// Takes the next bytes.
    pub async fn write(&mut self, chunk: &[u8]) -> Result<(), SpoolError> {
        self.reserved.grow(chunk.len() as u64)?;
        self.hasher.update(chunk);
        self.file.write_all(chunk).await?;
        Ok(())
    }

    /// The upload is complete.
    pub async fn finish(mut self) -> Result<Spooled, SpoolError> {
        // Errors of writes that the file had buffered show here.
        self.file.flush().await?;
        Ok(Spooled {
            hash: self.hasher.finalize().into(),
            file: self.file,
            reserved: self.reserved,
        })
    }
}

/// A complete upload on disk.
pub struct Spooled {
    /// Of all its bytes.
    pub hash: Hash,
    file: File,
    reserved: Reserved,
}

impl Spooled {
    /// Its size in bytes.
    pub fn len(&self) -> u64 {
        self.reserved.bytes
    }

    /// Whether it has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Moves it into memory; the disk space is free afterwards.
    pub async fn into_bytes(mut self) -> Result<Bytes, SpoolError> {
        let mut bytes = Vec::with_capacity(self.len() as usize);
        self.file.seek(SeekFrom::Start(0)).await?;
        self.file.read_to_end(&mut bytes).await?;
        Ok(bytes.into())
    }
}

/// What all uploads may take together.
struct Budget {
    limit: u64,
    used: AtomicU64,
    in_use: Gauge,
}

/// The part of the budget that one upload holds until it is dropped.
struct Reserved {
    spool: Arc<Inner>,
    bytes: u64,
}

impl Reserved {
    fn grow(&mut self, more: u64) -> Result<(), SpoolError> {
        let Inner {
            budget, max_bytes, ..
        } = &*self.spool;
        if self.bytes + more > *max_bytes {
            return Err(SpoolError::TooLarge { limit: *max_bytes });
        }
        budget
            .used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
                Some(used + more).filter(|used| *used <= budget.limit)
            })
            .map_err(|_| SpoolError::Full)?;
        self.bytes += more;
        budget.in_use.add(more as f64);
        Ok(())
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        let budget = &self.spool.budget;
        budget.used.fetch_sub(self.bytes, Ordering::Relaxed);
        budget.in_use.sub(self.bytes as f64);
    }
}
