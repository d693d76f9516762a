//! PostgreSQL: a server that several processes share.

use std::{sync::Arc, time::Duration};

use secrecy::ExposeSecret as _;
use sqlx::{
    ConnectOptions as _, Postgres,
    postgres::{PgConnectOptions, PgListener, PgPoolOptions},
};
use tokio::{sync::Notify, task::JoinHandle};
use tracing::{info, warn};

use super::{Dialect, Pools, driver_calls};
use crate::catalog::{CatalogError, CatalogUrl, Options, jobs};

/// Connections of one process. A default server has 100 for everybody.
const CONNECTIONS: u32 = 16;

/// The channel on which enqueued jobs are announced.
const CHANNEL: &str = "chitram_jobs";

/// How long to leave the server alone when it refuses to be listened to. Polling finds the jobs meanwhile.
const LISTEN_AGAIN: Duration = Duration::from_secs(5);

impl Dialect for Postgres {
    const SYSTEM: &'static str = "postgresql";
    const MIGRATIONS: &'static [&'static str] =
        &[include_str!("../../../migrations/postgres/001_catalog.sql")];
    const BEGIN: &'static str = "BEGIN";
    // Any number does that no other program locks in this database: this one is "chitram", read as a number.
    const BEGIN_MIGRATION: &'static str = "SET LOCAL statement_timeout = '600s'; SET LOCAL lock_timeout = '600s'; \
         SELECT pg_advisory_xact_lock(27980824828862829)";
    const CLAIM: &'static str = jobs::claim_statement!("FOR UPDATE SKIP LOCKED");
    const NOTIFY: Option<&'static str> = Some("SELECT pg_notify('chitram_jobs', '')");
    const DEADLINE: Duration = Duration::from_secs(1);

    async fn connect(url: &CatalogUrl, options: &Options) -> Result<Pools<Self>, CatalogError> {
        let CatalogUrl::Postgres(secret) = url else {
            return Err(CatalogError::Refused {
                reason: format!("{url} is no PostgreSQL server"),
            });
        };
        let deadline = options.deadline.unwrap_or(Self::DEADLINE);
        let timeout = deadline.as_millis().to_string();
        let server: PgConnectOptions = secret.expose_secret().parse()?;
        let server = server
            .application_name(&options.application_name)
            // What this side gave up, the server gives up too, and lets go of its locks.
            .options([
                ("statement_timeout", timeout.as_str()),
                ("lock_timeout", timeout.as_str()),
                ("idle_in_transaction_session_timeout", timeout.as_str()),
            ])
            .disable_statement_logging();
        let pool = PgPoolOptions::new()
            .max_connections(CONNECTIONS)
            .acquire_timeout(deadline)
            .idle_timeout(Duration::from_mins(1))
            .connect_lazy_with(server);
        Ok(Pools {
            writers: pool,
            readers: None,
        })
    }

    fn listen(pool: &sqlx::Pool<Self>, enqueued: Arc<Notify>) -> Option<JoinHandle<()>> {
        let pool = pool.clone();
        Some(tokio::spawn(async move {
            loop {
                // Jobs of the time when nobody listened.
                enqueued.notify_one();
                let Err(error) = hear(&pool, &enqueued).await;
                warn!(error.message = %error, "job notifications interrupted, polling instead");
                tokio::time::sleep(LISTEN_AGAIN).await;
            }
        }))
    }

    driver_calls!();
}

/// Passes notifications on until the connection is lost.
async fn hear(
    pool: &sqlx::Pool<Postgres>,
    enqueued: &Notify,
) -> Result<std::convert::Infallible, sqlx::Error> {
    let mut listener = PgListener::connect_with(pool).await?;
    listener.listen(CHANNEL).await?;
    info!("listening for job notifications");
    loop {
        // `None` says that the connection was lost and made again: something may have been missed.
        listener.try_recv().await?;
        enqueued.notify_one();
    }
}
