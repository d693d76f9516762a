//! The service's own jobs, seen from outside: presets appear after an upload, objects go after a delete.

use std::path::Path;

use reqwest::Method;
use service::app::Role;

use crate::support::{
    pictures,
    service::{Service, send},
    until,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_uploads_presets_are_stored_and_a_delete_leaves_no_object() {
    let service = Service::start_as(Role::All, &[]).await;
    let uploaded = service.uploaded(pictures::png(1, 1200, 900, false)).await;
    let path = format!("/v1/images/{}", uploaded["id"].as_str().expect("an id"));
    until("the presets are stored", async || {
        let image = send(service.get(&path)).await.json();
        image["variants"]
            .as_array()
            .is_some_and(|variants| variants.len() == 3)
    })
    .await;
    let image = send(service.get(&path)).await.json();
    let variants: Vec<_> = image["variants"]
        .as_array()
        .expect("variants")
        .iter()
        .collect();
    let shape = |number: usize| {
        let variant = variants[number];
        (
            variant["preset"].as_str(),
            variant["format"].as_str(),
            variant["width"].as_u64(),
            variant["height"].as_u64(),
        )
    };
    assert_eq!(
        shape(0),
        (Some("thumb"), Some("webp"), Some(200), Some(150))
    );
    assert_eq!(
        shape(1),
        (Some("small"), Some("webp"), Some(480), Some(360))
    );
    assert_eq!(
        shape(2),
        (Some("medium"), Some("webp"), Some(1024), Some(768))
    );
    let ready = service
        .metric("chitram_image_ready_seconds_count", &[])
        .await;
    assert_eq!(ready as u64, 1);

    let objects = service.folder().join("objects");
    assert_eq!(files_below(&objects), 4, "the original and three variants");
    let deleted = send(service.request(Method::DELETE, &path)).await;
    assert_eq!(deleted.status, 204);
    until("the objects are purged", async || {
        files_below(&objects) == 0
    })
    .await;
    service.stop().await;
}

/// How many files there are in a folder and those below it.
pub fn files_below(folder: &Path) -> usize {
    let Ok(entries) = folder.read_dir() else {
        return 0;
    };
    entries
        .filter_map(Result::ok)
        .map(|entry| {
            if entry.path().is_dir() {
                files_below(&entry.path())
            } else {
                1
            }
        })
        .sum()
}
