//! Servers that speak a real server's API from inside this process, so that `cargo` alone can run the platform.
//!
//! Each takes bound listeners and a shutdown token, so that its caller decides ports and lifetime. One conformance suite
//! runs against the stand-in *and* the real server (`tests/it/`).

pub mod jaeger;
pub mod s3;
pub mod toxiproxy;
