//! What must be true whatever was broken: the content of every listed image answers 200 and has its hash.

use std::time::{Duration, Instant};

use futures::StreamExt as _;
use serde::Deserialize;
use url::Url;

use crate::http::{Unread, join, read};

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

/// Why it can't be said that every image is as it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lost {
    /// The service answers, and it is not what was stored.
    Changed(String),
    /// The service does not answer, or answers that it can't: nobody knows.
    Unreachable(String),
}

/// What is wrong with one image.
enum Wrong {
    /// Other bytes, or it is gone.
    Changed(String),
    /// Another status than 200, for as long as anybody waits.
    Refused(String),
    /// No answer.
    Silent(String),
}

impl From<Unread> for Wrong {
    fn from(unread: Unread) -> Self {
        match unread.status {
            Some(404 | 410) => Self::Changed(unread.sentence),
            Some(_) => Self::Refused(unread.sentence),
            None => Self::Silent(unread.sentence),
        }
    }
}

/// Fetches and hashes every listed image. The number of images, or what is wrong with the first of those that are.
pub async fn content(http: &reqwest::Client, target: &Url) -> Result<usize, Lost> {
    let images = list(http, target).await.map_err(Lost::Unreachable)?;
    let checked = images.len();
    let begun = Instant::now();
    let wrong: Vec<Wrong> = futures::stream::iter(images)
        .map(|image| check(http, target, image, begun))
        .buffer_unordered(CONCURRENT)
        .filter_map(|outcome| async { outcome.err() })
        .collect()
        .await;
    verdict(checked, &wrong)
}

/// What these images say of all: one that is refused while others can be read is lost; where none can be read, the service is
/// away, which says nothing of its data.
fn verdict(checked: usize, wrong: &[Wrong]) -> Result<usize, Lost> {
    let others_are_read = wrong.len() < checked;
    let lost: Vec<&str> = wrong
        .iter()
        .filter_map(|image| match image {
            Wrong::Changed(sentence) => Some(sentence.as_str()),
            Wrong::Refused(sentence) if others_are_read => Some(sentence),
            Wrong::Refused(_) | Wrong::Silent(_) => None,
        })
        .collect();
    match (lost.first(), wrong.first()) {
        (Some(first), _) => Err(Lost::Changed(format!(
            "{} of {checked} images are not as they were, such as: {first}",
            lost.len()
        ))),
        (None, Some(Wrong::Changed(first) | Wrong::Refused(first) | Wrong::Silent(first))) => {
            Err(Lost::Unreachable(format!(
                "{} of {checked} images could not be read, such as: {first}",
                wrong.len()
            )))
        }
        (None, None) => Ok(checked),
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
        let body = read(http, &url, CALL_DEADLINE, MAX_LIST_BYTES)
            .await
            .map_err(|unread| unread.sentence)?;
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
) -> Result<(), Wrong> {
    let url = join(target, &format!("v1/images/{}/content", image.id));
    loop {
        match read(http, &url, CALL_DEADLINE, MAX_IMAGE_BYTES).await {
            Ok(body) if blake3::hash(&body).to_hex().as_str() == image.hash => return Ok(()),
            Ok(body) => {
                return Err(Wrong::Changed(format!(
                    "{url} answers {} bytes with another hash",
                    body.len()
                )));
            }
            Err(why) if begun.elapsed() > PATIENCE => return Err(why.into()),
            Err(_) => tokio::time::sleep(BETWEEN_TRIES).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn silent() -> Wrong {
        Wrong::Silent("no answer".into())
    }

    fn refused() -> Wrong {
        Wrong::Refused("503".into())
    }

    fn changed() -> Wrong {
        Wrong::Changed("404".into())
    }

    #[test]
    fn a_service_that_is_away_says_nothing_of_its_data() {
        for wrong in [vec![silent(), silent()], vec![refused(), silent()]] {
            assert!(matches!(verdict(2, &wrong), Err(Lost::Unreachable(_))));
        }
        assert!(matches!(verdict(9, &[silent()]), Err(Lost::Unreachable(_))));
    }

    #[test]
    fn what_is_gone_or_refused_while_the_rest_is_there_is_lost() {
        for (checked, wrong) in [(2, vec![changed(), silent()]), (2, vec![refused()])] {
            assert!(matches!(verdict(checked, &wrong), Err(Lost::Changed(_))));
        }
        assert_eq!(verdict(3, &[]), Ok(3));
    }
}
