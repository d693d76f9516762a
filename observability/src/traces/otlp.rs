//! A recorded span as OTLP sends it. Its texts are moved, not copied: that is what most of an export costs.

use std::time::{SystemTime, UNIX_EPOCH};

use opentelemetry::trace::{Event, Link, SpanContext, SpanId, SpanKind, Status};
use opentelemetry::{KeyValue, Value};
use opentelemetry_proto::tonic::common::v1::{self as common, AnyValue, any_value};
use opentelemetry_proto::tonic::trace::v1::span::SpanKind as Kind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{self as otlp, SpanFlags};
use opentelemetry_sdk::trace::SpanData;

pub(super) fn span(span: SpanData) -> otlp::Span {
    let context = &span.span_context;
    let parent = span.parent_span_id;
    otlp::Span {
        trace_id: context.trace_id().to_bytes().to_vec(),
        span_id: context.span_id().to_bytes().to_vec(),
        trace_state: context.trace_state().header(),
        // A root has none.
        parent_span_id: if parent == SpanId::INVALID {
            Vec::new()
        } else {
            parent.to_bytes().to_vec()
        },
        flags: flags(context, span.parent_span_is_remote),
        name: span.name.into_owned(),
        kind: kind(&span.span_kind).into(),
        start_time_unix_nano: nanoseconds(span.start_time),
        end_time_unix_nano: nanoseconds(span.end_time),
        attributes: attributes(span.attributes),
        dropped_attributes_count: span.dropped_attributes_count,
        events: span.events.events.into_iter().map(event).collect(),
        dropped_events_count: span.events.dropped_count,
        links: span.links.links.into_iter().map(link).collect(),
        dropped_links_count: span.links.dropped_count,
        status: Some(status(span.status)),
    }
}

fn event(event: Event) -> otlp::span::Event {
    otlp::span::Event {
        time_unix_nano: nanoseconds(event.timestamp),
        name: event.name.into_owned(),
        attributes: attributes(event.attributes),
        dropped_attributes_count: event.dropped_attributes_count,
    }
}

fn link(link: Link) -> otlp::span::Link {
    let context = &link.span_context;
    otlp::span::Link {
        trace_id: context.trace_id().to_bytes().to_vec(),
        span_id: context.span_id().to_bytes().to_vec(),
        trace_state: context.trace_state().header(),
        flags: flags(context, context.is_remote()),
        attributes: attributes(link.attributes),
        dropped_attributes_count: link.dropped_attributes_count,
    }
}

fn attributes(attributes: Vec<KeyValue>) -> Vec<common::KeyValue> {
    let attribute = |attribute: KeyValue| common::KeyValue {
        key: attribute.key.as_str().to_owned(),
        value: Some(AnyValue {
            value: Some(value(attribute.value)),
        }),
        ..common::KeyValue::default()
    };
    attributes.into_iter().map(attribute).collect()
}

fn value(value: Value) -> any_value::Value {
    match value {
        Value::Bool(value) => any_value::Value::BoolValue(value),
        Value::I64(value) => any_value::Value::IntValue(value),
        Value::F64(value) => any_value::Value::DoubleValue(value),
        Value::String(value) => any_value::Value::StringValue(value.into()),
        // No field of a span becomes a list.
        other => any_value::Value::StringValue(other.to_string()),
    }
}

fn flags(context: &SpanContext, remote: bool) -> u32 {
    let remote = if remote {
        SpanFlags::ContextIsRemoteMask as u32
    } else {
        0
    };
    u32::from(context.trace_flags().to_u8()) | SpanFlags::ContextHasIsRemoteMask as u32 | remote
}

fn kind(kind: &SpanKind) -> Kind {
    match kind {
        SpanKind::Client => Kind::Client,
        SpanKind::Consumer => Kind::Consumer,
        SpanKind::Internal => Kind::Internal,
        SpanKind::Producer => Kind::Producer,
        SpanKind::Server => Kind::Server,
    }
}

fn status(status: Status) -> otlp::Status {
    let (code, message) = match status {
        Status::Unset => (StatusCode::Unset, String::new()),
        Status::Ok => (StatusCode::Ok, String::new()),
        Status::Error { description } => (StatusCode::Error, description.into_owned()),
    };
    otlp::Status {
        code: code.into(),
        message,
    }
}

/// Since the epoch of Unix.
fn nanoseconds(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use opentelemetry::InstrumentationScope;
    use opentelemetry::trace::{TraceFlags, TraceId, TraceState};
    use opentelemetry_sdk::trace::{SpanEvents, SpanLinks};

    use super::*;

    /// A span that has something of everything.
    fn full(parent: SpanId, status: Status) -> SpanData {
        let state = TraceState::from_key_value([("vendor", "1")]).unwrap_or_default();
        let context = SpanContext::new(
            TraceId::from(7_u128),
            SpanId::from(9_u64),
            TraceFlags::SAMPLED,
            true,
            state,
        );
        let attributes = vec![
            KeyValue::new("text", "a"),
            KeyValue::new("number", 1),
            KeyValue::new("share", 0.5),
            KeyValue::new("truth", true),
        ];
        let time = UNIX_EPOCH + Duration::from_nanos(1_234_567_890_123_456_789);
        let mut events = SpanEvents::default();
        events.dropped_count = 3;
        events
            .events
            .push(Event::new("event", time, attributes.clone(), 1));
        let mut links = SpanLinks::default();
        links.dropped_count = 4;
        links
            .links
            .push(Link::new(context.clone(), attributes.clone(), 2));
        SpanData {
            span_context: context,
            parent_span_id: parent,
            parent_span_is_remote: parent != SpanId::INVALID,
            span_kind: SpanKind::Consumer,
            name: "name".into(),
            start_time: time,
            end_time: time + Duration::from_secs(1),
            attributes,
            dropped_attributes_count: 2,
            events,
            links,
            status,
            instrumentation_scope: InstrumentationScope::default(),
        }
    }

    #[test]
    fn a_span_is_sent_as_opentelemetry_s_own_conversion_sends_it() {
        for parent in [SpanId::INVALID, SpanId::from(5_u64)] {
            for status in [Status::Unset, Status::Ok, Status::error("why")] {
                let data = full(parent, status);
                assert_eq!(span(data.clone()), data.into());
            }
        }
    }
}
