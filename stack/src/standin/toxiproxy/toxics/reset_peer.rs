//! `reset_peer`: swallows the first data and `timeout` later ends the connection, by RST if the connection began under
//! this toxic. Before data comes it does nothing.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::{Flow, Queue, Step};

/// Milliseconds. Any integer is accepted; below zero counts as zero.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct ResetPeer {
    timeout: i64,
}

impl ResetPeer {
    pub(super) fn flow(&self) -> Box<dyn Flow> {
        let timeout = Duration::from_millis(u64::try_from(self.timeout).unwrap_or(0));
        Box::new(Resetting {
            timeout,
            state: State::Armed,
        })
    }
}

enum State {
    /// Waits for data, or for the end of the stream.
    Armed,
    /// Has swallowed it; closes at the time given, at none if that lies beyond the end of time.
    Triggered(Option<Instant>),
}

struct Resetting {
    timeout: Duration,
    state: State,
}

impl Flow for Resetting {
    fn step(&mut self, queue: &mut Queue, now: Instant) -> Step {
        if let State::Armed = self.state {
            if queue.pop().is_none() && !queue.is_finished() {
                return Step::Wait(None);
            }
            self.state = State::Triggered(now.checked_add(self.timeout));
        }
        match self.state {
            State::Triggered(Some(at)) if at <= now => Step::Close,
            State::Triggered(at) => Step::Wait(at),
            State::Armed => Step::Wait(None),
        }
    }

    fn is_committed(&self) -> bool {
        matches!(self.state, State::Triggered(_))
    }
}
