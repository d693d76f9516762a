//! What the tests share: a running service, a store that can be broken, and pictures.

pub(crate) mod disk;
pub(crate) mod faults;
pub(crate) mod pictures;
pub(crate) mod prometheus;
pub(crate) mod service;
pub(crate) mod store;

use std::time::{Duration, Instant};

/// Longer than anything takes on a loaded machine: a test that waits this long has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Waits until `condition` holds; fails naming `what` when it does not within [`PATIENCE`].
pub(crate) async fn until(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    while !condition().await {
        assert!(began.elapsed() < PATIENCE, "still not so: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
