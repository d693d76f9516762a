//! Renders on their way out: files held whole in memory until their clients have taken them.
//!
//! They are as large as clients ask for, and stay for as long as clients take, so together they have a budget. Room for
//! the largest file that a render can become is taken before it is made, and what the file does not need is given back;
//! the rest travels with the bytes to the last one. A request that needs little room does not queue for one that needs
//! much. When room is short, clients that don't take their answers lose them, one at a time.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use observability::Registry;
use observability::metrics::{Counter, Gauge};
use observability::server::{Connection, Held};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};

use super::problem::Problem;
use crate::telemetry;

/// The longest wait for room: longer than a client may take nothing before it can lose its answer.
const LONGEST_WAIT: Duration = Duration::from_secs(4);
/// The least time between two connections that are closed to make room, and the time before the first.
const EVICTION_PAUSE: Duration = Duration::from_millis(50);
/// Semaphores count in `u32`, so bytes are counted in units of this many.
const UNIT: u64 = 1024;

/// The budget.
pub struct Answers {
    room: Arc<Semaphore>,
    units: u32,
    /// Tells waiting requests that some room was given back.
    freed: Arc<Notify>,
    /// When a connection was last closed to make room.
    evicted: Mutex<Option<Instant>>,
    in_use: Gauge,
    shed: Counter,
}

/// Room for one answer until it is dropped.
pub(super) struct Room {
    permit: OwnedSemaphorePermit,
    /// After the permit: the order of the fields is the order in which they are dropped.
    freed: Freed,
    in_use: Gauge,
    /// `None` while the answer is made: its client can't be to blame yet.
    held: Option<Held>,
}

/// Tells waiting requests when it is dropped.
struct Freed(Arc<Notify>);

impl Drop for Freed {
    fn drop(&mut self) {
        self.0.notify_waiters();
    }
}

impl Answers {
    /// A budget of `bytes`.
    pub fn new(bytes: u64, registry: &Registry) -> Self {
        let units = units(bytes);
        let (in_use, shed) = telemetry::answers(registry, bytes);
        Self {
            room: Arc::new(Semaphore::new(units as usize)),
            units,
            freed: Arc::default(),
            evicted: Mutex::default(),
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
            freed: Freed(Arc::clone(&self.freed)),
            in_use: self.in_use.clone(),
            held: None,
        })
    }

    /// Waiters are not in a queue: the first one that fits goes ahead. A queue would have them all wait for the largest.
    async fn permit(&self, units: u32) -> Result<OwnedSemaphorePermit, Problem> {
        let began = Instant::now();
        let waiting = async {
            loop {
                let freed = self.freed.notified();
                if let Ok(permit) = Arc::clone(&self.room).try_acquire_many_owned(units) {
                    return permit;
                }
                if began.elapsed() >= EVICTION_PAUSE {
                    self.make_room();
                }
                let _ = timeout(EVICTION_PAUSE, freed).await;
            }
        };
        if let Ok(permit) = timeout(LONGEST_WAIT, waiting).await {
            return Ok(permit);
        }
        self.shed.inc();
        Err(Problem::Overloaded)
    }

    /// Closes a connection that holds room without need. However many requests wait, one pause lies between two: what
    /// the first gives back may be enough for them all.
    fn make_room(&self) {
        let Some(connection) = Connection::current() else {
            return;
        };
        let mut evicted = self.evicted.lock().unwrap_or_else(PoisonError::into_inner);
        if evicted.is_none_or(|at| at.elapsed() >= EVICTION_PAUSE) && connection.make_room() {
            *evicted = Some(Instant::now());
        }
    }
}

impl Room {
    /// The answer, which keeps its part of the room until the last of its bytes is dropped.
    pub(super) fn hold(mut self, bytes: Vec<u8>) -> Bytes {
        let needed = units(bytes.len() as u64) as usize;
        let reserved = self.permit.num_permits();
        if let Some(spare) = self.permit.split(reserved.saturating_sub(needed)) {
            self.in_use.sub(size(&spare));
            drop(spare);
            self.freed.0.notify_waiters();
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

    #[tokio::test(start_paused = true)]
    async fn a_small_answer_does_not_wait_for_a_large_one() {
        let registry = Registry::new(&service());
        let answers = Answers::new(10 * UNIT, &registry);
        let taken = answers.room(4 * UNIT).await.expect("room");
        let large = async {
            let began = Instant::now();
            let room = answers.room(8 * UNIT).await.expect("room in time");
            assert!(began.elapsed() < LONGEST_WAIT);
            drop(room);
        };
        let small = async {
            tokio::time::sleep(Duration::from_millis(1)).await;
            let began = Instant::now();
            drop(answers.room(6 * UNIT).await.expect("room"));
            assert_eq!(began.elapsed(), Duration::ZERO, "it queued");
            drop(taken);
        };
        tokio::join!(large, small);
    }
}
