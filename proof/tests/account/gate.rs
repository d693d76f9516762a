//! What stands between two servers: it forwards, or not.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

/// What it does with bytes, in connections that are open, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Way {
    /// Forwards both ways.
    Open = 0,
    /// Forwards what is asked, and swallows what is answered.
    Mute = 1,
    /// Swallows everything.
    Hole = 2,
}

/// A listener in front of an address.
#[derive(Debug)]
pub(crate) struct Gate {
    pub(crate) address: SocketAddr,
    way: Arc<AtomicU8>,
}

impl Gate {
    /// In front of `http://host:port`.
    pub(crate) async fn before(url: &str) -> Self {
        let upstream: SocketAddr = url.trim_start_matches("http://").parse().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let way = Arc::new(AtomicU8::new(Way::Open as u8));
        let shared = way.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let way = shared.clone();
                tokio::spawn(async move {
                    let Ok(server) = TcpStream::connect(upstream).await else {
                        return;
                    };
                    let (from_client, to_client) = client.into_split();
                    let (from_server, to_server) = server.into_split();
                    tokio::spawn(copy(from_client, to_server, way.clone(), Way::Mute));
                    copy(from_server, to_client, way, Way::Open).await;
                });
            }
        });
        Self { address, way }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn set(&self, way: Way) {
        self.way.store(way as u8, Ordering::SeqCst);
    }
}

/// Forwards as long as the way is not beyond `last`.
async fn copy(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, way: Arc<AtomicU8>, last: Way) {
    let mut bytes = vec![0; 64 * 1024];
    loop {
        match from.read(&mut bytes).await {
            Ok(read) if read > 0 => {
                if way.load(Ordering::SeqCst) <= last as u8
                    && to.write_all(&bytes[..read]).await.is_err()
                {
                    return;
                }
            }
            _ => return,
        }
    }
}
