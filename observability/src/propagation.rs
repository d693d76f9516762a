//! Trace context as text: `traceparent` and `baggage` headers, and a job's `traceparent` column.
//!
//! Only two baggage members exist here, `run.id` and `experiment.id`; everything else in an inbound `baggage` header is
//! ignored, so that nothing from outside travels on.

use std::ops::Range;
use std::sync::{Arc, LazyLock};

use ::http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::Context;
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator as _};
use opentelemetry::trace::{SpanContext, TraceContextExt as _};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::Span;

use crate::hex;
use crate::traces::origin::{self, Origin};
use crate::traces::place::{self, Place, Run};

/// The baggage members that are honoured, and propagated.
pub(crate) const BAGGAGE_KEYS: [&str; 2] = ["run.id", "experiment.id"];
const TRACEPARENT: &str = "traceparent";
const BAGGAGE: &str = "baggage";

static TRACE_CONTEXT: LazyLock<TraceContextPropagator> = LazyLock::new(TraceContextPropagator::new);

/// Writes the current span's `traceparent`, and the run's `baggage`, into the headers of a request about to be sent.
pub fn inject(headers: &mut HeaderMap) {
    let Some(place) = place::current_place() else {
        return;
    };
    let context = Context::new().with_remote_span_context(place.span.clone());
    TRACE_CONTEXT.inject_context(&context, &mut HeaderWriter(headers));
    let members: Vec<String> = BAGGAGE_KEYS
        .iter()
        .zip(place.run())
        .filter_map(|(key, value)| Some(format!("{key}={}", value?)))
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
    place::current(|place| String::from_utf8(traceparent(&place?.span)).ok())
}

/// The trace id of the current span, 32 hexadecimal digits. `None` outside of any span.
pub fn current_trace_id() -> Option<String> {
    place::current(|place| Some(place?.span.trace_id().to_string()))
}

/// The span that `span` makes, declared with `parent: None`, as a child of the stored `traceparent`; where that is no
/// `traceparent`, the span begins a trace.
pub fn continue_from(traceparent: &str, span: impl FnOnce() -> Span) -> Span {
    let above = remote(traceparent).map(|remote| Arc::new(Place::new(remote, None)));
    origin::with(Origin { above, link: None }, span)
}

/// The span that `span` makes, declared with `parent: None`: it begins a trace, with a link to that of the stored
/// `traceparent`, if it is one.
pub fn link_to(traceparent: &str, span: impl FnOnce() -> Span) -> Span {
    let link = remote(traceparent);
    origin::with(Origin { above: None, link }, span)
}

/// What an honoured inbound request continues: its `traceparent`, if valid, and the run's baggage.
pub(crate) fn extract(headers: &HeaderMap) -> Place {
    let context = TRACE_CONTEXT.extract_with_context(&Context::new(), &HeaderReader(headers));
    let run = baggage(headers);
    let run = run.iter().any(Option::is_some).then(|| Arc::new(run));
    Place::new(context.span().span_context().clone(), run)
}

/// Text form of a valid span context, version 00.
pub(crate) fn traceparent(span: &SpanContext) -> Vec<u8> {
    let mut text = Vec::with_capacity(55);
    text.extend_from_slice(b"00-");
    hex::push(&mut text, &span.trace_id().to_bytes());
    text.push(b'-');
    hex::push(&mut text, &span.span_id().to_bytes());
    text.extend_from_slice(if span.is_sampled() { b"-01" } else { b"-00" });
    text
}

/// Where the trace's id is in a `traceparent`.
pub(crate) const TRACE_ID: Range<usize> = 3..35;

/// Run and experiment ids end up in labels and file names: a short, closed alphabet.
fn is_id(value: &str) -> bool {
    (1..=64).contains(&value.len())
        && value
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

/// The values of [`BAGGAGE_KEYS`]; of a member that is there twice, the last.
fn baggage(headers: &HeaderMap) -> Run {
    let mut run = Run::default();
    let Some(text) = headers.get(BAGGAGE).and_then(|value| value.to_str().ok()) else {
        return run;
    };
    for member in text.split(',').take(64) {
        let member = member.split(';').next().unwrap_or_default();
        let Some((key, value)) = member.split_once('=') else {
            continue;
        };
        let known = BAGGAGE_KEYS.iter().position(|known| *known == key.trim());
        if let (Some(at), true) = (known, is_id(value.trim())) {
            run[at] = Some(value.trim().to_owned());
        }
    }
    run
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
