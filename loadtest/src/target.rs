//! The service under load as its API shows it: the few calls that prepare a run. Knows HTTP, nothing of the service's code.

use std::time::Duration;

use reqwest::header::CONTENT_TYPE;
use reqwest::{Client, Response, Url};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::exit::Failure;

/// Of a call that prepares a run.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Images on a page while listing: the most that the API gives.
const PAGE_SIZE: u32 = 100;
const MAX_PAGES: usize = 40;

/// An image as the API describes it; fields that a load run does not need are ignored.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Image {
    /// Its id.
    pub id: String,
    /// BLAKE3 of its bytes, 64 hex digits.
    pub hash: String,
    /// After orientation.
    pub width: u32,
    /// After orientation.
    pub height: u32,
    /// Presets that are stored already.
    #[serde(default)]
    pub variants: Vec<Variant>,
}

/// A stored preset of an image.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Variant {
    /// `thumb`, `small`, ...
    pub preset: String,
}

/// A page of the list.
#[derive(Clone, Debug, Deserialize)]
pub struct Page {
    /// Newest first.
    pub images: Vec<Image>,
    /// Where the next page begins.
    pub next_cursor: Option<String>,
}

/// What became of an upload.
#[derive(Clone, Debug, PartialEq)]
pub enum Uploaded {
    /// 201.
    Created(Image),
    /// 200: the same bytes were there.
    AlreadyThere(Image),
    /// A 4xx: this file is not for this service; why.
    Refused(String),
}

/// A service's address and the connections to it.
#[derive(Clone, Debug)]
pub struct Target {
    base: Url,
    client: Client,
}

impl Target {
    /// The service at `address`, with up to `connections` connections kept open.
    pub fn new(address: &str, connections: usize) -> Result<Self, Failure> {
        let refuse = |why: &str| {
            Failure::Usage(format!(
                "--target {address}: {why}; write for instance http://127.0.0.1:8080"
            ))
        };
        let base = Url::parse(address).map_err(|error| refuse(&error.to_string()))?;
        if !matches!(base.scheme(), "http" | "https") || base.host_str().is_none() {
            return Err(refuse("this is no HTTP address"));
        }
        // What is measured is one exchange with this address: no redirect, no proxy, no decompression in between.
        let client = Client::builder()
            .user_agent(concat!("chitram-load/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .no_gzip()
            .tcp_nodelay(true)
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_max_idle_per_host(connections)
            .build()
            .map_err(|error| {
                Failure::Internal(format!("the HTTP client can't be built: {error}"))
            })?;
        Ok(Self { base, client })
    }

    /// The client, for the load itself.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The address as given.
    pub fn address(&self) -> &str {
        self.base.as_str().trim_end_matches('/')
    }

    /// An address below the service's.
    pub fn url(&self, path_and_query: &str) -> Url {
        let mut url = self.base.clone();
        let (path, query) = path_and_query
            .split_once('?')
            .map_or((path_and_query, None), |(p, q)| (p, Some(q)));
        url.set_path(&format!("{}{path}", self.base.path().trim_end_matches('/')));
        url.set_query(query);
        url
    }

    /// Every image, at most 4,000, newest first.
    pub async fn images(&self) -> Result<Vec<Image>, Failure> {
        let mut images = Vec::new();
        let mut cursor: Option<String> = None;
        for _ in 0..MAX_PAGES {
            let mut url = self.url("/v1/images");
            url.query_pairs_mut()
                .append_pair("limit", &PAGE_SIZE.to_string());
            if let Some(cursor) = &cursor {
                url.query_pairs_mut().append_pair("cursor", cursor);
            }
            let page: Page = self.json(url).await?;
            images.extend(page.images);
            cursor = page.next_cursor;
            if cursor.is_none() {
                break;
            }
        }
        Ok(images)
    }

    /// One image.
    pub async fn image(&self, id: &str) -> Result<Image, Failure> {
        self.json(self.url(&format!("/v1/images/{id}"))).await
    }

    /// Uploads the bytes of a picture of this media type.
    pub async fn upload(&self, bytes: Vec<u8>, media_type: &str) -> Result<Uploaded, Failure> {
        let url = self.url("/v1/images");
        let request = self
            .client
            .post(url.clone())
            .header(CONTENT_TYPE, media_type)
            .body(bytes)
            .timeout(CALL_TIMEOUT * 6);
        let response = request.send().await.map_err(|error| self.silent(&error))?;
        let status = response.status();
        if status.is_client_error() {
            return Ok(Uploaded::Refused(problem(response).await));
        }
        let created = status == reqwest::StatusCode::CREATED;
        let image = self.read_json(url, response).await?;
        Ok(if created {
            Uploaded::Created(image)
        } else {
            Uploaded::AlreadyThere(image)
        })
    }

    async fn json<T: DeserializeOwned>(&self, url: Url) -> Result<T, Failure> {
        let request = self.client.get(url.clone()).timeout(CALL_TIMEOUT);
        let response = request.send().await.map_err(|error| self.silent(&error))?;
        self.read_json(url, response).await
    }

    async fn read_json<T: DeserializeOwned>(
        &self,
        url: Url,
        response: Response,
    ) -> Result<T, Failure> {
        if !response.status().is_success() {
            let status = response.status().as_u16();
            let detail = problem(response).await;
            return Err(Failure::Unavailable(format!(
                "{url} answers {status}: {detail}"
            )));
        }
        response.json().await.map_err(|error| {
            Failure::Unavailable(format!(
                "{url} does not answer as Chitram's API does: {}",
                cause(&error)
            ))
        })
    }

    fn silent(&self, error: &reqwest::Error) -> Failure {
        let address = self.address();
        Failure::Unavailable(format!(
            "the target {address} does not answer ({}): start it, or name another with --target",
            cause(error)
        ))
    }
}

/// The innermost cause: `connection refused` instead of the layers around it.
fn cause(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "timeout".to_owned();
    }
    let mut innermost: &dyn std::error::Error = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

/// The `detail` or `title` of a problem document, else the status.
async fn problem(response: Response) -> String {
    let status = response.status();
    let document: Option<serde_json::Value> = response.json().await.ok();
    let text = |key: &str| document.as_ref()?.get(key)?.as_str().map(str::to_owned);
    text("detail")
        .or_else(|| text("title"))
        .unwrap_or_else(|| status.to_string())
}
