//! `timeout`: swallows all data, and closes the connection when `timeout` has passed since the last byte; never if it
//! is zero.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::{Flow, Queue, Step};

/// Milliseconds. Any integer is accepted; below zero counts as zero.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Timeout {
    timeout: i64,
}

impl Timeout {
    pub(super) fn flow(&self, now: Instant) -> Box<dyn Flow> {
        let timeout = u64::try_from(self.timeout).unwrap_or(0);
        let timeout = (timeout > 0).then_some(Duration::from_millis(timeout));
        Box::new(Swallowing {
            timeout,
            last_byte: now,
        })
    }
}

struct Swallowing {
    timeout: Option<Duration>,
    /// When the last chunk arrived; at first, when the toxic began.
    last_byte: Instant,
}

impl Flow for Swallowing {
    fn step(&mut self, queue: &mut Queue, now: Instant) -> Step {
        while let Some(chunk) = queue.pop() {
            self.last_byte = self.last_byte.max(chunk.at);
        }
        if queue.is_finished() {
            return Step::Close;
        }
        // A sum beyond the end of time is a timeout that never comes.
        match self
            .timeout
            .and_then(|timeout| self.last_byte.checked_add(timeout))
        {
            Some(deadline) if deadline <= now => Step::Close,
            deadline => Step::Wait(deadline),
        }
    }
}
