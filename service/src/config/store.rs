//! Settings of the object store.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;
use url::Url;

use super::source::{ConfigError, Sources};
use super::value::{duration_or_off, http_url, on_off, read, whole};

/// The object store and what guards it.
#[derive(Debug, Clone)]
pub struct StoreConfig {
    /// `CHITRAM_STORE_URL`, default `file:.chitram/objects`.
    pub location: StoreLocation,
    /// `CHITRAM_STORE_DEADLINE`: time until the store begins to answer, default 1 s; `off` waits for ever.
    pub deadline: Option<Duration>,
    /// `CHITRAM_STORE_IDLE_TIMEOUT`: the longest pause in the body of an object, default 2 s; `off` waits for ever.
    pub idle_timeout: Option<Duration>,
    /// `CHITRAM_STORE_BREAKER`: whether a failing store is left alone for a while, by reads and writes apart; default on.
    pub breaker: bool,
    /// `CHITRAM_STORE_CONCURRENCY`: reads that may wait for the store at the same time, and as many writes; default 256.
    pub concurrency: usize,
}

/// Where objects are.
#[derive(Debug, Clone)]
pub enum StoreLocation {
    /// In a folder of this machine.
    Folder(PathBuf),
    /// In a bucket.
    S3(S3Config),
}

/// A bucket and how to reach it. Prints as its URL.
#[derive(Debug, Clone)]
pub struct S3Config {
    /// The bucket's name.
    pub bucket: String,
    /// `CHITRAM_STORE_ENDPOINT`: the server, `http://HOST:PORT`; unset, Amazon's for the region.
    pub endpoint: Option<Url>,
    /// `CHITRAM_STORE_REGION`, default us-east-1.
    pub region: String,
    /// `CHITRAM_STORE_ACCESS_KEY` and `CHITRAM_STORE_SECRET_KEY`: both, or none to take them from the machine's role.
    pub credentials: Option<(String, SecretString)>,
}

impl S3Config {
    /// The server's host and port, as telemetry names it.
    pub fn address(&self) -> String {
        match &self.endpoint {
            None => format!("s3.{}.amazonaws.com", self.region),
            Some(url) => {
                let host = url.host_str().unwrap_or_default();
                url.port()
                    .map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
            }
        }
    }
}

impl fmt::Display for S3Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3://{} at {}", self.bucket, self.address())
    }
}

/// The value of `CHITRAM_STORE_URL` before the settings that belong to a bucket are added.
#[derive(Debug)]
enum StoreUrl {
    Folder(PathBuf),
    Bucket(String),
}

impl StoreConfig {
    pub(super) fn load(sources: &mut Sources) -> Result<Self, ConfigError> {
        let url = sources.get("store.url", "file:.chitram/objects", store_url)?;
        let endpoint = sources.get_optional("store.endpoint", http_url)?;
        let region = sources.get("store.region", "us-east-1", read)?;
        let access_key = sources.get_optional("store.access_key", read)?;
        let secret_key = sources.get_secret("store.secret_key");
        let credentials = match (access_key, secret_key) {
            (Some(access), Some(secret)) => Some((access, secret)),
            (None, None) => None,
            (Some(_), None) => {
                return Err(Sources::missing(
                    "store.secret_key",
                    "an access key is given without it",
                ));
            }
            (None, Some(_)) => {
                return Err(Sources::missing(
                    "store.access_key",
                    "a secret key is given without it",
                ));
            }
        };
        Ok(Self {
            location: match url {
                StoreUrl::Folder(folder) => StoreLocation::Folder(folder),
                StoreUrl::Bucket(bucket) => StoreLocation::S3(S3Config {
                    bucket,
                    endpoint,
                    region,
                    credentials,
                }),
            },
            deadline: sources.get("store.deadline", "1s", duration_or_off)?,
            idle_timeout: sources.get("store.idle_timeout", "2s", duration_or_off)?,
            breaker: sources.get("store.breaker", "on", on_off)?,
            concurrency: sources.get("store.concurrency", "256", whole)?,
        })
    }
}

fn store_url(text: &str) -> Result<StoreUrl, String> {
    let expected = || "it is neither file:FOLDER nor s3://BUCKET".to_owned();
    if let Some(folder) = text.strip_prefix("file:") {
        let folder = folder.strip_prefix("//").unwrap_or(folder);
        return if folder.is_empty() {
            Err(expected())
        } else {
            Ok(StoreUrl::Folder(PathBuf::from(folder)))
        };
    }
    match text
        .strip_prefix("s3://")
        .map(|bucket| bucket.trim_end_matches('/'))
    {
        Some(bucket) if !bucket.is_empty() && !bucket.contains('/') => {
            Ok(StoreUrl::Bucket(bucket.to_owned()))
        }
        _ => Err(expected()),
    }
}
