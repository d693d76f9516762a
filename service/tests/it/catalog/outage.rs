//! A database that cannot work: refused within the deadline, nothing left half done, and well again by itself.

use std::time::{Duration, Instant};

use service::catalog::CatalogError;
use service::domain::ImageId;

use super::home::{Home, Server, picture};
use crate::support::until;

pub async fn an_operation_that_cannot_go_on_ends_at_its_deadline_and_leaves_nothing(home: &Home) {
    let catalog = home.impatient().await;
    let lock = home.lock().await;
    let began = Instant::now();
    let error = catalog
        .insert_image(picture("bytes"))
        .await
        .expect_err("locked");
    assert_not_applied(&error);
    assert!(
        began.elapsed() < Duration::from_secs(20),
        "{:?}",
        began.elapsed()
    );
    drop(lock);

    until("the catalog works again", async || {
        catalog.insert_image(picture("other bytes")).await.is_ok()
    })
    .await;
    let new = picture("bytes");
    assert_eq!(
        catalog
            .image_by_hash(&new.owner, &new.blob.hash)
            .await
            .expect("read"),
        None
    );
}

/// The database could not work, and the change is certainly not there.
#[track_caller]
fn assert_not_applied(error: &CatalogError) {
    let known = matches!(
        error,
        CatalogError::Unavailable { .. } | CatalogError::Timeout { .. }
    );
    assert!(known, "{error}");
}

/// The last promise on PostgreSQL: it ends the server.
pub async fn a_server_that_is_gone_is_unavailable(server: Server) {
    let home = server.home().await;
    let catalog = home.impatient().await;
    drop(server);
    let began = Instant::now();
    let error = catalog.image(ImageId::new()).await.expect_err("gone");
    assert!(error.is_unavailable(), "{error}");
    let error = catalog
        .insert_image(picture("bytes"))
        .await
        .expect_err("gone");
    assert_not_applied(&error);
    assert!(
        began.elapsed() < Duration::from_secs(20),
        "{:?}",
        began.elapsed()
    );
}
