//! What the catalog says about itself.

use observability::testing::{Scrape, capture};
use service::domain::ImageId;
use tracing::{Instrument as _, info_span};

use super::home::{Home, picture};

pub async fn every_operation_is_timed_by_what_it_does(home: &Home) {
    let image = home
        .catalog
        .insert_image(picture("bytes"))
        .await
        .expect("inserted")
        .image;
    home.catalog.image(image.id).await.expect("read");
    home.catalog.image(ImageId::new()).await.expect("read");
    home.execute("UPDATE images SET format = 'bmp'").await;
    home.catalog.image(image.id).await.expect_err("corrupt");
    home.catalog.ping().await.expect("it answers");

    let scrape = Scrape::parse(&home.registry.render());
    let count = |operation, collection, error| {
        let labels = [
            ("db_system_name", home.catalog.system()),
            ("db_operation_name", operation),
            ("db_collection_name", collection),
            ("error_type", error),
        ];
        scrape.value("db_client_operation_duration_seconds_count", &labels)
    };
    assert_eq!(count("INSERT", "images", ""), Some(1.0));
    assert_eq!(count("SELECT", "images", ""), Some(2.0));
    assert_eq!(count("SELECT", "images", "corrupt"), Some(1.0));
    assert_eq!(count("SELECT", "schema_version", ""), Some(1.0));
    assert_eq!(count("DELETE", "images", ""), None, "it was not asked for");

    let pool = [("db_client_connection_pool_name", "catalog")];
    assert!(
        scrape
            .value("db_client_connection_max", &pool)
            .is_some_and(|max| max >= 1.0)
    );
    assert_eq!(
        scrape.value("db_client_connection_pending_requests", &pool),
        Some(0.0)
    );
    assert_eq!(
        scrape.value("db_client_connection_timeouts_total", &pool),
        Some(0.0)
    );
    assert!(
        scrape
            .value("db_client_connection_wait_time_seconds_count", &pool)
            .is_some_and(|waits| waits >= 1.0)
    );
}

#[tokio::test]
async fn an_operation_inside_a_trace_has_a_client_span_and_a_poll_has_none() {
    let capture = capture();
    let home = Home::sqlite().await;
    home.catalog
        .image(ImageId::new())
        .instrument(info_span!("request"))
        .await
        .expect("read");
    home.catalog
        .claim("test", std::time::Duration::ZERO)
        .await
        .expect("an answer");

    let span = capture.span("SELECT images").expect("spanned");
    assert_eq!(span.kind, "client");
    assert_eq!(span.attributes["peer.service"], "catalog");
    assert_eq!(span.attributes["db.system.name"], "sqlite");
    assert_eq!(span.attributes["db.collection.name"], "images");
    assert_eq!(
        span.parent_span_id,
        capture.span("request").map(|request| request.span_id)
    );
    assert!(capture.span("UPDATE jobs").is_none());
}
