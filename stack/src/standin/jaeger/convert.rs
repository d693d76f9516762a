//! OTLP spans to Jaeger's model, as Jaeger's own translation does it.

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value},
    resource::v1::Resource,
    trace::v1::{self as otlp, span::SpanKind, status::StatusCode},
};

use super::model::{Log, Process, Reference, ReferenceKind, Span, SpanId, Tag, TraceId, Value};

/// What Jaeger calls a service that did not say its name.
const MISSING_SERVICE: &str = "missing-service-name";

/// Every span of a request that has usable ids, and how many had not.
///
/// A span with an id of all zeros is not a span by OTLP's definition: the real server keeps it, and from then on hides
/// older traces from its search.
pub(super) fn spans(request: ExportTraceServiceRequest) -> (Vec<Span>, usize) {
    let mut converted = Vec::new();
    let mut rejected = 0;
    for group in request.resource_spans {
        let process = Arc::new(process(group.resource.as_ref()));
        for scope_spans in group.scope_spans {
            for span in scope_spans.spans {
                match convert(span, scope_spans.scope.as_ref(), &process) {
                    Some(span) => converted.push(span),
                    None => rejected += 1,
                }
            }
        }
    }
    (converted, rejected)
}

fn process(resource: Option<&Resource>) -> Process {
    let attributes = resource.map_or(&[][..], |resource| &resource.attributes);
    let mut service = MISSING_SERVICE.to_owned();
    let mut kept = Vec::with_capacity(attributes.len());
    for attribute in attributes {
        match tag(attribute) {
            Tag {
                key,
                value: Value::String(name),
            } if key == "service.name" => {
                if !name.is_empty() {
                    service = name;
                }
            }
            other => kept.push(other),
        }
    }
    Process {
        service,
        tags: kept,
    }
}

fn convert(
    span: otlp::Span,
    scope: Option<&InstrumentationScope>,
    process: &Arc<Process>,
) -> Option<Span> {
    let trace = trace_id(&span.trace_id)?;
    let id = span_id(&span.span_id)?;

    let mut references = Vec::with_capacity(1 + span.links.len());
    if let Some(parent) = span_id(&span.parent_span_id) {
        references.push(Reference {
            kind: ReferenceKind::ChildOf,
            trace,
            span: parent,
        });
    }
    for link in &span.links {
        if let (Some(trace), Some(span)) = (trace_id(&link.trace_id), span_id(&link.span_id)) {
            references.push(Reference {
                kind: ReferenceKind::FollowsFrom,
                trace,
                span,
            });
        }
    }

    let kind = kind(span.kind());
    let mut tags: Vec<Tag> = scope_tags(scope)
        .chain(span.attributes.iter().map(tag))
        .collect();
    let searchable_tags = tags.len();
    tags.extend(derived_tags(kind, span.status.as_ref(), &span.trace_state));

    Some(Span {
        trace,
        id,
        kind,
        references,
        start_us: span.start_time_unix_nano / 1_000,
        duration_us: span
            .end_time_unix_nano
            .saturating_sub(span.start_time_unix_nano)
            / 1_000,
        tags,
        searchable_tags,
        logs: span.events.iter().map(log).collect(),
        process: process.clone(),
        warnings: warnings(span.start_time_unix_nano, span.end_time_unix_nano),
        name: span.name,
    })
}

/// Jaeger calls a span without length negative too, and adds the timestamps to this sentence.
fn warnings(start: u64, end: u64) -> Vec<String> {
    let sentence = "Negative duration detected, sanitizing end timestamp.";
    if end <= start {
        vec![sentence.to_owned()]
    } else {
        Vec::new()
    }
}

fn trace_id(bytes: &[u8]) -> Option<TraceId> {
    let id = u128::from_be_bytes(bytes.try_into().ok()?);
    (id != 0).then_some(TraceId(id))
}

fn span_id(bytes: &[u8]) -> Option<SpanId> {
    let id = u64::from_be_bytes(bytes.try_into().ok()?);
    (id != 0).then_some(SpanId(id))
}

/// Jaeger's word for the kind; empty where it prints no tag.
fn kind(kind: SpanKind) -> &'static str {
    match kind {
        SpanKind::Unspecified => "",
        SpanKind::Internal => "internal",
        SpanKind::Server => "server",
        SpanKind::Client => "client",
        SpanKind::Producer => "producer",
        SpanKind::Consumer => "consumer",
    }
}

fn scope_tags(scope: Option<&InstrumentationScope>) -> impl Iterator<Item = Tag> {
    let (name, version) = scope.map_or((String::new(), String::new()), |scope| {
        (scope.name.clone(), scope.version.clone())
    });
    [("otel.scope.name", name), ("otel.scope.version", version)]
        .into_iter()
        .filter(|(_, text)| !text.is_empty())
        .map(|(key, text)| Tag::text(key, text))
}

fn derived_tags(kind: &str, status: Option<&otlp::Status>, trace_state: &str) -> Vec<Tag> {
    let mut tags = Vec::new();
    if !kind.is_empty() {
        tags.push(Tag::text("span.kind", kind));
    }
    if let Some(status) = status {
        match status.code() {
            StatusCode::Unset => {}
            StatusCode::Ok => tags.push(Tag::text("otel.status_code", "OK")),
            StatusCode::Error => {
                tags.push(Tag::text("otel.status_code", "ERROR"));
                tags.push(Tag::new("error", Value::Bool(true)));
            }
        }
        if !status.message.is_empty() {
            tags.push(Tag::text("otel.status_description", status.message.clone()));
        }
    }
    if !trace_state.is_empty() {
        tags.push(Tag::text("w3c.tracestate", trace_state));
    }
    tags
}

fn log(event: &otlp::span::Event) -> Log {
    let mut fields = Vec::with_capacity(1 + event.attributes.len());
    if !event.name.is_empty() {
        fields.push(Tag::text("event", event.name.clone()));
    }
    fields.extend(event.attributes.iter().map(tag));
    Log {
        timestamp_us: event.time_unix_nano / 1_000,
        fields,
    }
}

fn tag(attribute: &KeyValue) -> Tag {
    let value = match attribute
        .value
        .as_ref()
        .and_then(|value| value.value.as_ref())
    {
        None => Value::String(String::new()),
        Some(any_value::Value::StringValue(text)) => Value::String(text.clone()),
        Some(any_value::Value::BoolValue(value)) => Value::Bool(*value),
        Some(any_value::Value::IntValue(value)) => Value::Int64(*value),
        Some(any_value::Value::DoubleValue(value)) => Value::Float64(*value),
        Some(any_value::Value::BytesValue(bytes)) => Value::Binary(STANDARD.encode(bytes)),
        Some(_) => Value::String(
            attribute
                .value
                .as_ref()
                .map_or_else(|| "null".to_owned(), |value| nested(value).to_string()),
        ),
    };
    Tag {
        key: attribute.key.clone(),
        value,
    }
}

/// A list or a map as JSON: Jaeger has no type for them and prints their text.
fn nested(value: &AnyValue) -> serde_json::Value {
    match value.value.as_ref() {
        Some(any_value::Value::StringValue(text)) => text.as_str().into(),
        Some(any_value::Value::BoolValue(value)) => (*value).into(),
        Some(any_value::Value::IntValue(value)) => (*value).into(),
        Some(any_value::Value::DoubleValue(value)) => (*value).into(),
        Some(any_value::Value::BytesValue(bytes)) => STANDARD.encode(bytes).into(),
        Some(any_value::Value::ArrayValue(list)) => list.values.iter().map(nested).collect(),
        Some(any_value::Value::KvlistValue(map)) => map
            .values
            .iter()
            .map(|entry| {
                (
                    entry.key.clone(),
                    entry.value.as_ref().map_or(serde_json::Value::Null, nested),
                )
            })
            .collect::<serde_json::Map<_, _>>()
            .into(),
        Some(any_value::Value::StringValueStrindex(_)) | None => serde_json::Value::Null,
    }
}
