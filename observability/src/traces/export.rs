//! The exporter: a thread with a runtime of its own, so that neither waits for the other, that sends spans to the
//! collector in batches by OTLP over gRPC.
//!
//! Nothing is sent twice: after a broken connection nobody knows what the collector has, and what is not known is counted
//! as that.

use std::error::Error;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use opentelemetry::KeyValue;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::resource::v1::Resource as Sender;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans};
use opentelemetry_proto::transform::common::tonic::Attributes;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SpanData;
use tokio::sync::mpsc;
use tokio::time::timeout_at;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, ConnectError, Response, Status};
use tracing::{info, warn};

use super::otlp;
use super::queue::{Account, Fate, Order, Queue};

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

/// Starts the thread, which ends with its order, or when `orders` has no sender.
pub(super) fn start(
    endpoint: Endpoint,
    resource: &Resource,
    queue: Arc<Queue>,
    orders: mpsc::Receiver<Order>,
    account: Account,
) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let attributes = resource
        .iter()
        .map(|(key, value)| KeyValue::new(key.clone(), value.clone()));
    let sender = Sender {
        attributes: Attributes::from(attributes).0,
        ..Sender::default()
    };
    let schema_url = resource.schema_url().unwrap_or_default().to_owned();
    let run = async move {
        let exporter = Exporter {
            // Connects with the first export; inside the runtime, of which the connection is a task.
            client: TraceServiceClient::new(endpoint.connect_lazy()),
            resource: sender,
            schema_url,
            queue,
            account,
            failing: false,
        };
        exporter.run(orders).await;
    };
    std::thread::Builder::new()
        .name("span-exporter".to_owned())
        .spawn(move || runtime.block_on(run))?;
    Ok(())
}

struct Exporter {
    client: TraceServiceClient<Channel>,
    resource: Sender,
    schema_url: String,
    queue: Arc<Queue>,
    account: Account,
    /// Whether the last export failed: a collector that is gone is worth one line, not one for each batch.
    failing: bool,
}

impl Exporter {
    async fn run(mut self, mut orders: mpsc::Receiver<Order>) {
        loop {
            tokio::select! {
                biased;
                order = orders.recv() => {
                    // The processor is gone without a shutdown: nobody waits for what is left.
                    let Some(order) = order else { return };
                    self.drain(order.deadline).await;
                    self.queue.close();
                    // Nobody may wait any longer.
                    let _ = order.done.try_send(());
                    return;
                }
                () = due(&self.queue) => {
                    self.export(Instant::now() + EXPORT_TIMEOUT).await;
                }
            }
        }
    }

    /// Sends what waits, until the deadline: what is being sent then counts as lost track of, the rest goes on waiting.
    async fn drain(&mut self, deadline: Instant) {
        while self.queue.len() > 0 && Instant::now() < deadline {
            self.export(deadline).await;
        }
    }

    /// Sends a batch.
    async fn export(&mut self, deadline: Instant) {
        let batch = self.queue.take();
        let spans = batch.len();
        let request = self.request(batch);
        let sending = self.client.export(request);
        let deadline = deadline.min(Instant::now() + EXPORT_TIMEOUT);
        let (fate, reason) = match timeout_at(deadline.into(), sending).await {
            Ok(Ok(answer)) => taken(&answer),
            Ok(Err(status)) => (fate(&status), cause(&status)),
            Err(_) => (Fate::TimedOut, "no answer in time".to_owned()),
        };
        self.account.sent(spans, fate);
        self.tell(fate, &reason);
    }

    /// All spans of a process have one resource and one scope.
    fn request(&self, batch: Vec<SpanData>) -> ExportTraceServiceRequest {
        let scope = batch
            .first()
            .map(|span| (&span.instrumentation_scope, None).into());
        let scope_spans = ScopeSpans {
            scope,
            spans: batch.into_iter().map(otlp::span).collect(),
            schema_url: String::new(),
        };
        let resource = ResourceSpans {
            resource: Some(self.resource.clone()),
            scope_spans: vec![scope_spans],
            schema_url: self.schema_url.clone(),
        };
        ExportTraceServiceRequest {
            resource_spans: vec![resource],
        }
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

/// Waits until a batch is full, or its first span has waited for long enough.
async fn due(queue: &Queue) {
    while queue.len() == 0 {
        queue.more().await;
    }
    let full = async {
        while queue.len() < BATCH {
            queue.more().await;
        }
    };
    let _ = tokio::time::timeout(BATCH_DELAY, full).await;
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
