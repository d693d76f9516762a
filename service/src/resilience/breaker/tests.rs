//! What the breaker promises, on a clock that the tests move.

use super::*;
use observability::Registry;
use observability::testing::{Scrape, service};
use tokio::time::{advance, sleep};

use crate::resilience::{BulkheadFull, Direction, Overdue};

#[derive(Debug, PartialEq)]
enum Error {
    Fault,
    NotFound,
    Open,
}

impl From<CircuitOpen> for Error {
    fn from(_: CircuitOpen) -> Self {
        Self::Open
    }
}

impl From<Overdue> for Error {
    fn from(_: Overdue) -> Self {
        Self::Fault
    }
}

impl From<BulkheadFull> for Error {
    fn from(_: BulkheadFull) -> Self {
        Self::Open
    }
}

impl CallError for Error {
    fn is_fault(&self) -> bool {
        *self == Self::Fault
    }
}

fn breaker() -> (Breaker, Registry) {
    let registry = Registry::new(&service());
    let metrics = CircuitMetrics::new(&registry, "store", Direction::Read);
    (Breaker::new(Some(Policy::default()), metrics), registry)
}

async fn call(breaker: &Breaker, result: Result<(), Error>) -> Result<(), Error> {
    breaker.run(Duration::ZERO, async { result }).await
}

async fn open(breaker: &Breaker) {
    for _ in 0..5 {
        assert_eq!(call(breaker, Err(Error::Fault)).await, Err(Error::Fault));
    }
    assert_eq!(call(breaker, Ok(())).await, Err(Error::Open));
}

#[tokio::test(start_paused = true)]
async fn half_of_the_last_calls_failing_opens_it_and_a_good_probe_closes_it() {
    let (breaker, registry) = breaker();
    for _ in 0..20 {
        assert_eq!(call(&breaker, Ok(())).await, Ok(()));
    }
    for _ in 0..9 {
        assert_eq!(call(&breaker, Err(Error::Fault)).await, Err(Error::Fault));
    }
    assert_eq!(call(&breaker, Ok(())).await, Ok(()), "9 of 20 is not half");
    for _ in 0..2 {
        let _ = call(&breaker, Err(Error::Fault)).await;
    }
    assert!(breaker.would_refuse());
    advance(Duration::from_millis(501)).await;
    assert!(!breaker.would_refuse());
    assert_eq!(call(&breaker, Ok(())).await, Ok(()));
    assert_eq!(call(&breaker, Ok(())).await, Ok(()));

    let scrape = Scrape::parse(&registry.render());
    for state in CircuitState::ALL {
        let labels = [("dependency", "store"), ("state", state.name())];
        let shown = f64::from(u8::from(state == CircuitState::Closed));
        assert_eq!(scrape.value("chitram_circuit_state", &labels), Some(shown));
        let turned = scrape.value("chitram_circuit_transitions_total", &labels);
        assert_eq!(turned, Some(1.0), "{}", state.name());
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_no_fault_never_opens_it() {
    let (breaker, _) = breaker();
    for _ in 0..100 {
        assert_eq!(
            call(&breaker, Err(Error::NotFound)).await,
            Err(Error::NotFound)
        );
    }
}

#[tokio::test(start_paused = true)]
async fn the_first_good_call_after_a_few_bad_ones_does_not_open_it() {
    let (breaker, _) = breaker();
    for _ in 0..4 {
        assert_eq!(call(&breaker, Err(Error::Fault)).await, Err(Error::Fault));
    }
    for _ in 0..20 {
        assert_eq!(call(&breaker, Ok(())).await, Ok(()));
    }
}

#[tokio::test(start_paused = true)]
async fn failures_that_are_long_ago_do_not_count() {
    let (breaker, _) = breaker();
    for _ in 0..50 {
        assert_eq!(call(&breaker, Err(Error::Fault)).await, Err(Error::Fault));
        advance(Duration::from_secs(3)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn one_probe_at_a_time_and_each_bad_one_doubles_the_pause_up_to_two_seconds() {
    let (breaker, _) = breaker();
    open(&breaker).await;
    for pause in [500, 1000, 2000, 2000] {
        advance(Duration::from_millis(pause - 1)).await;
        assert_eq!(call(&breaker, Ok(())).await, Err(Error::Open), "{pause}");
        advance(Duration::from_millis(2)).await;
        let probe = breaker.run(Duration::ZERO, async {
            assert_eq!(
                call(&breaker, Ok(())).await,
                Err(Error::Open),
                "a second probe"
            );
            Err(Error::Fault)
        });
        assert_eq!(probe.await, Err::<(), _>(Error::Fault));
    }
}

#[tokio::test(start_paused = true)]
async fn slow_calls_count_as_failures_also_when_their_caller_leaves() {
    let (breaker, _) = breaker();
    let slow = || {
        breaker.run(Duration::ZERO, async {
            sleep(Duration::from_millis(800)).await;
            Ok::<_, Error>(())
        })
    };
    for _ in 0..3 {
        assert_eq!(slow().await, Ok(()));
    }
    for _ in 0..2 {
        let hanging = breaker.run(Duration::ZERO, std::future::pending::<Result<(), Error>>());
        assert!(
            tokio::time::timeout(Duration::from_millis(900), hanging)
                .await
                .is_err()
        );
    }
    assert!(breaker.would_refuse());
}

#[tokio::test(start_paused = true)]
async fn a_probe_whose_caller_leaves_makes_room_for_the_next() {
    let (breaker, _) = breaker();
    open(&breaker).await;
    advance(Duration::from_secs(1)).await;
    let probe = breaker.run(Duration::ZERO, std::future::pending::<Result<(), Error>>());
    assert!(
        tokio::time::timeout(Duration::from_millis(10), probe)
            .await
            .is_err()
    );
    assert_eq!(call(&breaker, Ok(())).await, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn the_outcome_of_a_call_from_before_decides_nothing() {
    let (breaker, _) = breaker();
    let late = breaker.run(Duration::ZERO, async {
        sleep(Duration::from_millis(600)).await;
        Ok::<_, Error>(())
    });
    let (late, ()) = tokio::join!(late, open(&breaker));
    assert_eq!(late, Ok(()));
    assert_eq!(breaker.0.core().state, CircuitState::Open);
}

#[tokio::test(start_paused = true)]
async fn switched_off_it_lets_everything_through() {
    let registry = Registry::new(&service());
    let breaker = Breaker::new(
        None,
        CircuitMetrics::new(&registry, "store", Direction::Read),
    );
    for _ in 0..100 {
        assert_eq!(call(&breaker, Err(Error::Fault)).await, Err(Error::Fault));
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_is_not_slow_for_the_time_that_its_sending_takes() {
    let (breaker, _) = breaker();
    let call = |sending| {
        breaker.run(Duration::from_millis(sending), async move {
            sleep(Duration::from_millis(1700)).await;
            Ok::<_, Error>(())
        })
    };
    for _ in 0..20 {
        assert_eq!(call(1000).await, Ok(()));
    }
    assert!(!breaker.would_refuse());
    // Half a second of sending does not explain 1.7 s.
    for _ in 0..3 {
        assert_eq!(call(500).await, Ok(()));
    }
    assert!(breaker.would_refuse());
}

#[tokio::test(start_paused = true)]
async fn bodies_of_before_a_recovery_that_fail_after_it_do_not_open_it_again() {
    let (breaker, _) = breaker();
    let before = breaker.generation();
    open(&breaker).await;
    advance(Duration::from_secs(1)).await;
    assert_eq!(call(&breaker, Ok(())).await, Ok(()));
    for _ in 0..100 {
        breaker.report_fault(before);
    }
    assert!(!breaker.would_refuse());
    let now = breaker.generation();
    for _ in 0..5 {
        breaker.report_fault(now);
    }
    assert!(breaker.would_refuse());
}
