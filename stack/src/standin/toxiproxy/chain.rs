//! The toxics of one direction of one connection, in a row. A state machine: bytes and times go in, bytes and the time
//! to look again come out. It knows no socket and never waits, so a test needs neither.
//!
//! Queue `i` feeds stage `i`, which lets chunks through to queue `i + 1`; the last queue is what may leave:
//!
//! ```text
//! push -> queue 0 -> stage 0 -> queue 1 -> stage 1 -> queue 2 -> pop
//! ```
//!
//! Without toxics there is one queue, and bytes pass straight through.

use std::{collections::VecDeque, sync::Arc};

use bytes::Bytes;
use tokio::time::Instant;

use super::{
    toxic::Toxic,
    toxics::{Flow, Step},
};

/// What one direction of one connection may hold back before its sender has to wait (the real server: 1024 chunks of
/// at most 32 KiB for each latency toxic).
const CAPACITY: usize = 8 << 20;

/// What a chunk costs beside its bytes, so that many small chunks are bounded too.
const CHUNK_COST: usize = 64;

/// Bytes that were read at once, and when they arrived at the queue they are in.
#[derive(Debug)]
pub(super) struct Chunk {
    pub(super) data: Bytes,
    pub(super) at: Instant,
}

/// Chunks in order of arrival, and whether the stream ends after them.
#[derive(Debug, Default)]
pub(super) struct Queue {
    chunks: VecDeque<Chunk>,
    cost: usize,
    ended: bool,
}

impl Queue {
    pub(super) fn front(&self) -> Option<&Chunk> {
        self.chunks.front()
    }

    pub(super) fn pop(&mut self) -> Option<Chunk> {
        let chunk = self.chunks.pop_front()?;
        self.cost -= chunk.data.len() + CHUNK_COST;
        Some(chunk)
    }

    pub(super) fn push(&mut self, chunk: Chunk) {
        self.cost += chunk.data.len() + CHUNK_COST;
        self.chunks.push_back(chunk);
    }

    pub(super) fn end(&mut self) {
        self.ended = true;
    }

    /// Whether nothing more will come out of it.
    pub(super) fn is_finished(&self) -> bool {
        self.ended && self.chunks.is_empty()
    }

    fn append(&mut self, mut later: Queue) {
        self.chunks.append(&mut later.chunks);
        self.cost += later.cost;
        self.ended |= later.ended;
    }
}

/// One toxic in the chain, and how it treats this connection.
struct Stage {
    toxic: Arc<Toxic>,
    flow: Box<dyn Flow>,
}

impl Stage {
    /// Draws whether the toxic applies to this connection.
    fn draw(toxic: &Arc<Toxic>, now: Instant) -> Self {
        Self {
            toxic: Arc::clone(toxic),
            flow: toxic.draw(now),
        }
    }
}

/// See the module.
pub(super) struct Chain {
    queues: VecDeque<Queue>,
    stages: Vec<Stage>,
    /// The highest toxic id seen: an unknown one above it is new, one below it is a toxic that this chain has outlived.
    newest: u64,
}

impl Chain {
    pub(super) fn new(toxics: &[Arc<Toxic>], now: Instant) -> Self {
        let mut chain = Self {
            queues: VecDeque::from([Queue::default()]),
            stages: Vec::new(),
            newest: 0,
        };
        chain.sync(toxics, now);
        chain
    }

    /// Takes over a changed list of toxics: those gone let their data go, those changed and those next to a change are
    /// drawn anew, new ones come last.
    pub(super) fn sync(&mut self, toxics: &[Arc<Toxic>], now: Instant) {
        let current = |id| toxics.iter().find(|toxic| toxic.id == id);
        let known: Vec<u64> = self.stages.iter().map(|stage| stage.toxic.id).collect();
        for id in known {
            let Some(index) = self.stages.iter().position(|stage| stage.toxic.id == id) else {
                continue;
            };
            match current(id) {
                None => self.remove(index, now),
                Some(toxic) if toxic.revision != self.stages[index].toxic.revision => {
                    self.redraw(index, toxic, now);
                }
                Some(_) => {}
            }
        }
        for toxic in toxics {
            if toxic.id > self.newest {
                self.add(toxic, now);
            }
        }
    }

    /// Takes bytes from the source.
    pub(super) fn push(&mut self, data: Bytes, now: Instant) {
        self.queues[0].push(Chunk { data, at: now });
    }

    /// Takes the end of the source.
    pub(super) fn end(&mut self) {
        self.queues[0].end();
    }

    /// Moves on what is due, and tells when there will be more to move (`None`: not before the next push).
    pub(super) fn advance(&mut self, now: Instant) -> Option<Instant> {
        let mut wake: Option<Instant> = None;
        let mut index = 0;
        while index < self.stages.len() {
            match self.stages[index].flow.step(&mut self.queues[index], now) {
                Step::Pass(chunk) => self.queues[index + 1].push(chunk),
                Step::Close => {
                    self.close(index);
                    index = 0;
                }
                Step::Wait(until) => {
                    wake = [wake, until].into_iter().flatten().min();
                    index += 1;
                }
            }
        }
        wake
    }

    /// What may leave now.
    pub(super) fn pop(&mut self) -> Option<Bytes> {
        Some(self.output().pop()?.data)
    }

    /// Whether the stream has ended and all of it was popped.
    pub(super) fn is_finished(&mut self) -> bool {
        self.output().is_finished()
    }

    /// Whether the source should be read while `leaving` bytes wait for the sink. Without toxics nothing is read ahead.
    pub(super) fn wants_data(&self, leaving: usize) -> bool {
        let held = leaving + self.queues.iter().map(|queue| queue.cost).sum::<usize>();
        let room = if self.stages.is_empty() {
            held == 0
        } else {
            held < CAPACITY
        };
        room && !self.queues[0].ended
    }

    fn output(&mut self) -> &mut Queue {
        let last = self.queues.len() - 1;
        &mut self.queues[last]
    }

    fn add(&mut self, toxic: &Arc<Toxic>, now: Instant) {
        if let Some(last) = self.stages.len().checked_sub(1) {
            self.redraw_same(last, now);
        }
        self.newest = toxic.id;
        self.stages.push(Stage::draw(toxic, now));
        self.queues.push_back(Queue::default());
    }

    fn remove(&mut self, index: usize, now: Instant) {
        let stage = &self.stages[index];
        if stage.toxic.effect.closes_when_removed() || stage.flow.is_committed() {
            self.close(index);
            return;
        }
        self.stages.remove(index);
        if let Some(held) = self.queues.remove(index) {
            self.queues[index].append(held);
        }
        if let Some(before) = index.checked_sub(1) {
            self.redraw_same(before, now);
        }
    }

    fn redraw_same(&mut self, index: usize, now: Instant) {
        let toxic = Arc::clone(&self.stages[index].toxic);
        self.redraw(index, &toxic, now);
    }

    fn redraw(&mut self, index: usize, toxic: &Arc<Toxic>, now: Instant) {
        let stage = &mut self.stages[index];
        if stage.flow.is_committed() {
            stage.toxic = Arc::clone(toxic);
        } else {
            *stage = Stage::draw(toxic, now);
        }
    }

    /// Stage `index` closes the connection: what has not passed it is lost, what has passed still goes out.
    fn close(&mut self, index: usize) {
        self.stages.drain(..=index);
        self.queues.drain(..=index);
        self.queues[0].end();
    }
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on fails where it stands"
)]
mod tests;
