//! One direction of a connection: reads the source, drives the chain, writes the sink. All waiting is in one place, so
//! a change of toxics interrupts any of it.
//!
//! There is no half-close, as with the real server: the end of one direction closes its sink altogether, which ends
//! the other direction's source.

use std::{future::pending, io};

use bytes::{Buf as _, Bytes, BytesMut};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::tcp::{OwnedReadHalf, OwnedWriteHalf},
    sync::{oneshot, watch},
    time::{Instant, sleep_until},
};

use super::{
    chain::Chain,
    toxic::{Direction, Toxics},
};

/// One read takes at most this.
const BLOCK: usize = 64 << 10;

/// A block with less room than this is left to the chunks in it. Below it, reads would become small.
const LEAST_ROOM: usize = 16 << 10;

/// One direction between two sockets that its opposite shares.
pub(super) struct Link {
    pub(super) direction: Direction,
    pub(super) source: OwnedReadHalf,
    pub(super) sink: OwnedWriteHalf,
    pub(super) toxics: watch::Receiver<Toxics>,
    /// Resolves when the opposite direction has closed our source.
    pub(super) source_closed: oneshot::Receiver<()>,
}

impl Link {
    /// Carries bytes until the stream ends, a toxic ends it, or a socket fails; then lets go of both sockets.
    pub(super) async fn run(self) {
        let Self {
            direction,
            source,
            sink,
            mut toxics,
            mut source_closed,
        } = self;
        let mut chain = Chain::new(toxics.borrow_and_update().along(direction), Instant::now());
        let mut source = Some(source);
        let mut sink = Sink(Some(sink));
        let mut block = BytesMut::with_capacity(BLOCK);
        let mut leaving = Bytes::new();
        loop {
            let wake = chain.advance(Instant::now());
            if leaving.is_empty() {
                leaving = chain.pop().unwrap_or_default();
            }
            if leaving.is_empty() && chain.is_finished() {
                return;
            }
            make_room(&mut block);
            tokio::select! {
                biased;
                changed = toxics.changed() => match changed {
                    Ok(()) => chain.sync(toxics.borrow_and_update().along(direction), Instant::now()),
                    Err(_) => return, // The proxy is gone.
                },
                _ = &mut source_closed, if source.is_some() => {
                    source = None;
                    chain.end();
                }
                written = sink.write(&leaving), if !leaving.is_empty() => match written {
                    Ok(written) if written > 0 => leaving.advance(written),
                    _ => return,
                },
                read = read(&mut source, &mut block), if chain.wants_data(leaving.len()) => match read {
                    Ok(length) if length > 0 => chain.push(block.split().freeze(), Instant::now()),
                    _ => chain.end(),
                },
                () = until(wake) => {}
            }
        }
    }
}

/// Gives the next read a whole block where no chunk uses it any more, else what is left of it, else a new one.
fn make_room(block: &mut BytesMut) {
    if !block.try_reclaim(BLOCK) && block.capacity() < LEAST_ROOM {
        block.reserve(BLOCK);
    }
}

async fn read(source: &mut Option<OwnedReadHalf>, block: &mut BytesMut) -> io::Result<usize> {
    match source {
        Some(half) => half.read_buf(block).await,
        None => pending().await,
    }
}

async fn until(wake: Option<Instant>) {
    match wake {
        Some(at) => sleep_until(at).await,
        None => pending().await,
    }
}

/// The writing half of a socket. Dropped, it leaves closing to the other half: a shutdown of its own would put a FIN
/// before the RST.
struct Sink(Option<OwnedWriteHalf>);

impl Sink {
    async fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        match &mut self.0 {
            Some(half) => half.write(data).await,
            None => pending().await,
        }
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        if let Some(half) = self.0.take() {
            half.forget();
        }
    }
}
