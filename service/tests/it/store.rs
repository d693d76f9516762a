//! The promises of the store, each checked on a folder, on the S3 stand-in and on a real versitygw.

use bytes::Bytes;
use futures::StreamExt as _;
use observability::Registry;
use observability::testing::{self, Scrape};
use service::config::{S3Config, StoreConfig, StoreLocation};
use service::domain::{Blob, Format, Hash, Preset};
use service::store::{Key, Store, StoreError};
use stack::server::{self, Launch, versitygw};
use stack::standin::s3::{self, Credentials};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::support::PATIENCE;

/// A store with its metrics, opened as the service opens it.
struct Opened {
    store: Store,
    registry: Registry,
}

impl Opened {
    fn at(location: StoreLocation) -> Self {
        let registry = Registry::new(&testing::service());
        let config = StoreConfig {
            location,
            deadline: Some(PATIENCE),
            idle_timeout: Some(PATIENCE),
            breaker: false,
            concurrency: 16,
        };
        let store = Store::open(&config, &registry).expect("a store");
        Self { store, registry }
    }

    /// How many calls by this method ended this way; an empty `error` is a success.
    fn calls(&self, method: &str, error: &str) -> u64 {
        let labels = [("http_request_method", method), ("error_type", error)];
        Scrape::parse(&self.registry.render())
            .value("http_client_request_duration_seconds_count", &labels)
            .unwrap_or_default() as u64
    }
}

fn bucket(endpoint: &str, bucket: &str, credentials: &Credentials) -> StoreLocation {
    let Credentials {
        access_key,
        secret_key,
    } = credentials.clone();
    StoreLocation::S3(S3Config {
        bucket: bucket.to_owned(),
        endpoint: Some(endpoint.parse().expect("a URL")),
        region: "us-east-1".to_owned(),
        credentials: Some((access_key, secret_key.into())),
    })
}

/// Everything that the service relies on.
async fn every_promise_is_kept(location: StoreLocation) {
    let opened = Opened::at(location);
    what_is_put_is_got_back_whole(&opened.store).await;
    a_range_is_cut_exactly(&opened.store).await;
    what_is_not_there_is_not_found_and_no_outage(&opened.store).await;
    an_object_that_ends_before_a_range_is_damaged_and_no_outage(&opened.store).await;
    the_same_key_may_be_put_again(&opened.store).await;
    copies_and_variants_of_one_content_do_not_meet(&opened.store).await;
    what_is_deleted_is_gone_and_may_be_deleted_again(&opened.store).await;
    opened.store.ping().await.expect("it answers");
    many_at_once_do_not_mix(&opened.store).await;
    each_call_is_timed_by_what_it_did(&opened);
}

/// Bytes that tell a shifted or truncated answer.
fn pattern(size: usize) -> Bytes {
    (0..size).map(|index| (index % 251) as u8).collect()
}

fn original(content: &[u8]) -> Key {
    let hash: Hash = blake3::hash(content).into();
    Key::Original(Blob::new(hash))
}

async fn read(store: &Store, key: &Key) -> Bytes {
    let object = store.get(key).await.expect("an object");
    object.bytes().await.expect("its bytes")
}

async fn what_is_put_is_got_back_whole(store: &Store) {
    for size in [0, 1, 5_000_000] {
        let bytes = pattern(size);
        let key = original(&bytes);
        store.put(&key, bytes.clone()).await.expect("put");
        let object = store.get(&key).await.expect("an object");
        assert_eq!(object.size, size as u64);
        assert_eq!(object.bytes().await.expect("its bytes"), bytes);
        let mut stream = store.get(&key).await.expect("an object").into_stream();
        let mut arrived = 0;
        while let Some(chunk) = stream.next().await {
            arrived += chunk.expect("a chunk").len();
        }
        assert_eq!(arrived, size);
    }
}

async fn a_range_is_cut_exactly(store: &Store) {
    let bytes = pattern(100_000);
    let key = original(&bytes);
    store.put(&key, bytes.clone()).await.expect("put");
    for range in [0..1, 70_000..70_001, 99_000..100_000, 0..100_000] {
        let part = store.get_range(&key, range.clone()).await.expect("a part");
        // The whole object's size, which a client is told beside the part.
        assert_eq!(part.size, 100_000);
        let (from, to) = (range.start as usize, range.end as usize);
        assert_eq!(
            part.bytes().await.expect("its bytes"),
            bytes.slice(from..to)
        );
    }
}

async fn what_is_not_there_is_not_found_and_no_outage(store: &Store) {
    let key = original(b"never put");
    let whole = store.get(&key).await.map(|object| object.size);
    let part = store.get_range(&key, 0..1).await.map(|object| object.size);
    for missing in [whole, part] {
        let error = missing.expect_err("nothing there");
        assert!(matches!(error, StoreError::NotFound { .. }), "{error}");
        assert!(!error.is_unavailable());
    }
}

async fn an_object_that_ends_before_a_range_is_damaged_and_no_outage(store: &Store) {
    let key = original(b"short");
    store.put(&key, pattern(1_000)).await.expect("put");
    assert_eq!(store.size(&key).await.expect("its size"), 1_000);
    let error = store.get_range(&key, 5_000..5_001).await.map(|_| ());
    let error = error.expect_err("nothing there");
    assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
    assert!(!error.is_unavailable());
    let error = store.get(&key).await.expect("an object").sized(5_000);
    let error = error.map(|_| ()).expect_err("another size");
    assert!(
        error.to_string().contains("1000 bytes instead of 5000"),
        "{error}"
    );
}

async fn the_same_key_may_be_put_again(store: &Store) {
    let bytes = pattern(3_000);
    let key = original(b"twice");
    for _ in 0..2 {
        store.put(&key, bytes.clone()).await.expect("put");
        assert_eq!(read(store, &key).await, bytes);
    }
}

async fn copies_and_variants_of_one_content_do_not_meet(store: &Store) {
    let hash: Hash = blake3::hash(b"shared").into();
    let (one, two) = (Blob::new(hash), Blob::new(hash));
    let keys = [
        Key::Original(one),
        Key::Original(two),
        Key::Variant(one, Preset::Thumb, Format::Webp),
        Key::Variant(one, Preset::Thumb, Format::Jpeg),
        Key::Variant(one, Preset::Small, Format::Webp),
    ];
    for (index, key) in keys.iter().enumerate() {
        let bytes = pattern(100 + index);
        store.put(key, bytes).await.expect("put");
    }
    store.delete(&keys[1]).await.expect("deleted");
    for (index, key) in keys.iter().enumerate().filter(|(index, _)| *index != 1) {
        assert_eq!(read(store, key).await.len(), 100 + index, "{key}");
    }
}

async fn what_is_deleted_is_gone_and_may_be_deleted_again(store: &Store) {
    let key = original(b"deleted");
    store.put(&key, pattern(10)).await.expect("put");
    for _ in 0..2 {
        store.delete(&key).await.expect("deleted");
        let gone = store.get(&key).await.map(|object| object.size);
        assert!(matches!(gone, Err(StoreError::NotFound { .. })), "{gone:?}");
    }
}

async fn many_at_once_do_not_mix(store: &Store) {
    let rounds = (0..12_u8).map(|number| async move {
        let bytes = Bytes::from(vec![number; 20_000 + usize::from(number)]);
        let key = original(&bytes);
        store.put(&key, bytes.clone()).await.expect("put");
        assert_eq!(read(store, &key).await, bytes);
    });
    futures::future::join_all(rounds).await;
}

fn each_call_is_timed_by_what_it_did(opened: &Opened) {
    for method in ["GET", "PUT", "DELETE"] {
        assert!(opened.calls(method, "") > 0, "{method}");
    }
    assert_eq!(opened.calls("GET", "not_found"), 4);
    assert_eq!(opened.calls("GET", "damaged"), 1);
    for error in [
        "connect",
        "io",
        "server",
        "timeout",
        "not_writable",
        "refused",
    ] {
        for method in ["GET", "PUT", "DELETE", "HEAD"] {
            assert_eq!(opened.calls(method, error), 0, "{method} {error}");
        }
    }
}

/// What only a store that is spoken to over a network has: somebody may be refused, which is no outage.
async fn a_stranger_is_refused(endpoint: &str, name: &str, credentials: &Credentials) {
    let stranger = Credentials {
        secret_key: "wrong".to_owned(),
        ..credentials.clone()
    };
    let opened = Opened::at(bucket(endpoint, name, &stranger));
    let error = opened
        .store
        .put(&original(b"theirs"), pattern(10))
        .await
        .expect_err("refused");
    assert!(matches!(error, StoreError::Refused { .. }), "{error}");
    assert!(!error.is_unavailable());
    assert_eq!(opened.calls("PUT", "refused"), 1, "no retry mends that");
}

/// Objects of a bucket that is not there were not deleted. The stand-in has one bucket, and calls every other an object that
/// is not there.
async fn a_bucket_that_is_gone_is_no_object_that_is_gone(
    endpoint: &str,
    credentials: &Credentials,
) {
    let opened = Opened::at(bucket(endpoint, "no-such-bucket", credentials));
    let key = original(b"somewhere");
    let read = opened.store.get(&key).await.map(|_| ());
    assert!(matches!(read, Err(StoreError::Refused { .. })), "{read:?}");
    for write in [
        opened.store.delete(&key).await,
        opened.store.put(&key, pattern(10)).await,
    ] {
        assert!(
            matches!(write, Err(StoreError::NotWritable { .. })),
            "{write:?}"
        );
    }
}

#[tokio::test]
async fn every_promise_is_kept_in_a_folder() {
    let folder = tempfile::tempdir().expect("a folder");
    every_promise_is_kept(StoreLocation::Folder(folder.path().join("objects"))).await;
}

#[tokio::test]
async fn every_promise_is_kept_by_the_stand_in() {
    let folder = tempfile::tempdir().expect("a folder");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let endpoint = format!("http://{}", listener.local_addr().expect("bound"));
    let (credentials, stop) = (Credentials::random(), CancellationToken::new());
    let (path, owner, stopped) = (folder.path().to_owned(), credentials.clone(), stop.clone());
    tokio::spawn(async move { s3::serve(listener, &path, owner, stopped).await });
    every_promise_is_kept(bucket(&endpoint, s3::BUCKET, &credentials)).await;
    a_stranger_is_refused(&endpoint, s3::BUCKET, &credentials).await;
    stop.cancel();
}

#[tokio::test]
async fn every_promise_is_kept_by_versitygw() {
    let Some(found) = server::require(versitygw::find()) else {
        return;
    };
    let launch = Launch::for_test().expect("a launcher");
    let real = versitygw::start(&found, &launch).await.expect("it starts");
    every_promise_is_kept(bucket(&real.endpoint, &real.bucket, &real.credentials)).await;
    a_stranger_is_refused(&real.endpoint, &real.bucket, &real.credentials).await;
    a_bucket_that_is_gone_is_no_object_that_is_gone(&real.endpoint, &real.credentials).await;
}
