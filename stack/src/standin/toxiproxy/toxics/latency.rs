//! `latency`: delays every chunk by `latency` ± `jitter`. Chunks wait side by side, not one after the other, and never
//! overtake each other.

use std::time::Duration;

use rand::Rng as _;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::{Flow, Queue, Step, pass_or_wait};

/// As good as never, and still a time that can be added to the present one.
const FOREVER: Duration = Duration::from_hours(365 * 24);

/// Milliseconds. Any integer is accepted; a delay below zero is none.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Latency {
    latency: i64,
    jitter: i64,
}

impl Latency {
    pub(super) fn flow(&self) -> Box<dyn Flow> {
        Box::new(Delayed {
            settings: self.clone(),
            due: None,
        })
    }

    /// One draw from `latency - jitter .. latency + jitter`.
    fn delay(&self) -> Duration {
        let jitter = match self.jitter {
            ..=0 => 0,
            jitter => rand::rng().random_range(-jitter..jitter),
        };
        let milliseconds = self.latency.saturating_add(jitter).max(0);
        Duration::from_millis(milliseconds.unsigned_abs()).min(FOREVER)
    }
}

struct Delayed {
    settings: Latency,
    /// When the first chunk of the queue may pass, once that is drawn.
    due: Option<Instant>,
}

impl Flow for Delayed {
    fn step(&mut self, queue: &mut Queue, now: Instant) -> Step {
        let Some(first) = queue.front() else {
            return pass_or_wait(queue);
        };
        let due = *self
            .due
            .get_or_insert_with(|| first.at + self.settings.delay());
        if now < due {
            return Step::Wait(Some(due));
        }
        self.due = None;
        match queue.pop() {
            Some(mut chunk) => {
                chunk.at = now;
                Step::Pass(chunk)
            }
            None => Step::Wait(None),
        }
    }
}
