//! The Jaeger stand-in: OTLP over gRPC in, Jaeger's query API out, everything in memory.
//!
//! It answers in the shape of Jaeger 2.13 so that a client needs one code path; one conformance suite runs against both.
//! What crashes or blinds the real server (an all-zero trace id, a NaN attribute) is survived here. It knows nothing of
//! who sends the spans.
//!
//! Data flows one way: [`receive`] takes requests, [`convert`] turns spans into the [`model`], [`store`] keeps them
//! within bounds, [`search`] finds them, [`json`] and [`api`] answer.

mod api;
mod convert;
mod json;
mod model;
mod receive;
mod search;
mod store;

use std::{io, sync::Arc, time::Duration};

use axum::serve::ListenerExt as _;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::transport::server::TcpIncoming;

pub use store::Limits;
use store::Store;

/// The version of Jaeger whose answers these are.
pub const VERSION: &str = "2.13.0";

/// How long a connection may take to finish once the stand-in is told to stop.
const DRAIN: Duration = Duration::from_secs(2);

/// Serves until `shutdown`, then closes both listeners.
///
/// `query` answers `/api/...` over HTTP/1.1 and h2c, `otlp` takes `TraceService/Export` over gRPC.
pub async fn serve(
    query: TcpListener,
    otlp: TcpListener,
    limits: Limits,
    shutdown: CancellationToken,
) -> io::Result<()> {
    let store = Arc::new(Store::new(limits));
    let collector = receive::server(store.clone()).serve_with_incoming_shutdown(
        TcpIncoming::from(otlp).with_nodelay(Some(true)),
        shutdown.clone().cancelled_owned(),
    );
    let query = query.tap_io(|socket| {
        // Refused only on a socket that is gone already.
        let _ = socket.set_nodelay(true);
    });
    let answers = axum::serve(query, api::router(store))
        .with_graceful_shutdown(shutdown.clone().cancelled_owned());

    let both = async {
        tokio::try_join!(async { collector.await.map_err(io::Error::other) }, async {
            answers.await
        })
    };
    let deadline = async {
        shutdown.cancelled().await;
        tokio::time::sleep(DRAIN).await;
    };
    tokio::select! {
        ended = both => ended.map(|_| ()),
        () = deadline => Ok(()),
    }
}
