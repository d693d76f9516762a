//! Pictures, copies and variants.

use service::{
    catalog::CatalogError,
    domain::{Blob, Cursor, Format, ImageId, Owner, PageRequest, Preset, Variant, Work},
};

use super::home::{Home, picture, picture_of};
use super::queue::drain;

fn thumb(width: u32) -> Variant {
    Variant {
        preset: Preset::Thumb,
        format: Format::Webp,
        width,
        height: 150,
        bytes: 4_000,
    }
}

pub async fn an_inserted_image_reads_back_whole(home: &Home) {
    let new = picture("bytes");
    let inserted = home
        .catalog
        .insert_image(new.clone())
        .await
        .expect("inserted");
    assert!(inserted.created);
    assert!(inserted.job.is_some());
    assert_eq!(inserted.image.blob, new.blob);

    let medium = Variant {
        preset: Preset::Medium,
        ..thumb(1024)
    };
    assert!(
        home.catalog
            .record_variant(&new.blob, &medium)
            .await
            .expect("recorded")
    );
    assert!(
        home.catalog
            .record_variant(&new.blob, &thumb(200))
            .await
            .expect("recorded")
    );
    home.execute("INSERT INTO tags (image, tag) SELECT id, 'sea' FROM images")
        .await;
    home.execute("INSERT INTO tags (image, tag) SELECT id, 'at night' FROM images")
        .await;

    let mut expected = inserted.image;
    expected.variants = vec![thumb(200), medium];
    expected.tags = vec!["at night".to_owned(), "sea".to_owned()];
    let by_id = home.catalog.image(expected.id).await.expect("read");
    assert_eq!(by_id.as_ref(), Some(&expected));
    let by_hash = home
        .catalog
        .image_by_hash(&new.owner, &new.blob.hash)
        .await
        .expect("read");
    assert_eq!(by_hash, Some(expected));
    assert_eq!(
        home.catalog.image(ImageId::new()).await.expect("read"),
        None
    );
}

pub async fn a_second_upload_of_the_same_bytes_answers_the_first(home: &Home) {
    let (first, second) = (picture("bytes"), picture("bytes"));
    let kept = home
        .catalog
        .insert_image(first.clone())
        .await
        .expect("inserted");
    let answered = home
        .catalog
        .insert_image(second.clone())
        .await
        .expect("inserted");
    assert!(!answered.created);
    assert_eq!(answered.image, kept.image);
    assert_eq!(answered.job, None);
    let jobs = drain(home).await;
    assert_eq!(
        jobs,
        [
            Work::RenderPresets {
                image: kept.image.id
            },
            Work::Purge { blob: second.blob }
        ]
    );

    // The same copy again, as after a lost answer: nothing is redundant.
    assert!(
        !home
            .catalog
            .insert_image(first)
            .await
            .expect("inserted")
            .created
    );
    assert_eq!(drain(home).await, []);

    // The count is right: one delete is the last.
    assert!(
        home.catalog
            .delete_image(kept.image.id)
            .await
            .expect("deleted")
    );
    assert_eq!(
        drain(home).await,
        [Work::Purge {
            blob: kept.image.blob
        }]
    );
}

pub async fn another_owner_shares_the_stored_copy(home: &Home) {
    let (ann, bob) = (picture_of("ann", "bytes"), picture_of("bob", "bytes"));
    let of_ann = home
        .catalog
        .insert_image(ann.clone())
        .await
        .expect("inserted");
    home.catalog
        .record_variant(&ann.blob, &thumb(200))
        .await
        .expect("recorded");
    let of_bob = home
        .catalog
        .insert_image(bob.clone())
        .await
        .expect("inserted");
    assert!(of_bob.created);
    assert_ne!(of_bob.image.id, of_ann.image.id);
    assert_eq!(of_bob.image.blob, ann.blob);
    let seen = home
        .catalog
        .image(of_bob.image.id)
        .await
        .expect("read")
        .expect("there");
    assert_eq!(seen.variants, [thumb(200)]);
    assert_eq!(
        drain(home).await,
        [
            Work::RenderPresets {
                image: of_ann.image.id
            },
            Work::Purge { blob: bob.blob }
        ]
    );

    assert!(
        home.catalog
            .delete_image(of_ann.image.id)
            .await
            .expect("deleted")
    );
    assert_eq!(drain(home).await, [], "bob still needs the copy");
    assert!(
        home.catalog
            .delete_image(of_bob.image.id)
            .await
            .expect("deleted")
    );
    assert_eq!(drain(home).await, [Work::Purge { blob: ann.blob }]);
}

pub async fn a_copy_is_there_while_a_picture_refers_to_it(home: &Home) {
    let catalog = &home.catalog;
    let (one, other) = (picture_of("one", "bytes"), picture_of("other", "bytes"));
    let (copy, redundant) = (one.blob, other.blob);
    let has = async |blob| catalog.has_copy(&blob).await.expect("asked");
    assert!(!has(copy).await);
    let one = catalog.insert_image(one).await.expect("inserted").image.id;
    let other = catalog
        .insert_image(other)
        .await
        .expect("inserted")
        .image
        .id;
    assert!(has(copy).await);
    assert!(!has(redundant).await, "another copy of the same content");
    assert!(catalog.delete_image(one).await.expect("deleted"));
    assert!(has(copy).await, "the other picture's");
    assert!(catalog.delete_image(other).await.expect("deleted"));
    assert!(!has(copy).await);
}

pub async fn a_copy_is_purged_when_its_last_picture_is_deleted(home: &Home) {
    let new = picture("bytes");
    let inserted = home
        .catalog
        .insert_image(new.clone())
        .await
        .expect("inserted");
    home.catalog
        .record_variant(&new.blob, &thumb(200))
        .await
        .expect("recorded");
    drain(home).await;

    assert!(
        home.catalog
            .delete_image(inserted.image.id)
            .await
            .expect("deleted")
    );
    assert_eq!(
        home.catalog.image(inserted.image.id).await.expect("read"),
        None
    );
    assert_eq!(
        home.catalog
            .image_by_hash(&new.owner, &new.blob.hash)
            .await
            .expect("read"),
        None
    );
    assert!(
        !home
            .catalog
            .delete_image(inserted.image.id)
            .await
            .expect("answered"),
        "it is gone already"
    );
    assert_eq!(drain(home).await, [Work::Purge { blob: new.blob }]);
}

pub async fn content_that_comes_back_after_a_delete_gets_a_copy_of_its_own(home: &Home) {
    let first = home
        .catalog
        .insert_image(picture("bytes"))
        .await
        .expect("inserted")
        .image;
    home.catalog
        .record_variant(&first.blob, &thumb(200))
        .await
        .expect("recorded");
    home.catalog.delete_image(first.id).await.expect("deleted");
    let again = home
        .catalog
        .insert_image(picture("bytes"))
        .await
        .expect("inserted");
    assert!(again.created);
    assert_eq!(again.image.blob.hash, first.blob.hash);
    assert_ne!(
        again.image.blob, first.blob,
        "the purge of the first copy must not hit the second"
    );
    let seen = home
        .catalog
        .image(again.image.id)
        .await
        .expect("read")
        .expect("there");
    assert_eq!(seen.variants, [], "the variants went with their copy");
    assert!(
        !home
            .catalog
            .record_variant(&first.blob, &thumb(200))
            .await
            .expect("answered")
    );
}

pub async fn a_list_is_newest_first_and_complete_page_by_page(home: &Home) {
    let mut expected = Vec::new();
    for number in 0..7 {
        expected.push(
            home.catalog
                .insert_image(picture(&number.to_string()))
                .await
                .expect("inserted")
                .image,
        );
    }
    // Pictures of one microsecond are told apart by their ids.
    home.execute(
        "UPDATE images SET created_at = (SELECT min(created_at) FROM images) WHERE color > 0",
    )
    .await;
    let created_at = expected
        .iter()
        .map(|image| image.created_at)
        .min()
        .expect("some");
    for image in &mut expected {
        image.created_at = created_at;
    }
    expected.sort_by_key(|image| std::cmp::Reverse(image.id));

    let mut seen = Vec::new();
    let mut after: Option<Cursor> = None;
    for size in [3, 3, 1] {
        let request = PageRequest {
            owner: Owner::default(),
            limit: 3,
            after,
        };
        let page = home.catalog.list_images(&request).await.expect("listed");
        assert_eq!(page.images.len(), size);
        seen.extend(page.images);
        after = page.next;
        assert_eq!(after.is_some(), seen.len() < 7);
    }
    assert_eq!(seen, expected);
}

pub async fn a_list_shows_only_its_owners_pictures(home: &Home) {
    home.catalog
        .insert_image(picture_of("ann", "hers"))
        .await
        .expect("inserted");
    let his = home
        .catalog
        .insert_image(picture_of("bob", "his"))
        .await
        .expect("inserted")
        .image;
    let request = PageRequest {
        owner: Owner("bob".to_owned()),
        limit: 10,
        after: None,
    };
    let page = home.catalog.list_images(&request).await.expect("listed");
    assert_eq!(page.images, [his]);
    assert_eq!(page.next, None);
}

pub async fn a_variant_is_recorded_only_while_its_copy_exists(home: &Home) {
    let image = home
        .catalog
        .insert_image(picture("bytes"))
        .await
        .expect("inserted")
        .image;
    assert!(
        home.catalog
            .record_variant(&image.blob, &thumb(200))
            .await
            .expect("recorded")
    );
    assert!(
        home.catalog
            .record_variant(&image.blob, &thumb(199))
            .await
            .expect("recorded again")
    );
    let seen = home
        .catalog
        .image(image.id)
        .await
        .expect("read")
        .expect("there");
    assert_eq!(seen.variants, [thumb(199)]);

    let other_copy = Blob::new(image.blob.hash);
    assert!(
        !home
            .catalog
            .record_variant(
                &other_copy,
                &Variant {
                    preset: Preset::Small,
                    ..thumb(480)
                }
            )
            .await
            .expect("answered")
    );
    home.catalog.delete_image(image.id).await.expect("deleted");
    assert!(
        !home
            .catalog
            .record_variant(&image.blob, &thumb(200))
            .await
            .expect("answered")
    );
}

pub async fn a_row_that_nobody_here_wrote_is_reported_as_corrupt(home: &Home) {
    let image = home
        .catalog
        .insert_image(picture("bytes"))
        .await
        .expect("inserted")
        .image;
    home.execute("UPDATE images SET format = 'bmp'").await;
    let error = home
        .catalog
        .image(image.id)
        .await
        .expect_err("no such format");
    assert!(
        matches!(&error, CatalogError::Corrupt { reason } if reason.contains("bmp")),
        "{error}"
    );
    assert!(!error.is_unavailable());
}
