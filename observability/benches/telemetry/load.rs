//! Load: keep-alive connections that ask for the next answer when they have one.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::Failure;

pub(crate) const CONNECTIONS: usize = 16;

/// Connections to one server, kept from turn to turn.
pub(crate) struct Load {
    runtime: tokio::runtime::Runtime,
    connections: Vec<TcpStream>,
}

impl Load {
    pub(crate) fn connect(address: &str) -> Result<Self, Failure> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let connections = runtime.block_on(async {
            let mut connections = Vec::new();
            for _ in 0..CONNECTIONS {
                let stream = TcpStream::connect(address).await?;
                stream.set_nodelay(true)?;
                connections.push(stream);
            }
            Ok::<_, std::io::Error>(connections)
        })?;
        Ok(Self {
            runtime,
            connections,
        })
    }

    /// Asks `count` times for `path` in all.
    pub(crate) fn run(&mut self, path: &str, count: usize) -> Result<(), Failure> {
        let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n");
        let left = Arc::new(AtomicUsize::new(count));
        let mut tasks = JoinSet::new();
        for stream in self.connections.drain(..) {
            tasks.spawn_on(
                ask(stream, request.clone(), left.clone()),
                self.runtime.handle(),
            );
        }
        self.runtime.block_on(async {
            while let Some(ended) = tasks.join_next().await {
                self.connections.push(ended??);
            }
            Ok::<_, Failure>(())
        })
    }
}

/// Every answer to one request has as many bytes as the first: ids and dates have a fixed length.
async fn ask(
    mut stream: TcpStream,
    request: String,
    left: Arc<AtomicUsize>,
) -> Result<TcpStream, Failure> {
    let mut buffer = vec![0; 16 * 1024];
    let mut length = None;
    let one_less = |left: usize| left.checked_sub(1);
    while left
        .fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less)
        .is_ok()
    {
        stream.write_all(request.as_bytes()).await?;
        let mut read = 0;
        while length.is_none_or(|length| read < length) {
            match stream.read(&mut buffer[read..]).await? {
                0 => return Err("the server closed a connection".into()),
                bytes => read += bytes,
            }
            length = length.or_else(|| complete(&buffer[..read]));
        }
        if !buffer.starts_with(b"HTTP/1.1 200 ") || length != Some(read) {
            let answer = String::from_utf8_lossy(&buffer[..read]);
            return Err(format!("not the answer that was expected: {answer}").into());
        }
    }
    Ok(stream)
}

/// The length of the answer that `bytes` begin with, once its head is there.
fn complete(bytes: &[u8]) -> Option<usize> {
    let text = std::str::from_utf8(bytes).ok()?;
    let head = text.find("\r\n\r\n")? + 4;
    let length = text[..head]
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))?;
    Some(head + length.parse::<usize>().ok()?)
}
