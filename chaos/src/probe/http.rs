//! `GET /`: any status is an answer, since a store refuses a request that is not signed and is well all the same.

use std::io;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

pub(super) async fn exchange(stream: &mut TcpStream, address: &str) -> io::Result<()> {
    let request = format!(
        "GET / HTTP/1.1\r\nHost: {address}\r\nUser-Agent: chitram-chaos/{}\r\nConnection: close\r\n\r\n",
        env!("CARGO_PKG_VERSION")
    );
    stream.write_all(request.as_bytes()).await?;
    let mut answer = [0; 5];
    stream.read_exact(&mut answer).await?;
    if &answer == b"HTTP/" {
        Ok(())
    } else {
        Err(super::silent())
    }
}
