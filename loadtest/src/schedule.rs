//! When each request is due and which route it goes to: pure, repeatable, without a clock.
//!
//! Slot `k` of a schedule is the same in every run of the same plan, whatever the target does.

use std::time::Duration;

/// Arrivals evenly spaced in time, interleaved over routes by their shares.
#[derive(Clone, Debug)]
pub struct Schedule {
    rate: f64,
    slots: u64,
    next: u64,
    sample_one_in: u64,
    routes: Vec<Lane>,
}

/// One route's part in the interleaving.
#[derive(Clone, Debug)]
struct Lane {
    share: i64,
    credit: i64,
    taken: u64,
}

/// One request that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// Its number, from 0.
    pub slot: u64,
    /// When it is due, after the start of the schedule.
    pub offset: Duration,
    /// The index of its route.
    pub route: usize,
    /// Whether its trace is to be kept.
    pub sampled: bool,
}

impl Schedule {
    /// `length` of arrivals at `rate` a second; one share for each route; of each route's requests one in
    /// `sample_one_in` is sampled.
    pub fn constant(rate: f64, length: Duration, shares: &[u32], sample_one_in: u64) -> Self {
        let routes = shares
            .iter()
            .map(|share| Lane {
                share: i64::from(*share),
                credit: 0,
                taken: 0,
            })
            .collect();
        let slots = slots_before(length.as_secs_f64(), rate);
        Self {
            rate,
            slots,
            next: 0,
            sample_one_in: sample_one_in.max(1),
            routes,
        }
    }

    /// How many requests become due in `[second, second + 1)`.
    pub fn due_in_second(&self, second: u64) -> u64 {
        let before = |second: u64| slots_before(second as f64, self.rate).min(self.slots);
        before(second + 1) - before(second)
    }

    /// How many requests there are in all.
    pub fn slots(&self) -> u64 {
        self.slots
    }

    /// How many arrivals were taken so far.
    pub fn taken(&self) -> u64 {
        self.next
    }

    /// When this request is due, after the start. `None` beyond the end.
    pub fn offset(&self, slot: u64) -> Option<Duration> {
        (slot < self.slots).then(|| Duration::from_secs_f64(slot as f64 / self.rate))
    }

    /// How many requests are due so long after the start.
    pub fn due_by(&self, elapsed: Duration) -> u64 {
        slots_before(elapsed.as_secs_f64(), self.rate).min(self.slots)
    }

    /// Smooth weighted round robin: every route earns its share, the richest goes next and pays for one turn of all. So a
    /// route with a fifth of the load comes every fifth time instead of in bursts.
    fn next_route(&mut self) -> usize {
        let total: i64 = self.routes.iter().map(|lane| lane.share).sum();
        let mut richest = 0;
        for index in 0..self.routes.len() {
            self.routes[index].credit += self.routes[index].share;
            if self.routes[index].credit > self.routes[richest].credit {
                richest = index;
            }
        }
        self.routes[richest].credit -= total;
        richest
    }
}

impl Iterator for Schedule {
    type Item = Arrival;

    fn next(&mut self) -> Option<Arrival> {
        let offset = self.offset(self.next)?;
        let route = self.next_route();
        let lane = &mut self.routes[route];
        // Counted for each route: counted over all, the fixed order of the routes would sample some of them never.
        let sampled = lane.taken.is_multiple_of(self.sample_one_in);
        lane.taken += 1;
        let slot = self.next;
        self.next += 1;
        Some(Arrival {
            slot,
            offset,
            route,
            sampled,
        })
    }
}

/// How many requests at `rate` are due before `seconds`: slot k is due at k / rate.
fn slots_before(seconds: f64, rate: f64) -> u64 {
    // A product that should be whole may come out a hair above; a request due on the edge belongs to the next second.
    (seconds * rate - 1e-9).ceil().max(0.0) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn browse() -> Schedule {
        Schedule::constant(100.0, Duration::from_secs(2), &[20, 20, 40, 18, 2], 5)
    }

    #[test]
    fn routes_are_interleaved_by_their_shares_and_always_in_the_same_order() {
        let first: Vec<usize> = browse().take(100).map(|arrival| arrival.route).collect();
        let second: Vec<usize> = browse().skip(100).map(|arrival| arrival.route).collect();
        assert_eq!(
            first, second,
            "a hundred arrivals are one whole turn of these shares"
        );
        let count = |route| first.iter().filter(|&&r| r == route).count();
        assert_eq!([0, 1, 2, 3, 4].map(count), [20, 20, 40, 18, 2]);
        assert_eq!(&first[..10], &[2, 0, 1, 3, 2, 2, 0, 1, 3, 2], "no bursts");
    }

    #[test]
    fn one_in_five_of_each_route_is_sampled() {
        let arrivals: Vec<Arrival> =
            Schedule::constant(100.0, Duration::from_secs(10), &[20, 20, 40, 18, 2], 5).collect();
        for (route, requests) in [200, 200, 400, 180, 20].into_iter().enumerate() {
            let of_route = arrivals.iter().filter(|arrival| arrival.route == route);
            let sampled = of_route.clone().filter(|arrival| arrival.sampled).count();
            assert_eq!((of_route.count(), sampled), (requests, requests / 5));
        }
    }

    #[test]
    fn requests_are_due_at_even_distances_and_every_second_holds_its_share() {
        let offsets: Vec<Duration> = browse().take(3).map(|arrival| arrival.offset).collect();
        assert_eq!(offsets, [0, 10, 20].map(Duration::from_millis));
        assert_eq!((browse().slots(), browse().count()), (200, 200));
        for rate in [0.5, 3.0, 7.3, 100.0, 333.3] {
            let schedule = Schedule::constant(rate, Duration::from_secs(7), &[1], 5);
            let by_arrival = |second| {
                schedule
                    .clone()
                    .filter(|a| a.offset.as_secs() == second)
                    .count() as u64
            };
            for second in 0..8 {
                assert_eq!(
                    schedule.due_in_second(second),
                    by_arrival(second),
                    "rate {rate}, second {second}"
                );
            }
        }
    }
}
