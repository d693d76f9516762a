//! A catalog with what it lives in, gone when dropped.

use std::{any::Any, sync::Arc, time::Duration};

use observability::{Registry, testing};
use service::{
    catalog::{self, Catalog, CatalogError, CatalogUrl, Options},
    domain::{Blob, Color, Format, Hash, NewImage, Owner},
};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _};
use stack::server::{self, Launch, postgres};
use tempfile::TempDir;

/// Generous: the machine may be loaded, and what is tested here is not its speed.
const DEADLINE: Duration = Duration::from_mins(1);

pub struct Home {
    pub catalog: Arc<dyn Catalog>,
    pub registry: Registry,
    url: String,
    /// The database to drop, and the server's own URL to drop it by.
    database: Option<(String, String)>,
    _folder: Option<TempDir>,
}

impl Home {
    pub async fn sqlite() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let url = format!("sqlite://{}/catalog.db", folder.path().display());
        Self::open(url, None, Some(folder)).await
    }

    async fn open(
        url: String,
        database: Option<(String, String)>,
        folder: Option<TempDir>,
    ) -> Self {
        let registry = Registry::new(&testing::service());
        let catalog = open(&url, true, DEADLINE, &registry)
            .await
            .expect("an empty catalog");
        Self {
            catalog,
            registry,
            url,
            database,
            _folder: folder,
        }
    }

    /// Another handle on the same catalog, as another process would have.
    pub async fn again(&self, migrate: bool) -> Result<Arc<dyn Catalog>, CatalogError> {
        open(
            &self.url,
            migrate,
            DEADLINE,
            &Registry::new(&testing::service()),
        )
        .await
    }

    /// Another handle, which does not wait for long.
    pub async fn impatient(&self) -> Arc<dyn Catalog> {
        let registry = Registry::new(&testing::service());
        open(&self.url, false, Duration::from_secs(1), &registry)
            .await
            .expect("opened")
    }

    /// Keeps everybody else from writing pictures until what it answers is dropped.
    pub async fn lock(&self) -> Box<dyn Any> {
        if self.database.is_some() {
            let mut connection = sqlx::PgConnection::connect(&self.url)
                .await
                .expect("a connection");
            connection
                .execute(sqlx::raw_sql("BEGIN; LOCK TABLE blobs"))
                .await
                .expect("locked");
            Box::new(connection)
        } else {
            let mut connection = sqlx::SqliteConnection::connect(&self.url)
                .await
                .expect("a connection");
            connection.execute("BEGIN IMMEDIATE").await.expect("locked");
            Box::new(connection)
        }
    }

    /// Runs SQL behind the catalog's back.
    pub async fn execute(&self, sql: &str) {
        let sql = AssertSqlSafe(sql.to_owned());
        if self.database.is_some() {
            let mut connection = sqlx::PgConnection::connect(&self.url)
                .await
                .expect("a connection");
            connection.execute(sql).await.expect("executed");
        } else {
            let mut connection = sqlx::SqliteConnection::connect(&self.url)
                .await
                .expect("a connection");
            connection.execute(sql).await.expect("executed");
        }
    }

    /// What a query for one text answers.
    pub async fn setting(&self, name: &str) -> String {
        let mut connection = sqlx::PgConnection::connect(&self.url)
            .await
            .expect("a connection");
        let sql = AssertSqlSafe(format!("SHOW {name}"));
        sqlx::query_scalar(sql)
            .fetch_one(&mut connection)
            .await
            .expect("a setting")
    }

    /// Drops the database, on a server that many homes share.
    pub async fn close(self) {
        if let Some((server, database)) = self.database {
            let mut connection = sqlx::PgConnection::connect(&server)
                .await
                .expect("a connection");
            let drop = format!("DROP DATABASE {database} WITH (FORCE)");
            connection
                .execute(AssertSqlSafe(drop))
                .await
                .expect("dropped");
        }
    }
}

async fn open(
    url: &str,
    migrate: bool,
    deadline: Duration,
    registry: &Registry,
) -> Result<Arc<dyn Catalog>, CatalogError> {
    let url: CatalogUrl = url.parse().expect("a catalog's URL");
    let options = Options {
        application_name: "chitram-test".to_owned(),
        migrate,
        deadline: Some(deadline),
    };
    catalog::open(&url, &options, registry).await
}

/// A PostgreSQL server for the tests of this process.
pub struct Server(postgres::Postgres);

impl Server {
    /// `None` when there is none on this machine.
    pub async fn start() -> Option<Self> {
        let found = server::require(postgres::find())?;
        let launch = Launch::for_test().expect("a launcher");
        Some(Self(
            postgres::start(&found, &launch)
                .await
                .expect("PostgreSQL starts"),
        ))
    }

    /// An empty database of its own.
    pub async fn home(&self) -> Home {
        let name = format!("test_{}", uuid::Uuid::now_v7().simple());
        let mut connection = sqlx::PgConnection::connect(&self.0.url)
            .await
            .expect("a connection");
        connection
            .execute(AssertSqlSafe(format!("CREATE DATABASE {name}")))
            .await
            .expect("created");
        let mut url = url::Url::parse(&self.0.url).expect("a URL");
        url.set_path(&name);
        Home::open(url.into(), Some((self.0.url.clone(), name)), None).await
    }
}

/// A picture with this content, stored under a fresh copy.
pub fn picture(content: &str) -> NewImage {
    let hash: Hash = blake3::hash(content.as_bytes()).into();
    NewImage {
        owner: Owner::default(),
        blob: Blob::new(hash),
        format: Format::Jpeg,
        width: 640,
        height: 480,
        alpha: false,
        bytes: 12_345,
        color: Color([1, 0x80, 0xff]),
        traceparent: None,
    }
}

pub fn picture_of(owner: &str, content: &str) -> NewImage {
    NewImage {
        owner: Owner(owner.to_owned()),
        ..picture(content)
    }
}
