//! The one clock of a proof: Unix seconds, as the servers use them.

use std::time::{SystemTime, UNIX_EPOCH};

/// Unix seconds.
pub(crate) fn now() -> f64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0.0, |since| since.as_secs_f64())
}
