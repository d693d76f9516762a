//! From a span's end to the exporter: a bounded queue in which nothing waits for anything, and the account of what became
//! of each span.
//!
//! The account closes at any moment when nothing is on the move: spans ended are those dropped because the queue was full,
//! those that wait or are being sent, and those exported, whatever came of that.

use std::collections::VecDeque;
use std::io;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SpanData;
use tokio::sync::{Notify, mpsc};
use tonic::transport::Endpoint;

use super::export::{self, BATCH};
use crate::metrics::{Counter, Desc, Gauge, Label, Registry};

/// Spans waiting at most; one more is dropped.
pub(super) const BOUND: usize = 4096;

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

/// Spans that wait for the exporter. It is woken for the first one and for a full batch, not for each.
#[derive(Debug)]
pub(super) struct Queue {
    spans: Mutex<Spans>,
    /// To the exporter.
    wake: Notify,
    account: Account,
}

#[derive(Debug, Default)]
struct Spans {
    waiting: VecDeque<Box<SpanData>>,
    closed: bool,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Spans> {
        self.spans.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, span: Box<SpanData>) {
        let account = &self.account;
        account.ended.inc();
        let mut spans = self.lock();
        if spans.closed {
            return account.shut_down.inc();
        }
        if spans.waiting.len() >= BOUND {
            return account.full.inc();
        }
        spans.waiting.push_back(span);
        let waiting = spans.waiting.len();
        account.size.set(waiting as f64);
        account.taken.inc();
        drop(spans);
        if waiting == 1 || waiting == BATCH {
            self.wake.notify_one();
        }
    }

    /// Spans that wait now.
    pub(super) fn len(&self) -> usize {
        self.lock().waiting.len()
    }

    /// Waits until spans may have come. May return early.
    pub(super) async fn more(&self) {
        self.wake.notified().await;
    }

    /// Takes a batch, which is being sent from now on.
    pub(super) fn take(&self) -> Vec<SpanData> {
        let mut spans = self.lock();
        let count = spans.waiting.len().min(BATCH);
        let batch = spans.waiting.drain(..count).map(|span| *span).collect();
        // In this order: between the two a span counts twice rather than not at all.
        self.account.in_flight.add(count as f64);
        self.account.size.set(spans.waiting.len() as f64);
        batch
    }

    /// Takes no more spans: the exporter has ended.
    pub(super) fn close(&self) {
        self.lock().closed = true;
    }
}

/// An order to the exporter: to send what waits until the deadline, and to end then.
pub(super) struct Order {
    pub(super) deadline: Instant,
    pub(super) done: SyncSender<()>,
}

/// Handle on the exporter.
#[derive(Debug)]
pub(crate) struct Processor {
    queue: Arc<Queue>,
    orders: mpsc::Sender<Order>,
}

impl Processor {
    /// Starts the exporter's thread.
    pub(super) fn start(
        endpoint: Endpoint,
        resource: &Resource,
        registry: &Registry,
    ) -> io::Result<Self> {
        let account = Account::new(registry);
        let queue = Arc::new(Queue {
            spans: Mutex::default(),
            wake: Notify::new(),
            account: account.clone(),
        });
        let (orders, ordered) = mpsc::channel(1);
        export::start(endpoint, resource, queue.clone(), ordered, account)?;
        Ok(Self { queue, orders })
    }

    /// Queues a span that has ended. Never waits.
    pub(super) fn end(&self, span: Box<SpanData>) {
        self.queue.put(span);
    }

    /// Sends what waits, for at most `timeout`, and ends the exporter. Blocks.
    pub(crate) fn shutdown(&self, timeout: Duration) {
        let (done, ended) = sync_channel(1);
        let deadline = Instant::now() + timeout;
        // Refused where it has ended, or is about to. Whether it was in time is in the account.
        if self.orders.try_send(Order { deadline, done }).is_ok() {
            let _ = ended.recv_timeout(timeout);
        }
    }
}
