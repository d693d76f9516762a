//! Every span of a service in a Jaeger, by its query API. A search returns a bounded number of traces, the newest ones, and
//! does not say that there are more: time is cut into slices until each has fewer than were asked for.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;
use url::Url;

use super::LESS_TO_READ;
use crate::http;

/// Traces of one search. A Jaeger in memory refuses more than it can keep.
const TRACES_A_SEARCH: usize = 1000;
/// Searches of one reading.
const MAX_SEARCHES: usize = 4000;
/// Spans that are judged at most.
const MAX_SPANS: usize = 500_000;

/// A server and the service whose spans are asked for.
#[derive(Debug)]
pub(super) struct Jaeger {
    pub(super) http: reqwest::Client,
    pub(super) base: Url,
    pub(super) service: String,
}

/// The spans of one trace, of other services too.
#[derive(Debug)]
pub(super) struct Trace {
    pub(super) id: String,
    pub(super) spans: Vec<Span>,
}

/// One span.
#[derive(Debug)]
pub(super) struct Span {
    pub(super) id: String,
    /// The trace that the span says it is of.
    pub(super) trace: String,
    pub(super) name: String,
    /// `server`, `client`, ...; `internal` where nothing is said.
    pub(super) kind: String,
    /// Trace and span.
    pub(super) parent: Option<(String, String)>,
    pub(super) links: usize,
    /// Microseconds since the epoch of Unix.
    pub(super) start: u64,
    /// Microseconds.
    pub(super) duration: u64,
    pub(super) service: String,
    /// Attributes of its resource.
    pub(super) resource: Vec<Tag>,
    pub(super) tags: Vec<Tag>,
    /// Events, as they are.
    pub(super) events: Value,
}

/// An attribute.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Tag {
    pub(super) key: String,
    #[serde(rename = "type", default)]
    pub(super) kind: String,
    #[serde(default)]
    pub(super) value: Value,
}

impl Span {
    pub(super) fn tag(&self, key: &str) -> Option<&Tag> {
        self.tags.iter().find(|tag| tag.key == key)
    }

    /// The attribute as text, whatever its type.
    pub(super) fn text(&self, key: &str) -> Option<String> {
        self.tag(key).map(|tag| text(&tag.value))
    }

    /// An attribute of its resource as text.
    pub(super) fn resource(&self, key: &str) -> Option<String> {
        let tag = self.resource.iter().find(|tag| tag.key == key)?;
        Some(text(&tag.value))
    }

    pub(super) fn end(&self) -> u64 {
        self.start.saturating_add(self.duration)
    }
}

/// A value as text without quotation marks.
pub(super) fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

impl Jaeger {
    /// Every trace with a span of the service between two moments (microseconds since the epoch of Unix).
    pub(super) async fn traces(&self, from: u64, to: u64) -> Result<Vec<Trace>, String> {
        let mut traces: BTreeMap<String, Trace> = BTreeMap::new();
        let (mut open, mut searches, mut spans) = (vec![(from, to)], 0, 0);
        while let Some((from, to)) = open.pop() {
            searches += 1;
            if searches > MAX_SEARCHES {
                let base = &self.base;
                return Err(format!(
                    "{base} needs more than {MAX_SEARCHES} searches: {LESS_TO_READ}"
                ));
            }
            let found = self.search(from, to).await?;
            if found.len() >= TRACES_A_SEARCH {
                if to - from <= 1 {
                    return Err(format!(
                        "{} has {TRACES_A_SEARCH} traces or more in one microsecond",
                        self.base
                    ));
                }
                let middle = from + (to - from) / 2;
                open.extend([(from, middle), (middle, to)]);
                continue;
            }
            for trace in found {
                // A trace may be found in two slices, and may have grown in between.
                let known = traces.get(&trace.id).map_or(0, |known| known.spans.len());
                if trace.spans.len() > known {
                    spans += trace.spans.len() - known;
                    traces.insert(trace.id.clone(), trace);
                }
            }
            if spans > MAX_SPANS {
                return Err(format!(
                    "{} has more than {MAX_SPANS} spans: {LESS_TO_READ}",
                    self.base
                ));
            }
        }
        Ok(traces.into_values().collect())
    }

    async fn search(&self, from: u64, to: u64) -> Result<Vec<Trace>, String> {
        let mut url = http::join(&self.base, "api/traces");
        url.query_pairs_mut()
            .append_pair("service", &self.service)
            .append_pair("start", &from.to_string())
            .append_pair("end", &to.to_string())
            .append_pair("limit", &TRACES_A_SEARCH.to_string());
        let (status, body) = http::read(self.http.get(url.clone()), &url).await?;
        let answer: Answer = serde_json::from_slice(&body).map_err(|error| {
            format!(
                "{url} answers {status} with what is not Jaeger's JSON ({error}); is it a Jaeger?"
            )
        })?;
        match answer.data {
            Some(found) if status == 200 && answer.errors.is_null() => {
                Ok(found.into_iter().map(Trace::from).collect())
            }
            _ => Err(format!("{url} answers {status}: {}", answer.errors)),
        }
    }
}

#[derive(Deserialize)]
struct Answer {
    data: Option<Vec<RawTrace>>,
    #[serde(default)]
    errors: Value,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawTrace {
    #[serde(rename = "traceID")]
    id: String,
    spans: Vec<RawSpan>,
    processes: BTreeMap<String, RawProcess>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawSpan {
    #[serde(rename = "spanID")]
    id: String,
    #[serde(rename = "traceID")]
    trace: String,
    operation_name: String,
    #[serde(default)]
    references: Vec<RawReference>,
    start_time: u64,
    duration: u64,
    #[serde(default)]
    tags: Vec<Tag>,
    #[serde(default)]
    logs: Value,
    #[serde(rename = "processID")]
    process: String,
}

#[derive(Deserialize)]
struct RawReference {
    #[serde(rename = "refType")]
    kind: String,
    #[serde(rename = "traceID")]
    trace: String,
    #[serde(rename = "spanID")]
    span: String,
}

#[derive(Deserialize, Default, Clone)]
#[serde(rename_all = "camelCase", default)]
struct RawProcess {
    service_name: String,
    tags: Vec<Tag>,
}

impl From<RawTrace> for Trace {
    fn from(raw: RawTrace) -> Self {
        let span = |span: RawSpan| {
            let process = raw
                .processes
                .get(&span.process)
                .cloned()
                .unwrap_or_default();
            Span::new(span, process)
        };
        Self {
            id: raw.id,
            spans: raw.spans.into_iter().map(span).collect(),
        }
    }
}

impl Span {
    fn new(raw: RawSpan, process: RawProcess) -> Self {
        let is_parent = |reference: &&RawReference| reference.kind == "CHILD_OF";
        let parent = raw.references.iter().find(is_parent);
        let kind = raw.tags.iter().find(|tag| tag.key == "span.kind");
        Self {
            id: raw.id,
            trace: raw.trace,
            name: raw.operation_name,
            kind: kind.map_or_else(|| "internal".to_owned(), |tag| text(&tag.value)),
            parent: parent.map(|parent| (parent.trace.clone(), parent.span.clone())),
            links: raw.references.len() - usize::from(parent.is_some()),
            start: raw.start_time,
            duration: raw.duration,
            service: process.service_name,
            resource: process.tags,
            tags: raw.tags,
            events: raw.logs,
        }
    }
}

#[cfg(test)]
pub(super) fn trace(raw: &Value) -> Trace {
    serde_json::from_value::<RawTrace>(raw.clone())
        .unwrap()
        .into()
}
