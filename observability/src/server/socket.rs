//! An accepted socket: it tells its connection what the client takes.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::connection::State;

/// Bytes that wait in the kernel before a socket counts as full. The kernel's own bound grows to megabytes, behind which
/// minutes of a slow client's progress are hidden, and which 1,024 clients that don't read would take together.
#[cfg(target_os = "linux")]
const UNSENT: u32 = 64 * 1024;

pub(super) struct Socket {
    stream: TcpStream,
    state: Arc<State>,
}

impl Socket {
    pub(super) fn new(stream: TcpStream, state: Arc<State>) -> Self {
        // Otherwise an answer's last segment waits some 40 ms for the peer's delayed acknowledgement. Both fail only for
        // a connection that is gone already, which its first read will say.
        let _ = stream.set_nodelay(true);
        #[cfg(target_os = "linux")]
        let _ = SockRef::from(&stream).set_tcp_notsent_lowat(UNSENT);
        Self { stream, state }
    }

    fn note(&self, written: &Poll<io::Result<usize>>) {
        match written {
            Poll::Ready(Ok(bytes)) => self.state.took(*bytes),
            Poll::Pending => self.state.blocked(),
            Poll::Ready(Err(_)) => {}
        }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        // A client that was cut off is told so, and the kernel keeps nothing for it.
        if self.state.closing().is_some() && self.state.owes() {
            let _ = SockRef::from(&self.stream).set_linger(Some(Duration::ZERO));
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.note(&written);
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.note(&written);
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "in tests a panic is the answer")]
mod tests {
    use tokio::net::TcpListener;

    use super::super::closed::ClosedMetrics;
    use super::super::connection::Connections;
    use super::*;
    use crate::metrics::Registry;

    #[tokio::test]
    async fn an_accepted_socket_sends_without_delay_and_buffers_little() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let _client = TcpStream::connect(listener.local_addr().unwrap())
            .await
            .unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        let registry = Registry::new(&crate::testing::service());
        let connections = Arc::new(Connections::new(ClosedMetrics::new(&registry, "api")));
        let socket = Socket::new(stream, Arc::clone(&connections.enter().state));
        assert!(socket.stream.nodelay().unwrap());
        #[cfg(target_os = "linux")]
        assert_eq!(
            SockRef::from(&socket.stream).tcp_notsent_lowat().unwrap(),
            UNSENT
        );
    }
}
