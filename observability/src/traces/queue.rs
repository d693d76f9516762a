//! From a span's end to the exporter: a bounded queue in which nothing waits for anything, and the account of what became
//! of each span.
//!
//! The account closes at any moment when nothing is on the move: spans ended are those dropped because the queue was full,
//! those that wait or are being sent, and those exported, whatever came of that.

use std::io;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::{Duration, Instant};

use opentelemetry::baggage::BaggageExt as _;
use opentelemetry::trace::Span as _;
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::trace::{Span, SpanData, SpanProcessor};
use tokio::sync::mpsc;
use tonic::transport::Endpoint;

use super::export;
use crate::metrics::{Counter, Desc, Gauge, Label, Registry};
use crate::propagation::BAGGAGE_KEYS;

/// Spans waiting at most; one more is dropped.
pub(super) const BOUND: usize = 4096;
/// How long a flush without a deadline of its own takes at most.
const FLUSH: Duration = Duration::from_secs(5);

pub(super) const ENDED: Desc = Desc::counter(
    "otel_sdk_span_ended_total",
    "Sampled spans that ended: each was dropped, waits, is being sent, or was exported.",
    &[],
);
pub(super) const PROCESSED: Desc = Desc::counter(
    "otel_sdk_processor_span_processed_total",
    "Spans taken into the exporter's queue, or dropped: then error_type says why.",
    &[Label::closed(
        "error_type",
        &["", "queue_full", "already_shutdown"],
    )],
);
pub(super) const QUEUE_SIZE: Desc = Desc::gauge(
    "otel_sdk_processor_span_queue_size",
    "Spans that wait for the exporter.",
    &[],
);
pub(super) const QUEUE_CAPACITY: Desc = Desc::gauge(
    "otel_sdk_processor_span_queue_capacity",
    "Spans that can wait for the exporter; further ones are dropped.",
    &[],
);
pub(super) const IN_FLIGHT: Desc = Desc::gauge(
    "otel_sdk_exporter_span_inflight",
    "Spans that are being sent to the collector.",
    &[],
);
pub(super) const EXPORTED: Desc = Desc::counter(
    "otel_sdk_exporter_span_exported_total",
    "Spans whose export ended: confirmed, lost (rejected, export_failed), or perhaps received (timeout, unknown).",
    &[Label::closed(
        "error_type",
        &["", "rejected", "export_failed", "timeout", "unknown"],
    )],
);

/// The account of spans. Cloning shares it.
#[derive(Debug, Clone)]
pub(super) struct Account {
    ended: Counter,
    taken: Counter,
    full: Counter,
    shut_down: Counter,
    size: Gauge,
    in_flight: Gauge,
    confirmed: Counter,
    rejected: Counter,
    failed: Counter,
    timed_out: Counter,
    unknown: Counter,
}

/// What became of spans that were sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// The collector took them, save so many.
    Confirmed {
        /// Spans that it refused.
        rejected: u64,
    },
    /// The collector refused them.
    Rejected,
    /// There was no connection, so they were not sent.
    NotSent,
    /// No answer in time: the collector may have them.
    TimedOut,
    /// The answer was lost: the collector may have them.
    Unknown,
}

impl Account {
    fn new(registry: &Registry) -> Self {
        let processed = |error| registry.counter(&PROCESSED, &[("error_type", error)]);
        let exported = |error| registry.counter(&EXPORTED, &[("error_type", error)]);
        registry.gauge(&QUEUE_CAPACITY, &[]).set(BOUND as f64);
        Self {
            ended: registry.counter(&ENDED, &[]),
            taken: processed(""),
            full: processed("queue_full"),
            shut_down: processed("already_shutdown"),
            size: registry.gauge(&QUEUE_SIZE, &[]),
            in_flight: registry.gauge(&IN_FLIGHT, &[]),
            confirmed: exported(""),
            rejected: exported("rejected"),
            failed: exported("export_failed"),
            timed_out: exported("timeout"),
            unknown: exported("unknown"),
        }
    }

    /// Spans leave the queue for the collector.
    pub(super) fn sending(&self, spans: usize) {
        self.in_flight.add(spans as f64);
        self.size.sub(spans as f64);
    }

    /// Spans that were being sent have come to this.
    pub(super) fn sent(&self, spans: usize, fate: Fate) {
        let spans = spans as u64;
        match fate {
            Fate::Confirmed { rejected } => {
                let rejected = rejected.min(spans);
                self.rejected.add(rejected);
                self.confirmed.add(spans - rejected);
            }
            Fate::Rejected => self.rejected.add(spans),
            Fate::NotSent => self.failed.add(spans),
            Fate::TimedOut => self.timed_out.add(spans),
            Fate::Unknown => self.unknown.add(spans),
        }
        self.in_flight.sub(spans as f64);
    }
}

/// An order to the exporter: to send what waits until the deadline, and to end then if it is the last.
pub(super) struct Order {
    pub(super) deadline: Instant,
    pub(super) last: bool,
    pub(super) done: SyncSender<()>,
}

/// The provider's only processor: puts the run's baggage on each span, and queues it for the exporter at its end.
#[derive(Debug)]
pub(crate) struct Processor {
    queue: mpsc::Sender<SpanData>,
    orders: mpsc::Sender<Order>,
    account: Account,
}

impl Processor {
    /// Starts the exporter's thread.
    pub(super) fn start(
        endpoint: Endpoint,
        resource: &Resource,
        registry: &Registry,
    ) -> io::Result<Self> {
        // The batch that the exporter fills waits too, until it is sent, which a full one is at once.
        let (queue, spans) = mpsc::channel(BOUND);
        let (orders, ordered) = mpsc::channel(8);
        let account = Account::new(registry);
        export::start(endpoint, resource, spans, ordered, account.clone())?;
        Ok(Self {
            queue,
            orders,
            account,
        })
    }

    fn order(&self, timeout: Duration, last: bool) -> OTelSdkResult {
        let (done, ended) = sync_channel(1);
        let deadline = Instant::now() + timeout;
        let order = Order {
            deadline,
            last,
            done,
        };
        self.orders
            .try_send(order)
            .map_err(|_| OTelSdkError::AlreadyShutdown)?;
        ended
            .recv_timeout(timeout)
            .map_err(|_| OTelSdkError::Timeout(timeout))
    }
}

impl SpanProcessor for Processor {
    fn on_start(&self, span: &mut Span, context: &Context) {
        note_run(span, context);
    }

    fn on_end(&self, span: SpanData) {
        // One that is only recorded is not exported.
        if !span.span_context.is_sampled() {
            return;
        }
        let account = &self.account;
        account.ended.inc();
        // Before it can leave the queue: the count never falls below what waits.
        account.size.add(1.0);
        let refused = match self.queue.try_send(span) {
            Ok(()) => return account.taken.inc(),
            Err(mpsc::error::TrySendError::Full(_)) => &account.full,
            Err(mpsc::error::TrySendError::Closed(_)) => &account.shut_down,
        };
        account.size.sub(1.0);
        refused.inc();
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.order(FLUSH, false)
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.order(timeout, true)
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
