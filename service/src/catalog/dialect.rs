//! The two databases, as far as they differ.
//!
//! Everything else of the catalog is written once, over [`Dialect`]. The trait also lends the few calls of sqlx that
//! cannot be named generically: its bounds on values and connections are not implied by `sqlx::Database`.

mod postgres;
mod sqlite;

use std::{sync::Arc, time::Duration};

use futures::future::BoxFuture;
use sqlx::{Decode, Encode, Postgres, Sqlite, Type, error::BoxDynError};
use tokio::{sync::Notify, task::JoinHandle};

use super::{CatalogError, CatalogUrl, Options};

/// A value that both databases store.
pub(super) trait Value:
    Type<Sqlite>
    + Type<Postgres>
    + for<'q> Encode<'q, Sqlite>
    + for<'q> Encode<'q, Postgres>
    + for<'r> Decode<'r, Sqlite>
    + for<'r> Decode<'r, Postgres>
{
}

impl<T> Value for T where
    T: Type<Sqlite>
        + Type<Postgres>
        + for<'q> Encode<'q, Sqlite>
        + for<'q> Encode<'q, Postgres>
        + for<'r> Decode<'r, Sqlite>
        + for<'r> Decode<'r, Postgres>
{
}

/// What the two databases do differently.
pub(super) trait Dialect: sqlx::Database {
    /// `db.system.name`.
    const SYSTEM: &'static str;
    /// The scripts that make the schema, the oldest first. The schema's version is the number of those that ran.
    const MIGRATIONS: &'static [&'static str];
    /// Begins a transaction that may write.
    const BEGIN: &'static str;
    /// Said first in a transaction that migrates: keeps others that want to migrate waiting until it ends.
    const BEGIN_MIGRATION: &'static str;
    /// Takes a job; made by [`super::jobs::claim_statement`].
    const CLAIM: &'static str;
    /// Tells other processes, when the transaction commits, that a job was enqueued.
    const NOTIFY: Option<&'static str>;
    /// The longest that one operation may take unless it is set.
    const DEADLINE: Duration;

    /// Opens the pools without asking the database for anything more than a connection.
    fn connect(
        url: &CatalogUrl,
        options: &Options,
    ) -> impl Future<Output = Result<Pools<Self>, CatalogError>> + Send;

    /// Wakes `enqueued` whenever another process announces a job; `None` when there are no other processes.
    fn listen(pool: &sqlx::Pool<Self>, enqueued: Arc<Notify>) -> Option<JoinHandle<()>>;

    /// Adds the value of the next `$n`.
    fn bind<T: Value>(arguments: &mut Self::Arguments, value: T) -> Result<(), BoxDynError>;

    /// The value of a column.
    fn get<T: Value>(row: &Self::Row, column: &str) -> Result<T, sqlx::Error>;

    /// Runs a statement for its rows.
    fn fetch<'c>(
        connection: &'c mut Self::Connection,
        sql: &'static str,
        arguments: Self::Arguments,
    ) -> BoxFuture<'c, Result<Vec<Self::Row>, sqlx::Error>>;

    /// Runs a statement for the number of rows that it changed.
    fn execute<'c>(
        connection: &'c mut Self::Connection,
        sql: &'static str,
        arguments: Self::Arguments,
    ) -> BoxFuture<'c, Result<u64, sqlx::Error>>;

    /// Runs statements without values.
    fn script<'c>(
        connection: &'c mut Self::Connection,
        sql: &'static str,
    ) -> BoxFuture<'c, Result<(), sqlx::Error>>;
}

/// Connections to one database.
pub(super) struct Pools<D: Dialect> {
    /// For everything that writes.
    pub(super) writers: sqlx::Pool<D>,
    /// For reading, when the database wants that apart.
    pub(super) readers: Option<sqlx::Pool<D>>,
}

/// The calls of sqlx that read the same for both databases but have no generic form.
macro_rules! driver_calls {
    () => {
        fn bind<T: super::Value>(
            arguments: &mut Self::Arguments,
            value: T,
        ) -> Result<(), sqlx::error::BoxDynError> {
            sqlx::Arguments::add(arguments, value)
        }

        fn get<T: super::Value>(row: &Self::Row, column: &str) -> Result<T, sqlx::Error> {
            sqlx::Row::try_get(row, column)
        }

        fn fetch<'c>(
            connection: &'c mut Self::Connection,
            sql: &'static str,
            arguments: Self::Arguments,
        ) -> futures::future::BoxFuture<'c, Result<Vec<Self::Row>, sqlx::Error>> {
            Box::pin(sqlx::query_with::<Self, _>(sql, arguments).fetch_all(connection))
        }

        fn execute<'c>(
            connection: &'c mut Self::Connection,
            sql: &'static str,
            arguments: Self::Arguments,
        ) -> futures::future::BoxFuture<'c, Result<u64, sqlx::Error>> {
            Box::pin(async move {
                let done = sqlx::query_with::<Self, _>(sql, arguments)
                    .execute(connection)
                    .await?;
                Ok(done.rows_affected())
            })
        }

        fn script<'c>(
            connection: &'c mut Self::Connection,
            sql: &'static str,
        ) -> futures::future::BoxFuture<'c, Result<(), sqlx::Error>> {
            Box::pin(async move {
                sqlx::Executor::execute(connection, sqlx::raw_sql(sql)).await?;
                Ok(())
            })
        }
    };
}
use driver_calls;
