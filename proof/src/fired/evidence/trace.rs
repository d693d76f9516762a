//! A trace that names the cause, by Jaeger's query API.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;
use url::Url;

use super::super::bench::Broken;
use super::super::causes::Trace;
use super::super::clock;
use super::super::rig::Rig;
use super::{AGAIN, Moments, ON_THE_WAY};
use crate::http;

/// Traces that are looked at in one search.
const LIMIT: u32 = 200;

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    data: Option<Vec<Found>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Found {
    #[serde(rename = "traceID")]
    trace_id: String,
    spans: Vec<Span>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Span {
    operation_name: String,
    /// Microseconds since 1970.
    start_time: f64,
    #[serde(default)]
    tags: Vec<Tag>,
}

#[derive(Deserialize)]
struct Tag {
    key: String,
    value: Value,
}

/// What is looked for, for a person.
pub(super) fn text(wanted: &Trace) -> String {
    let tags: Vec<String> = wanted
        .tags
        .iter()
        .map(|(tag, value)| format!("{tag}={value}"))
        .collect();
    let span = wanted.span.as_deref().unwrap_or("a span");
    format!("{}: {span} {}", wanted.service, tags.join(" "))
        .trim_end()
        .to_owned()
}

/// The id of a trace with such a span, once there is one.
pub(super) async fn found(
    rig: &Rig<'_, '_>,
    wanted: &Trace,
    moments: Moments,
) -> Result<Result<String, String>, Broken> {
    let url = match rig.traces() {
        Ok(url) => url,
        Err(sentence) => return Ok(Err(sentence)),
    };
    let mut last = None;
    let seen = rig
        .wait(ON_THE_WAY, async || {
            match search(&url, wanted, moments.injecting).await {
                Ok(Some(trace)) => return Some(trace),
                Ok(None) => {}
                Err(sentence) => last = Some(sentence),
            }
            tokio::time::sleep(AGAIN).await;
            None
        })
        .await?;
    Ok(seen.ok_or_else(|| last.unwrap_or_else(|| format!("no such trace within {ON_THE_WAY:?}"))))
}

async fn search(url: &Url, wanted: &Trace, since: f64) -> Result<Option<String>, String> {
    let mut url = http::join(url, "api/traces");
    let micros = |moment: f64| format!("{:.0}", moment * 1e6);
    url.query_pairs_mut()
        .append_pair("service", &wanted.service)
        .append_pair("start", &micros(since))
        .append_pair("end", &micros(clock::now()))
        .append_pair("limit", &LIMIT.to_string());
    if !wanted.tags.is_empty() {
        let tags = serde_json::to_string(&wanted.tags).map_err(|error| error.to_string())?;
        url.query_pairs_mut().append_pair("tags", &tags);
    }
    if let Some(span) = &wanted.span {
        url.query_pairs_mut().append_pair("operation", span);
    }
    let client = http::client().map_err(|error| error.to_string())?;
    let (status, answer) = http::read(client.get(url.clone()), &url).await?;
    let answer: Answer = serde_json::from_slice(&answer)
        .map_err(|error| format!("{url} returns {status} and not Jaeger's JSON: {error}"))?;
    let traces = answer.data.unwrap_or_default();
    let names = |found: &&Found| found.spans.iter().any(|span| matches(span, wanted, since));
    Ok(traces
        .iter()
        .find(names)
        .map(|found| found.trace_id.clone()))
}

/// The search finds whole traces; the span itself must have begun under the cause.
fn matches(span: &Span, wanted: &Trace, since: f64) -> bool {
    let tags: BTreeMap<&str, String> = span
        .tags
        .iter()
        .map(|tag| (tag.key.as_str(), written(&tag.value)))
        .collect();
    span.start_time >= since * 1e6
        && wanted
            .span
            .as_ref()
            .is_none_or(|name| *name == span.operation_name)
        && wanted
            .tags
            .iter()
            .all(|(tag, value)| tags.get(tag.as_str()) == Some(value))
}

fn written(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_of_before_or_with_another_tag_is_not_it() {
        let span: Span = serde_json::from_str(
            r#"{"operationName": "GET", "startTime": 5000000, "tags": [{"key": "status", "value": 503}, {"key": "peer", "value": "store"}]}"#,
        )
        .unwrap();
        let wanted = |span: Option<&str>, tag: &str, value: &str| Trace {
            service: "a".to_owned(),
            span: span.map(str::to_owned),
            tags: BTreeMap::from([(tag.to_owned(), value.to_owned())]),
        };
        assert!(matches(&span, &wanted(Some("GET"), "status", "503"), 5.0));
        assert!(matches(&span, &wanted(None, "peer", "store"), 4.0));
        assert!(!matches(&span, &wanted(None, "peer", "store"), 5.1));
        assert!(!matches(&span, &wanted(None, "peer", "catalog"), 4.0));
        assert!(!matches(&span, &wanted(Some("PUT"), "peer", "store"), 4.0));
    }
}
