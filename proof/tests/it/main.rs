//! `chitram-proof` as people run it.
#![allow(missing_docs, clippy::unwrap_used, reason = "tests")]

mod telemetry;
