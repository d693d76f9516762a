//! What can go wrong with the store, sorted by what the caller can do about it.

use std::time::Duration;

use object_store::client::{HttpError, HttpErrorKind};

use crate::resilience::{BulkheadFull, CallError, CircuitOpen, Overdue};

/// Why a call to the store gave no object. The message names the cause for the log; it is never sent to a client.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no such object.
    #[error("the store has no object {key}")]
    NotFound {
        /// The object's key.
        key: String,
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
    /// A connection that broke.
    Io,
    /// An answer that says the server failed (5xx, 429).
    Server,
}

impl StoreError {
    /// Whether the object could not be had because the store is away, so that trying again later makes sense.
    pub fn is_unavailable(&self) -> bool {
        !matches!(self, Self::NotFound { .. } | Self::Refused { .. })
    }

    /// The error as a label value.
    pub fn error_type(&self) -> &'static str {
        match self {
            Self::NotFound { .. } => "not_found",
            Self::Unavailable { kind, .. } => match kind {
                FaultKind::Connect => "connect",
                FaultKind::Io => "io",
                FaultKind::Server => "server",
            },
            Self::Timeout(_) => "timeout",
            Self::CircuitOpen(_) => "circuit_open",
            Self::Overloaded(_) => "bulkhead_full",
            Self::Refused { .. } => "refused",
        }
    }

    /// When asking again may succeed.
    pub fn retry_after(&self) -> Duration {
        match self {
            Self::CircuitOpen(open) => open.retry_after,
            _ => Duration::from_secs(1),
        }
    }

    /// Whether the call failed fast in a way that another attempt may mend. A call that timed out has used its time.
    pub(super) fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }

    /// Sorts the client library's error.
    pub(super) fn sort(error: object_store::Error) -> Self {
        use object_store::Error as E;
        match error {
            E::NotFound { path, .. } => Self::NotFound { key: path },
            E::PermissionDenied { .. }
            | E::Unauthenticated { .. }
            | E::InvalidPath { .. }
            | E::NotSupported { .. } => Self::Refused {
                source: Box::new(error),
            },
            _ => Self::Unavailable {
                kind: fault_kind(&error),
                source: Box::new(error),
            },
        }
    }
}

impl CallError for StoreError {
    fn is_fault(&self) -> bool {
        matches!(self, Self::Unavailable { .. } | Self::Timeout(_))
    }
}

/// The library hides the transport's error in the chain of sources.
fn fault_kind(error: &object_store::Error) -> FaultKind {
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        if let Some(http) = cause.downcast_ref::<HttpError>() {
            return match http.kind() {
                HttpErrorKind::Connect => FaultKind::Connect,
                _ => FaultKind::Io,
            };
        }
        if cause.is::<std::io::Error>() {
            return FaultKind::Io;
        }
        source = cause.source();
    }
    FaultKind::Server
}
