//! Spans to send, in OTLP.

use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value::Value},
    resource::v1::Resource,
    trace::v1::{ResourceSpans, ScopeSpans, Span},
};

/// 2023-11-14T22:13:20Z in nanoseconds: any moment will do, this one is round.
pub(super) const START: u64 = 1_700_000_000_000_000_000;

/// A span of 5 ms with nothing else.
pub(super) fn span(trace: u128, id: u64, name: &str) -> Span {
    Span {
        trace_id: trace.to_be_bytes().to_vec(),
        span_id: id.to_be_bytes().to_vec(),
        name: name.to_owned(),
        kind: 1,
        start_time_unix_nano: START,
        end_time_unix_nano: START + 5_000_999,
        ..Span::default()
    }
}

pub(super) fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    }
}

pub(super) fn text(key: &str, value: &str) -> KeyValue {
    attribute(key, Value::StringValue(value.to_owned()))
}

/// One request with the spans of one service.
pub(super) fn request(service: Option<&str>, spans: Vec<Span>) -> ExportTraceServiceRequest {
    let mut attributes = vec![text("host.name", "a-host")];
    attributes.extend(service.map(|name| text("service.name", name)));
    let scope = InstrumentationScope {
        name: "a-scope".to_owned(),
        version: "1.2".to_owned(),
        ..InstrumentationScope::default()
    };
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            resource: Some(Resource {
                attributes,
                ..Resource::default()
            }),
            scope_spans: vec![ScopeSpans {
                scope: Some(scope),
                spans,
                ..ScopeSpans::default()
            }],
            ..ResourceSpans::default()
        }],
    }
}
