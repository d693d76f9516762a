//! The exporter: a thread with a runtime of its own, so that neither waits for the other, that sends spans to the
//! collector in batches by OTLP over gRPC.
//!
//! Nothing is sent twice: after a broken connection nobody knows what the collector has, and what is not known is counted
//! as that.

use std::error::Error;
use std::io;
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
use opentelemetry_proto::transform::trace::tonic::group_spans_by_resource_and_scope;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SpanData;
use tokio::sync::mpsc;
use tokio::time::{sleep_until, timeout_at};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, ConnectError, Response, Status};
use tracing::{info, warn};

use super::queue::{Account, Fate, Order};

/// Spans in one export at most.
pub(super) const BATCH: usize = 512;
/// A span waits this long at most for its batch to fill.
const BATCH_DELAY: Duration = Duration::from_millis(500);
/// An export that takes longer has failed.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(3);

/// The collector at `http://host:port`. The error says what is wrong with the address.
pub(super) fn endpoint(address: &str) -> Result<Endpoint, String> {
    if !address.starts_with("http://") {
        return Err("it does not begin with http://".to_owned());
    }
    let endpoint = Endpoint::from_shared(address.to_owned()).map_err(|error| error.to_string())?;
    if endpoint.uri().host().is_none_or(str::is_empty) {
        return Err("it names no host".to_owned());
    }
    Ok(endpoint.connect_timeout(EXPORT_TIMEOUT))
}

/// Starts the thread, which ends with the last order, or when `spans` has no sender.
pub(super) fn start(
    endpoint: Endpoint,
    resource: &Resource,
    spans: mpsc::Receiver<SpanData>,
    orders: mpsc::Receiver<Order>,
    account: Account,
) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let resource = ResourceAttributesWithSchema::from(resource);
    let run = async move {
        let exporter = Exporter {
            // Connects with the first export; inside the runtime, of which the connection is a task.
            client: TraceServiceClient::new(endpoint.connect_lazy()),
            resource,
            account,
            failing: false,
        };
        exporter.run(spans, orders).await;
    };
    std::thread::Builder::new()
        .name("span-exporter".to_owned())
        .spawn(move || runtime.block_on(run))?;
    Ok(())
}

struct Exporter {
    client: TraceServiceClient<Channel>,
    resource: ResourceAttributesWithSchema,
    account: Account,
    /// Whether the last export failed: a collector that is gone is worth one line, not one for each batch.
    failing: bool,
}

impl Exporter {
    async fn run(mut self, mut spans: mpsc::Receiver<SpanData>, mut orders: mpsc::Receiver<Order>) {
        let mut batch = Vec::with_capacity(BATCH);
        let mut due = tokio::time::Instant::now();
        loop {
            let (empty, room) = (batch.is_empty(), BATCH - batch.len());
            tokio::select! {
                biased;
                order = orders.recv() => {
                    // The processor is gone without a shutdown: nobody waits for what is left.
                    let Some(order) = order else { return };
                    self.drain(&mut batch, &mut spans, order.deadline).await;
                    // Nobody may wait any longer.
                    let _ = order.done.try_send(());
                    if order.last {
                        return;
                    }
                }
                () = sleep_until(due), if !empty => {
                    self.export(&mut batch, Instant::now() + EXPORT_TIMEOUT).await;
                }
                taken = spans.recv_many(&mut batch, room), if room > 0 => {
                    if taken == 0 {
                        return;
                    }
                    if empty {
                        due = tokio::time::Instant::now() + BATCH_DELAY;
                    }
                    if batch.len() == BATCH {
                        due = tokio::time::Instant::now();
                    }
                }
            }
        }
    }

    /// Sends what waits, until the deadline: what is being sent then counts as lost track of, the rest goes on waiting.
    async fn drain(
        &mut self,
        batch: &mut Vec<SpanData>,
        spans: &mut mpsc::Receiver<SpanData>,
        deadline: Instant,
    ) {
        loop {
            while batch.len() < BATCH {
                match spans.try_recv() {
                    Ok(span) => batch.push(span),
                    Err(_) => break,
                }
            }
            if batch.is_empty() || Instant::now() >= deadline {
                return;
            }
            self.export(batch, deadline).await;
        }
    }

    async fn export(&mut self, batch: &mut Vec<SpanData>, deadline: Instant) {
        let spans = batch.len();
        self.account.sending(spans);
        let batch = std::mem::replace(batch, Vec::with_capacity(BATCH));
        let resource_spans = group_spans_by_resource_and_scope(batch, &self.resource);
        let sending = self
            .client
            .export(ExportTraceServiceRequest { resource_spans });
        let deadline = deadline.min(Instant::now() + EXPORT_TIMEOUT);
        let (fate, reason) = match timeout_at(deadline.into(), sending).await {
            Ok(Ok(answer)) => taken(&answer),
            Ok(Err(status)) => (fate(&status), cause(&status)),
            Err(_) => (Fate::TimedOut, "no answer in time".to_owned()),
        };
        self.account.sent(spans, fate);
        self.tell(fate, &reason);
    }

    /// One line when exports begin to fail, and one when they succeed again.
    fn tell(&mut self, fate: Fate, reason: &str) {
        let failed = fate != Fate::Confirmed { rejected: 0 };
        match (std::mem::replace(&mut self.failing, failed), failed) {
            (false, true) => warn!(error.message = reason, "spans not exported"),
            (true, false) => info!("spans exported again"),
            _ => {}
        }
    }
}

fn taken(answer: &Response<ExportTraceServiceResponse>) -> (Fate, String) {
    let partial = answer.get_ref().partial_success.clone().unwrap_or_default();
    let rejected = u64::try_from(partial.rejected_spans).unwrap_or_default();
    (Fate::Confirmed { rejected }, partial.error_message)
}

/// What an error says about the spans. A code that a collector gives to what it did not take is a refusal, as long as it
/// comes from the collector.
fn fate(status: &Status) -> Fate {
    if source::<ConnectError>(status) {
        return Fate::NotSent;
    }
    match status.code() {
        Code::DeadlineExceeded => Fate::TimedOut,
        Code::InvalidArgument
        | Code::NotFound
        | Code::AlreadyExists
        | Code::PermissionDenied
        | Code::Unauthenticated
        | Code::ResourceExhausted
        | Code::FailedPrecondition
        | Code::OutOfRange
        | Code::Unimplemented
            if status.source().is_none() =>
        {
            Fate::Rejected
        }
        _ => Fate::Unknown,
    }
}

/// Whether an error of this type is among the causes.
fn source<E: Error + 'static>(status: &Status) -> bool {
    let mut cause = status.source();
    while let Some(error) = cause {
        if error.is::<E>() {
            return true;
        }
        cause = error.source();
    }
    false
}

/// The innermost cause, which names the failure and not the call.
fn cause(status: &Status) -> String {
    let mut cause: &dyn Error = status;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    match status.source() {
        Some(_) => cause.to_string(),
        None => format!("{:?}: {}", status.code(), status.message()),
    }
}
