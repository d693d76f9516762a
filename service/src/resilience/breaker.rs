//! A circuit breaker: when a dependency keeps failing, stop asking it for a while and say no at once.
//!
//! Closed: calls pass, and their outcomes are remembered. Open: calls are refused. Half-open: one call at a time is let
//! through as a probe; a good one closes the circuit, a bad one opens it again for twice as long, up to a cap that bounds
//! how late a recovery is noticed. A call that is slow counts as a failure, also when its caller left before the answer:
//! callers with little patience would otherwise hide a dependency that hangs.

use std::collections::VecDeque;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::CallError;
use crate::telemetry::CircuitMetrics;

/// When a circuit opens and for how long.
#[derive(Debug, Clone, Copy)]
pub struct Policy {
    /// How many of the last outcomes are looked at.
    pub window: usize,
    /// Outcomes older than this no longer say anything.
    pub memory: Duration,
    /// With fewer outcomes than this, nothing is decided.
    pub minimum: usize,
    /// The share of bad outcomes that opens the circuit.
    pub bad_share: f64,
    /// A call that takes this long counts as bad, whatever it answered. The time that sending takes comes on top.
    pub slow: Duration,
    /// How long the circuit stays open at first.
    pub open_first: Duration,
    /// How long it stays open at most; it doubles with each probe that fails.
    pub open_at_most: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            window: 20,
            memory: Duration::from_secs(10),
            minimum: 5,
            bad_share: 0.5,
            slow: Duration::from_millis(800),
            open_first: Duration::from_millis(500),
            open_at_most: Duration::from_secs(2),
        }
    }
}

/// The three states, in the order in which the metrics show them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CircuitState {
    /// Calls pass.
    Closed,
    /// One call at a time passes.
    HalfOpen,
    /// No call passes.
    Open,
}

impl CircuitState {
    /// Every state.
    pub const ALL: [Self; 3] = [Self::Closed, Self::HalfOpen, Self::Open];

    /// The state as a label value.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::HalfOpen => "half_open",
            Self::Open => "open",
        }
    }
}

/// The call was not made: the circuit is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("its circuit is open")]
pub struct CircuitOpen {
    /// When it is worth asking again.
    pub retry_after: Duration,
}

/// A time between two transitions of a circuit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Generation(u64);

/// The breaker of one direction of a dependency. Clones share its state.
#[derive(Clone)]
pub struct Breaker(Arc<Inner>);

struct Inner {
    policy: Option<Policy>,
    core: Mutex<Core>,
    metrics: CircuitMetrics,
}

struct Core {
    state: CircuitState,
    /// Counts the transitions. An outcome of a call that began in an earlier state decides nothing.
    generation: u64,
    outcomes: VecDeque<(Instant, bool)>,
    /// How many times in a row the circuit opened without closing.
    opened: u32,
    open_until: Instant,
    probing: bool,
}

impl Breaker {
    /// A closed circuit. `None` never opens: the switch by which an experiment shows what the breaker is for.
    pub fn new(policy: Option<Policy>, metrics: CircuitMetrics) -> Self {
        metrics.show(CircuitState::Closed);
        Self(Arc::new(Inner {
            policy,
            core: Mutex::new(Core {
                state: CircuitState::Closed,
                generation: 0,
                outcomes: VecDeque::new(),
                opened: 0,
                open_until: Instant::now(),
                probing: false,
            }),
            metrics,
        }))
    }

    /// Makes a call, or refuses it. `sending` is the time that a healthy call may take for what its caller gives it: a large
    /// upload is not slow for being large.
    pub async fn run<T, E: CallError>(
        &self,
        sending: Duration,
        call: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let admission = self.admit(sending)?;
        let result = call.await;
        let good = !matches!(&result, Err(error) if error.is_fault());
        admission.finish(good);
        result
    }

    /// Whether a call made now would be refused.
    pub fn would_refuse(&self) -> bool {
        let core = self.0.core();
        match core.state {
            CircuitState::Closed => false,
            CircuitState::HalfOpen => core.probing,
            CircuitState::Open => Instant::now() < core.open_until,
        }
    }

    /// The time that is now, for [`Self::report_fault`].
    pub fn generation(&self) -> Generation {
        Generation(self.0.core().generation)
    }

    /// Counts a failure that showed only after the call had been answered, such as a body that stopped half-way. `since` is
    /// when the call was answered: a body from before a recovery says nothing about the time after it.
    pub fn report_fault(&self, since: Generation) {
        if let Some(policy) = self.0.policy {
            let mut core = self.0.core();
            if core.state == CircuitState::Closed && core.generation == since.0 {
                self.0.remember(&mut core, policy, false);
            }
        }
    }

    fn admit(&self, sending: Duration) -> Result<Admission, CircuitOpen> {
        let now = Instant::now();
        let mut core = self.0.core();
        if core.state == CircuitState::Open && now >= core.open_until {
            self.0.turn(&mut core, CircuitState::HalfOpen);
        }
        let refused = match core.state {
            CircuitState::Closed => None,
            CircuitState::Open => Some(core.open_until - now),
            CircuitState::HalfOpen if core.probing => self.0.policy.map(|policy| policy.slow),
            CircuitState::HalfOpen => {
                core.probing = true;
                None
            }
        };
        if let Some(retry_after) = refused {
            self.0.metrics.refused.inc();
            return Err(CircuitOpen { retry_after });
        }
        Ok(Admission {
            breaker: Arc::clone(&self.0),
            generation: core.generation,
            began: now,
            sending,
            finished: false,
        })
    }
}

impl Inner {
    /// A poisoned lock only means that a thread panicked between simple statements; the state is still usable.
    fn core(&self) -> MutexGuard<'_, Core> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn settle(&self, generation: u64, good: bool) {
        let Some(policy) = self.policy else { return };
        let mut core = self.core();
        if core.generation != generation {
            return;
        }
        match core.state {
            CircuitState::Closed => self.remember(&mut core, policy, good),
            CircuitState::HalfOpen if good => {
                core.opened = 0;
                core.outcomes.clear();
                self.turn(&mut core, CircuitState::Closed);
            }
            CircuitState::HalfOpen => self.open(&mut core, policy),
            CircuitState::Open => {}
        }
    }

    fn remember(&self, core: &mut Core, policy: Policy, good: bool) {
        let now = Instant::now();
        core.outcomes.push_back((now, good));
        while core.outcomes.len() > policy.window
            || core
                .outcomes
                .front()
                .is_some_and(|(at, _)| now - *at > policy.memory)
        {
            core.outcomes.pop_front();
        }
        let bad = core.outcomes.iter().filter(|(_, good)| !good).count();
        let seen = core.outcomes.len();
        // A call that went well is no reason to open, even when it completes a minimum of bad ones: they are over.
        if !good && seen >= policy.minimum && bad as f64 >= policy.bad_share * seen as f64 {
            self.open(core, policy);
        }
    }

    fn open(&self, core: &mut Core, policy: Policy) {
        let doubled = policy.open_first * 2u32.saturating_pow(core.opened.min(16));
        core.open_until = Instant::now() + doubled.min(policy.open_at_most);
        core.opened += 1;
        self.turn(core, CircuitState::Open);
    }

    fn turn(&self, core: &mut Core, to: CircuitState) {
        core.state = to;
        core.generation += 1;
        core.probing = false;
        self.metrics.turned(to);
    }
}

/// A call that was let through. Dropped without an outcome (its caller left), it frees the place of a probe.
struct Admission {
    breaker: Arc<Inner>,
    generation: u64,
    began: Instant,
    sending: Duration,
    finished: bool,
}

impl Admission {
    fn finish(mut self, good: bool) {
        self.finished = true;
        self.breaker.settle(self.generation, good && !self.slow());
    }

    fn slow(&self) -> bool {
        self.breaker
            .policy
            .is_some_and(|policy| self.began.elapsed() >= policy.slow + self.sending)
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        if self.finished {
            return;
        }
        if self.slow() {
            self.breaker.settle(self.generation, false);
            return;
        }
        let mut core = self.breaker.core();
        if core.generation == self.generation && core.state == CircuitState::HalfOpen {
            core.probing = false;
        }
    }
}

#[cfg(test)]
mod tests;
