//! Deleting races uploading the same bytes, with the purges of the worker in between: an image that is there has its
//! bytes, and in the end nothing else is in the store.

use std::time::Duration;

use reqwest::Method;
use service::app::Role;

use crate::presets::files_below;
use crate::support::{
    pictures,
    service::{Service, send},
    until,
};

/// Different contents at a time, and races of each: 1,000 together.
const CONTENTS: u8 = 4;
const RACES: u32 = 250;
/// The delete's first lead once the upload came first. The lead doubles whenever it did and is halved whenever it did not, so that
/// both orders are raced at the edge between them however fast the machine is.
const LEAD: Duration = Duration::from_micros(100);
/// More than any delete takes.
const LONGEST_LEAD: Duration = Duration::from_secs(1);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delete_that_races_an_upload_of_the_same_bytes_never_loses_them() {
    let service = Service::start_as(Role::All, &[("RUST_LOG", "warn")]).await;
    let races =
        (1..=CONTENTS).map(|seed| race(&service, pictures::png(seed, 16, 12, false), false));
    let survived: u32 = futures::future::join_all(races).await.into_iter().sum();
    assert!(
        (1..u32::from(CONTENTS) * RACES).contains(&survived),
        "one of the two always came first, so nothing was raced: {survived} uploads survived"
    );

    let objects = service.folder().join("objects");
    until("every purge and every render is done", async || {
        let depth = service.metric("chitram_queue_depth", &[]).await;
        depth as u64 == 0 && files_below(&objects) == usize::from(CONTENTS) * 4
    })
    .await;
    let dead = service.metric("chitram_queue_dead_letters", &[]).await;
    assert_eq!(dead as u64, 0);
    service.stop().await;
}

/// The second upload finds its object lost and puts it again, while the delete's purge removes it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repair_that_races_a_delete_leaves_no_row_without_its_object_and_no_object_without_its_row()
 {
    let service = Service::start_as(Role::All, &[("RUST_LOG", "error")]).await;
    let races = (1..=CONTENTS).map(|seed| race(&service, pictures::png(seed, 16, 12, false), true));
    let survived: u32 = futures::future::join_all(races).await.into_iter().sum();
    assert!(
        (1..u32::from(CONTENTS) * RACES).contains(&survived),
        "one of the two always came first, so nothing was raced: {survived} uploads survived"
    );
    let repaired = service.count("chitram_objects_repaired_total", &[]).await;
    assert!(repaired > 0, "nothing was repaired, so nothing was raced");

    let originals = service.folder().join("objects").join("blobs");
    until("every purge is done", async || {
        files_below(&originals) == usize::from(CONTENTS)
    })
    .await;
    service.stop().await;
}

/// Loses the object of a content behind the service's back.
fn lose(service: &Service, picture: &[u8]) {
    let hash = blake3::hash(picture).to_hex();
    let folder = service.folder().join("objects/blobs").join(hash.as_str());
    let files = folder.read_dir().into_iter().flatten().flatten();
    for file in files {
        // A purge may come first.
        let _ = std::fs::remove_file(file.path());
    }
}

/// Races one content, and leaves it uploaded. Answers how often an upload survived the delete. With `losing`, its object is
/// lost before each race.
async fn race(service: &Service, picture: Vec<u8>, losing: bool) -> u32 {
    let (mut survived, mut lead) = (0, Duration::ZERO);
    let mut id = upload(service, &picture).await;
    for _ in 0..RACES {
        if losing {
            lose(service, &picture);
        }
        let path = format!("/v1/images/{id}");
        let delete = send(service.request(Method::DELETE, &path));
        let second = async {
            tokio::time::sleep(lead).await;
            upload(service, &picture).await
        };
        let (deleted, uploaded) = tokio::join!(delete, second);
        assert_eq!(deleted.status, 204, "{}", deleted.text());
        if uploaded == id {
            // The upload came first: it was answered with the picture that was then deleted.
            id = upload(service, &picture).await;
            lead = (2 * lead).clamp(LEAD, LONGEST_LEAD);
        } else {
            survived += 1;
            lead /= 2;
            id = uploaded;
        }
        let content = send(service.get(&format!("/v1/images/{id}/content"))).await;
        assert_eq!(content.status, 200, "{}", content.text());
        assert!(content.body == picture, "other bytes than were uploaded");
    }
    survived
}

async fn upload(service: &Service, picture: &[u8]) -> String {
    let answer = service.upload(picture.to_vec()).await;
    assert!(
        answer.status == 200 || answer.status == 201,
        "{}",
        answer.text()
    );
    answer.json()["id"].as_str().expect("an id").to_owned()
}
