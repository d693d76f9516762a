//! Metrics of what stands between the service and a dependency.

use observability::Registry;
use observability::metrics::{Counter, Desc, Gauge, Label, SECONDS};

use super::{Shed, shed};
use crate::resilience::Direction;
use crate::resilience::breaker::CircuitState;

/// Calls to the object store.
pub const CLIENT_DURATION: Desc = Desc::histogram(
    "http_client_request_duration_seconds",
    "Time from an attempt at the object store to the head of its answer; calls refused before they were made are not in it.",
    &[
        Label::closed("http_request_method", &["GET", "PUT", "HEAD", "DELETE"]),
        Label::closed("http_response_status_code", &["", "200", "204", "404"]),
        Label::closed(
            "error_type",
            &[
                "",
                "not_found",
                "damaged",
                "connect",
                "io",
                "server",
                "timeout",
                "not_writable",
                "refused",
                "cancelled",
            ],
        ),
        Label::bounded(
            "server_address",
            "the one store that is configured, or `folder`",
        ),
    ],
    SECONDS,
);
const DEPENDENCY: Label = Label::closed("dependency", &["store"]);
const DIRECTION: Label = Label::closed("direction", &["read", "write"]);
const STATE: Label = Label::closed("state", &["closed", "half_open", "open"]);
const CIRCUIT_STATE: Desc = Desc::gauge(
    "chitram_circuit_state",
    "1 for the state the circuit breaker of a direction is in, 0 for the others.",
    &[DEPENDENCY, DIRECTION, STATE],
);
const CIRCUIT_TRANSITIONS: Desc = Desc::counter(
    "chitram_circuit_transitions_total",
    "Times that the circuit breaker of a direction entered a state.",
    &[DEPENDENCY, DIRECTION, STATE],
);
const RETRIES: Desc = Desc::counter(
    "chitram_retries_total",
    "Second attempts of calls to a dependency.",
    &[DEPENDENCY, DIRECTION],
);
const BULKHEAD_LIMIT: Desc = Desc::gauge(
    "chitram_bulkhead_limit",
    "Calls of a direction that may wait for a dependency at the same time.",
    &[DEPENDENCY, DIRECTION],
);
const BULKHEAD_IN_USE: Desc = Desc::gauge(
    "chitram_bulkhead_in_use",
    "Calls of a direction that wait for a dependency now.",
    &[DEPENDENCY, DIRECTION],
);

pub(super) const DECLARED: &[&Desc] = &[
    &CLIENT_DURATION,
    &CIRCUIT_STATE,
    &CIRCUIT_TRANSITIONS,
    &RETRIES,
    &BULKHEAD_LIMIT,
    &BULKHEAD_IN_USE,
];

/// The circuit breaker of one direction of a dependency.
pub struct CircuitMetrics {
    dependency: &'static str,
    direction: Direction,
    states: [(CircuitState, Gauge, Counter); 3],
    /// Calls refused because the circuit was open.
    pub refused: Counter,
}

impl CircuitMetrics {
    /// Handles for calls of this direction to `dependency`.
    pub fn new(registry: &Registry, dependency: &'static str, direction: Direction) -> Self {
        let states = CircuitState::ALL.map(|state| {
            let labels = [
                ("dependency", dependency),
                ("direction", direction.name()),
                ("state", state.name()),
            ];
            (
                state,
                registry.gauge(&CIRCUIT_STATE, &labels),
                registry.counter(&CIRCUIT_TRANSITIONS, &labels),
            )
        });
        Self {
            dependency,
            direction,
            states,
            refused: shed(registry, Shed::CircuitOpen),
        }
    }

    /// Shows `current` as the state.
    pub fn show(&self, current: CircuitState) {
        for (state, gauge, _) in &self.states {
            gauge.set(if *state == current { 1.0 } else { 0.0 });
        }
    }

    /// The circuit entered `state`: shows, counts and logs it.
    pub fn turned(&self, state: CircuitState) {
        self.show(state);
        for (_, _, transitions) in self.states.iter().filter(|(each, ..)| *each == state) {
            transitions.inc();
        }
        let (dependency, direction) = (self.dependency, self.direction.name());
        let state_name = state.name();
        match state {
            CircuitState::Open => {
                tracing::warn!(
                    event.dataset = "chitram.circuit",
                    dependency,
                    direction,
                    state = state_name,
                    "circuit opened"
                );
            }
            CircuitState::HalfOpen => {
                tracing::debug!(
                    event.dataset = "chitram.circuit",
                    dependency,
                    direction,
                    state = state_name,
                    "circuit half open"
                );
            }
            CircuitState::Closed => {
                tracing::info!(
                    event.dataset = "chitram.circuit",
                    dependency,
                    direction,
                    state = state_name,
                    "circuit closed"
                );
            }
        }
    }
}

/// What guards one direction of a dependency.
pub struct GuardMetrics {
    /// Its breaker.
    pub circuit: CircuitMetrics,
    /// Its retries.
    pub retries: Counter,
    /// Calls that wait.
    pub in_use: Gauge,
    /// Calls refused because too many wait.
    pub bulkhead_full: Counter,
}

impl GuardMetrics {
    /// Handles for calls of this direction to `dependency`, of which the bulkhead lets `limit` wait.
    pub fn new(
        registry: &Registry,
        dependency: &'static str,
        direction: Direction,
        limit: usize,
    ) -> Self {
        let labels = [("dependency", dependency), ("direction", direction.name())];
        registry.gauge(&BULKHEAD_LIMIT, &labels).set(limit as f64);
        Self {
            circuit: CircuitMetrics::new(registry, dependency, direction),
            retries: registry.counter(&RETRIES, &labels),
            in_use: registry.gauge(&BULKHEAD_IN_USE, &labels),
            bulkhead_full: shed(registry, Shed::Bulkhead),
        }
    }
}
