//! From spans of the `tracing` crate to spans of a trace.
//!
//! Whether a span is recorded is known when it is made, since what it continues is known then: one that is not has a
//! place in its trace and nothing else, and nobody looks at its fields.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use opentelemetry::trace::{Link, SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceState};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_sdk::trace::{
    IdGenerator as _, RandomIdGenerator, SpanData, SpanEvents, SpanLinks,
};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Span, Subscriber};
use tracing_subscriber::Registry as Slots;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::{LookupSpan, SpanRef};

use super::fields::{self, SpanFields};
use super::origin::{self, Origin};
use super::place::{self, Place};
use super::queue::Processor;
use super::sampling::Roots;
use crate::propagation::BAGGAGE_KEYS;

/// Events of a span at most; further ones are counted as dropped.
const MOST: usize = 128;

/// Libraries on the exporter's own path: their spans would make spans.
const EXPORTERS_OWN: [&str; 6] = [
    "h2",
    "hyper",
    "hyper_util",
    "tonic",
    "tower",
    "opentelemetry",
];

/// Where recorded spans go at their end.
#[derive(Debug, Clone)]
pub(crate) enum Output {
    /// To the exporter.
    Queue(Arc<Processor>),
    /// Kept, for tests.
    Memory(Arc<Mutex<Vec<SpanData>>>),
    /// Nowhere: nothing is recorded.
    Nowhere,
}

/// Makes the spans of a process.
#[derive(Debug)]
pub(crate) struct Spans {
    roots: Roots,
    output: Output,
    scope: InstrumentationScope,
}

/// What the subscriber keeps with each span.
struct State {
    place: Arc<Place>,
    /// Only of a span that is sampled and goes somewhere.
    record: Option<Box<SpanData>>,
}

impl Spans {
    pub(crate) fn new(roots: Roots, output: Output) -> Self {
        Self {
            roots,
            output,
            scope: InstrumentationScope::builder("observability").build(),
        }
    }

    /// Spans from INFO up, and events from WARN up, which become events of their span.
    pub(crate) fn want(metadata: &Metadata<'_>) -> bool {
        let least = if metadata.is_span() {
            Level::INFO
        } else {
            Level::WARN
        };
        let root = metadata.target().split("::").next().unwrap_or_default();
        *metadata.level() <= least && !EXPORTERS_OWN.contains(&root)
    }

    /// A span begins: it gets its place in its trace and, if it is sampled, is recorded.
    pub(crate) fn begin<S>(&self, attributes: &Attributes<'_>, id: &Id, context: &Context<'_, S>)
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        let Some(span) = context.span(id) else { return };
        let origin = if attributes.is_root() {
            origin::take()
        } else {
            Origin {
                above: above(attributes, context),
                link: None,
            }
        };
        let place = match origin.above.as_deref() {
            Some(above) if above.span.is_valid() => below(above),
            above => self.root(above),
        };
        let records = place.span.is_sampled() && !matches!(self.output, Output::Nowhere);
        let record = records.then(|| Box::new(self.record(attributes, &place, origin)));
        let place = Arc::new(place);
        span.extensions_mut().insert(State { place, record });
    }

    /// The first span of a trace here, in the run that was handed over with the request, if any.
    fn root(&self, above: Option<&Place>) -> Place {
        let ids = RandomIdGenerator::default();
        let trace = ids.new_trace_id();
        let flags = if self.roots.samples(trace) {
            TraceFlags::SAMPLED
        } else {
            TraceFlags::default()
        };
        let span = SpanContext::new(trace, ids.new_span_id(), flags, false, TraceState::NONE);
        match above {
            Some(above) => above.with(span),
            None => Place::new(span, None),
        }
    }

    fn record(&self, attributes: &Attributes<'_>, place: &Place, origin: Origin) -> SpanData {
        let now = SystemTime::now();
        let above = origin.above.as_deref().map(|above| &above.span);
        let mut span = SpanData {
            span_context: place.span.clone(),
            parent_span_id: above.map_or(SpanId::INVALID, SpanContext::span_id),
            parent_span_is_remote: above.is_some_and(SpanContext::is_remote),
            span_kind: SpanKind::Internal,
            name: attributes.metadata().name().into(),
            start_time: now,
            end_time: now,
            attributes: Vec::new(),
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status: Status::Unset,
            instrumentation_scope: self.scope.clone(),
        };
        let most = attributes.fields().len() + BAGGAGE_KEYS.len();
        let mut fields = SpanFields::with_capacity(most);
        attributes.record(&mut fields);
        fields.apply(&mut span);
        for (key, value) in BAGGAGE_KEYS.into_iter().zip(place.run()) {
            if let Some(value) = value {
                fields::add(&mut span, KeyValue::new(key, value.to_owned()));
            }
        }
        let link = origin.link.map(Link::with_context);
        span.links.links.extend(link);
        span
    }

    /// A span ends.
    pub(crate) fn end<S>(&self, id: &Id, context: &Context<'_, S>)
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        let Some(span) = context.span(id) else { return };
        let state = span.extensions_mut().remove::<State>();
        let Some(mut record) = state.and_then(|state| state.record) else {
            return;
        };
        record.end_time = SystemTime::now();
        match &self.output {
            Output::Queue(processor) => processor.end(record),
            Output::Memory(spans) => spans
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(*record),
            Output::Nowhere => {}
        }
    }
}

/// Further values of fields that the span declared.
pub(crate) fn note<S>(id: &Id, values: &Record<'_>, context: &Context<'_, S>)
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let Some(span) = context.span(id).filter(is_recorded) else {
        return;
    };
    let mut fields = SpanFields::default();
    values.record(&mut fields);
    with_record(Some(span), |record| fields.apply(record));
}

/// Makes an event of the span that it belongs to.
pub(crate) fn happened<S>(event: &Event<'_>, context: &Context<'_, S>)
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let id = match event.parent() {
        Some(id) => Some(id.clone()),
        None if event.is_contextual() => place::current_sampled(),
        None => None,
    };
    let Some(id) = id else { return };
    // Before the span is locked, as a span's own fields are.
    let made = fields::event(event);
    with_record(context.span(&id), |record| {
        if record.events.events.len() < MOST {
            record.events.events.push(made);
        } else {
            record.events.dropped_count += 1;
        }
    });
}

/// The thread works on a span from now on.
pub(crate) fn enter<S>(id: &Id, context: &Context<'_, S>)
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let place = context.span(id).and_then(|span| place_of(&span));
    if let Some(place) = place {
        place::enter(id, place);
    }
}

/// The place of a span of this process' subscriber; `None` where the span is disabled, or nothing is traced.
pub(crate) fn place(span: &Span) -> Option<Arc<Place>> {
    look_up(span, |span| place_of(&span))
}

/// Adds attributes whose names are not known where the span is made. They are not even computed unless it is recorded.
pub(crate) fn add_attributes(span: &Span, attributes: impl IntoIterator<Item = KeyValue>) {
    look_up(span, |span| {
        with_record(Some(span), |record| {
            for attribute in attributes {
                fields::add(record, attribute);
            }
        })
    });
}

fn look_up<T>(span: &Span, look: impl FnOnce(SpanRef<'_, Slots>) -> Option<T>) -> Option<T> {
    span.with_subscriber(|(id, dispatch)| look(dispatch.downcast_ref::<Slots>()?.span(id)?))
        .flatten()
}

fn place_of<'a, S: LookupSpan<'a>>(span: &SpanRef<'a, S>) -> Option<Arc<Place>> {
    let extensions = span.extensions();
    Some(extensions.get::<State>()?.place.clone())
}

fn is_recorded<'a, S: LookupSpan<'a>>(span: &SpanRef<'a, S>) -> bool {
    let extensions = span.extensions();
    let state = extensions.get::<State>();
    state.is_some_and(|state| state.record.is_some())
}

fn with_record<'a, S: LookupSpan<'a>>(
    span: Option<SpanRef<'a, S>>,
    work: impl FnOnce(&mut SpanData),
) -> Option<()> {
    let span = span?;
    let mut extensions = span.extensions_mut();
    let record = extensions.get_mut::<State>()?.record.as_deref_mut()?;
    work(record);
    Some(())
}

/// A place below another one, in the same trace.
fn below(above: &Place) -> Place {
    let span = &above.span;
    above.with(SpanContext::new(
        span.trace_id(),
        RandomIdGenerator::default().new_span_id(),
        span.trace_flags() & TraceFlags::SAMPLED,
        false,
        span.trace_state().clone(),
    ))
}

/// What a span that is no root is part of: the nearest span above it that has a place.
fn above<S>(attributes: &Attributes<'_>, context: &Context<'_, S>) -> Option<Arc<Place>>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let Some(parent) = attributes.parent() else {
        return place::current_place();
    };
    let mut above = context.span_scope(parent)?;
    above.find_map(|span| place_of(&span))
}
