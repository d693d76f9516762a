//! Many at once: nothing is lost, nothing happens twice, nobody is told that the database is locked.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use service::domain::{Blob, Work};
use tokio::task::JoinSet;

use super::home::{Home, picture};
use super::queue::drain;

const TASKS: usize = 64;
const LEASE: Duration = Duration::from_mins(10);

pub async fn sixty_four_tasks_insert_and_claim_without_loss_or_repetition(home: &Home) {
    let mut tasks = JoinSet::new();
    for task in 0..TASKS {
        let catalog = Arc::clone(&home.catalog);
        tasks.spawn(async move {
            let mut inserted = Vec::new();
            let mut claimed = Vec::new();
            for number in 0..5 {
                let picture = picture(&format!("{task} {number}"));
                inserted.push(
                    catalog
                        .insert_image(picture)
                        .await
                        .expect("inserted")
                        .image
                        .id,
                );
                claimed.extend(catalog.claim("test", LEASE).await.expect("an answer"));
            }
            (inserted, claimed)
        });
    }
    let (mut inserted, mut claimed) = (Vec::new(), Vec::new());
    while let Some(result) = tasks.join_next().await {
        let (images, jobs) = result.expect("no panic");
        inserted.extend(images);
        claimed.extend(jobs);
    }
    // Whoever found every due job held by others left his for later.
    while let Some(job) = home.catalog.claim("test", LEASE).await.expect("an answer") {
        claimed.push(job);
    }
    let rendered: Vec<_> = claimed
        .iter()
        .map(|job| match job.work {
            Work::RenderPresets { image } => image,
            Work::Purge { .. } => panic!("nothing was deleted"),
        })
        .collect();
    assert_eq!(rendered.len(), TASKS * 5, "no job is claimed twice");
    assert_eq!(
        rendered.into_iter().collect::<BTreeSet<_>>(),
        inserted.into_iter().collect(),
        "none is lost"
    );
}

/// Each copy that was ever offered is, in the end, either relied on by a picture or purged exactly once.
pub async fn racing_uploads_and_deletes_of_the_same_bytes_leave_no_copy_unaccounted(home: &Home) {
    let mut tasks = JoinSet::new();
    for task in 0..16 {
        let catalog = Arc::clone(&home.catalog);
        tasks.spawn(async move {
            let mut offered = Vec::new();
            for round in 0..20 {
                let new = picture(if round % 4 == 0 { "one" } else { "other" });
                offered.push(new.blob);
                let image = catalog.insert_image(new).await.expect("inserted").image;
                if (task + round) % 3 > 0 {
                    catalog.delete_image(image.id).await.expect("answered");
                }
            }
            offered
        });
    }
    let mut offered = BTreeSet::new();
    while let Some(blobs) = tasks.join_next().await {
        offered.extend(blobs.expect("no panic").iter().map(Blob::to_string));
    }
    let mut accounted: Vec<String> = Vec::new();
    for content in ["one", "other"] {
        let new = picture(content);
        if let Some(image) = home
            .catalog
            .image_by_hash(&new.owner, &new.blob.hash)
            .await
            .expect("read")
        {
            accounted.push(image.blob.to_string());
        }
    }
    for work in drain(home).await {
        if let Work::Purge { blob } = work {
            accounted.push(blob.to_string());
        }
    }
    assert_eq!(accounted.len(), offered.len(), "none is purged twice");
    assert_eq!(accounted.into_iter().collect::<BTreeSet<_>>(), offered);
}
