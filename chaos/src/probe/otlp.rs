//! An empty export of traces over gRPC. Written as HTTP/2 frames by hand: the exchange is three frames long, and a client
//! library would keep a connection open that the next probe must not reuse.

use std::io;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const PATH: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const STREAM: u32 = 1;
/// An uncompressed gRPC message of no bytes.
const EMPTY_MESSAGE: [u8; 5] = [0; 5];
/// Largest frame that a server may send to a client that has not allowed more.
const MAX_FRAME: usize = 16_384;

pub(super) async fn exchange(stream: &mut TcpStream) -> io::Result<()> {
    let mut request = PREFACE.to_vec();
    request.extend(frame(SETTINGS, 0, 0, &[]));
    request.extend(frame(HEADERS, END_HEADERS, STREAM, &headers()));
    request.extend(frame(DATA, END_STREAM, STREAM, &EMPTY_MESSAGE));
    stream.write_all(&request).await?;
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head).await?;
        let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
        let on_stream = u32::from_be_bytes([head[5] & 0x7f, head[6], head[7], head[8]]);
        if length > MAX_FRAME {
            return Err(super::silent());
        }
        // The server's settings come at once; only an answer on the request's own stream is one of the collector.
        if head[3] == HEADERS && on_stream == STREAM {
            return Ok(());
        }
        stream.read_exact(&mut vec![0; length]).await?;
    }
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut frame = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// The request's headers in HPACK: two from the static table, the others as literals that are not indexed.
fn headers() -> Vec<u8> {
    /// Indexed fields of the static table: `:method: POST` and `:scheme: http`.
    const METHOD_AND_SCHEME: [u8; 2] = [0x83, 0x86];
    let mut block = METHOD_AND_SCHEME.to_vec();
    let fields = [
        (":path", PATH),
        (":authority", "collector"),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
    ];
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            // Every text is shorter than 127 bytes, so its length is one byte.
            block.push(text.len() as u8);
            block.extend(text.as_bytes());
        }
    }
    block
}
