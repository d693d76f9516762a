//! `chitram-proof` as people run it: boards with one mistake each, files that are no boards, and a real Prometheus.
#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on fails where it stands"
)]

mod commands;
mod findings;
mod live;
mod preview;
mod support;
mod truth;
