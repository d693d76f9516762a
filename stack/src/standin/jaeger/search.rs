//! Search: the parameters of `/api/traces` and what they match.

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use super::{
    model::{Span, TraceId},
    store::Trace,
};

/// Traces answered when the client names no limit, as in Jaeger.
const DEFAULT_LIMIT: usize = 100;
/// How far back a search looks that names no start, as in Jaeger.
const DEFAULT_LOOKBACK: Duration = Duration::from_hours(48);
/// Traces answered at most.
const MAX_LIMIT: usize = 10_000;

/// A parsed search. All conditions must hold on one span of the service; bounds are inclusive.
#[derive(Debug)]
pub(super) struct Search {
    service: String,
    operation: Option<String>,
    tags: BTreeMap<String, String>,
    start_us: u64,
    end_us: u64,
    min_us: Option<u64>,
    max_us: Option<u64>,
    pub limit: usize,
}

/// What `/api/traces` was asked for.
#[derive(Debug)]
pub(super) enum Query {
    /// `traceID=...`, once or several times.
    Ids(Vec<TraceId>),
    /// Conditions.
    Search(Search),
}

/// Why a search is refused.
#[derive(Debug, PartialEq)]
pub(super) enum Refusal {
    /// A parameter is wrong: Jaeger's sentence for a 400.
    Parameter(String),
    /// `limit` is zero or negative: the real server finds out in its storage and answers 500.
    SearchDepth,
}

impl From<String> for Refusal {
    fn from(sentence: String) -> Self {
        Self::Parameter(sentence)
    }
}

/// Reads the parameters in the order in which Jaeger checks them.
pub(super) fn parse(parameters: &[(String, String)]) -> Result<Query, Refusal> {
    let get = |name: &str| {
        parameters
            .iter()
            .find(|(key, value)| key == name && !value.is_empty())
            .map(|(_, value)| value.as_str())
    };
    let start_us = get("start")
        .map(|text| microseconds("start", text))
        .transpose()?;
    let end_us = get("end")
        .map(|text| microseconds("end", text))
        .transpose()?;
    let limit: Option<i64> = get("limit")
        .map(|text| text.parse().map_err(|_| not_a_number(text)))
        .transpose()?;
    let min_us = get("minDuration")
        .map(|text| duration_us("minDuration", text))
        .transpose()?;
    let max_us = get("maxDuration")
        .map(|text| duration_us("maxDuration", text))
        .transpose()?;
    let tags = tags(parameters)?;

    let ids: Vec<&str> = parameters
        .iter()
        .filter(|(key, _)| key == "traceID")
        .map(|(_, value)| value.as_str())
        .collect();
    if !ids.is_empty() {
        let ids: Result<_, _> = ids.into_iter().map(trace_id).collect();
        return ids
            .map(Query::Ids)
            .map_err(|error| format!("cannot parse traceID param: {error}").into());
    }
    let Some(service) = get("service") else {
        return Err("parameter 'service' is required".to_owned().into());
    };
    if let (Some(min), Some(max)) = (min_us, max_us)
        && min > max
    {
        return Err("'maxDuration' should be greater than 'minDuration'"
            .to_owned()
            .into());
    }
    let limit = match limit {
        None => DEFAULT_LIMIT,
        Some(limit) if limit > 0 => usize::try_from(limit).unwrap_or(MAX_LIMIT).min(MAX_LIMIT),
        Some(_) => return Err(Refusal::SearchDepth),
    };
    Ok(Query::Search(Search {
        service: service.to_owned(),
        operation: get("operation").map(str::to_owned),
        tags,
        start_us: start_us.unwrap_or_else(|| now_us(DEFAULT_LOOKBACK)),
        end_us: end_us.unwrap_or_else(|| now_us(Duration::ZERO)),
        min_us,
        max_us,
        limit,
    }))
}

impl Search {
    /// Whether one span of the trace meets every condition.
    pub(super) fn matches(&self, trace: &Trace) -> bool {
        trace.iter().any(|span| self.span_matches(span))
    }

    fn span_matches(&self, span: &Span) -> bool {
        span.process.service == self.service
            && self
                .operation
                .as_ref()
                .is_none_or(|name| *name == span.name)
            && (self.start_us..=self.end_us).contains(&span.start_us)
            && self.min_us.is_none_or(|min| span.duration_us >= min)
            && self.max_us.is_none_or(|max| span.duration_us <= max)
            && self
                .tags
                .iter()
                .all(|(key, value)| has_tag(span, key, value))
    }
}

/// Attributes of the span, its resource, its scope and its events count; `error` counts as the status says.
fn has_tag(span: &Span, key: &str, value: &str) -> bool {
    if key == "error" {
        let failed = span.tags[span.searchable_tags..]
            .iter()
            .any(|tag| tag.key == "error");
        return value == if failed { "true" } else { "false" };
    }
    let own = span.tags[..span.searchable_tags].iter();
    let resource = span.process.tags.iter();
    let events = span
        .logs
        .iter()
        .flat_map(|log| log.fields.iter().filter(|field| field.key != "event"));
    own.chain(resource)
        .chain(events)
        .any(|tag| tag.key == key && tag.value.as_text() == value)
}

/// One to 32 hex digits.
pub(super) fn trace_id(text: &str) -> Result<TraceId, String> {
    if text.is_empty() || text.len() > 32 {
        return Err(format!(
            "TraceID cannot be longer than 32 hex characters: {text}"
        ));
    }
    let digits = text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let id = if digits {
        u128::from_str_radix(text, 16).ok()
    } else {
        None
    };
    id.map(TraceId)
        .ok_or_else(|| format!("strconv.ParseUint: parsing {text:?}: invalid syntax"))
}

fn microseconds(name: &str, text: &str) -> Result<u64, String> {
    text.parse()
        .map_err(|_| format!("unable to parse param '{name}': {}", not_a_number(text)))
}

/// The moment this long ago, in microseconds since the epoch.
fn now_us(ago: Duration) -> u64 {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    now.saturating_sub(ago).as_micros() as u64
}

fn not_a_number(text: &str) -> String {
    format!("strconv.ParseInt: parsing {text:?}: invalid syntax")
}

/// `tag=key:value`, repeated, and `tags={"key":"value"}`.
fn tags(parameters: &[(String, String)]) -> Result<BTreeMap<String, String>, String> {
    let mut tags = BTreeMap::new();
    for (name, text) in parameters {
        match name.as_str() {
            "tag" => {
                let (key, value) = text.split_once(':').ok_or_else(|| {
                    format!("malformed 'tag' parameter, expecting key:value, received: {text}")
                })?;
                tags.insert(key.to_owned(), value.to_owned());
            }
            "tags" => {
                let map: BTreeMap<String, String> =
                    serde_json::from_str(text).map_err(|error| {
                        format!("malformed 'tags' parameter, cannot unmarshal JSON: {error}")
                    })?;
                tags.extend(map);
            }
            _ => {}
        }
    }
    Ok(tags)
}

/// A Go duration such as `1.5s` or `300ms`; several may follow one another (`1m30s`). The unit is required.
fn duration_us(name: &str, text: &str) -> Result<u64, String> {
    parse_duration_us(text).ok_or_else(|| {
        let bare = text
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'.');
        let what = if bare {
            "missing unit in duration"
        } else {
            "invalid duration"
        };
        format!("unable to parse param '{name}': time: {what} {text:?}")
    })
}

fn parse_duration_us(text: &str) -> Option<u64> {
    let mut rest = text;
    let mut total = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let value: f64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let unit = rest
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(rest.len());
        let micros = match &rest[..unit] {
            "ns" => 1e-3,
            "us" | "µs" | "μs" => 1.0,
            "ms" => 1e3,
            "s" => 1e6,
            "m" => 60e6,
            "h" => 3600e6,
            _ => return None,
        };
        total += value * micros;
        rest = &rest[unit..];
    }
    (!text.is_empty()).then_some(total as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_needs_a_unit_and_may_have_several() {
        assert_eq!(parse_duration_us("300ms"), Some(300_000));
        assert_eq!(parse_duration_us("1.5s"), Some(1_500_000));
        assert_eq!(parse_duration_us("1m30s"), Some(90_000_000));
        for bad in ["", "300", "ms", "3x", "1s5"] {
            assert_eq!(parse_duration_us(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_search_needs_a_service_and_string_values_in_tags() {
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        assert_eq!(
            parse(&[]).unwrap_err(),
            "parameter 'service' is required".to_owned().into()
        );
        assert!(parse(&[pair("service", "a"), pair("tags", r#"{"k":1}"#)]).is_err());
        assert_eq!(
            parse(&[pair("service", "a"), pair("limit", "0")]).unwrap_err(),
            Refusal::SearchDepth
        );
        assert!(parse(&[pair("service", "a"), pair("minDuration", "5")]).is_err());
        assert!(parse(&[pair("service", "a"), pair("tags", r#"{"k":"1"}"#)]).is_ok());
    }
}
