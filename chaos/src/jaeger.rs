//! Reads traces from Jaeger's query API, a bounded number at a time and each call with a deadline.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use serde::Deserialize;
use serde_json::Value;
use url::Url;

use crate::trace::{Span, Trace};

const CALL_DEADLINE: Duration = Duration::from_secs(2);
/// Spans arrive in batches, some seconds after their request.
const WAIT_FOR_SPANS: Duration = Duration::from_secs(10);
const BETWEEN_ROUNDS: Duration = Duration::from_millis(500);
const CONCURRENT: usize = 8;
/// Largest answer that is read.
const MAX_BYTES: usize = 8 << 20;

/// A query API.
#[derive(Clone, Debug)]
pub struct Jaeger {
    http: reqwest::Client,
    base: Url,
}

impl Jaeger {
    /// The API at this address.
    pub fn new(http: reqwest::Client, base: Url) -> Self {
        Self { http, base }
    }

    /// Whether it answers: a sentence when it does not.
    pub async fn check(&self) -> Result<(), String> {
        let url = crate::http::join(&self.base, "api/services");
        crate::http::get(&self.http, &url, CALL_DEADLINE, MAX_BYTES)
            .await
            .map(|_| ())
    }

    /// Where a person looks at a trace.
    pub fn page(&self, id: &str) -> String {
        crate::http::join(&self.base, &format!("trace/{id}")).to_string()
    }

    /// The traces of these ids that are there. Waits a bounded time while many are missing, since spans arrive late.
    pub async fn traces(&self, ids: &[String]) -> HashMap<String, Trace> {
        let begun = Instant::now();
        let mut found = HashMap::new();
        loop {
            let missing: Vec<&String> = ids.iter().filter(|id| !found.contains_key(*id)).collect();
            let answers: Vec<Option<Trace>> = futures::stream::iter(missing)
                .map(|id| self.trace(id))
                .buffer_unordered(CONCURRENT)
                .collect()
                .await;
            found.extend(
                answers
                    .into_iter()
                    .flatten()
                    .map(|trace| (trace.id.clone(), trace)),
            );
            let nearly_all = (ids.len() - found.len()) * 10 <= ids.len();
            if nearly_all || begun.elapsed() > WAIT_FOR_SPANS {
                return found;
            }
            tokio::time::sleep(BETWEEN_ROUNDS).await;
        }
    }

    async fn trace(&self, id: &str) -> Option<Trace> {
        let url = crate::http::join(&self.base, &format!("api/traces/{id}"));
        let body = crate::http::get(&self.http, &url, CALL_DEADLINE, MAX_BYTES)
            .await
            .ok()?;
        parse(id, &body)
    }
}

#[derive(Deserialize)]
struct Answer {
    data: Option<Vec<Data>>,
}

#[derive(Deserialize)]
struct Data {
    #[serde(default)]
    spans: Vec<RawSpan>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawSpan {
    #[serde(rename = "spanID")]
    span_id: String,
    operation_name: String,
    start_time: i64,
    duration: i64,
    #[serde(default)]
    references: Vec<Reference>,
    #[serde(default)]
    tags: Vec<Tag>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Reference {
    ref_type: String,
    #[serde(rename = "spanID")]
    span_id: String,
}

#[derive(Deserialize)]
struct Tag {
    key: String,
    value: Value,
}

impl From<RawSpan> for Span {
    fn from(raw: RawSpan) -> Self {
        let tag = |key: &str| {
            raw.tags
                .iter()
                .find(|tag| tag.key == key)
                .map(|tag| &tag.value)
        };
        let text = |key: &str| tag(key).and_then(Value::as_str).map(str::to_owned);
        // Jaeger keeps the tag as it came: a boolean from OpenTelemetry, a string from older clients.
        let failed =
            tag("error").is_some_and(|value| value == &Value::Bool(true) || value == "true");
        Self {
            parent: raw
                .references
                .iter()
                .find(|r| r.ref_type == "CHILD_OF")
                .map(|r| r.span_id.clone()),
            kind: text("span.kind").unwrap_or_default(),
            peer_service: text("peer.service"),
            error: failed.then(|| text("error.type").unwrap_or_else(|| "error".into())),
            id: raw.span_id,
            name: raw.operation_name,
            start_us: raw.start_time,
            duration_us: raw.duration.max(0),
        }
    }
}

/// The trace in an answer of the API; `None` when there is none, or it can't be read.
fn parse(id: &str, body: &[u8]) -> Option<Trace> {
    let answer: Answer = serde_json::from_slice(body).ok()?;
    let mut spans: Vec<Span> = answer
        .data?
        .into_iter()
        .next()?
        .spans
        .into_iter()
        .map(Span::from)
        .collect();
    spans.sort_by_key(|span| span.start_us);
    (!spans.is_empty()).then(|| Trace {
        id: id.to_owned(),
        spans,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_of_the_api_becomes_spans_with_parent_kind_dependency_and_error() {
        let body = br#"{"data":[{"traceID":"ab","spans":[
            {"traceID":"ab","spanID":"02","operationName":"GetObject","references":[{"refType":"CHILD_OF","traceID":"ab","spanID":"01"}],
             "startTime":1700000000000200,"duration":400000,"tags":[{"key":"span.kind","type":"string","value":"client"},
             {"key":"peer.service","type":"string","value":"store"},{"key":"error","type":"bool","value":true},
             {"key":"error.type","type":"string","value":"timeout"}],"logs":[],"processID":"p1","warnings":null},
            {"traceID":"ab","spanID":"01","operationName":"GET /v1/images/{id}/content","references":[],"startTime":1700000000000000,
             "duration":401000,"tags":[],"logs":[],"processID":"p1","warnings":null}],"processes":{},"warnings":null}],"total":0,"errors":null}"#;
        let trace = parse("ab", body).expect("a trace");
        assert_eq!(trace.spans[0].id, "01");
        assert_eq!(trace.spans[0].error, None);
        let call = &trace.spans[1];
        assert!(call.calls("store"));
        assert_eq!(
            (call.parent.as_deref(), call.error.as_deref()),
            (Some("01"), Some("timeout"))
        );
    }

    #[test]
    fn answers_without_a_trace_are_none() {
        for body in [
            "",
            "<html>",
            r#"{"data":null,"errors":[{"code":404,"msg":"trace not found"}]}"#,
            r#"{"data":[]}"#,
        ] {
            assert_eq!(parse("ab", body.as_bytes()), None, "{body}");
        }
    }
}
