//! The JSON that Jaeger's query API answers with.

use std::sync::Arc;

use serde_json::{Value as Json, json};

use super::{
    model::{Process, ReferenceKind, Span, Tag, Value},
    store::{Operation, Trace},
};

/// Beyond this a JavaScript number loses bits, so that Jaeger prints a string.
const MAX_EXACT: u64 = (1 << 53) - 1;

/// The envelope of every answer that is not an error.
pub(super) fn envelope(data: Json, total: usize) -> Json {
    let mut envelope = json!({ "total": total, "limit": 0, "offset": 0, "errors": null });
    // Moved in, which `json!` would not do: an answer may hold thousands of spans.
    envelope["data"] = data;
    envelope
}

/// The envelope of an error.
pub(super) fn error(status: u16, message: &str) -> Json {
    json!({ "data": null, "total": 0, "limit": 0, "offset": 0, "errors": [{ "code": status, "msg": message }] })
}

/// `/api/operations`.
pub(super) fn operation(operation: &Operation) -> Json {
    json!({ "name": operation.name, "spanKind": operation.kind })
}

/// One trace, its processes numbered in the order in which spans name them.
pub(super) fn trace(spans: &Trace) -> Json {
    let mut processes: Vec<Arc<Process>> = Vec::new();
    let mut seen: Vec<&Span> = Vec::with_capacity(spans.len());
    let mut printed = Vec::with_capacity(spans.len());
    for item in spans {
        // A batch that was sent twice shows once.
        if seen.iter().any(|other| *other == &**item) {
            continue;
        }
        seen.push(item);
        let number = processes
            .iter()
            .position(|known| *known == item.process)
            .unwrap_or_else(|| {
                processes.push(item.process.clone());
                processes.len() - 1
            });
        printed.push(span(item, &format!("p{}", number + 1)));
    }
    let processes: serde_json::Map<String, Json> = processes
        .iter()
        .enumerate()
        .map(|(number, process)| {
            (
                format!("p{}", number + 1),
                json!({ "serviceName": process.service, "tags": tags(&process.tags) }),
            )
        })
        .collect();
    let id = spans
        .first()
        .map(|span| span.trace.to_string())
        .unwrap_or_default();
    json!({ "traceID": id, "spans": printed, "processes": processes, "warnings": null })
}

fn span(span: &Span, process: &str) -> Json {
    let references: Vec<Json> = span
        .references
        .iter()
        .map(|reference| {
            let kind = match reference.kind {
                ReferenceKind::ChildOf => "CHILD_OF",
                ReferenceKind::FollowsFrom => "FOLLOWS_FROM",
            };
            json!({ "refType": kind, "traceID": reference.trace.to_string(), "spanID": reference.span.to_string() })
        })
        .collect();
    let logs: Vec<Json> = span
        .logs
        .iter()
        .map(|log| json!({ "timestamp": log.timestamp_us, "fields": tags(&log.fields) }))
        .collect();
    json!({
        "traceID": span.trace.to_string(),
        "spanID": span.id.to_string(),
        "operationName": span.name,
        "references": references,
        "startTime": span.start_us,
        "duration": span.duration_us,
        "tags": tags(&span.tags),
        "logs": logs,
        "processID": process,
        "warnings": if span.warnings.is_empty() { Json::Null } else { json!(span.warnings) },
    })
}

fn tags(tags: &[Tag]) -> Vec<Json> {
    tags.iter()
        .map(|tag| {
            let (kind, value) = match &tag.value {
                Value::String(text) => ("string", json!(text)),
                Value::Bool(value) => ("bool", json!(value)),
                Value::Int64(value) if value.unsigned_abs() > MAX_EXACT => {
                    ("int64", json!(value.to_string()))
                }
                Value::Int64(value) => ("int64", json!(value)),
                // JSON has no NaN and no infinity: the text, where the real server answers 500.
                Value::Float64(value) if !value.is_finite() => {
                    ("float64", json!(value.to_string()))
                }
                Value::Float64(value) => ("float64", json!(value)),
                Value::Binary(text) => ("binary", json!(text)),
            };
            json!({ "key": tag.key, "type": kind, "value": value })
        })
        .collect()
}
