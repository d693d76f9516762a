//! An enabled proxy: accepts clients and keeps their connections.

use std::time::Duration;

use tokio::{
    net::TcpListener,
    sync::watch,
    task::{JoinHandle, JoinSet},
    time::sleep,
};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{connection, toxic::Toxics};

/// Connections of one proxy at a time. More wait in the listener's backlog.
const MAX_CONNECTIONS: usize = 1024;

/// How long accepting pauses after it failed, mostly for want of file descriptors.
const PAUSE: Duration = Duration::from_millis(100);

/// The accept loop of a proxy. Dropped, it closes the listener and every connection.
pub(super) struct Listening {
    stop: DropGuard,
    accepting: JoinHandle<()>,
}

impl Listening {
    /// Accepts on `listener`, and dials `upstream` for each client.
    pub(super) fn start(
        listener: TcpListener,
        upstream: String,
        toxics: watch::Receiver<Toxics>,
    ) -> Self {
        let stop = CancellationToken::new();
        let accepting = tokio::spawn(accept(listener, upstream, toxics, stop.clone()));
        Self {
            stop: stop.drop_guard(),
            accepting,
        }
    }

    /// Closes the listener and every connection; all are closed when it returns.
    pub(super) async fn stop(self) {
        drop(self.stop);
        // An error would be a panic of the loop, whose sockets are closed by then too.
        let _ = self.accepting.await;
    }
}

async fn accept(
    listener: TcpListener,
    upstream: String,
    toxics: watch::Receiver<Toxics>,
    stop: CancellationToken,
) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept(), if connections.len() < MAX_CONNECTIONS => match accepted {
                Ok((client, _)) => {
                    connections.spawn(connection::run(client, upstream.clone(), toxics.clone()));
                }
                Err(error) => {
                    tracing::warn!(%upstream, %error, "the fault proxy can't accept a connection");
                    tokio::select! {
                        () = stop.cancelled() => break,
                        () = sleep(PAUSE) => {}
                    }
                }
            },
        }
    }
    drop(listener);
    connections.shutdown().await;
}
