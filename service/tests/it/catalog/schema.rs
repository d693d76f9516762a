//! Versions of the schema.

use service::catalog::CatalogError;

use super::home::{Home, picture};

pub async fn opening_again_keeps_everything(home: &Home) {
    let image = home
        .catalog
        .insert_image(picture("bytes"))
        .await
        .expect("inserted")
        .image;
    let again = home.again(false).await.expect("the version is known");
    assert_eq!(again.image(image.id).await.expect("read"), Some(image));
    again.ping().await.expect("it answers");
}

pub async fn many_may_migrate_at_once(home: &Home) {
    for table in [
        "variants",
        "tags",
        "images",
        "blobs",
        "jobs",
        "schema_version",
    ] {
        let drop: &'static str = Box::leak(format!("DROP TABLE {table}").into_boxed_str());
        home.execute(drop).await;
    }
    let opened = futures::future::join_all((0..6).map(|_| home.again(true))).await;
    for catalog in opened {
        catalog.expect("migrated").ping().await.expect("it answers");
    }
}

pub async fn a_newer_schema_is_refused(home: &Home) {
    home.execute("UPDATE schema_version SET version = 1000")
        .await;
    let refused = home.again(true).await.err().expect("unknown");
    assert!(
        matches!(refused, CatalogError::SchemaMismatch { found: 1000, .. }),
        "{refused}"
    );
    assert!(
        refused.to_string().contains("run a newer chitram"),
        "{refused}"
    );
}

pub async fn an_older_schema_is_refused_without_leave_to_migrate(home: &Home) {
    home.execute("UPDATE schema_version SET version = 0").await;
    let refused = home.again(false).await.err().expect("too old");
    assert!(
        matches!(refused, CatalogError::SchemaMismatch { found: 0, .. }),
        "{refused}"
    );
    assert!(
        refused.to_string().contains("run `chitram migrate`"),
        "{refused}"
    );
}
