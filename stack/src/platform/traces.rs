//! The trace store: Jaeger, else its stand-in.

use std::net::SocketAddr;

use super::part::{Part, nothing};
use super::{Context, Take};
use crate::error::Error;
use crate::net;
use crate::server::jaeger;
use crate::standin;
use crate::state::{Kind, Role, Server};

/// Jaeger's version that the stand-in follows.
const STAND_IN_VERSION: &str = "2.13";

/// Where spans go.
pub(super) struct Traces {
    /// OTLP over gRPC, behind any proxy.
    pub otlp: SocketAddr,
}

pub(super) async fn start(
    context: &Context,
    take: Take,
    query_port: u16,
) -> Result<(Part, Traces), Error> {
    if let Some(found) = take.choose(jaeger::find()) {
        let real = jaeger::start(&found, &context.launch(query_port)).await?;
        note(context, Kind::Real, &found.version, &real.query, &real.otlp)?;
        let traces = Traces {
            otlp: net::address_of(&real.otlp).await?,
        };
        let part = real.running.map_or(Ok(Part::Given), |running| {
            Part::process(context, running, nothing)
        })?;
        return Ok((part, traces));
    }
    let query = net::listen(query_port, "--jaeger-port").await?;
    let otlp = net::listen(0, "").await?;
    let address = |listener: &tokio::net::TcpListener| {
        listener
            .local_addr()
            .map_err(|source| Error::io("read a socket's address", source))
    };
    let (query_address, otlp_address) = (address(&query)?, address(&otlp)?);
    let url = |address: SocketAddr| format!("http://{address}");
    note(
        context,
        Kind::StandIn,
        STAND_IN_VERSION,
        &url(query_address),
        &url(otlp_address),
    )?;
    let part = Part::task("the trace store", |shutdown| async move {
        let limits = standin::jaeger::Limits::default();
        standin::jaeger::serve(query, otlp, limits, shutdown)
            .await
            .map_err(|error| error.to_string())
    });
    Ok((part, Traces { otlp: otlp_address }))
}

fn note(
    context: &Context,
    kind: Kind,
    version: &str,
    query: &str,
    otlp: &str,
) -> Result<(), Error> {
    let server = Server {
        role: Role::Traces,
        name: "jaeger".to_owned(),
        kind,
        version: version.to_owned(),
    };
    context.note(server, |endpoints| {
        endpoints.jaeger = Some(query.to_owned());
        endpoints.otlp = Some(otlp.to_owned());
    })
}
