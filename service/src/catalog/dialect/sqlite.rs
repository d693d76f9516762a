//! SQLite: one file, one writer, readers beside it.

use std::{sync::Arc, time::Duration};

use sqlx::{
    ConnectOptions as _, Sqlite,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use tokio::{sync::Notify, task::JoinHandle};

use super::{Dialect, Pools, driver_calls};
use crate::catalog::{CatalogError, CatalogUrl, Options, jobs};

/// Each reader is a thread; more than a few only wait for the processor.
const READERS: u32 = 4;

impl Dialect for Sqlite {
    const SYSTEM: &'static str = "sqlite";
    const MIGRATIONS: &'static [&'static str] =
        &[include_str!("../../../migrations/sqlite/001_catalog.sql")];
    // A deferred transaction that reads first and writes later fails when somebody wrote in between.
    const BEGIN: &'static str = "BEGIN IMMEDIATE";
    // Nothing to add: `BEGIN IMMEDIATE` is the lock.
    const BEGIN_MIGRATION: &'static str = "";
    const CLAIM: &'static str = jobs::claim_statement!("");
    const NOTIFY: Option<&'static str> = None;
    // Writers wait for each other, each for its own flush to the disk.
    const DEADLINE: Duration = Duration::from_secs(5);

    async fn connect(url: &CatalogUrl, options: &Options) -> Result<Pools<Self>, CatalogError> {
        let CatalogUrl::Sqlite(path) = url else {
            return Err(CatalogError::Refused {
                reason: format!("{url} is no SQLite file"),
            });
        };
        if let Some(folder) = path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty())
        {
            std::fs::create_dir_all(folder).map_err(|error| CatalogError::Unavailable {
                reason: format!("cannot make the folder {}: {error}", folder.display()),
            })?;
        }
        let deadline = options.deadline.unwrap_or(Self::DEADLINE);
        let file = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            // Another process, for example `chitram migrate`, may hold the lock.
            .busy_timeout(deadline)
            .disable_statement_logging();
        let pool = || {
            SqlitePoolOptions::new()
                .acquire_timeout(deadline)
                .test_before_acquire(false)
                .idle_timeout(None)
                .max_lifetime(None)
        };
        // The writer first: it makes the file and switches it to WAL.
        let writers = pool().max_connections(1).connect_with(file.clone()).await?;
        let readers = pool()
            .max_connections(READERS)
            .connect_lazy_with(file.pragma("query_only", "ON"));
        Ok(Pools {
            writers,
            readers: Some(readers),
        })
    }

    fn listen(_: &sqlx::Pool<Self>, _: Arc<Notify>) -> Option<JoinHandle<()>> {
        None
    }

    driver_calls!();
}
