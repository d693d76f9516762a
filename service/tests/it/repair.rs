//! Objects that were lost or damaged behind the service's back: no upload is acknowledged on the word of a row, and one bad
//! object is no outage.

use std::path::{Path, PathBuf};

use observability::Registry;
use observability::testing::{self, capture};
use reqwest::Method;
use service::catalog::{self, Options};
use service::domain::{Blob, Color, Format, Hash, NewImage, Owner};

use crate::presets::files_below;
use crate::support::service::{Answer, Service, send};
use crate::support::store::{Behaviour, FakeStore};
use crate::support::{pictures, until};

const REPAIRED: &str = "chitram_objects_repaired_total";
const TRANSITIONS: &str = "chitram_circuit_transitions_total";

/// Where a service of a test has its objects.
enum Objects {
    Folder(PathBuf),
    S3(FakeStore),
}

impl Objects {
    async fn in_a_folder() -> (Self, Service) {
        let service = Service::start(&[]).await;
        (Self::Folder(service.folder().join("objects")), service)
    }

    async fn in_s3() -> (Self, Service) {
        let store = FakeStore::start().await;
        let service = store.service(&[]).await;
        (Self::S3(store), service)
    }

    fn lose_all(&self) {
        match self {
            Self::Folder(folder) => each_file(folder, &|file| {
                std::fs::remove_file(file).expect("removed");
            }),
            Self::S3(store) => store.lose_all(),
        }
    }

    fn truncate_all(&self, size: usize) {
        match self {
            Self::Folder(folder) => each_file(folder, &|file| {
                let file = std::fs::OpenOptions::new().write(true).open(file);
                file.and_then(|file| file.set_len(size as u64))
                    .expect("truncated");
            }),
            Self::S3(store) => store.truncate_all(size),
        }
    }

    fn count(&self) -> usize {
        match self {
            Self::Folder(folder) => files_below(folder),
            Self::S3(store) => store.keys().len(),
        }
    }
}

fn each_file(folder: &Path, act: &dyn Fn(&Path)) {
    for entry in folder.read_dir().expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            each_file(&path, act);
        } else {
            act(&path);
        }
    }
}

fn picture(seed: u8) -> Vec<u8> {
    pictures::png(seed, 60, 40, false)
}

fn content_of(image: &serde_json::Value) -> String {
    let id = image["id"].as_str().expect("an id");
    format!("/v1/images/{id}/content")
}

async fn repaired(service: &Service, reason: &str) -> u64 {
    service.count(REPAIRED, &[("reason", reason)]).await
}

/// Uploads bytes that the catalog knows; the answer has to be a 200 whose picture can be read.
async fn uploaded_again(service: &Service, picture: &[u8]) -> serde_json::Value {
    let answer = service.upload(picture.to_vec()).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let content = send(service.get(&content_of(&answer.json()))).await;
    assert_eq!(content.status, 200, "acknowledged: {}", content.text());
    assert!(content.body == picture, "other bytes than were uploaded");
    answer.json()
}

/// A bucket is restored from before, and everybody uploads everything again.
async fn everything_that_was_lost_is_stored_again((objects, service): (Objects, Service)) {
    let mut images = Vec::new();
    for seed in 0..12 {
        images.push(service.uploaded(picture(seed)).await);
    }
    objects.lose_all();
    assert_eq!(objects.count(), 0);
    for (seed, image) in (0..12).zip(&images) {
        assert_eq!(&uploaded_again(&service, &picture(seed)).await, image);
    }
    assert_eq!(objects.count(), images.len());
    assert_eq!(repaired(&service, "missing").await, 12);
    assert_eq!(repaired(&service, "size").await, 0);
    // What is whole is left alone.
    for seed in 0..12 {
        uploaded_again(&service, &picture(seed)).await;
    }
    assert_eq!(repaired(&service, "missing").await, 12);
    service.stop().await;
}

#[tokio::test]
async fn everything_that_was_lost_is_stored_again_in_a_folder() {
    everything_that_was_lost_is_stored_again(Objects::in_a_folder().await).await;
}

#[tokio::test]
async fn everything_that_was_lost_is_stored_again_in_s3() {
    everything_that_was_lost_is_stored_again(Objects::in_s3().await).await;
}

/// Reading a truncated object is an error before its first byte, and the fault of nobody else.
async fn a_truncated_object_is_an_error_and_is_replaced((objects, service): (Objects, Service)) {
    let telemetry = capture();
    let image = service.uploaded(picture(1)).await;
    objects.truncate_all(10);
    let healthy = content_of(&service.uploaded(picture(2)).await);
    let content = content_of(&image);
    let render = content.replace("/content", "/render?w=20");
    let ranges = ["bytes=0-3", "bytes=5-20", "bytes=40-50", "bytes=-5"];
    for _ in 0..5 {
        send(service.get(&content))
            .await
            .assert_problem(500, "internal");
        send(service.get(&render))
            .await
            .assert_problem(500, "internal");
        for range in ranges {
            let answer = send(service.get(&content).header("range", range)).await;
            answer.assert_problem(500, "internal");
        }
        assert_eq!(send(service.get(&healthy)).await.status, 200);
    }
    let opened = service.count(TRANSITIONS, &[("state", "open")]).await;
    assert_eq!(opened, 0, "one bad object opened a circuit for all");

    assert_eq!(uploaded_again(&service, &picture(1)).await, image);
    assert_eq!(repaired(&service, "size").await, 1);
    assert_eq!(repaired(&service, "missing").await, 0);
    let line = telemetry.line("object repaired").expect("a line");
    assert_eq!(line["log.level"], "warn");
    assert_eq!(line["labels.reason"], "size");
    service.stop().await;
}

#[tokio::test]
async fn a_truncated_object_is_an_error_and_is_replaced_in_a_folder() {
    a_truncated_object_is_an_error_and_is_replaced(Objects::in_a_folder().await).await;
}

#[tokio::test]
async fn a_truncated_object_is_an_error_and_is_replaced_in_s3() {
    a_truncated_object_is_an_error_and_is_replaced(Objects::in_s3().await).await;
}

#[tokio::test]
async fn many_uploads_of_lost_bytes_at_once_are_all_acknowledged_with_their_bytes() {
    let (objects, service) = Objects::in_a_folder().await;
    let image = service.uploaded(picture(1)).await;
    objects.lose_all();
    let original = picture(1);
    let uploads = (0..12).map(|_| uploaded_again(&service, &original));
    for answer in futures::future::join_all(uploads).await {
        assert_eq!(answer, image);
    }
    assert_eq!(objects.count(), 1);
    service.stop().await;
}

/// New bytes, uploaded by several at once while the first one's object is lost at once: whoever joins the first one's copy
/// looks for it.
#[tokio::test]
async fn an_upload_that_joins_the_copy_of_another_owner_makes_sure_of_its_object() {
    let (objects, service) = Objects::in_a_folder().await;
    let original = picture(1);
    let url = format!("sqlite://{}/catalog.db", service.folder().display());
    let options = Options {
        application_name: "chitram-test".to_owned(),
        migrate: false,
        deadline: None,
    };
    let registry = Registry::new(&testing::service());
    let catalog = catalog::open(&url.parse().expect("a URL"), &options, &registry)
        .await
        .expect("opened");
    let hash: Hash = blake3::hash(&original).into();
    let theirs = NewImage {
        owner: Owner("somebody else".to_owned()),
        blob: Blob::new(hash),
        format: Format::Png,
        width: 60,
        height: 40,
        alpha: false,
        bytes: original.len() as u64,
        color: Color([0; 3]),
        traceparent: None,
    };
    // A row whose object was never there.
    catalog.insert_image(theirs).await.expect("inserted");
    assert_eq!(objects.count(), 0);

    let answer = service.upload(original.clone()).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    let content = send(service.get(&content_of(&answer.json()))).await;
    assert_eq!(content.status, 200, "acknowledged: {}", content.text());
    assert!(content.body == original);
    assert_eq!(repaired(&service, "missing").await, 1);
    service.stop().await;
}

#[tokio::test]
async fn what_can_not_be_checked_or_put_again_is_not_acknowledged() {
    let store = FakeStore::start().await;
    let service = store.service(&[("CHITRAM_STORE_BREAKER", "off")]).await;
    let image = service.uploaded(picture(1)).await;
    store.behave(Behaviour::RefusingReads(500, "InternalError"));
    let again: Answer = service.upload(picture(1)).await;
    again.assert_problem(503, "store-unavailable");

    store.behave(Behaviour::Healthy);
    store.lose_all();
    for (behaviour, status, kind) in [
        (
            Behaviour::RefusingWrites(507, ""),
            507,
            "store-not-writable",
        ),
        (Behaviour::RefusingWrites(500, ""), 503, "store-unavailable"),
    ] {
        store.behave(behaviour);
        let again = service.upload(picture(1)).await;
        again.assert_problem(status, kind);
    }
    assert_eq!(repaired(&service, "missing").await, 0);

    // To those who may not list it, a bucket says "forbidden" of what is not there.
    store.behave(Behaviour::RefusingReads(403, "AccessDenied"));
    assert_eq!(service.upload(picture(1)).await.status, 200);
    store.behave(Behaviour::Healthy);
    assert_eq!(uploaded_again(&service, &picture(1)).await, image);
    assert_eq!(store.keys().len(), 1);
    service.stop().await;
}

/// The row of a stored variant is no promise: the original still is there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stored_variant_that_is_lost_or_short_is_rendered_again() {
    let service = Service::start_as(service::app::Role::All, &[]).await;
    let image = service.uploaded(pictures::png(1, 600, 400, false)).await;
    let render = content_of(&image).replace("/content", "/render?preset=small&format=webp");
    let variants = service.folder().join("objects").join("variants");
    until("the presets are stored", async || {
        files_below(&variants) == 3
    })
    .await;
    until("the small one is recorded", async || {
        send(service.get(&render)).await;
        let stored = [("source", "stored")];
        service
            .count("chitram_render_duration_seconds_count", &stored)
            .await
            > 0
    })
    .await;
    let whole = send(service.get(&render)).await;
    let objects = Objects::Folder(variants);
    objects.truncate_all(20);
    let short = send(service.get(&render)).await;
    objects.lose_all();
    let lost = send(service.get(&render)).await;
    for answer in [short, lost] {
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert!(answer.body == whole.body);
    }
    service.stop().await;
}

#[tokio::test]
async fn a_deleted_image_whose_object_was_lost_is_new_when_it_comes_again() {
    let (objects, service) = Objects::in_a_folder().await;
    let image = service.uploaded(picture(1)).await;
    objects.lose_all();
    let path = content_of(&image).replace("/content", "");
    let deleted = send(service.request(Method::DELETE, &path)).await;
    assert_eq!(deleted.status, 204);
    let again = service.uploaded(picture(1)).await;
    let content = send(service.get(&content_of(&again))).await;
    assert!(content.body == picture(1));
    assert_eq!(repaired(&service, "missing").await, 0);
    service.stop().await;
}
