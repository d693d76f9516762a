//! The object store's suite: the same functions over a folder, the S3 stand-in and the real versitygw.
//!
//! It holds only what the service relies on. What is not here (conditional create, 304, a bucket that
//! does not exist) differs between them.

use bytes::Bytes;
use futures::TryStreamExt;
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{Error, ObjectStore, ObjectStoreExt, PutPayload, RetryConfig};
use stack::net;
use stack::server::{Launch, require, versitygw};
use stack::standin::s3::{self, BUCKET, Credentials};
use tokio_util::sync::CancellationToken;

use crate::run::DEADLINE;

/// Everything that the service expects of a store.
async fn suite(store: &dyn ObjectStore) {
    what_is_put_is_got_back_whole(store).await;
    a_second_put_replaces_the_first(store).await;
    a_range_is_cut_exactly(store).await;
    a_missing_object_is_not_found(store).await;
    a_list_names_what_lies_below_a_prefix(store).await;
    a_deleted_object_is_gone(store).await;
}

async fn what_is_put_is_got_back_whole(store: &dyn ObjectStore) {
    for size in [0, 1, 5_000_000] {
        let path = Path::from(format!("whole/{size}"));
        let bytes = pattern(size);
        store
            .put(&path, PutPayload::from(bytes.clone()))
            .await
            .unwrap();
        assert_eq!(
            store.get(&path).await.unwrap().bytes().await.unwrap(),
            bytes
        );
        assert_eq!(store.head(&path).await.unwrap().size, size as u64);
    }
}

async fn a_second_put_replaces_the_first(store: &dyn ObjectStore) {
    let path = Path::from("replaced");
    store
        .put(&path, PutPayload::from_static(b"a longer first"))
        .await
        .unwrap();
    store
        .put(&path, PutPayload::from_static(b"second"))
        .await
        .unwrap();
    assert_eq!(
        store.get(&path).await.unwrap().bytes().await.unwrap(),
        "second"
    );
}

async fn a_range_is_cut_exactly(store: &dyn ObjectStore) {
    let path = Path::from("range");
    let bytes = pattern(100_000);
    store
        .put(&path, PutPayload::from(bytes.clone()))
        .await
        .unwrap();
    assert_eq!(
        store.get_range(&path, 70_000..70_001).await.unwrap(),
        bytes.slice(70_000..70_001)
    );
    assert_eq!(
        store.get_range(&path, 99_000..100_000).await.unwrap(),
        bytes.slice(99_000..)
    );
}

async fn a_missing_object_is_not_found(store: &dyn ObjectStore) {
    let path = Path::from("no/such");
    assert!(matches!(
        store.get(&path).await,
        Err(Error::NotFound { .. })
    ));
    assert!(matches!(
        store.head(&path).await,
        Err(Error::NotFound { .. })
    ));
}

async fn a_list_names_what_lies_below_a_prefix(store: &dyn ObjectStore) {
    for name in ["listed/a", "listed/b/c", "unlisted/d"] {
        store
            .put(&Path::from(name), PutPayload::from_static(b"x"))
            .await
            .unwrap();
    }
    let found: Vec<_> = store
        .list(Some(&Path::from("listed")))
        .try_collect()
        .await
        .unwrap();
    let mut names: Vec<_> = found
        .into_iter()
        .map(|object| object.location.to_string())
        .collect();
    names.sort();
    assert_eq!(names, ["listed/a", "listed/b/c"]);
}

async fn a_deleted_object_is_gone(store: &dyn ObjectStore) {
    let path = Path::from("deleted/one");
    store
        .put(&path, PutPayload::from_static(b"x"))
        .await
        .unwrap();
    store.delete(&path).await.unwrap();
    assert!(matches!(
        store.get(&path).await,
        Err(Error::NotFound { .. })
    ));
}

/// What only a store that is spoken to over a network has.
async fn network_suite(endpoint: &str, bucket: &str, credentials: &Credentials) {
    suite(&client(endpoint, bucket, credentials)).await;
    let stranger = Credentials {
        secret_key: "wrong".to_owned(),
        ..credentials.clone()
    };
    let refused = client(endpoint, bucket, &stranger)
        .get(&Path::from("replaced"))
        .await;
    assert!(
        matches!(refused, Err(Error::PermissionDenied { .. })),
        "{refused:?}"
    );
}

fn client(endpoint: &str, bucket: &str, credentials: &Credentials) -> AmazonS3 {
    AmazonS3Builder::new()
        .with_endpoint(endpoint)
        .with_allow_http(true)
        .with_region("us-east-1")
        .with_bucket_name(bucket)
        .with_access_key_id(&credentials.access_key)
        .with_secret_access_key(&credentials.secret_key)
        .with_retry(RetryConfig {
            max_retries: 0,
            ..RetryConfig::default()
        })
        .build()
        .unwrap()
}

/// Bytes that tell a shifted or truncated answer.
fn pattern(size: usize) -> Bytes {
    (0..size).map(|index| (index % 251) as u8).collect()
}

#[tokio::test]
async fn a_folder_passes_the_suite() {
    let folder = tempfile::tempdir().unwrap();
    suite(&LocalFileSystem::new_with_prefix(folder.path()).unwrap()).await;
}

#[tokio::test]
async fn the_stand_in_passes_the_suite() {
    let store = StandIn::start().await;
    network_suite(&store.endpoint, BUCKET, &store.credentials).await;
    store.stop().await;
}

#[tokio::test]
async fn versitygw_passes_the_suite() {
    let Some(found) = require(versitygw::find()) else {
        return;
    };
    let real = versitygw::start(&found, &Launch::for_test().unwrap())
        .await
        .unwrap();
    network_suite(&real.endpoint, &real.bucket, &real.credentials).await;
}

#[tokio::test]
async fn the_stand_in_frees_its_port_when_it_is_told_to_stop() {
    let store = StandIn::start().await;
    // An idle connection must not hold it up.
    let address = net::address_of(&store.endpoint).await.unwrap();
    let idle = tokio::net::TcpStream::connect(address).await.unwrap();
    store.stop().await;
    assert!(!net::answers(address).await);
    drop(idle);
}

#[test]
fn a_secret_key_is_not_printed() {
    let credentials = Credentials::random();
    assert!(!format!("{credentials:?}").contains(&credentials.secret_key));
}

struct StandIn {
    endpoint: String,
    credentials: Credentials,
    shutdown: CancellationToken,
    task: tokio::task::JoinHandle<Result<(), stack::error::Error>>,
    _folder: tempfile::TempDir,
}

impl StandIn {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = net::listen(0, "").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let (credentials, shutdown) = (Credentials::random(), CancellationToken::new());
        let (path, owner, token) = (
            folder.path().to_owned(),
            credentials.clone(),
            shutdown.clone(),
        );
        let task = tokio::spawn(async move { s3::serve(listener, &path, owner, token).await });
        Self {
            endpoint,
            credentials,
            shutdown,
            task,
            _folder: folder,
        }
    }

    async fn stop(self) {
        self.shutdown.cancel();
        tokio::time::timeout(DEADLINE, self.task)
            .await
            .unwrap()
            .unwrap()
            .unwrap();
    }
}
