//! The accept loop of every listener: hyper's HTTP/1 and HTTP/2 server with the bounds that `axum::serve` cannot set.
//!
//! A connection over the cap is not accepted: it waits in the kernel's backlog until another one ends.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt as _;
use tracing::{debug, info, warn};

use crate::metrics::{Desc, Gauge, Registry};

const CONNECTIONS_LIMIT: Desc = Desc::gauge(
    "chitram_connections_limit",
    "Connections that the listener serves at once, at most.",
    &["listener"],
);
const CONNECTIONS_IN_USE: Desc = Desc::gauge(
    "chitram_connections_in_use",
    "Connections that the listener serves now.",
    &["listener"],
);

/// Pause after a failed accept, which is mostly the process running out of descriptors: without it the loop spins.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// An HTTP/2 peer that does not answer a ping for this long is gone.
const PING_INTERVAL: Duration = Duration::from_secs(20);
const PING_TIMEOUT: Duration = Duration::from_secs(10);
/// Largest sum of a request's header fields in HTTP/2.
const HEADER_BYTES: u32 = 16 * 1024;
/// An HTTP/1 connection's buffer, and with it the largest header.
const BUFFER_BYTES: usize = 64 * 1024;

/// Bounds of one listener.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Value of the metrics' label `listener`: `api`, `admin`.
    pub listener: &'static str,
    /// Connections served at once.
    pub connections: usize,
    /// Time from the connection, or from the end of the request before, to the end of a request's header.
    pub header_read_timeout: Duration,
    /// HTTP/2 requests under way at once on one connection.
    pub h2_streams: u32,
    /// Time given to requests under way when the server stops.
    pub drain: Duration,
}

impl Limits {
    /// 1,024 connections, 10 s for a header, 128 streams, 10 s to drain.
    pub fn new(listener: &'static str) -> Self {
        Self {
            listener,
            connections: 1024,
            header_read_timeout: Duration::from_secs(10),
            h2_streams: 128,
            drain: Duration::from_secs(10),
        }
    }
}

/// Serves `app` until `shutdown`, then lets requests under way finish within [`Limits::drain`] and returns.
///
/// Handlers find the peer in `ConnectInfo<SocketAddr>`.
///
/// # Errors
/// When the listener's own address cannot be read; a failed accept is logged and retried.
pub async fn serve(
    listener: TcpListener,
    app: Router,
    limits: Limits,
    registry: &Registry,
    shutdown: CancellationToken,
) -> io::Result<()> {
    let address = listener.local_addr()?;
    let labels = [("listener", limits.listener)];
    registry
        .gauge(&CONNECTIONS_LIMIT, &labels)
        .set(limits.connections as f64);
    let server = Server {
        app,
        builder: builder(&limits),
        in_use: registry.gauge(&CONNECTIONS_IN_USE, &labels),
        free: Arc::new(Semaphore::new(limits.connections)),
        connections: TaskTracker::new(),
        stop: shutdown.child_token(),
        abort: CancellationToken::new(),
        header_read_timeout: limits.header_read_timeout,
    };
    info!(listener = limits.listener, server.address = %address.ip(), server.port = address.port(), "listening");
    server.accept(&listener).await;
    drop(listener);
    server.drain(limits.listener, limits.drain).await;
    Ok(())
}

struct Server {
    app: Router,
    builder: auto::Builder<TokioExecutor>,
    in_use: Gauge,
    free: Arc<Semaphore>,
    connections: TaskTracker,
    /// No new requests.
    stop: CancellationToken,
    /// No requests at all: the drain's deadline is over.
    abort: CancellationToken,
    header_read_timeout: Duration,
}

impl Server {
    async fn accept(&self, listener: &TcpListener) {
        loop {
            let next = async {
                let permit = self.free.clone().acquire_owned().await;
                (permit, accept(listener).await)
            };
            let (permit, accepted) = tokio::select! {
                biased;
                () = self.stop.cancelled() => return,
                next = next => next,
            };
            match accepted {
                Ok((stream, peer)) => {
                    let connection = self.connection(stream, peer);
                    self.connections.spawn(async move {
                        connection.await;
                        drop(permit);
                    });
                }
                Err(error) => {
                    warn!(error.message = %error, "accept failed");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    /// One connection, from its acceptance to its end.
    fn connection(&self, stream: TcpStream, peer: SocketAddr) -> impl Future<Output = ()> + use<> {
        let (stop, abort, deadline) = (
            self.stop.clone(),
            self.abort.clone(),
            self.header_read_timeout,
        );
        let (app, builder, in_use) = (self.app.clone(), self.builder.clone(), self.in_use.guard());
        async move {
            let _in_use = in_use;
            let asked = Arc::new(AtomicBool::new(false));
            let service = service_fn({
                let asked = asked.clone();
                move |mut request: hyper::Request<Incoming>| {
                    asked.store(true, Ordering::Relaxed);
                    request.extensions_mut().insert(ConnectInfo(peer));
                    app.clone()
                        .oneshot(request.map(axum::body::Body::new) as Request)
                }
            });
            let connection = builder.serve_connection(TokioIo::new(stream), service);
            let mut connection = std::pin::pin!(connection);
            // hyper times an HTTP/1 header, but not the bytes by which it tells HTTP/1 from HTTP/2, nor a client that
            // sends an HTTP/2 preface and then nothing.
            let mut silent = std::pin::pin!(tokio::time::sleep(deadline));
            let mut watching = true;
            let mut stopping = false;
            loop {
                tokio::select! {
                    result = connection.as_mut() => {
                        if let Err(error) = result {
                            debug!(error.message = %error, "connection ended early");
                        }
                        return;
                    }
                    () = abort.cancelled() => return,
                    () = silent.as_mut(), if watching => {
                        if !asked.load(Ordering::Relaxed) {
                            debug!("connection closed: no request in time");
                            return;
                        }
                        watching = false;
                    }
                    () = stop.cancelled(), if !stopping => {
                        stopping = true;
                        connection.as_mut().graceful_shutdown();
                    }
                }
            }
        }
    }

    async fn drain(&self, listener: &'static str, deadline: Duration) {
        self.connections.close();
        if tokio::time::timeout(deadline, self.connections.wait())
            .await
            .is_ok()
        {
            info!(listener, "drained");
            return;
        }
        warn!(
            listener,
            connections = self.connections.len(),
            "drain deadline over, closing connections"
        );
        self.abort.cancel();
        self.connections.wait().await;
    }
}

async fn accept(listener: &TcpListener) -> io::Result<(TcpStream, SocketAddr)> {
    let (stream, peer) = listener.accept().await?;
    // Otherwise an answer's last segment waits some 40 ms for the peer's delayed acknowledgement. It fails only for a
    // connection that is gone already, which its first read will say.
    let _ = stream.set_nodelay(true);
    Ok((stream, peer))
}

fn builder(limits: &Limits) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_read_timeout)
        .max_buf_size(BUFFER_BYTES);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.h2_streams)
        .max_header_list_size(HEADER_BYTES)
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT);
    builder
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "in tests a panic is the answer")]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_accepted_socket_sends_without_delay() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let _client = TcpStream::connect(listener.local_addr().unwrap())
            .await
            .unwrap();
        let (stream, _) = accept(&listener).await.unwrap();
        assert!(stream.nodelay().unwrap());
    }
}
