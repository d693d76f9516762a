//! A database that cannot work: refused within the deadline, nothing left half done, and well again by itself.

use std::time::{Duration, Instant};

use service::catalog::CatalogError;
use service::domain::ImageId;

use super::home::{Home, Server, picture};
use crate::support::disk::SmallDisk;
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

/// On PostgreSQL: a session keeps the rights that it began with, also when the server gave them back long ago.
pub async fn a_session_that_may_not_write_is_not_used_for_longer_than_it_must(server: &Server) {
    let home = server.home().await;
    let set = |value: &str| {
        format!(
            "BEGIN READ WRITE; DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET default_transaction_read_only = {value}', \
             current_database()); END $$; COMMIT"
        )
    };
    let catalog = home.impatient().await;
    home.execute(&set("on")).await;
    home.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
         WHERE datname = current_database() AND pid <> pg_backend_pid()",
    )
    .await;
    for _ in 0..3 {
        let error = catalog.insert_image(picture("bytes")).await;
        let error = error.expect_err("read-only");
        assert!(matches!(error, CatalogError::NotWritable { .. }), "{error}");
        assert!(error.is_unavailable());
        assert_eq!(catalog.image(ImageId::new()).await.expect("read"), None);
    }
    home.execute(&set("off")).await;
    let written = catalog.insert_image(picture("bytes")).await;
    // The session of the read above may be the next one: it is given back with the first refusal.
    if written.is_err() {
        catalog
            .insert_image(picture("bytes"))
            .await
            .expect("written");
    }
    home.close().await;
}

/// On PostgreSQL: its tables on a disk of their own, which is full.
pub async fn a_disk_without_room_refuses_changes_and_nothing_else(server: &Server) {
    use std::os::unix::fs::{MetadataExt as _, chown};
    let home = server.home().await;
    let data = home.setting("data_directory").await;
    let Ok(owner) = std::fs::metadata(&data) else {
        eprintln!("not run: needs a PostgreSQL on this machine ({data} is not here)");
        return;
    };
    let Some(disk) = SmallDisk::mount(2) else {
        return;
    };
    let folder = disk.path().join("tables");
    std::fs::create_dir(&folder).expect("a folder");
    for path in [disk.path(), &folder] {
        chown(path, Some(owner.uid()), Some(owner.gid())).expect("given");
    }
    home.execute(&format!(
        "CREATE TABLESPACE small LOCATION '{}'",
        folder.display()
    ))
    .await;
    home.execute("ALTER TABLE images SET TABLESPACE small")
        .await;
    let first = home.catalog.insert_image(picture("first")).await;
    let first = first.expect("room").image;

    disk.fill();
    let mut taken = 0;
    let error = loop {
        // The rows' own pages have some room left.
        match home.catalog.insert_image(picture(&taken.to_string())).await {
            Ok(_) => taken += 1,
            Err(error) => break error,
        }
        assert!(taken < 10_000, "the disk is not full");
    };
    assert!(matches!(error, CatalogError::NotWritable { .. }), "{error}");
    let read = home.catalog.image(first.id).await.expect("read");
    assert_eq!(read.map(|image| image.id), Some(first.id));

    disk.make_room();
    let lost = picture(&taken.to_string());
    home.catalog.insert_image(lost).await.expect("written");
    home.execute("ALTER TABLE images SET TABLESPACE pg_default")
        .await;
    home.execute("DROP TABLESPACE small").await;
    home.close().await;
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
