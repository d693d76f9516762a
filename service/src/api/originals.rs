//! Whole originals in memory: uploads on their way into the store, and what renders are made of.
//!
//! They are large and come from strangers, so together they have a budget. It is taken before a byte is read, waited for
//! within a bound, and given back when the original is dropped.

use std::sync::Arc;
use std::time::Duration;

use observability::Registry;
use observability::metrics::{Counter, Gauge};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::problem::Problem;
use crate::telemetry;

/// The longest wait for room.
const LONGEST_WAIT: Duration = Duration::from_secs(2);
/// Semaphores count in `u32`, so bytes are counted in units of this many.
const UNIT: u64 = 1024;

/// The budget.
pub struct Originals {
    room: Arc<Semaphore>,
    units: u32,
    in_use: Gauge,
    shed: Counter,
}

/// Room for one original until it is dropped.
pub(super) struct Room {
    _permit: OwnedSemaphorePermit,
    in_use: Gauge,
    bytes: f64,
}

impl Originals {
    /// A budget of `bytes`.
    pub fn new(bytes: u64, registry: &Registry) -> Self {
        let units = u32::try_from(bytes / UNIT).unwrap_or(u32::MAX);
        let (in_use, shed) = telemetry::originals(registry, bytes);
        Self {
            room: Arc::new(Semaphore::new(units as usize)),
            units,
            in_use,
            shed,
        }
    }

    /// Waits for room for an original of `bytes`. One that needs more than the whole budget gets all of it.
    pub(super) async fn room(&self, bytes: u64) -> Result<Room, Problem> {
        let units = u32::try_from(bytes.div_ceil(UNIT))
            .unwrap_or(u32::MAX)
            .min(self.units);
        let room = Arc::clone(&self.room).acquire_many_owned(units);
        let Ok(Ok(room)) = timeout(LONGEST_WAIT, room).await else {
            self.shed.inc();
            return Err(Problem::Overloaded);
        };
        let bytes = bytes as f64;
        self.in_use.add(bytes);
        Ok(Room {
            _permit: room,
            in_use: self.in_use.clone(),
            bytes,
        })
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.in_use.sub(self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use observability::testing::{Scrape, service};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn room_is_waited_for_within_a_bound_and_even_the_largest_gets_in() {
        let registry = Registry::new(&service());
        let originals = Originals::new(10_240, &registry);
        let large = originals.room(1 << 40).await.expect("all of it");
        assert!(matches!(originals.room(1).await, Err(Problem::Overloaded)));
        drop(large);
        let _small = originals.room(2000).await.expect("room");
        let scrape = Scrape::parse(&registry.render());
        assert_eq!(
            scrape.value("chitram_original_bytes_in_use", &[]),
            Some(2000.0)
        );
        assert_eq!(
            scrape.value("chitram_original_bytes_budget", &[]),
            Some(10_240.0)
        );
        assert_eq!(
            scrape.value("chitram_shed_total", &[("reason", "originals")]),
            Some(1.0)
        );
    }
}
