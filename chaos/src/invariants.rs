//! What must be true whatever was broken: the content of every listed image answers 200 and has its hash.

use std::time::{Duration, Instant};

use futures::StreamExt as _;
use serde::Deserialize;
use url::Url;

use crate::http::{get, join};

const CALL_DEADLINE: Duration = Duration::from_secs(10);
const CONCURRENT: usize = 4;
const PAGE: usize = 100;
/// Pages at most: a service that turns in circles is not followed for ever.
const MAX_PAGES: usize = 1_000;
const MAX_LIST_BYTES: usize = 8 << 20;
const MAX_IMAGE_BYTES: usize = 64 << 20;
/// For so long a failed answer may become a good one: service that returns late is judged by recovery, not here.
const PATIENCE: Duration = Duration::from_secs(20);
const BETWEEN_TRIES: Duration = Duration::from_millis(500);

#[derive(Deserialize)]
struct Page {
    images: Vec<Image>,
    next_cursor: Option<String>,
}

#[derive(Deserialize)]
struct Image {
    id: String,
    hash: String,
}

/// Fetches and hashes every listed image. The number of images, or what is wrong with the first of those that are.
pub async fn content(http: &reqwest::Client, target: &Url) -> Result<usize, String> {
    let images = list(http, target).await?;
    let checked = images.len();
    let begun = Instant::now();
    let wrong: Vec<String> = futures::stream::iter(images)
        .map(|image| check(http, target, image, begun))
        .buffer_unordered(CONCURRENT)
        .filter_map(|outcome| async { outcome.err() })
        .collect()
        .await;
    match wrong.first() {
        None => Ok(checked),
        Some(first) => Err(format!(
            "{} of {checked} images are not as they were, such as: {first}",
            wrong.len()
        )),
    }
}

async fn list(http: &reqwest::Client, target: &Url) -> Result<Vec<Image>, String> {
    let mut images = Vec::new();
    let mut cursor: Option<String> = None;
    for _ in 0..MAX_PAGES {
        let mut url = join(target, "v1/images");
        url.query_pairs_mut()
            .append_pair("limit", &PAGE.to_string());
        url.query_pairs_mut()
            .extend_pairs(cursor.iter().map(|cursor| ("cursor", cursor)));
        let body = get(http, &url, CALL_DEADLINE, MAX_LIST_BYTES).await?;
        let page: Page = serde_json::from_slice(&body)
            .map_err(|error| format!("{url} answers no list: {error}"))?;
        images.extend(page.images);
        match page.next_cursor {
            Some(next) => cursor = Some(next),
            None => return Ok(images),
        }
    }
    Err(format!(
        "the list of images does not end after {MAX_PAGES} pages"
    ))
}

async fn check(
    http: &reqwest::Client,
    target: &Url,
    image: Image,
    begun: Instant,
) -> Result<(), String> {
    let url = join(target, &format!("v1/images/{}/content", image.id));
    loop {
        match get(http, &url, CALL_DEADLINE, MAX_IMAGE_BYTES).await {
            Ok(body) if blake3::hash(&body).to_hex().as_str() == image.hash => return Ok(()),
            Ok(body) => {
                return Err(format!(
                    "{url} answers {} bytes with another hash",
                    body.len()
                ));
            }
            Err(why) if begun.elapsed() > PATIENCE => return Err(why),
            Err(_) => tokio::time::sleep(BETWEEN_TRIES).await,
        }
    }
}
