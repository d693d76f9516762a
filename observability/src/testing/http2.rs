//! An HTTP/2 client that does what no client should: it sends any header fields, and opens no window unless it is told to.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const ACK: u8 = 1;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// One connection.
pub struct Http2 {
    stream: TcpStream,
    next: u32,
}

/// What a server sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// The head of an answer; the status only of a connection's first answer.
    Head(u32, Option<u16>),
    /// Bytes of an answer.
    Data(u32, Vec<u8>),
    /// A stream was cut off.
    Reset(u32),
    /// The connection ends.
    GoAway,
}

impl Http2 {
    /// Connects; the server may send `window` bytes of each answer before it is granted more.
    pub async fn connect(address: SocketAddr, window: u32) -> io::Result<Self> {
        Self::over(TcpStream::connect(address).await?, window).await
    }

    /// Like [`Self::connect`], over a socket with options of its own.
    pub async fn over(mut stream: TcpStream, window: u32) -> io::Result<Self> {
        stream.write_all(PREFACE).await?;
        let mut connection = Self { stream, next: 1 };
        let initial_window = [&[0, 4][..], &window.to_be_bytes()].concat();
        connection.send(SETTINGS, 0, 0, &initial_window).await?;
        Ok(connection)
    }

    /// Sends a request without a body; returns its stream.
    pub async fn request(&mut self, fields: &[(&str, &str)]) -> io::Result<u32> {
        self.head(fields, END_HEADERS | END_STREAM).await
    }

    /// Begins a request with a body, of which [`Self::data`] sends parts; returns its stream.
    pub async fn upload(&mut self, fields: &[(&str, &str)]) -> io::Result<u32> {
        self.head(fields, END_HEADERS).await
    }

    /// Sends a part of a request's body.
    pub async fn data(&mut self, stream: u32, bytes: &[u8]) -> io::Result<()> {
        self.send(DATA, 0, stream, bytes).await
    }

    async fn head(&mut self, fields: &[(&str, &str)], flags: u8) -> io::Result<u32> {
        let mut block = Vec::new();
        for (name, value) in fields {
            // A literal that is not indexed, its name and value as they are.
            block.push(0);
            for text in [name, value] {
                let length = u8::try_from(text.len()).ok().filter(|length| *length < 127);
                block.push(length.ok_or(io::ErrorKind::InvalidInput)?);
                block.extend_from_slice(text.as_bytes());
            }
        }
        let id = self.next;
        self.next += 2;
        self.send(HEADERS, flags, id, &block).await?;
        Ok(id)
    }

    /// Opens the window of a stream, or with 0 of the connection, by so many bytes.
    pub async fn grant(&mut self, stream: u32, bytes: u32) -> io::Result<()> {
        self.send(WINDOW_UPDATE, 0, stream, &bytes.to_be_bytes())
            .await
    }

    /// The next frame that says something. Pings and settings are answered on the way.
    pub async fn frame(&mut self) -> io::Result<Frame> {
        loop {
            let mut head = [0; 9];
            self.stream.read_exact(&mut head).await?;
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
            let (kind, flags) = (head[3], head[4]);
            let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
            let mut body = vec![0; length as usize];
            self.stream.read_exact(&mut body).await?;
            match kind {
                DATA => return Ok(Frame::Data(stream, body)),
                HEADERS => return Ok(Frame::Head(stream, status(&body))),
                RST_STREAM => return Ok(Frame::Reset(stream)),
                GOAWAY => return Ok(Frame::GoAway),
                PING | SETTINGS if flags & ACK == 0 => {
                    let answer = if kind == PING { &body[..] } else { &[] };
                    self.send(kind, ACK, 0, answer).await?;
                }
                _ => {}
            }
        }
    }

    async fn send(&mut self, kind: u8, flags: u8, stream: u32, body: &[u8]) -> io::Result<()> {
        let length = (body.len() as u32).to_be_bytes();
        let mut frame = length[1..].to_vec();
        frame.extend_from_slice(&[kind, flags]);
        frame.extend_from_slice(&stream.to_be_bytes());
        frame.extend_from_slice(body);
        self.stream.write_all(&frame).await
    }
}

/// The status at the begin of a header block: an entry of the static table (RFC 7541 appendix A), or a literal whose name
/// is one.
fn status(block: &[u8]) -> Option<u16> {
    const KNOWN: [u16; 7] = [200, 204, 206, 304, 400, 404, 500];
    match *block {
        [first @ 0x88..=0x8e, ..] => Some(KNOWN[usize::from(first - 0x88)]),
        [0x08 | 0x18 | 0x48, length, ref rest @ ..] => {
            let text = rest.get(..usize::from(length & 0x7f))?;
            if length & 0x80 == 0 {
                std::str::from_utf8(text).ok()?.parse().ok()
            } else {
                Some(digits(text))
            }
        }
        _ => None,
    }
}

/// Three digits in the Huffman code of RFC 7541 appendix B: 0 to 2 have five bits, the others six.
fn digits(text: &[u8]) -> u16 {
    let mut bits = text
        .iter()
        .flat_map(|byte| (0..8).rev().map(move |bit| u16::from(byte >> bit & 1)));
    let mut digit = || {
        let five = (0..5).fold(0, |code, _| code << 1 | bits.next().unwrap_or(1));
        if five < 3 {
            five
        } else {
            (five << 1 | bits.next().unwrap_or(1)) - 0b01_1001 + 3
        }
    };
    (0..3).fold(0, |number, _| number * 10 + digit())
}
