//! What can go wrong with the catalog, sorted by what a caller can do about it.

use std::time::Duration;

use sqlx::error::ErrorKind;

use crate::domain::Unknown;

/// Why an operation of the catalog gave no answer.
///
/// A change that ended in an error was not applied, except after [`OutcomeUnknown`](Self::OutcomeUnknown).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CatalogError {
    /// The database cannot be reached, or cannot work now. Later may be better.
    #[error("the catalog is unavailable: {reason}")]
    Unavailable {
        /// In the database's words.
        reason: String,
    },
    /// The database works, but takes no changes: it has no space left, or is read-only.
    #[error("the catalog takes no changes: {reason}")]
    NotWritable {
        /// In the database's words.
        reason: String,
    },
    /// No answer within the operation's deadline.
    #[error("the catalog did not answer within {deadline:?}")]
    Timeout {
        /// The deadline.
        deadline: Duration,
    },
    /// The connection was lost while a change was being committed: it may or may not have been applied.
    #[error("the catalog did not confirm a change: {reason}")]
    OutcomeUnknown {
        /// How the confirmation failed.
        reason: String,
    },
    /// The change contradicts what is in the catalog.
    #[error("the change contradicts the catalog: {reason}")]
    Conflict {
        /// In the database's words, with the constraint's name.
        reason: String,
    },
    /// The catalog holds something that this program cannot have written, or is damaged.
    #[error("the catalog is corrupt: {reason}")]
    Corrupt {
        /// What was found.
        reason: String,
    },
    /// The schema is of another version than this program knows.
    #[error("the catalog's schema has version {found}, and this program knows version {known}; {}", advice(*.found, *.known))]
    SchemaMismatch {
        /// In the database; 0 when there is none.
        found: i64,
        /// In this program.
        known: i64,
    },
    /// The database refused a statement: a defect of this program, or missing rights.
    #[error("the catalog refused a statement: {reason}")]
    Refused {
        /// In the database's words.
        reason: String,
    },
}

const fn advice(found: i64, known: i64) -> &'static str {
    if found < known {
        "run `chitram migrate`"
    } else {
        "run a newer chitram"
    }
}

impl CatalogError {
    /// Whether the catalog can't do it now, so that the same may work later.
    pub const fn is_unavailable(&self) -> bool {
        matches!(
            self,
            Self::Unavailable { .. }
                | Self::NotWritable { .. }
                | Self::Timeout { .. }
                | Self::OutcomeUnknown { .. }
        )
    }

    /// The value of `error.type` in spans and metrics.
    pub const fn error_type(&self) -> &'static str {
        match self {
            Self::Unavailable { .. } => "unavailable",
            Self::NotWritable { .. } => "not_writable",
            Self::Timeout { .. } => "timeout",
            Self::OutcomeUnknown { .. } => "outcome_unknown",
            Self::Conflict { .. } => "conflict",
            Self::Corrupt { .. } => "corrupt",
            Self::SchemaMismatch { .. } => "schema_mismatch",
            Self::Refused { .. } => "refused",
        }
    }

    pub(super) fn corrupt(reason: impl Into<String>) -> Self {
        Self::Corrupt {
            reason: reason.into(),
        }
    }
}

impl From<Unknown> for CatalogError {
    fn from(unknown: Unknown) -> Self {
        Self::corrupt(unknown.to_string())
    }
}

impl From<sqlx::Error> for CatalogError {
    fn from(error: sqlx::Error) -> Self {
        use sqlx::Error::{
            ColumnDecode, ColumnIndexOutOfBounds, ColumnNotFound, Database, Decode, RowNotFound,
        };
        let reason = error.to_string();
        match &error {
            Database(refusal) => match refusal.kind() {
                ErrorKind::Other => sort(refusal.code().as_deref(), reason),
                _ => Self::Conflict { reason },
            },
            ColumnDecode { .. }
            | ColumnIndexOutOfBounds { .. }
            | ColumnNotFound(_)
            | Decode(_)
            | RowNotFound => Self::Corrupt { reason },
            sqlx::Error::Encode(_) | sqlx::Error::TypeNotFound { .. } => Self::Refused { reason },
            _ => Self::Unavailable { reason },
        }
    }
}

/// Sorts a refusal by its code: five characters of SQLSTATE from PostgreSQL, an extended result code from SQLite.
fn sort(code: Option<&str>, reason: String) -> CatalogError {
    let code = code.unwrap_or_default();
    if let Some(sqlite) = (code.len() != 5)
        .then(|| code.parse::<i32>().ok())
        .flatten()
    {
        // The low byte is the primary result code: no permission, read-only, full; busy, locked, interrupted, I/O error,
        // cannot open.
        return match sqlite & 0xff {
            3 | 8 | 13 => CatalogError::NotWritable { reason },
            5 | 6 | 9 | 10 | 14 => CatalogError::Unavailable { reason },
            11 | 26 => CatalogError::Corrupt { reason },
            _ => CatalogError::Refused { reason },
        };
    }
    // disk_full, read_only_sql_transaction (a standby, or a server that its disk watch has made read-only).
    if matches!(code, "53100" | "25006") {
        return CatalogError::NotWritable { reason };
    }
    match code.get(..2).unwrap_or_default() {
        // Connection, authorization, transaction state, serialization or deadlock, missing database, resources,
        // operator intervention (shutdown, statement timeout), system error.
        "08" | "25" | "28" | "3D" | "40" | "53" | "55" | "57" | "58" => {
            CatalogError::Unavailable { reason }
        }
        "XX" => CatalogError::Corrupt { reason },
        _ => CatalogError::Refused { reason },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_of_both_databases_are_sorted_by_what_can_be_done() {
        let kinds = [
            ("5", "unavailable"),      // SQLITE_BUSY
            ("4874", "unavailable"),   // SQLITE_IOERR_SHMSIZE
            ("13", "not_writable"),    // SQLITE_FULL
            ("8", "not_writable"),     // SQLITE_READONLY
            ("1032", "not_writable"),  // SQLITE_READONLY_DBMOVED
            ("778", "unavailable"),    // SQLITE_IOERR_WRITE
            ("11", "corrupt"),         // SQLITE_CORRUPT
            ("26", "corrupt"),         // SQLITE_NOTADB
            ("1", "refused"),          // SQLITE_ERROR: no such table
            ("57014", "unavailable"),  // query_canceled, by statement_timeout
            ("53100", "not_writable"), // disk_full
            ("25006", "not_writable"), // read_only_sql_transaction
            ("53300", "unavailable"),  // too_many_connections
            ("40P01", "unavailable"),  // deadlock_detected
            ("XX001", "corrupt"),      // data_corrupted
            ("42P01", "refused"),      // undefined_table
        ];
        for (code, expected) in kinds {
            assert_eq!(
                sort(Some(code), String::new()).error_type(),
                expected,
                "{code}"
            );
        }
    }

    #[test]
    fn a_schema_mismatch_says_what_to_run() {
        let text = |found, known| CatalogError::SchemaMismatch { found, known }.to_string();
        assert!(text(1, 2).ends_with("run `chitram migrate`"));
        assert!(text(3, 2).ends_with("run a newer chitram"));
    }
}
