//! A collector of spans, as a process of its own: an OTLP receiver that takes all of them.

use std::time::Duration;

use observability::server::{self, Limits};
use observability::{Registry, testing};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use crate::Failure;
use crate::process::{Process, end_with_parent};

pub(crate) const ROLE: &str = "collect";

/// Starts one that answers each export after `delay`.
pub(crate) fn start(delay: Duration) -> Result<Process, Failure> {
    let milliseconds = delay.as_millis().to_string();
    Process::start(ROLE, &[milliseconds], std::process::Stdio::null())
}

struct Sink {
    delay: Duration,
}

#[tonic::async_trait]
impl TraceService for Sink {
    async fn export(
        &self,
        _: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        tokio::time::sleep(self.delay).await;
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

/// The child.
#[tokio::main(flavor = "current_thread")]
pub(crate) async fn run(arguments: &[String]) -> Result<(), Failure> {
    end_with_parent(|| ());
    let milliseconds = arguments.first().ok_or("no delay")?.parse()?;
    let sink = Sink {
        delay: Duration::from_millis(milliseconds),
    };
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    eprintln!("{}", listener.local_addr()?);
    let app = tonic::service::Routes::new(TraceServiceServer::new(sink)).into_axum_router();
    let registry = Registry::new(&testing::service());
    let forever = CancellationToken::new();
    server::serve(listener, app, Limits::new("api"), &registry, forever).await?;
    Ok(())
}
