use super::*;
use crate::metrics::Registry;

const SECOND: Moment = 1000;

fn connections() -> Arc<Connections> {
    let registry = Registry::new(&crate::testing::service());
    Arc::new(Connections::new(ClosedMetrics::new(&registry, "api")))
}

fn at(connections: &Connections, second: Moment) {
    connections.now.store(second * SECOND, Relaxed);
}

/// A connection with a request whose answer holds memory.
fn holder(connections: &Arc<Connections>, bytes: u64) -> (Entered, Turn, Arc<Hold>) {
    let entered = connections.enter();
    let turn = entered.state.begin();
    let hold = entered.state.hold(bytes);
    (entered, turn, hold)
}

/// The places of those of `holders` that are being closed.
fn closing(holders: &[(Entered, Turn, Arc<Hold>)]) -> Vec<usize> {
    let places = 0..holders.len();
    places
        .filter(|place| holders[*place].0.state.is_closing())
        .collect()
}

#[test]
fn memory_is_taken_from_the_stalled_connection_that_holds_the_most() {
    let connections = connections();
    let own = Arc::clone(&connections.enter().state);
    at(&connections, 1);
    let holders = [30, 50, 40, 1000].map(|bytes| holder(&connections, bytes));
    for (entered, ..) in &holders[..3] {
        entered.state.blocked();
    }
    at(&connections, 2);
    assert!(!connections.evict_holder(&own), "stalled for too short");
    at(&connections, 3);
    assert!(connections.evict_holder(&own));
    assert_eq!(closing(&holders), [1]);
    assert!(connections.evict_holder(&holders[2].0.state));
    assert_eq!(closing(&holders), [0, 1], "never the one that waits");
    assert!(connections.evict_holder(&own));
    assert_eq!(closing(&holders), [0, 1, 2], "never the one that reads");
    assert!(!connections.evict_holder(&own));
}

#[test]
fn a_client_that_reads_loses_its_answer_only_if_it_would_hold_it_for_minutes() {
    let connections = connections();
    let own = Arc::clone(&connections.enter().state);
    at(&connections, 1);
    let holders = [1 << 20, 1 << 20].map(|bytes| holder(&connections, bytes));
    // The first reads 20 kB/s, the second 5 kB/s.
    holders[0].0.state.took(200_000);
    holders[1].0.state.took(50_000);
    at(&connections, 10);
    assert!(!connections.evict_holder(&own), "too early");
    at(&connections, 11);
    assert!(connections.evict_holder(&own));
    assert!(!connections.evict_holder(&own));
    assert_eq!(closing(&holders), [1]);
}

#[test]
fn what_a_busy_connection_held_before_does_not_count_against_it() {
    let connections = connections();
    let own = Arc::clone(&connections.enter().state);
    at(&connections, 1);
    let (entered, _turn, first) = holder(&connections, 100);
    at(&connections, 10);
    let _second = entered.state.hold(100);
    entered.state.let_go(&first);
    at(&connections, 12);
    assert!(!connections.evict_holder(&own), "held for two seconds");
    at(&connections, 20);
    assert!(connections.evict_holder(&own));
}

#[test]
fn a_connection_is_idle_only_since_its_socket_took_the_last_bytes() {
    let connections = connections();
    let state = Arc::clone(&connections.enter().state);
    at(&connections, 1);
    let turn = state.begin();
    state.blocked();
    drop(turn);
    at(&connections, 9);
    assert_eq!(state.idle_since(connections.now()), None);
    state.took(1);
    assert_eq!(state.idle_since(connections.now()), Some(9 * SECOND));
}

#[test]
fn a_connection_that_goes_on_for_a_late_request_can_be_closed_for_what_it_does_then() {
    let connections = connections();
    let state = Arc::clone(&connections.enter().state);
    assert!(state.close(Reason::Idle));
    assert!(!state.goes_on(), "it has no request");
    let _late = state.begin();
    assert!(state.goes_on());
    assert!(!state.is_closing());
    assert!(state.close(Reason::Stalled));
    assert_eq!(state.closing(), Some(Reason::Stalled));
    assert!(!state.close(Reason::Slow), "told before");
}
