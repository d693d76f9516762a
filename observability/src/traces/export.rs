//! The way of a finished span to the collector, counted at each step.
//!
//! The SDK's batch processor keeps its drop count to itself. So the bound is held here: spans handed in minus spans taken
//! by the exporter; its own queue behind is larger and never drops.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use opentelemetry::baggage::BaggageExt as _;
use opentelemetry::trace::Span as _;
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::trace::{Span, SpanData, SpanExporter, SpanProcessor};

use crate::metrics::{Counter, Desc, Gauge, Registry};
use crate::propagation::BAGGAGE_KEYS;

/// Spans waiting at most; one more is dropped.
pub(crate) const BOUND: usize = 4096;

const PROCESSED: Desc = Desc::counter(
    "otel_sdk_processor_span_processed_total",
    "Spans handed to the exporter's queue, or dropped: then error_type says why.",
    &["error_type"],
);
const QUEUE_SIZE: Desc = Desc::gauge(
    "otel_sdk_processor_span_queue_size",
    "Spans waiting for the exporter.",
    &[],
);
const EXPORTED: Desc = Desc::counter(
    "otel_sdk_exporter_span_exported_total",
    "Spans that the collector took, or did not: then error_type says why.",
    &["error_type"],
);

/// What waits between processor and exporter.
#[derive(Clone)]
pub(crate) struct Queue {
    waiting: Arc<AtomicUsize>,
    size: Gauge,
    taken: Counter,
    full: Counter,
    exported: Counter,
    failed: Counter,
    timed_out: Counter,
}

impl Queue {
    pub(crate) fn new(registry: &Registry) -> Self {
        let processed = |error| registry.counter(&PROCESSED, &[("error_type", error)]);
        let exported = |error| registry.counter(&EXPORTED, &[("error_type", error)]);
        Self {
            waiting: Arc::default(),
            size: registry.gauge(&QUEUE_SIZE, &[]),
            taken: processed(""),
            full: processed("queue_full"),
            exported: exported(""),
            failed: exported("export_failed"),
            timed_out: exported("timeout"),
        }
    }

    /// Whether one more span finds room.
    fn enter(&self) -> bool {
        let room = |waiting| (waiting < BOUND).then_some(waiting + 1);
        let entered = self
            .waiting
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, room)
            .is_ok();
        if entered {
            self.taken.inc();
            self.size.add(1.0);
        } else {
            self.full.inc();
        }
        entered
    }

    fn leave(&self, spans: usize) {
        self.waiting.fetch_sub(spans, Ordering::Relaxed);
        self.size.sub(spans as f64);
    }

    fn count(&self, spans: usize, result: &OTelSdkResult) {
        let counter = match result {
            Ok(()) => &self.exported,
            Err(OTelSdkError::Timeout(_)) => &self.timed_out,
            Err(_) => &self.failed,
        };
        counter.add(spans as u64);
    }
}

// The SDK wants it printable; there is nothing in it to print.
impl std::fmt::Debug for Queue {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Queue").finish_non_exhaustive()
    }
}

/// Puts the run's baggage on each span, and holds the bound.
#[derive(Debug)]
pub(crate) struct CountedProcessor<P> {
    next: P,
    queue: Queue,
}

impl<P> CountedProcessor<P> {
    pub(crate) fn new(next: P, queue: Queue) -> Self {
        Self { next, queue }
    }
}

impl<P: SpanProcessor> SpanProcessor for CountedProcessor<P> {
    fn on_start(&self, span: &mut Span, context: &Context) {
        note_run(span, context);
        self.next.on_start(span, context);
    }

    fn on_end(&self, span: SpanData) {
        // One that is only recorded is not exported, and never leaves the queue.
        if span.span_context.is_sampled() && self.queue.enter() {
            self.next.on_end(span);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.next.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.next.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.next.set_resource(resource);
    }
}

/// Attributes `run.id` and `experiment.id`, from the baggage of the trace.
pub(crate) fn note_run(span: &mut Span, context: &Context) {
    for key in BAGGAGE_KEYS {
        if let Some(value) = context.baggage().get(key) {
            span.set_attribute(KeyValue::new(key, value.clone()));
        }
    }
}

/// Counts what became of each span that it took.
#[derive(Debug)]
pub(crate) struct CountedExporter<E> {
    next: E,
    queue: Queue,
}

impl<E> CountedExporter<E> {
    pub(crate) fn new(next: E, queue: Queue) -> Self {
        Self { next, queue }
    }
}

impl<E: SpanExporter> SpanExporter for CountedExporter<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len();
        self.queue.leave(spans);
        let result = self.next.export(batch).await;
        self.queue.count(spans, &result);
        result
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.next.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.next.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.next.set_resource(resource);
    }
}
