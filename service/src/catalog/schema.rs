//! The schema's version: brings an older schema up to date, and refuses one that this program does not know.

use std::time::{Duration, Instant};

use sqlx::Connection as _;
use tracing::info;

use super::{CatalogError, dialect::Dialect, query::Query};

/// The longest that all migrations together may take.
const MIGRATION_DEADLINE: Duration = Duration::from_mins(10);

/// How long a start waits for a database that is itself starting.
const PATIENCE: Duration = Duration::from_secs(10);
const ASK_AGAIN: Duration = Duration::from_millis(250);

const CREATE_VERSION: &str = "CREATE TABLE IF NOT EXISTS schema_version (version BIGINT NOT NULL)";
pub(super) const READ_VERSION: &str = "SELECT version FROM schema_version";
const FIRST_VERSION: &str = "INSERT INTO schema_version (version) VALUES ($1)";
const WRITE_VERSION: &str = "UPDATE schema_version SET version = $1";

/// Makes sure that the schema is the one this program knows, or says which one it is.
pub(super) async fn settle<D: Dialect>(
    pool: &sqlx::Pool<D>,
    migrate: bool,
) -> Result<(), CatalogError> {
    let began = Instant::now();
    loop {
        let settled = tokio::time::timeout(MIGRATION_DEADLINE, attempt(pool, migrate))
            .await
            .unwrap_or(Err(CatalogError::Timeout {
                deadline: MIGRATION_DEADLINE,
            }));
        match settled {
            Err(error) if error.is_unavailable() && began.elapsed() < PATIENCE => {
                tokio::time::sleep(ASK_AGAIN).await;
            }
            settled => return settled,
        }
    }
}

async fn attempt<D: Dialect>(pool: &sqlx::Pool<D>, migrate: bool) -> Result<(), CatalogError> {
    let mut connection = pool.acquire().await?;
    let mut transaction = connection.begin_with(D::BEGIN).await?;
    D::script(&mut transaction, D::BEGIN_MIGRATION).await?;
    D::script(&mut transaction, CREATE_VERSION).await?;
    let version = Query::<D>::new(READ_VERSION)
        .optional(&mut transaction)
        .await?;
    let found = if let Some(row) = version {
        row.get("version")?
    } else {
        Query::<D>::new(FIRST_VERSION)
            .bind(0_i64)
            .execute(&mut transaction)
            .await?;
        0
    };
    let known = D::MIGRATIONS.len() as i64;
    if found == known {
        transaction.commit().await?;
        return Ok(());
    }
    if found > known || found < 0 || !migrate {
        return Err(CatalogError::SchemaMismatch { found, known });
    }
    for script in &D::MIGRATIONS[found as usize..] {
        D::script(&mut transaction, script).await?;
    }
    Query::<D>::new(WRITE_VERSION)
        .bind(known)
        .execute(&mut transaction)
        .await?;
    transaction.commit().await?;
    info!(from = found, to = known, "catalog schema migrated");
    Ok(())
}
