//! Toxics on a clock of their own: every time below is given, none is waited for.

use std::time::Duration;

use serde_json::json;

use super::*;

/// A chain with its clock, and the toxics of its direction.
struct Bench {
    start: Instant,
    toxics: Vec<Arc<Toxic>>,
    chain: Chain,
}

impl Bench {
    fn new(toxics: &[serde_json::Value]) -> Self {
        let start = Instant::now();
        let mut bench = Self {
            start,
            toxics: Vec::new(),
            chain: Chain::new(&[], start),
        };
        for toxic in toxics {
            bench.add(0, toxic);
        }
        bench
    }

    fn at(&self, ms: u64) -> Instant {
        self.start + Duration::from_millis(ms)
    }

    fn add(&mut self, ms: u64, body: &serde_json::Value) {
        let (_, mut toxic) = Toxic::parse(body).unwrap();
        toxic.set_attributes(body).unwrap();
        toxic.id = self.chain.newest + 1;
        self.toxics.push(Arc::new(toxic));
        self.sync(ms);
    }

    fn update(&mut self, ms: u64, index: usize, body: &serde_json::Value) {
        let mut toxic = Toxic::clone(&self.toxics[index]);
        toxic.update(body).unwrap();
        toxic.revision += 1;
        self.toxics[index] = Arc::new(toxic);
        self.sync(ms);
    }

    fn remove(&mut self, ms: u64, index: usize) {
        self.toxics.remove(index);
        self.sync(ms);
    }

    fn sync(&mut self, ms: u64) {
        self.chain.sync(&self.toxics, self.at(ms));
    }

    fn push(&mut self, ms: u64, data: &'static str) {
        self.chain
            .push(Bytes::from_static(data.as_bytes()), self.at(ms));
    }

    /// What has left by this time, in one string.
    fn out(&mut self, ms: u64) -> String {
        self.chain.advance(self.at(ms));
        let mut out = Vec::new();
        while let Some(data) = self.chain.pop() {
            out.extend_from_slice(&data);
        }
        String::from_utf8(out).unwrap()
    }

    /// When the chain wants to be looked at again.
    fn wake(&mut self, ms: u64) -> Option<u64> {
        let wake = self.chain.advance(self.at(ms))?;
        Some(wake.duration_since(self.start).as_millis() as u64)
    }

    fn closed(&mut self, ms: u64) -> bool {
        self.chain.advance(self.at(ms));
        self.chain.is_finished()
    }
}

fn latency(ms: i64) -> serde_json::Value {
    json!({"type": "latency", "name": ms.to_string(), "attributes": {"latency": ms}})
}

fn timeout(ms: i64) -> serde_json::Value {
    json!({"type": "timeout", "attributes": {"timeout": ms}})
}

fn reset_peer(ms: i64) -> serde_json::Value {
    json!({"type": "reset_peer", "attributes": {"timeout": ms}})
}

#[test]
fn without_toxics_bytes_pass_at_once_and_the_end_follows_them() {
    let mut bench = Bench::new(&[]);
    bench.push(0, "ab");
    bench.chain.end();
    assert!(!bench.chain.is_finished());
    assert_eq!(bench.out(0), "ab");
    assert!(bench.chain.is_finished());
}

#[test]
fn without_toxics_nothing_is_read_ahead_of_what_waits_for_the_sink() {
    let mut bench = Bench::new(&[]);
    assert!(bench.chain.wants_data(0));
    assert!(!bench.chain.wants_data(1));
    bench.push(0, "ab");
    assert!(!bench.chain.wants_data(0));
}

#[test]
fn latency_delays_chunks_side_by_side() {
    let mut bench = Bench::new(&[latency(100)]);
    bench.push(0, "a");
    bench.push(10, "b");
    assert_eq!(bench.wake(10), Some(100));
    assert_eq!(bench.out(99), "");
    assert_eq!(bench.out(100), "a");
    assert_eq!(bench.wake(100), Some(110));
    assert_eq!(bench.out(110), "b");
}

#[test]
fn latencies_in_a_row_add_up() {
    let mut bench = Bench::new(&[latency(100), latency(50)]);
    bench.push(0, "a");
    assert_eq!(bench.out(100), "");
    assert_eq!(bench.out(149), "");
    assert_eq!(bench.out(150), "a");
}

#[test]
fn jitter_stays_within_its_bounds_and_keeps_the_order() {
    let toxic = json!({"type": "latency", "attributes": {"latency": 100, "jitter": 50}});
    let mut bench = Bench::new(&[toxic]);
    let text = "abcdefghijklmnopqrstuvwxyz";
    for index in 0..text.len() {
        bench.push(0, &text[index..=index]);
    }
    assert_eq!(bench.out(49), "");
    let early = bench.out(100);
    assert!(early.len() < text.len(), "some are slower than the mean");
    assert_eq!(early + &bench.out(150), text);
}

#[test]
fn any_integer_is_a_latency() {
    for (settings, passes) in [
        (json!({"latency": -5}), true),
        (json!({"latency": 0, "jitter": -7}), true),
        (json!({"latency": i64::MIN, "jitter": i64::MAX}), true),
        (json!({"latency": i64::MAX, "jitter": 0}), false),
    ] {
        let mut bench = Bench::new(&[json!({"type": "latency", "attributes": settings})]);
        bench.push(0, "a");
        assert_eq!(bench.out(1) == "a", passes, "{settings}");
    }
}

#[test]
fn the_end_waits_behind_delayed_data() {
    let mut bench = Bench::new(&[latency(100)]);
    bench.push(0, "a");
    bench.chain.end();
    assert!(!bench.closed(99));
    assert_eq!(bench.out(100), "a");
    assert!(bench.closed(100));
}

#[test]
fn removed_latency_lets_its_data_go_at_once_and_in_order() {
    let mut bench = Bench::new(&[latency(100), latency(1000)]);
    bench.push(0, "a");
    assert_eq!(bench.out(100), "");
    bench.push(100, "b");
    bench.remove(110, 0);
    bench.remove(110, 0);
    bench.push(110, "c");
    assert_eq!(bench.out(110), "abc");
}

#[test]
fn an_updated_latency_counts_from_the_arrival_of_what_it_holds() {
    let mut bench = Bench::new(&[latency(10_000)]);
    bench.push(0, "a");
    assert_eq!(bench.wake(0), Some(10_000));
    bench.update(30, 0, &json!({"attributes": {"latency": 50}}));
    assert_eq!(bench.wake(30), Some(50));
    assert_eq!(bench.out(50), "a");
}

#[test]
fn a_toxicity_of_zero_spares_every_connection_even_once_drawn_in() {
    let mut bench = Bench::new(&[latency(10_000)]);
    bench.push(0, "a");
    assert_eq!(bench.out(5), "");
    bench.update(10, 0, &json!({"toxicity": 0.0}));
    assert_eq!(bench.out(10), "a");
    bench.push(20, "b");
    assert_eq!(bench.out(20), "b");
}

#[test]
fn what_is_held_is_bounded_in_bytes_and_in_chunks() {
    let block = Bytes::from(vec![0; 64 << 10]);
    for data in [block, Bytes::from_static(b"x")] {
        let mut bench = Bench::new(&[latency(1000)]);
        let mut pushed = 0;
        while bench.chain.wants_data(0) {
            bench.chain.push(data.clone(), bench.at(0));
            pushed += 1;
        }
        assert!(pushed * (data.len() + CHUNK_COST) < CAPACITY + (65 << 10));
        assert_eq!(bench.out(1000).len(), pushed * data.len());
        assert!(bench.chain.wants_data(0));
    }
}

#[test]
fn a_timeout_counts_from_the_last_byte_and_swallows_them_all() {
    let mut bench = Bench::new(&[timeout(100)]);
    bench.push(60, "a");
    assert_eq!(bench.wake(60), Some(160));
    assert!(!bench.closed(159));
    assert_eq!(bench.out(160), "");
    assert!(bench.closed(160));
    assert!(!bench.chain.wants_data(0));
}

#[test]
fn a_timeout_of_zero_never_closes() {
    let mut bench = Bench::new(&[timeout(0)]);
    bench.push(0, "a");
    assert_eq!(bench.wake(0), None);
    bench.chain.end();
    assert!(bench.closed(0), "but the end of the stream passes");
}

#[test]
fn a_removed_timeout_closes_the_connection_even_if_the_draw_spared_it() {
    let mut bench = Bench::new(&[json!({"type": "timeout", "toxicity": 0})]);
    bench.push(0, "a");
    assert_eq!(bench.out(0), "a");
    bench.remove(0, 0);
    assert!(bench.closed(0));
}

#[test]
fn what_has_passed_a_closing_toxic_still_goes_out() {
    let mut bench = Bench::new(&[json!({"type": "timeout", "toxicity": 0}), latency(100)]);
    bench.push(0, "a");
    assert_eq!(bench.out(0), "");
    bench.remove(10, 0);
    assert!(!bench.closed(10));
    assert_eq!(bench.out(100), "a");
    assert!(bench.closed(100));
}

#[test]
fn a_toxic_that_the_chain_has_outlived_does_not_come_back() {
    let mut bench = Bench::new(&[timeout(10), latency(100)]);
    assert!(bench.closed(10));
    bench.sync(10);
    assert!(bench.chain.stages.is_empty());
    assert!(bench.closed(10));
}

#[test]
fn reset_peer_waits_for_data_then_for_its_timeout() {
    let mut bench = Bench::new(&[reset_peer(100)]);
    assert_eq!(bench.wake(5000), None);
    bench.push(5000, "a");
    assert_eq!(bench.wake(5000), Some(5100));
    assert_eq!(bench.out(5100), "");
    assert!(bench.closed(5100));
}

#[test]
fn reset_peer_removed_before_data_leaves_no_trace_and_after_data_closes() {
    let mut bench = Bench::new(&[reset_peer(100)]);
    bench.remove(0, 0);
    bench.push(0, "a");
    assert_eq!(bench.out(0), "a");

    let mut bench = Bench::new(&[reset_peer(100)]);
    bench.push(0, "a");
    assert!(!bench.closed(0));
    bench.remove(1, 0);
    assert!(bench.closed(1));
}

#[test]
fn a_change_next_to_a_triggered_reset_does_not_stop_it() {
    let mut bench = Bench::new(&[reset_peer(100)]);
    bench.push(0, "a");
    assert!(!bench.closed(0));
    bench.update(
        10,
        0,
        &json!({"attributes": {"timeout": 9000}, "toxicity": 0}),
    );
    bench.add(20, &latency(0));
    assert!(bench.closed(100));
}

#[test]
fn half_a_toxicity_is_drawn_for_each_connection_and_again_beside_a_change() {
    const CONNECTIONS: usize = 200;
    let toxic = json!({"type": "latency", "attributes": {"latency": 1000}, "toxicity": 0.5});
    let mut benches: Vec<Bench> = (0..CONNECTIONS)
        .map(|_| Bench::new(std::slice::from_ref(&toxic)))
        .collect();
    let delayed = |benches: &mut Vec<Bench>, ms: u64| -> Vec<bool> {
        let one = |bench: &mut Bench| {
            bench.push(ms, "a");
            bench.out(ms).is_empty()
        };
        benches.iter_mut().map(one).collect()
    };
    let first = delayed(&mut benches, 0);
    let count = first.iter().filter(|delayed| **delayed).count();
    assert!((50..150).contains(&count), "{count} of {CONNECTIONS}");
    for bench in &mut benches {
        bench.out(1000);
    }
    assert_eq!(
        delayed(&mut benches, 1000),
        first,
        "the draw holds for the connection"
    );
    for bench in &mut benches {
        bench.out(2000);
        bench.add(2000, &latency(0));
    }
    assert_ne!(
        delayed(&mut benches, 2000),
        first,
        "and is drawn again when a toxic is added"
    );
}
