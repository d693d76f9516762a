//! The two ends between which a proxy stands: clients, and servers that echo, listen, talk or do nothing.

use std::{
    io,
    net::SocketAddr,
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    time::timeout,
};

/// Longer than anything here takes on a loaded machine.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// A connection, seen from either end. Every wait ends after [`PATIENCE`].
pub(super) struct Peer(pub(super) TcpStream);

impl Peer {
    pub(super) async fn connect(address: SocketAddr) -> Self {
        let stream = timeout(PATIENCE, TcpStream::connect(address))
            .await
            .unwrap()
            .unwrap();
        stream.set_nodelay(true).unwrap();
        Self(stream)
    }

    pub(super) async fn send(&mut self, data: &[u8]) {
        timeout(PATIENCE, self.0.write_all(data))
            .await
            .unwrap()
            .unwrap();
    }

    /// Reads exactly these bytes.
    pub(super) async fn expect(&mut self, data: &[u8]) {
        let mut found = vec![0; data.len()];
        timeout(PATIENCE, self.0.read_exact(&mut found))
            .await
            .expect("nothing comes")
            .unwrap();
        assert!(found == data, "other bytes than were sent");
    }

    /// Sends, and returns how long the echo took.
    pub(super) async fn echo(&mut self, data: &[u8]) -> Duration {
        let start = Instant::now();
        self.send(data).await;
        self.expect(data).await;
        start.elapsed()
    }

    /// Reads to the end of the connection: its bytes, and how it ended.
    pub(super) async fn rest(&mut self) -> (Vec<u8>, io::Result<()>) {
        let mut rest = Vec::new();
        let end = timeout(PATIENCE, self.0.read_to_end(&mut rest))
            .await
            .expect("the connection stays open");
        (rest, end.map(drop))
    }

    /// Waits for the end of a connection on which nothing more comes, whether by FIN or RST.
    pub(super) async fn expect_end(&mut self) {
        assert_eq!(self.rest().await.0, b"");
    }

    pub(super) async fn expect_fin(&mut self) {
        let (rest, end) = self.rest().await;
        assert!(rest.is_empty() && end.is_ok(), "{rest:?} {end:?}");
    }

    pub(super) async fn expect_reset(&mut self) {
        let (rest, end) = self.rest().await;
        let ended = end.map_err(|error| error.kind());
        assert_eq!(
            (rest, ended),
            (Vec::new(), Err(io::ErrorKind::ConnectionReset))
        );
    }

    /// Sends until nothing more is taken for a second, or `limit` bytes were; returns how many.
    pub(super) async fn stuff(&mut self, limit: usize) -> usize {
        let block = vec![0; 1 << 20];
        let mut taken = 0;
        while taken < limit
            && let Ok(ready) = timeout(Duration::from_secs(1), self.0.writable()).await
        {
            ready.unwrap();
            match self.0.try_write(&block) {
                Ok(count) => taken += count,
                Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock, "{error}"),
            }
        }
        taken
    }

    /// Whether nothing comes for that long: neither bytes nor the end.
    pub(super) async fn is_silent(&mut self, time: Duration) -> bool {
        timeout(time, self.0.read_u8()).await.is_err()
    }
}

/// Whether connections to that address are refused.
pub(super) async fn refuses(address: SocketAddr) -> bool {
    let attempt = timeout(PATIENCE, TcpStream::connect(address))
        .await
        .unwrap();
    attempt.is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
}

/// A server that sends back all it receives.
pub(super) async fn echo_server() -> SocketAddr {
    let (address, mut clients) = server().await;
    tokio::spawn(async move {
        while let Some(Peer(stream)) = clients.recv().await {
            tokio::spawn(async move {
                let (mut reader, mut writer) = stream.into_split();
                tokio::io::copy(&mut reader, &mut writer).await
            });
        }
    });
    address
}

/// A server that hands each connection to the test.
pub(super) async fn server() -> (SocketAddr, mpsc::Receiver<Peer>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (accepted, clients) = mpsc::channel(1024);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            stream.set_nodelay(true).unwrap();
            if accepted.send(Peer(stream)).await.is_err() {
                return;
            }
        }
    });
    (address, clients)
}

/// A client and a server with the proxy between them.
pub(super) async fn pair(proxy: SocketAddr, clients: &mut mpsc::Receiver<Peer>) -> (Peer, Peer) {
    let client = Peer::connect(proxy).await;
    let server = timeout(PATIENCE, clients.recv())
        .await
        .expect("the proxy does not dial")
        .unwrap();
    (client, server)
}
