//! The account of spans closes to the unit, whatever the collector does.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::{Code, Request, Response, Status};
use tracing::field::Empty;
use tracing::{Dispatch, dispatcher, info_span};
use tracing_subscriber::layer::SubscriberExt as _;

use super::export::BATCH;
use super::queue::BOUND;
use super::sampling::{Ratio, Share};
use super::{Processor, start};
use crate::metrics::Registry;
use crate::server::{self, Limits};
use crate::settings::Traces;
use crate::subscriber::Telemetry;
use crate::testing::{Scrape, service};

/// Nothing here takes this long unless it is broken.
const PATIENCE: Duration = Duration::from_mins(1);

/// What the collector does with an export.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Behaviour {
    Takes,
    TakesAfter(Duration),
    TakesAllBut(i64),
    Refuses(Code),
    NeverAnswers,
}

/// An OTLP receiver that counts what arrives.
#[derive(Clone)]
struct Collector {
    address: String,
    behaviour: Behaviour,
    received: Arc<AtomicUsize>,
    stop: CancellationToken,
}

impl Collector {
    async fn start(behaviour: Behaviour) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let collector = Self {
            address: format!("http://{}", listener.local_addr().expect("bound")),
            behaviour,
            received: Arc::default(),
            stop: CancellationToken::new(),
        };
        let app = tonic::service::Routes::new(TraceServiceServer::new(collector.clone()))
            .into_axum_router();
        let stop = collector.stop.clone();
        tokio::spawn(async move {
            let registry = Registry::new(&service());
            let limits = Limits {
                drain: Duration::ZERO,
                ..Limits::new("api")
            };
            server::serve(listener, app, limits, &registry, stop).await
        });
        collector
    }

    fn received(&self) -> u64 {
        self.received.load(Ordering::SeqCst) as u64
    }
}

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let request = request.into_inner();
        let scopes = request
            .resource_spans
            .iter()
            .flat_map(|resource| &resource.scope_spans);
        let spans: usize = scopes.map(|scope| scope.spans.len()).sum();
        if !matches!(self.behaviour, Behaviour::Refuses(_)) {
            self.received.fetch_add(spans, Ordering::SeqCst);
        }
        let mut answer = ExportTraceServiceResponse::default();
        match self.behaviour {
            Behaviour::Takes => {}
            Behaviour::TakesAfter(time) => tokio::time::sleep(time).await,
            Behaviour::TakesAllBut(rejected_spans) => {
                answer.partial_success = Some(ExportTracePartialSuccess {
                    rejected_spans,
                    error_message: "too old".to_owned(),
                });
            }
            Behaviour::Refuses(code) => return Err(Status::new(code, "no")),
            Behaviour::NeverAnswers => std::future::pending().await,
        }
        Ok(Response::new(answer))
    }
}

/// A process that sends its spans to `endpoint`.
struct Sender {
    exporter: Arc<Processor>,
    ratio: Ratio,
    dispatch: Dispatch,
    registry: Registry,
}

/// The account as a reader of the metrics sees it.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Account {
    ended: u64,
    full: u64,
    after_shutdown: u64,
    waiting: u64,
    in_flight: u64,
    confirmed: u64,
    rejected: u64,
    not_sent: u64,
    timed_out: u64,
    unknown: u64,
}

impl Account {
    fn is_closed(&self) -> bool {
        let known = [
            self.full,
            self.after_shutdown,
            self.waiting,
            self.in_flight,
            self.confirmed,
            self.rejected,
            self.not_sent,
            self.timed_out,
            self.unknown,
        ];
        self.ended == known.iter().sum::<u64>()
    }
}

impl Sender {
    fn new(endpoint: &str) -> Self {
        Self::sampling(endpoint, 1.0)
    }

    fn sampling(endpoint: &str, sample_ratio: f64) -> Self {
        let registry = Registry::new(&service());
        let traces = Traces {
            endpoint: endpoint.to_owned(),
            sample_ratio,
        };
        let started = start(&service(), "node", Some(&traces), &registry).expect("an endpoint");
        let telemetry = Telemetry {
            spans: started.spans,
            lines: None,
        };
        Self {
            exporter: started.exporter.expect("an exporter"),
            ratio: started.ratio.expect("a ratio"),
            dispatch: Dispatch::new(tracing_subscriber::registry().with(telemetry)),
            registry,
        }
    }

    fn end_spans(&self, count: usize) {
        dispatcher::with_default(&self.dispatch, || {
            for _ in 0..count {
                drop(info_span!("step"));
            }
        });
    }

    fn account(&self) -> Account {
        let scrape = Scrape::parse(&self.registry.render());
        let value = |name: &str, error: &str| {
            let labels = [("error_type", error)];
            let value = scrape.value(name, &labels);
            value.unwrap_or_else(|| panic!("no {name}")) as u64
        };
        let (processed, exported) = (
            "otel_sdk_processor_span_processed_total",
            "otel_sdk_exporter_span_exported_total",
        );
        Account {
            ended: value("otel_sdk_span_ended_total", ""),
            full: value(processed, "queue_full"),
            after_shutdown: value(processed, "already_shutdown"),
            waiting: value("otel_sdk_processor_span_queue_size", ""),
            in_flight: value("otel_sdk_exporter_span_inflight", ""),
            confirmed: value(exported, ""),
            rejected: value(exported, "rejected"),
            not_sent: value(exported, "export_failed"),
            timed_out: value(exported, "timeout"),
            unknown: value(exported, "unknown"),
        }
    }

    /// Waits until the account is closed and `condition` holds. It is read while spans move, so not at one moment.
    async fn until(&self, condition: impl Fn(&Account) -> bool) -> Account {
        let began = Instant::now();
        loop {
            let account = self.account();
            if account.is_closed() && condition(&account) {
                return account;
            }
            assert!(began.elapsed() < PATIENCE, "never closed: {account:?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// The account after a shutdown that may take so long.
    async fn shut_down(&self, timeout: Duration) -> Account {
        let exporter = self.exporter.clone();
        let began = Instant::now();
        let ended = tokio::task::spawn_blocking(move || exporter.shutdown(timeout));
        // Whether it was in time is in the account.
        ended.await.expect("no panic");
        assert!(
            began.elapsed() < timeout + Duration::from_secs(10),
            "the shutdown ignored its deadline"
        );
        self.until(|_| true).await
    }
}

/// More than one batch, and no multiple of it.
const SOME: usize = 2 * BATCH + 100;

#[tokio::test]
async fn every_span_is_confirmed_by_a_collector_that_takes_it() {
    let collector = Collector::start(Behaviour::Takes).await;
    let sender = Sender::new(&collector.address);
    sender.end_spans(SOME);
    sender
        .until(|account| account.confirmed == SOME as u64)
        .await;
    sender.end_spans(3);
    let account = sender.shut_down(PATIENCE).await;
    assert_eq!(account.confirmed, (SOME + 3) as u64, "{account:?}");
    assert_eq!((account.waiting, account.in_flight), (0, 0));
    assert_eq!(collector.received(), account.confirmed);
}

#[tokio::test]
async fn a_slow_collector_confirms_late_and_loses_nothing() {
    let collector = Collector::start(Behaviour::TakesAfter(Duration::from_millis(200))).await;
    let sender = Sender::new(&collector.address);
    sender.end_spans(SOME);
    let account = sender.until(|account| account.in_flight > 0).await;
    assert!(account.confirmed < SOME as u64, "{account:?}");
    let account = sender.shut_down(PATIENCE).await;
    assert_eq!(account.confirmed, SOME as u64, "{account:?}");
}

#[tokio::test]
async fn a_partial_success_is_split_into_confirmed_and_rejected() {
    let collector = Collector::start(Behaviour::TakesAllBut(4)).await;
    let sender = Sender::new(&collector.address);
    sender.end_spans(10);
    let account = sender.shut_down(PATIENCE).await;
    assert_eq!((account.confirmed, account.rejected), (6, 4));
    // More than there were cannot have been rejected.
    let collector = Collector::start(Behaviour::TakesAllBut(11)).await;
    let sender = Sender::new(&collector.address);
    sender.end_spans(10);
    let account = sender.shut_down(PATIENCE).await;
    assert_eq!((account.confirmed, account.rejected), (0, 10));
}

#[tokio::test]
async fn what_the_collector_refuses_is_rejected_and_what_may_have_arrived_is_unknown() {
    for (code, rejected, unknown) in [
        (Code::InvalidArgument, 10, 0),
        (Code::ResourceExhausted, 10, 0),
        (Code::Unimplemented, 10, 0),
        (Code::Unavailable, 0, 10),
        (Code::Internal, 0, 10),
    ] {
        let collector = Collector::start(Behaviour::Refuses(code)).await;
        let sender = Sender::new(&collector.address);
        sender.end_spans(10);
        let account = sender.shut_down(PATIENCE).await;
        assert_eq!(
            (account.rejected, account.unknown),
            (rejected, unknown),
            "{code:?}: {account:?}"
        );
    }
}

#[tokio::test]
async fn spans_for_a_collector_that_is_not_there_are_known_to_be_lost() {
    let free = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = format!("http://{}", free.local_addr().expect("bound"));
    drop(free);
    let sender = Sender::new(&address);
    sender.end_spans(SOME);
    let account = sender.shut_down(PATIENCE).await;
    assert_eq!(account.not_sent, SOME as u64, "{account:?}");
}

#[tokio::test]
async fn spans_in_a_black_hole_time_out_and_those_that_find_no_room_are_dropped() {
    // Its backlog takes the connection; nobody ever reads.
    let black_hole = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = format!("http://{}", black_hole.local_addr().expect("bound"));
    let sender = Sender::new(&address);
    let flood = 2 * BOUND;
    sender.end_spans(flood);
    let account = sender.until(|account| account.in_flight > 0).await;
    // One that waited for an export would not have been dropped.
    assert!(
        account.full >= (flood - BOUND - BATCH) as u64 && account.waiting <= BOUND as u64,
        "{account:?}"
    );
    sender.until(|account| account.timed_out > 0).await;
    let account = sender.shut_down(Duration::from_millis(200)).await;
    assert_eq!(account.ended, flood as u64);
    assert_eq!(account.confirmed, 0);
    assert!(account.waiting > 0, "{account:?}");
}

#[tokio::test]
async fn a_queue_that_drops_spans_is_seen_to_be_full() {
    let black_hole = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = format!("http://{}", black_hole.local_addr().expect("bound"));
    let sender = Sender::new(&address);
    sender.end_spans(BATCH);
    sender.until(|account| account.in_flight > 0).await;
    // Filled up at each look: an export that times out makes room.
    let full = |account: &Account| {
        sender.end_spans(BOUND);
        account.full > 0 && account.waiting == BOUND as u64
    };
    sender.until(full).await;
}

#[tokio::test]
async fn spans_of_a_connection_that_breaks_may_have_arrived() {
    let collector = Collector::start(Behaviour::NeverAnswers).await;
    let sender = Sender::new(&collector.address);
    sender.end_spans(10);
    sender.until(|_| collector.received() == 10).await;
    collector.stop.cancel();
    let account = sender.until(|account| account.in_flight == 0).await;
    assert_eq!(account.unknown, 10, "{account:?}");
    assert!(account.confirmed <= collector.received());
    assert!(collector.received() <= account.confirmed + account.unknown);
}

#[tokio::test]
async fn a_span_that_is_not_sampled_is_not_in_the_account() {
    let collector = Collector::start(Behaviour::Takes).await;
    let sender = Sender::sampling(&collector.address, 0.0);
    let shown = |sender: &Sender| {
        Scrape::parse(&sender.registry.render()).value("chitram_trace_sampling_ratio", &[])
    };
    sender.end_spans(10);
    assert_eq!((sender.account().ended, shown(&sender)), (0, Some(0.0)));
    sender.ratio.set("1".parse::<Share>().expect("a share"));
    sender.end_spans(10);
    assert_eq!((sender.ratio.get(), shown(&sender)), (1.0, Some(1.0)));
    let account = sender.shut_down(PATIENCE).await;
    assert_eq!((account.ended, account.confirmed), (10, 10));
}

#[tokio::test]
async fn nobody_looks_at_the_fields_of_a_span_that_is_not_sampled() {
    /// Counts how often it is looked at.
    struct Seen<'a>(&'a AtomicUsize);
    impl std::fmt::Debug for Seen<'_> {
        fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            self.0.fetch_add(1, Ordering::SeqCst);
            Ok(())
        }
    }
    let seen = AtomicUsize::new(0);
    let sender = Sender::sampling("http://127.0.0.1:9", 0.0);
    let span = || {
        dispatcher::with_default(&sender.dispatch, || {
            let span = info_span!("step", early = ?Seen(&seen), late = Empty);
            span.record("late", tracing::field::debug(Seen(&seen)));
        });
    };
    span();
    assert_eq!(seen.load(Ordering::SeqCst), 0);
    sender.ratio.set("1".parse::<Share>().expect("a share"));
    span();
    assert_eq!(seen.load(Ordering::SeqCst), 2);
}
