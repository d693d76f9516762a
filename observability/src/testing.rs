//! For tests of this and other crates: read what telemetry says, as its readers would.

mod capture;
mod declared;
pub mod http2;
mod scrape;

use serde_json::Value;

use crate::settings::Service;

pub use capture::{Capture, SpanRecord, capture};
pub use declared::{undeclared_fields, undeclared_series, undeclared_spans};
pub use scrape::{Scrape, Series};

/// A service for tests: `test` 0.0.0 in the environment `test`.
pub fn service() -> Service {
    Service {
        name: "test",
        version: "0.0.0",
        revision: None,
        environment: "test".to_owned(),
    }
}

/// Log lines, each of which must be one JSON object.
///
/// # Panics
/// With the line that is not.
pub fn parse_lines(text: &str) -> Vec<Value> {
    let parse = |line: &str| match serde_json::from_str(line) {
        Ok(value @ Value::Object(_)) => value,
        Ok(_) => panic!("this log line is JSON, but no object: {line}"),
        Err(error) => panic!("this log line is not JSON ({error}): {line}"),
    };
    text.lines().map(parse).collect()
}
