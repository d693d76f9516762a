//! Every statement finds its rows by an index, on both databases: what is fast on a small catalog stays fast on a large
//! one.

use sqlx::{AssertSqlSafe, Executor as _, Postgres, Row as _, Sqlite};
use stack::server::{self, Launch, postgres};

use super::{
    CatalogUrl, Options, blobs,
    dialect::{Dialect, Pools},
    images, jobs, schema,
};

/// Every statement that looks for rows.
fn statements<D: Dialect>() -> Vec<&'static str> {
    vec![
        images::BY_ID,
        images::BY_HASH,
        images::NEWEST,
        images::NEWEST_AFTER,
        images::INSERT,
        images::DELETE,
        images::RECORD_VARIANT,
        blobs::REFER,
        blobs::LOCK_OF_IMAGE,
        blobs::RELEASE,
        blobs::DELETE,
        blobs::IS_THERE,
        D::CLAIM,
        jobs::HEARTBEAT,
        jobs::COMPLETE,
        jobs::FAIL,
        jobs::HAND_BACK,
        jobs::BURY,
        jobs::BY_ID,
        jobs::OPEN,
        jobs::DEAD,
        jobs::FORGET_DONE,
    ]
}

async fn migrated<D: Dialect>(url: &str) -> sqlx::Pool<D> {
    let url: CatalogUrl = url.parse().expect("a catalog's URL");
    let options = Options {
        application_name: "chitram-test".to_owned(),
        migrate: true,
        deadline: None,
    };
    let Pools { writers, .. } = D::connect(&url, &options).await.expect("connected");
    schema::settle(&writers, true).await.expect("migrated");
    writers
}

#[tokio::test]
async fn sqlite_finds_every_row_by_an_index() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let pool =
        migrated::<Sqlite>(&format!("sqlite://{}/catalog.db", folder.path().display())).await;
    for statement in statements::<Sqlite>() {
        let explain = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {statement}"));
        for step in pool
            .fetch_all(sqlx::raw_sql(explain))
            .await
            .expect(statement)
        {
            let step: String = step.get("detail");
            let scans = step.starts_with("SCAN") && !step.contains("INDEX");
            let sorts = step.contains("TEMP B-TREE FOR ORDER BY")
                || step.contains("TEMP B-TREE FOR GROUP BY");
            assert!(!scans && !sorts, "{step}\nin {statement}");
        }
    }
}

#[tokio::test]
async fn postgresql_finds_every_row_by_an_index() {
    let Some(found) = server::require(postgres::find()) else {
        return;
    };
    let launch = Launch::for_test().expect("a launcher");
    let server = postgres::start(&found, &launch)
        .await
        .expect("PostgreSQL starts");
    let pool = migrated::<Postgres>(&server.url).await;
    let mut connection = pool.acquire().await.expect("a connection");
    // Small tables are scanned and sorted because that is cheap; forbidden, it is done only where there is no other way.
    let honest = "SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off; SET enable_sort = off; \
         SET statement_timeout = '60s'";
    connection
        .execute(sqlx::raw_sql(honest))
        .await
        .expect("set");
    for (number, statement) in statements::<Postgres>().into_iter().enumerate() {
        let values = (1..=10)
            .take_while(|n| statement.contains(&format!("${n}")))
            .map(|_| "NULL")
            .collect::<Vec<_>>();
        let values = if values.is_empty() {
            String::new()
        } else {
            format!("({})", values.join(", "))
        };
        let prepare = format!("PREPARE s{number} AS {statement}");
        connection
            .execute(sqlx::raw_sql(AssertSqlSafe(prepare)))
            .await
            .expect(statement);
        let explain = AssertSqlSafe(format!("EXPLAIN EXECUTE s{number}{values}"));
        for line in connection
            .fetch_all(sqlx::raw_sql(explain))
            .await
            .expect(statement)
        {
            let line: String = line.get(0);
            assert!(
                !line.contains("Seq Scan") && !line.contains("Sort"),
                "{line}\nin {statement}"
            );
        }
    }
}
