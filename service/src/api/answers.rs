//! Renders on their way out: files held whole in memory until their clients have taken them.
//!
//! They are as large as clients ask for, and stay for as long as clients take, so together they have a budget. Room for
//! the largest file that a render can become is taken before it is made, and what the file does not need is given back;
//! the rest travels with the bytes to the last one. When room is short, clients that don't take theirs lose it first.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use observability::Registry;
use observability::metrics::{Counter, Gauge};
use observability::server::{Connection, Held};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::problem::Problem;
use crate::telemetry;

/// The longest wait for room: longer than a client may take nothing before it can lose its answer.
const LONGEST_WAIT: Duration = Duration::from_secs(4);
/// The pause after which somebody is looked for again who has to make room.
const EVICTION_PAUSE: Duration = Duration::from_millis(50);
/// Semaphores count in `u32`, so bytes are counted in units of this many.
const UNIT: u64 = 1024;

/// The budget.
pub struct Answers {
    room: Arc<Semaphore>,
    units: u32,
    in_use: Gauge,
    shed: Counter,
}

/// Room for one answer until it is dropped.
pub(super) struct Room {
    permit: OwnedSemaphorePermit,
    in_use: Gauge,
    /// `None` while the answer is made: its client can't be to blame yet.
    held: Option<Held>,
}

impl Answers {
    /// A budget of `bytes`.
    pub fn new(bytes: u64, registry: &Registry) -> Self {
        let units = units(bytes);
        let (in_use, shed) = telemetry::answers(registry, bytes);
        Self {
            room: Arc::new(Semaphore::new(units as usize)),
            units,
            in_use,
            shed,
        }
    }

    /// Waits for room for an answer of up to `bytes`. One that needs more than the whole budget gets all of it.
    pub(super) async fn room(&self, bytes: u64) -> Result<Room, Problem> {
        let permit = self.permit(units(bytes).min(self.units)).await?;
        self.in_use.add(size(&permit));
        Ok(Room {
            permit,
            in_use: self.in_use.clone(),
            held: None,
        })
    }

    async fn permit(&self, units: u32) -> Result<OwnedSemaphorePermit, Problem> {
        let waiting = async {
            let acquiring = Arc::clone(&self.room).acquire_many_owned(units);
            let mut acquiring = std::pin::pin!(acquiring);
            loop {
                if let Ok(permit) = timeout(EVICTION_PAUSE, acquiring.as_mut()).await {
                    return permit;
                }
                if let Some(connection) = Connection::current() {
                    connection.make_room();
                }
            }
        };
        if let Ok(Ok(permit)) = timeout(LONGEST_WAIT, waiting).await {
            return Ok(permit);
        }
        self.shed.inc();
        Err(Problem::Overloaded)
    }
}

impl Room {
    /// The answer, which keeps its part of the room until the last of its bytes is dropped.
    pub(super) fn hold(mut self, bytes: Vec<u8>) -> Bytes {
        let needed = units(bytes.len() as u64) as usize;
        let reserved = self.permit.num_permits();
        if let Some(spare) = self.permit.split(reserved.saturating_sub(needed)) {
            self.in_use.sub(size(&spare));
        }
        self.held = Connection::current().map(|connection| connection.hold(bytes.len() as u64));
        Bytes::from_owner(Answer { bytes, _room: self })
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.in_use.sub(size(&self.permit));
    }
}

struct Answer {
    bytes: Vec<u8>,
    _room: Room,
}

impl AsRef<[u8]> for Answer {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

fn units(bytes: u64) -> u32 {
    u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX)
}

fn size(permit: &OwnedSemaphorePermit) -> f64 {
    (permit.num_permits() as u64 * UNIT) as f64
}

#[cfg(test)]
mod tests {
    use observability::testing::{Scrape, service};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn room_goes_with_the_bytes_and_what_they_do_not_need_comes_back() {
        let registry = Registry::new(&service());
        let answers = Answers::new(10 * UNIT, &registry);
        let in_use = || Scrape::parse(&registry.render()).value("chitram_answer_bytes_in_use", &[]);
        let largest = answers.room(1 << 40).await.expect("all of it");
        assert_eq!(in_use(), Some(10_240.0));
        assert!(matches!(answers.room(1).await, Err(Problem::Overloaded)));
        let bytes = largest.hold(vec![7; 3000]);
        assert_eq!(in_use(), Some(3.0 * 1024.0));
        let last = bytes.slice(2999..);
        drop(bytes);
        assert_eq!(in_use(), Some(3.0 * 1024.0), "its last byte is not sent");
        drop(answers.room(7 * UNIT).await.expect("the rest"));
        drop(last);
        assert_eq!(in_use(), Some(0.0));
        let scrape = Scrape::parse(&registry.render());
        assert_eq!(
            scrape.value("chitram_answer_bytes_budget", &[]),
            Some(10_240.0)
        );
        assert_eq!(
            scrape.value("chitram_shed_total", &[("reason", "answers")]),
            Some(1.0)
        );
    }
}
