//! One client's connection through a proxy: dials the upstream, then carries both directions until both have ended.

use std::{io, time::Duration};

use tokio::{
    net::TcpStream,
    sync::{oneshot, watch},
    time::timeout,
};

use super::{
    link::Link,
    toxic::{Direction, Toxics},
};

/// How long the upstream may take to answer, its name to be resolved included.
const DIAL: Duration = Duration::from_secs(5);

/// Runs the connection of `client` to its end. Dropped earlier, both sockets close.
///
/// An upstream that can't be reached closes the client, which was accepted already: so does the real server.
pub(super) async fn run(client: TcpStream, upstream: String, toxics: watch::Receiver<Toxics>) {
    let server = match dial(&upstream).await {
        Ok(server) => server,
        Err(error) => {
            tracing::warn!(%upstream, %error, "the fault proxy can't reach its upstream");
            return;
        }
    };
    if let Err(error) = prepare(&client, &server, toxics.borrow().reset_connections()) {
        tracing::debug!(%upstream, %error, "a connection of the fault proxy ended before it began");
        return;
    }
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let (upstream_ends, upstream_ended) = oneshot::channel();
    let (downstream_ends, downstream_ended) = oneshot::channel();
    let upstream = Link {
        direction: Direction::Upstream,
        source: from_client,
        sink: to_server,
        toxics: toxics.clone(),
        source_closed: downstream_ended,
    };
    let downstream = Link {
        direction: Direction::Downstream,
        source: from_server,
        sink: to_client,
        toxics,
        source_closed: upstream_ended,
    };
    tokio::join!(
        until_ended(upstream, upstream_ends),
        until_ended(downstream, downstream_ends)
    );
}

/// Tells the opposite direction that its source is closed.
async fn until_ended(link: Link, ends: oneshot::Sender<()>) {
    link.run().await;
    drop(ends);
}

async fn dial(upstream: &str) -> io::Result<TcpStream> {
    timeout(DIAL, TcpStream::connect(upstream))
        .await
        .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
}

fn prepare(client: &TcpStream, server: &TcpStream, reset: bool) -> io::Result<()> {
    for socket in [client, server] {
        socket.set_nodelay(true)?;
        if reset {
            socket.set_zero_linger()?;
        }
    }
    Ok(())
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on fails where it stands"
)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn both_sockets_have_nodelay_and_linger_only_under_a_reset() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        for reset in [false, true] {
            let server = dial(&address).await.unwrap();
            let (client, _) = listener.accept().await.unwrap();
            prepare(&client, &server, reset).unwrap();
            for socket in [client, server] {
                assert!(socket.nodelay().unwrap());
                assert_eq!(socket.linger().unwrap(), reset.then_some(Duration::ZERO));
            }
        }
    }
}
