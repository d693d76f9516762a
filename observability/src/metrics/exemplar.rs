//! Exemplars: the trace of one request that fell into a bucket.

use std::time::SystemTime;

use opentelemetry::trace::TraceId;

use crate::traces::place;

/// Milliseconds since the epoch of Unix.
pub(super) type Moment = u64;

/// One observation with the trace that it was made in.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Exemplar {
    pub(super) trace: TraceId,
    pub(super) value: f64,
    pub(super) at: Moment,
}

/// The trace that the calling thread works on, if it is sampled: another one cannot be looked up, so it would be no
/// example of anything. Reads a thread-local variable and takes no lock.
pub(super) fn sampled_trace() -> Option<TraceId> {
    place::current(|place| {
        let span = &place?.span;
        span.is_sampled().then(|| span.trace_id())
    })
}

/// Now.
pub(super) fn now() -> Moment {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| {
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    })
}
