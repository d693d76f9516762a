//! What can go wrong with the store, sorted by what the caller can do about it.

use std::io::{self, ErrorKind};
use std::time::Duration;

use object_store::client::{HttpError, HttpErrorKind};

use super::answer::{Answer, Meaning};
use crate::resilience::{BulkheadFull, CallError, CircuitOpen, Direction, Overdue};

/// Why a call to the store gave no object. The message names the cause for the log; it is never sent to a client.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no such object.
    #[error("the store has no object {key}")]
    NotFound {
        /// The object's key.
        key: String,
    },
    /// There is an object, but it is not the one that was stored.
    #[error("the object is damaged: {reason}")]
    Damaged {
        /// How it shows.
        reason: String,
    },
    /// The store can't be reached or says that it failed.
    #[error("the store failed: {source}")]
    Unavailable {
        /// The failure as a label value.
        kind: FaultKind,
        /// What the client library said.
        source: Box<object_store::Error>,
    },
    /// The store did not answer in time, or stopped in the middle of a body.
    #[error("the store gave {0}")]
    Timeout(#[from] Overdue),
    /// The call was not made.
    #[error("the store was not asked: {0}")]
    CircuitOpen(#[from] CircuitOpen),
    /// The call was not made.
    #[error("the store was not asked: {0}")]
    Overloaded(#[from] BulkheadFull),
    /// The store works, but takes no writes: it has no space or quota left, is read-only, or gives no right to write.
    #[error("the store takes no writes: {source}")]
    NotWritable {
        /// What the client library said.
        source: Box<object_store::Error>,
    },
    /// The store refused the call: wrong credentials, no such bucket, a path it can't hold.
    #[error("the store refused the call: {source}")]
    Refused {
        /// What the client library said.
        source: Box<object_store::Error>,
    },
}

/// How the store was unavailable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    /// No connection.
    Connect,
    /// A connection or a disk that broke.
    Io,
    /// An answer that says the server failed (5xx, 429).
    Server,
}

impl StoreError {
    /// Whether the call was not done because the store can't do it now, so that trying again later makes sense.
    pub fn is_unavailable(&self) -> bool {
        !matches!(
            self,
            Self::NotFound { .. } | Self::Damaged { .. } | Self::Refused { .. }
        )
    }

    /// The error as a label value.
    pub fn error_type(&self) -> &'static str {
        match self {
            Self::NotFound { .. } => "not_found",
            Self::Damaged { .. } => "damaged",
            Self::Unavailable { kind, .. } => match kind {
                FaultKind::Connect => "connect",
                FaultKind::Io => "io",
                FaultKind::Server => "server",
            },
            Self::Timeout(_) => "timeout",
            Self::CircuitOpen(_) => "circuit_open",
            Self::Overloaded(_) => "bulkhead_full",
            Self::NotWritable { .. } => "not_writable",
            Self::Refused { .. } => "refused",
        }
    }

    /// When asking again may succeed.
    pub fn retry_after(&self) -> Duration {
        match self {
            Self::CircuitOpen(open) => open.retry_after,
            // Somebody has to make room first.
            Self::NotWritable { .. } => Duration::from_secs(5),
            _ => Duration::from_secs(1),
        }
    }

    /// Whether the call failed fast in a way that another attempt may mend. A call that timed out has used its time.
    pub(super) fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }

    /// Sorts the client library's error about a call of this direction.
    pub(super) fn sort(direction: Direction, error: object_store::Error) -> Self {
        use object_store::Error as E;
        if let E::NotFound { path, .. } = error {
            return Self::NotFound { key: path };
        }
        match cause(&error) {
            Some(Cause::Answer(answer)) => match answer.meaning(direction) {
                Meaning::Fault => Self::unavailable(FaultKind::Server, error),
                Meaning::NotWritable => Self::not_writable(error),
                Meaning::Refused => Self::refused(error),
                Meaning::OutOfRange => Self::damaged(&error),
            },
            Some(Cause::Connection(kind)) => Self::unavailable(kind, error),
            Some(Cause::Disk(disk)) => match (disk.kind(), direction) {
                (kind, Direction::Write) if takes_no_writes(kind) => Self::not_writable(error),
                (ErrorKind::PermissionDenied, Direction::Read) => Self::refused(error),
                _ => Self::unavailable(FaultKind::Io, error),
            },
            None => match (&error, direction) {
                (E::InvalidPath { .. } | E::NotSupported { .. }, _) => Self::refused(error),
                // Neither the disk nor the connection failed, and the answer was good: the object is not as long as the
                // range that was asked for.
                (E::Generic { .. }, Direction::Read) => Self::damaged(&error),
                _ => Self::unavailable(FaultKind::Server, error),
            },
        }
    }

    fn unavailable(kind: FaultKind, error: object_store::Error) -> Self {
        Self::Unavailable {
            kind,
            source: Box::new(error),
        }
    }

    fn not_writable(error: object_store::Error) -> Self {
        Self::NotWritable {
            source: Box::new(error),
        }
    }

    fn refused(error: object_store::Error) -> Self {
        Self::Refused {
            source: Box::new(error),
        }
    }

    fn damaged(error: &object_store::Error) -> Self {
        Self::Damaged {
            reason: error.to_string(),
        }
    }
}

impl CallError for StoreError {
    fn is_fault(&self) -> bool {
        matches!(self, Self::Unavailable { .. } | Self::Timeout(_))
    }
}

/// Whether a disk that fails a write like this still works, but has no room for it or gives no right to it.
fn takes_no_writes(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::StorageFull
            | ErrorKind::QuotaExceeded
            | ErrorKind::FileTooLarge
            | ErrorKind::ReadOnlyFilesystem
            | ErrorKind::PermissionDenied
    )
}

/// What lies at the bottom of an error of the client library.
enum Cause<'a> {
    /// The server answered.
    Answer(&'a Answer),
    /// There was no whole answer.
    Connection(FaultKind),
    /// A call to the operating system failed.
    Disk(&'a io::Error),
}

/// The library hides it in the chain of sources.
fn cause(error: &object_store::Error) -> Option<Cause<'_>> {
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        source = cause.source();
        if let Some(http) = cause.downcast_ref::<HttpError>() {
            let answer = source.and_then(|source| source.downcast_ref::<Answer>());
            return Some(answer.map_or_else(
                || Cause::Connection(connection_fault(http.kind())),
                Cause::Answer,
            ));
        }
        if let Some(disk) = cause.downcast_ref::<io::Error>() {
            return Some(Cause::Disk(disk));
        }
    }
    None
}

fn connection_fault(kind: HttpErrorKind) -> FaultKind {
    match kind {
        HttpErrorKind::Connect => FaultKind::Connect,
        _ => FaultKind::Io,
    }
}
