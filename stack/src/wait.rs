//! Waiting for a condition, never for a time.

use std::future::Future;
use std::time::{Duration, Instant};

/// How often a condition is looked at.
const INTERVAL: Duration = Duration::from_millis(20);

/// Looks at `condition` until it answers `Some` or the deadline has passed. One look may itself take until the deadline.
pub async fn until<T, F: Future<Output = Option<T>>>(
    deadline: Duration,
    mut condition: impl FnMut() -> F,
) -> Option<T> {
    let end = Instant::now() + deadline;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        match tokio::time::timeout(left, condition()).await {
            Ok(Some(value)) => return Some(value),
            Ok(None) if Instant::now() < end => tokio::time::sleep(INTERVAL).await,
            _ => return None,
        }
    }
}
