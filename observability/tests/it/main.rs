//! Telemetry as its readers see it: scraped, received and read from the outside.
#![allow(missing_docs, clippy::unwrap_used, reason = "tests")]

mod admin;
mod http;
mod logs;
mod metrics;
mod openmetrics;
mod server;
mod slow;
mod support;
mod trace_context;
mod traces;
