//! The accept loop of every listener: hyper's HTTP/1 and HTTP/2 server with the bounds that `axum::serve` cannot set.
//!
//! At the cap a connection whose client takes nothing, or asks nothing, makes room for the next one; where there is none
//! such, the next one waits in the kernel's backlog until another ends. See docs/adr/0019.

mod answer;
mod closed;
mod connection;
mod current;
mod socket;
mod watch;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper::rt::Executor;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt as _;
use tracing::{debug, info, warn};

use self::answer::AnswerBody;
use self::closed::{ClosedMetrics, Reason};
use self::connection::{Connections, Entered, State, Stream, Turn};
use self::current::{CURRENT, Current};
pub use self::current::{Connection, Held};
use self::socket::Socket;
use crate::declarations::FieldDesc;
use crate::metrics::{Desc, Gauge, Label, Registry};

const CONNECTIONS_LIMIT: Desc = Desc::gauge(
    "chitram_connections_limit",
    "Connections that the listener serves at once, at most; for the next one a stalled or idle one is closed, or it waits in the backlog.",
    &[LISTENER],
);
const CONNECTIONS_IN_USE: Desc = Desc::gauge(
    "chitram_connections_in_use",
    "Connections that the listener serves now.",
    &[LISTENER],
);
/// Which listener: the API's, or that of health and metrics.
pub(crate) const LISTENER: Label = Label::closed("listener", &["api", "admin"]);

/// Every metric of a listener.
pub(crate) const DECLARED: &[&Desc] = &[
    &CONNECTIONS_LIMIT,
    &CONNECTIONS_IN_USE,
    &closed::CLOSED,
    &closed::RESET,
];

/// The fields of a listener's lines.
pub(crate) const FIELDS: &[FieldDesc] = &[
    FieldDesc::keyword("labels.connections"),
    FieldDesc::keyword("labels.listener"),
    FieldDesc::keyword("labels.reason"),
    FieldDesc::keyword("server.address"),
    FieldDesc::long("server.port"),
];

/// Pause after a failed accept, which is mostly the process running out of descriptors: without it the loop spins.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// An HTTP/2 peer that does not answer a ping for this long is gone.
const PING_INTERVAL: Duration = Duration::from_secs(20);
const PING_TIMEOUT: Duration = Duration::from_secs(10);
/// Largest sum of a request's header fields in HTTP/2.
const HEADER_BYTES: u32 = 16 * 1024;
/// An HTTP/1 connection's buffer, and with it the largest header.
const BUFFER_BYTES: usize = 64 * 1024;
/// How long a connection that waits for a place waits before the next one is closed to make room.
const EVICTION_PAUSE: Duration = Duration::from_millis(50);

/// Bounds of one listener.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Value of the metrics' label `listener`: `api`, `admin`.
    pub listener: &'static str,
    /// Connections served at once.
    pub connections: usize,
    /// Time from the connection, or from the end of the request before, to the end of a request's header.
    pub header_read_timeout: Duration,
    /// Time without a request after which a connection is closed; for HTTP/1 the header's time comes first.
    pub idle: Duration,
    /// The period over which a client must take its answer at [`Self::send_rate`]; one that takes nothing for as long is
    /// cut off too.
    pub send_timeout: Duration,
    /// The least rate in bytes a second.
    pub send_rate: u64,
    /// HTTP/2 requests under way at once on one connection.
    pub h2_streams: u32,
    /// Time given to requests under way when the server stops.
    pub drain: Duration,
}

impl Limits {
    /// 1,024 connections, 10 s for a header, 60 s idle, at least 1 KiB/s over each 30 s of an answer, 128 streams, 10 s to
    /// drain.
    pub fn new(listener: &'static str) -> Self {
        Self {
            listener,
            connections: 1024,
            header_read_timeout: Duration::from_secs(10),
            idle: Duration::from_mins(1),
            send_timeout: Duration::from_secs(30),
            send_rate: 1024,
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
    let closed = ClosedMetrics::new(registry, limits.listener);
    let server = Server {
        app,
        in_use: registry.gauge(&CONNECTIONS_IN_USE, &labels),
        free: Arc::new(Semaphore::new(limits.connections)),
        connections: Arc::new(Connections::new(closed)),
        tasks: TaskTracker::new(),
        stop: shutdown.child_token(),
        abort: CancellationToken::new(),
        limits,
    };
    let limits = &server.limits;
    info!(listener = limits.listener, server.address = %address.ip(), server.port = address.port(), "listening");
    let watching = watch::watch(Arc::clone(&server.connections), limits.clone());
    let serving = async {
        server.accept(&listener).await;
        drop(listener);
        server.drain(limits.listener, limits.drain).await;
    };
    tokio::select! {
        () = serving => {}
        () = watching => {}
    }
    Ok(())
}

struct Server {
    app: Router,
    limits: Limits,
    in_use: Gauge,
    free: Arc<Semaphore>,
    connections: Arc<Connections>,
    tasks: TaskTracker,
    /// No new requests.
    stop: CancellationToken,
    /// No requests at all: the drain's deadline is over.
    abort: CancellationToken,
}

impl Server {
    async fn accept(&self, listener: &TcpListener) {
        loop {
            let next = async {
                match listener.accept().await {
                    Ok((stream, peer)) => Ok((stream, peer, self.place().await)),
                    Err(error) => Err(error),
                }
            };
            let accepted = tokio::select! {
                biased;
                () = self.stop.cancelled() => return,
                next = next => next,
            };
            match accepted {
                Ok((stream, peer, place)) => {
                    let connection = self.connection(stream, peer);
                    self.tasks.spawn(async move {
                        connection.await;
                        drop(place);
                    });
                }
                Err(error) => {
                    warn!(error.message = %error, "accept failed");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    /// A place for one more connection. At the cap it is taken from a client that makes no use of it; `None` never comes: the
    /// semaphore is not closed.
    async fn place(&self) -> Option<OwnedSemaphorePermit> {
        loop {
            if let Ok(place) = self.free.clone().try_acquire_owned() {
                return Some(place);
            }
            self.connections.evict();
            let free = self.free.clone().acquire_owned();
            if let Ok(place) = tokio::time::timeout(EVICTION_PAUSE, free).await {
                return place.ok();
            }
        }
    }

    /// One connection, from its acceptance to its end.
    fn connection(&self, stream: TcpStream, peer: SocketAddr) -> impl Future<Output = ()> + use<> {
        let entered = self.connections.enter();
        let current = Current {
            state: Arc::clone(&entered.state),
            stream: None,
        };
        let served = Served {
            app: self.app.clone(),
            builder: builder(&self.limits, Streams(Arc::clone(&entered.state))),
            stop: self.stop.clone(),
            abort: self.abort.clone(),
            entered,
            peer,
        };
        let in_use = self.in_use.guard();
        async move {
            CURRENT.scope(current, served.run(stream)).await;
            drop(in_use);
        }
    }

    async fn drain(&self, listener: &'static str, deadline: Duration) {
        self.tasks.close();
        if tokio::time::timeout(deadline, self.tasks.wait())
            .await
            .is_ok()
        {
            info!(listener, "drained");
            return;
        }
        warn!(
            listener,
            connections = self.tasks.len(),
            "drain deadline over, closing connections"
        );
        self.abort.cancel();
        self.tasks.wait().await;
    }
}

/// What one connection's task needs.
struct Served {
    app: Router,
    builder: auto::Builder<Streams>,
    stop: CancellationToken,
    abort: CancellationToken,
    entered: Entered,
    peer: SocketAddr,
}

impl Served {
    async fn run(self, stream: TcpStream) {
        let Self {
            app,
            builder,
            stop,
            abort,
            entered,
            peer,
        } = self;
        let state = &entered.state;
        let service = service_fn(|mut request: hyper::Request<Incoming>| {
            request.extensions_mut().insert(ConnectInfo(peer));
            answer(app.clone(), state.begin(), request)
        });
        let socket = TokioIo::new(Socket::new(stream, Arc::clone(state)));
        let mut connection = std::pin::pin!(builder.serve_connection(socket, service));
        let mut stopping = false;
        loop {
            tokio::select! {
                result = connection.as_mut() => {
                    if let Err(error) = result {
                        ended_early(state, &*error);
                    }
                    return;
                }
                () = abort.cancelled() => return,
                () = state.told.notified() => {
                    debug!(reason = ?state.closing(), "connection closed");
                    let Some(goodbye) = state.closing().and_then(Reason::goodbye) else {
                        return;
                    };
                    stopping = true;
                    connection.as_mut().graceful_shutdown();
                    let ended = tokio::time::timeout(goodbye, connection.as_mut()).await;
                    if ended.is_ok() || !state.goes_on() {
                        return;
                    }
                }
                () = stop.cancelled(), if !stopping => {
                    stopping = true;
                    connection.as_mut().graceful_shutdown();
                }
            }
        }
    }
}

/// Passes a request to the app; its turn lasts until the last byte of the answer.
async fn answer(
    app: Router,
    mut turn: Turn,
    request: hyper::Request<Incoming>,
) -> Result<axum::http::Response<AnswerBody>, std::convert::Infallible> {
    // HTTP/1 is served by the connection's own task, HTTP/2 by one for each stream.
    turn.stream = CURRENT
        .try_with(|current| current.stream.clone())
        .ok()
        .flatten();
    let request: Request = request.map(axum::body::Body::new);
    let response = app.oneshot(request).await?;
    Ok(response.map(|body| AnswerBody::new(body, turn)))
}

fn ended_early(state: &State, error: &(dyn std::error::Error + Send + Sync + 'static)) {
    debug!(error.message = %error, "connection ended early");
    let late = error
        .downcast_ref::<hyper::Error>()
        .is_some_and(hyper::Error::is_timeout);
    if late {
        state.close(if state.has_asked() {
            Reason::Idle
        } else {
            Reason::NoRequest
        });
    }
}

/// Runs each HTTP/2 stream as a task of its own, which the watcher can end without its connection.
#[derive(Clone)]
struct Streams(Arc<State>);

impl<F> Executor<F> for Streams
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, future: F) {
        let stream = Arc::new(Stream::new());
        let current = Current {
            state: Arc::clone(&self.0),
            stream: Some(Arc::clone(&stream)),
        };
        // Before it runs: its end takes it out again.
        self.0.add_stream(Arc::clone(&stream));
        let task = tokio::spawn(CURRENT.scope(current, future));
        let _ = stream.task.set(task.abort_handle());
    }
}

fn builder(limits: &Limits, streams: Streams) -> auto::Builder<Streams> {
    let mut builder = auto::Builder::new(streams);
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
