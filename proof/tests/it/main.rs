//! `chitram-proof` as people run it: boards and rules with one mistake each, files that are neither, and a real Prometheus.
#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on fails where it stands"
)]

mod catalog_sql;
mod commands;
mod findings;
mod fired;
mod fired_system;
mod live;
mod preview;
mod public;
mod rules;
mod support;
mod telemetry;
mod truth;
