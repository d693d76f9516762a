//! The Toxiproxy stand-in: a TCP fault proxy in process that speaks Toxiproxy 2.12's HTTP API.
//!
//! A client needs one code path; one conformance suite runs against this and the real server
//! (`tests/it/toxiproxy/`). What crashes or wedges the real one is survived here. It knows nothing of what it proxies,
//! nor of who injects the faults.
//!
//! Data flows through, from the inside out: a [`chain`] of [`toxics`] is a state machine without sockets or clocks; a
//! [`link`] drives one chain between two sockets; a [`connection`] is two links; [`listening`] accepts
//! them; a [`proxy`] can be started, stopped and made toxic; the [`collection`] names the proxies; [`api`] answers HTTP.

mod address;
mod api;
mod api_error;
mod chain;
mod collection;
mod connection;
mod json;
mod link;
mod listening;
mod proxy;
mod toxic;
mod toxics;

use std::{io, sync::Arc, time::Duration};

use axum::serve::ListenerExt as _;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use collection::Collection;

/// The version of Toxiproxy whose answers these are.
pub const VERSION: &str = "2.12.0";

/// How long a request to the API may take to finish once the stand-in is told to stop.
const DRAIN: Duration = Duration::from_secs(2);

/// Serves the API until `shutdown`, then closes every proxy and its connections.
pub async fn serve(api: TcpListener, shutdown: CancellationToken) -> io::Result<()> {
    let proxies = Arc::new(Collection::default());
    let api = api.tap_io(|socket| {
        // Refused only on a socket that is gone already.
        let _ = socket.set_nodelay(true);
    });
    let answers = axum::serve(api, api::router(Arc::clone(&proxies)))
        .with_graceful_shutdown(shutdown.clone().cancelled_owned());
    let deadline = async {
        shutdown.cancelled().await;
        tokio::time::sleep(DRAIN).await;
    };
    let ended = tokio::select! {
        ended = answers => ended,
        () = deadline => Ok(()),
    };
    proxies.clear().await;
    ended
}
