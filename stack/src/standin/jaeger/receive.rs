//! The OTLP receiver: `TraceService/Export` over gRPC.

use std::{sync::Arc, time::Duration};

use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
    trace_service_server::{TraceService, TraceServiceServer},
};
use tonic::{Request, Response, Status, transport::Server, transport::server::Router};

use super::{convert, store::Store};

/// Largest request taken, in bytes: what the collector's receiver takes by default.
const MAX_REQUEST: usize = 4 << 20;
/// Requests of one connection worked on at the same time.
const CONCURRENCY: usize = 32;
/// How long one request may take.
const DEADLINE: Duration = Duration::from_secs(10);

/// A gRPC server that fills `store`, ready to be given a listener.
pub(super) fn server(store: Arc<Store>) -> Router {
    Server::builder()
        .concurrency_limit_per_connection(CONCURRENCY)
        .max_concurrent_streams(CONCURRENCY as u32)
        .timeout(DEADLINE)
        .add_service(
            TraceServiceServer::new(Receiver { store }).max_decoding_message_size(MAX_REQUEST),
        )
}

struct Receiver {
    store: Arc<Store>,
}

#[tonic::async_trait]
impl TraceService for Receiver {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let (spans, unusable) = convert::spans(request.into_inner());
        let came = spans.len();
        let kept = self.store.insert(spans);
        let rejected = came - kept + unusable;
        let partial_success = (rejected > 0).then(|| ExportTracePartialSuccess {
            rejected_spans: rejected as i64,
            error_message: "spans without ids, or beyond the bounds of the store".to_owned(),
        });
        Ok(Response::new(ExportTraceServiceResponse {
            partial_success,
        }))
    }
}
