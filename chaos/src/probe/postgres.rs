//! `SSLRequest`: eight bytes that every server answers with one byte, before any user or password.

use std::io;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Length 8, then the request's code 80877103, both big endian.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];

pub(super) async fn exchange(stream: &mut TcpStream) -> io::Result<()> {
    stream.write_all(&SSL_REQUEST).await?;
    match stream.read_u8().await? {
        b'S' | b'N' | b'E' => Ok(()),
        _ => Err(super::silent()),
    }
}
