//! Remembers that the store took no write, for those who ask whether it does: asking it by a write of their own would cost
//! a write each time.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::StoreError;

/// How long a refusal is believed that no later write confirmed or refuted.
const BELIEVED: Duration = Duration::from_mins(1);

/// The last write, if it was refused.
#[derive(Default)]
pub(super) struct LastRefusal(Mutex<Option<(Instant, String)>>);

impl LastRefusal {
    /// A write ended like this.
    pub(super) fn note<T>(&self, end: &Result<T, StoreError>) {
        let refusal = match end {
            Ok(_) => None,
            Err(error @ StoreError::NotWritable { .. }) => {
                Some((Instant::now(), error.to_string()))
            }
            // Says nothing about whether there is room.
            Err(_) => return,
        };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = refusal;
    }

    /// Why the store took no write the last time; `None` when it did, or nobody tried lately.
    pub(super) fn reason(&self) -> Option<String> {
        let last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, reason) = last.as_ref()?;
        (at.elapsed() < BELIEVED).then(|| reason.clone())
    }
}
