//! What a run needs before its first request is due: a target that answers, pictures to ask for, bodies to upload.

use std::path::Path;

use super::request::Requests;
use crate::exit::Failure;
use crate::mix::mix;
use crate::pictures::{Kind, Spec, jpeg};
use crate::plan::{Plan, RouteKind};
use crate::seed::picture_files;
use crate::target::{Image, Target};

/// Different bodies to upload; each upload is made unique anyway.
const BODIES: usize = 6;

/// Asks the target for its pictures and makes what will be uploaded.
pub(crate) async fn set_up(
    plan: &Plan,
    address: &str,
    run_id: &str,
    pictures: Option<&Path>,
) -> Result<Requests, Failure> {
    let target = Target::new(address, plan.workers())?;
    let routes: Vec<RouteKind> = plan.routes.iter().map(|route| route.kind.clone()).collect();
    let images = choose_images(target.images().await?, plan.max_megapixels);
    if images.is_empty() && routes.iter().any(RouteKind::needs_images) {
        return Err(Failure::Unavailable(format!(
            "{address} lists no picture of up to {} megapixels; seed it first: `chitram-load pictures DIR` and `chitram-load seed DIR --target {address}`",
            plan.max_megapixels
        )));
    }
    let bodies = if routes.contains(&RouteKind::Upload) {
        upload_bodies(plan, pictures).await?
    } else {
        Vec::new()
    };
    let (run_id, seed, timeout) = (run_id.to_owned(), plan.seed, plan.timeout);
    Ok(Requests {
        target,
        routes,
        images,
        bodies,
        run_id,
        seed,
        timeout,
    })
}

/// Those that are not too large, in an order that depends on nothing but their bytes.
fn choose_images(mut images: Vec<Image>, max_megapixels: f64) -> Vec<Image> {
    images.retain(|image| megapixels(image.width, image.height) <= max_megapixels);
    images.sort_by(|a, b| a.hash.cmp(&b.hash));
    images
}

fn megapixels(width: u32, height: u32) -> f64 {
    f64::from(width) * f64::from(height) / 1e6
}

async fn upload_bodies(plan: &Plan, pictures: Option<&Path>) -> Result<Vec<Vec<u8>>, Failure> {
    let (seed, max_megapixels) = (plan.seed, plan.max_megapixels);
    let folder = pictures.map(Path::to_owned);
    let prepare = move || match folder {
        Some(folder) => read_bodies(&folder, max_megapixels),
        None => make_bodies(seed, max_megapixels),
    };
    let bodies = tokio::task::spawn_blocking(prepare).await;
    bodies.map_err(|error| {
        Failure::Internal(format!("the pictures to upload could not be made: {error}"))
    })?
}

fn read_bodies(folder: &Path, max_megapixels: f64) -> Result<Vec<Vec<u8>>, Failure> {
    let mut bodies = Vec::new();
    for path in picture_files(&[folder.to_owned()])? {
        let file = std::fs::read(&path)
            .map_err(|error| Failure::Usage(format!("{}: {error}", path.display())))?;
        let fits = |(width, height)| megapixels(width, height) <= max_megapixels;
        if jpeg::dimensions(&file).is_some_and(fits) && jpeg::with_comment(&file, "").is_some() {
            bodies.push(file);
        }
        if bodies.len() == BODIES {
            break;
        }
    }
    if bodies.is_empty() {
        let folder = folder.display();
        return Err(Failure::Usage(format!(
            "--pictures {folder}: no JPEG file of up to {max_megapixels} megapixels there, and uploads need one; leave --pictures out to have some made"
        )));
    }
    Ok(bodies)
}

fn make_bodies(seed: u64, max_megapixels: f64) -> Result<Vec<Vec<u8>>, Failure> {
    (0..BODIES)
        .map(|index| {
            let small = Spec::new(mix(seed, 0x75_70), index, max_megapixels.min(0.5));
            let kind = if index % 2 == 0 {
                Kind::BaselineJpeg
            } else {
                Kind::ProgressiveJpeg
            };
            Spec { kind, ..small }.make()
        })
        .collect::<Result<_, String>>()
        .map_err(|reason| {
            Failure::Internal(format!(
                "the pictures to upload could not be made: {reason}"
            ))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_up_to_the_bound_are_chosen_whatever_order_they_are_listed_in() {
        let image = |hash: &str, width, height| Image {
            id: hash.into(),
            hash: hash.into(),
            width,
            height,
            variants: Vec::new(),
        };
        let listed = vec![
            image("c", 2_000, 1_000),
            image("a", 100, 100),
            image("b", 2_001, 1_000),
        ];
        let hashes = |images: Vec<Image>| {
            images
                .into_iter()
                .map(|image| image.hash)
                .collect::<Vec<_>>()
        };
        assert_eq!(hashes(choose_images(listed, 2.0)), ["a", "c"]);
    }

    #[test]
    fn a_folder_without_a_jpeg_that_fits_is_refused() {
        let folder = tempfile::tempdir().expect("folder");
        let error = read_bodies(folder.path(), 2.0)
            .expect_err("refused")
            .to_string();
        assert!(
            error.contains("make some with `chitram-load pictures DIR`"),
            "{error}"
        );
        let png = Spec {
            kind: Kind::TransparentPng,
            width: 20,
            height: 20,
            seed: 1,
        }
        .make()
        .expect("made");
        std::fs::write(folder.path().join("a.png"), png).expect("written");
        let error = read_bodies(folder.path(), 2.0)
            .expect_err("refused")
            .to_string();
        assert!(
            error.contains("no JPEG file of up to 2 megapixels"),
            "{error}"
        );
        let jpeg = Spec {
            kind: Kind::BaselineJpeg,
            width: 20,
            height: 20,
            seed: 1,
        }
        .make()
        .expect("made");
        std::fs::write(folder.path().join("b.jpg"), jpeg).expect("written");
        assert_eq!(read_bodies(folder.path(), 2.0).expect("one").len(), 1);
    }
}
