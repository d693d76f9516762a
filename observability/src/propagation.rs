//! Trace context as text: `traceparent` and `baggage` headers, and a job's `traceparent` column.
//!
//! Only two baggage members exist here, `run.id` and `experiment.id`; everything else in an inbound `baggage` header is
//! ignored, so that nothing from outside travels on.

use std::sync::LazyLock;

use ::http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::baggage::BaggageExt as _;
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator as _};
use opentelemetry::trace::{SpanContext, TraceContextExt as _};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

/// The baggage members that are honoured, and propagated.
pub(crate) const BAGGAGE_KEYS: [&str; 2] = ["run.id", "experiment.id"];
const TRACEPARENT: &str = "traceparent";
const BAGGAGE: &str = "baggage";

static TRACE_CONTEXT: LazyLock<TraceContextPropagator> = LazyLock::new(TraceContextPropagator::new);

/// Writes the current span's `traceparent`, and the run's `baggage`, into the headers of a request about to be sent.
pub fn inject(headers: &mut HeaderMap) {
    let context = current();
    TRACE_CONTEXT.inject_context(&context, &mut HeaderWriter(headers));
    let members: Vec<String> = BAGGAGE_KEYS
        .iter()
        .filter_map(|key| {
            context
                .baggage()
                .get(*key)
                .map(|value| format!("{key}={value}"))
        })
        .collect();
    if let (false, Ok(value)) = (
        members.is_empty(),
        HeaderValue::from_str(&members.join(",")),
    ) {
        headers.insert(HeaderName::from_static(BAGGAGE), value);
    }
}

/// The current span as a `traceparent`, to be stored beside work that is done later. `None` outside of any span.
pub fn current_traceparent() -> Option<String> {
    traceparent(current().span().span_context())
}

/// The trace id of the current span, 32 hexadecimal digits. `None` outside of any span.
pub fn current_trace_id() -> Option<String> {
    let context = current();
    let span = context.span();
    span.span_context()
        .is_valid()
        .then(|| span.span_context().trace_id().to_string())
}

/// Makes `span` a child of the stored `traceparent`. Whether that worked: not for text that is no `traceparent`, and not
/// for a span that was entered before or is disabled.
///
/// To be called right after the span is created, with `parent: None`, before it is entered.
pub fn continue_from(span: &Span, traceparent: &str) -> bool {
    remote(traceparent).is_some_and(|remote| {
        span.set_parent(Context::new().with_remote_span_context(remote))
            .is_ok()
    })
}

/// Links `span`, a root of its own, to the trace of the stored `traceparent`. `false` for text that is no `traceparent`.
pub fn link_to(span: &Span, traceparent: &str) -> bool {
    let Some(remote) = remote(traceparent) else {
        return false;
    };
    span.add_link(remote);
    true
}

/// Context that an honoured inbound request carries: its `traceparent`, if valid, and the run's baggage.
pub(crate) fn extract(headers: &HeaderMap) -> Context {
    let context = TRACE_CONTEXT.extract_with_context(&Context::new(), &HeaderReader(headers));
    let members = baggage(headers);
    if members.is_empty() {
        context
    } else {
        context.with_baggage(members)
    }
}

/// The current context: what the innermost entered span set.
pub(crate) fn current() -> Context {
    let context = Context::current();
    if context.span().span_context().is_valid() {
        context
    } else {
        Span::current().context()
    }
}

/// Text form of a span context, version 00.
pub(crate) fn traceparent(span: &SpanContext) -> Option<String> {
    span.is_valid().then(|| {
        format!(
            "00-{}-{}-{:02x}",
            span.trace_id(),
            span.span_id(),
            span.trace_flags().to_u8() & 1
        )
    })
}

/// Run and experiment ids end up in labels and file names: a short, closed alphabet.
fn is_id(value: &str) -> bool {
    (1..=64).contains(&value.len())
        && value
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

fn baggage(headers: &HeaderMap) -> Vec<KeyValue> {
    let Some(text) = headers.get(BAGGAGE).and_then(|value| value.to_str().ok()) else {
        return Vec::new();
    };
    let member = |member: &str| {
        let (key, value) = member.split(';').next()?.split_once('=')?;
        let key = BAGGAGE_KEYS
            .into_iter()
            .find(|known| *known == key.trim())?;
        is_id(value.trim()).then(|| KeyValue::new(key, value.trim().to_owned()))
    };
    text.split(',').take(64).filter_map(member).collect()
}

fn remote(traceparent: &str) -> Option<SpanContext> {
    let context = TRACE_CONTEXT.extract_with_context(&Context::new(), &Stored(traceparent));
    let remote = context.span().span_context().clone();
    remote.is_valid().then_some(remote)
}

struct HeaderReader<'a>(&'a HeaderMap);

impl Extractor for HeaderReader<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).and_then(|value| value.to_str().ok())
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(HeaderName::as_str).collect()
    }
}

struct HeaderWriter<'a>(&'a mut HeaderMap);

impl Injector for HeaderWriter<'_> {
    fn set(&mut self, key: &str, value: String) {
        // The propagator also writes an empty `tracestate`, which no receiver needs and a signature would cover.
        if value.is_empty() {
            return;
        }
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(key), HeaderValue::try_from(value)) {
            self.0.insert(name, value);
        }
    }
}

struct Stored<'a>(&'a str);

impl Extractor for Stored<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        (key == TRACEPARENT).then_some(self.0)
    }

    fn keys(&self) -> Vec<&str> {
        vec![TRACEPARENT]
    }
}
