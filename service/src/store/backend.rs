//! Opens the folder or the S3 client behind the store. The library's own retries and timeouts are off: the decorators
//! around each call are the only ones, or their figures would be wrong.

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use object_store::aws::AmazonS3Builder;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpRequest, HttpResponse, HttpService,
};
use object_store::local::LocalFileSystem;
use object_store::{ClientOptions, ObjectStore, RetryConfig};
use secrecy::ExposeSecret;

use super::{OpenError, answer::Answer};
use crate::config::{S3Config, StoreLocation};

/// Idle connections are kept this long, so that none outlives an outage that killed it unseen.
const POOL_IDLE: Duration = Duration::from_secs(10);
/// Idle connections kept at most.
const POOL_SIZE: usize = 64;

pub(super) fn open(location: &StoreLocation) -> Result<Arc<dyn ObjectStore>, OpenError> {
    match location {
        StoreLocation::Folder(folder) => {
            let failed = |source| OpenError::Folder {
                folder: folder.display().to_string(),
                source,
            };
            for name in super::FOLDERS {
                create_durably(&folder.join(name)).map_err(failed)?;
            }
            let store = LocalFileSystem::new_with_prefix(folder)
                .map_err(|error| failed(io::Error::other(error)))?;
            Ok(Arc::new(store.with_fsync(true)))
        }
        StoreLocation::S3(s3) => {
            let store = s3_builder(s3).build().map_err(|source| OpenError::Client {
                url: s3.to_string(),
                source,
            })?;
            Ok(Arc::new(store))
        }
    }
}

/// Makes a folder and those above it, so that they are there after a crash of the machine as well: an object is synced with
/// the folder that names it, but not with those above that were there before.
fn create_durably(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let above = match folder.parent() {
        Some(above) if !above.as_os_str().is_empty() => above,
        _ => Path::new("."),
    };
    create_durably(above)?;
    match fs::create_dir(folder) {
        // Another process may have been faster.
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    File::open(above)?.sync_all()
}

fn s3_builder(s3: &S3Config) -> AmazonS3Builder {
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(&s3.bucket)
        .with_region(&s3.region)
        .with_allow_http(true)
        .with_retry(RetryConfig {
            max_retries: 0,
            ..RetryConfig::default()
        })
        // A call for each object, whose answer says how it went; the call for many hides that in a document.
        .with_disable_bulk_delete(true)
        .with_http_connector(Connector);
    if let Some(endpoint) = &s3.endpoint {
        builder = builder.with_endpoint(endpoint.as_str().trim_end_matches('/'));
    }
    if let Some((access_key, secret_key)) = &s3.credentials {
        builder = builder
            .with_access_key_id(access_key)
            .with_secret_access_key(secret_key.expose_secret());
    }
    builder
}

/// Dials the store with `TCP_NODELAY` (without it a GET waits 40 ms for a delayed acknowledgement) and directly: a proxy
/// named by the environment is meant for the web, not for the store beside us.
#[derive(Debug)]
struct Connector;

impl HttpConnector for Connector {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        let client = reqwest::Client::builder()
            .no_proxy()
            .tcp_nodelay(true)
            .http1_only()
            .connect_timeout(Duration::from_secs(5))
            .pool_idle_timeout(POOL_IDLE)
            .pool_max_idle_per_host(POOL_SIZE)
            .build()
            .map_err(|source| object_store::Error::Generic {
                store: "S3",
                source: Box::new(source),
            })?;
        Ok(HttpClient::new(Checked(client)))
    }
}

/// A client whose bad answers are errors that say what the server answered.
#[derive(Debug)]
struct Checked(reqwest::Client);

#[async_trait]
impl HttpService for Checked {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        Answer::check(self.0.call(request).await?).await
    }
}
