//! The experiment file: what is broken, under which load, and what is promised. The page for people is
//! `docs/experiments.md`; `definition::parse` is the only way in, so that past it nothing holds an unchecked value.
//!
//! Knows nothing of servers: whether a proxy or a plan exists is preflight's business.

mod expect;
pub mod measurable;
pub mod parse;

use std::time::Duration;

pub use expect::{Bounds, Expect, ExpectedAlert, Reading, ReadingPhase};
use serde::Deserialize;

use crate::verdict::Verdict;

/// One experiment, as its file says it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Experiment {
    /// `[a-z0-9-]{1,64}`: names the experiment in results, metrics and baggage.
    pub name: String,
    /// One line for people.
    pub title: String,
    /// What the platform promises under this fault, in a sentence.
    pub promise: String,
    /// The verdict with which the experiment succeeds; another one than `pass` makes it a positive control.
    #[serde(default = "pass")]
    pub expect_verdict: Verdict,
    /// What is sent while it runs.
    pub load: Load,
    /// How long each phase lasts.
    #[serde(default)]
    pub phases: Phases,
    /// What is broken; absent in a negative control.
    pub fault: Option<Fault>,
    /// When service must be as before.
    #[serde(default)]
    pub recovery: Recovery,
    /// When to give up early, before more harm is done.
    #[serde(default)]
    pub guardrails: Guardrails,
    /// What must be true afterwards.
    #[serde(default)]
    pub invariants: Invariants,
    /// Which telemetry must name the fault.
    #[serde(default)]
    pub detection: Detection,
    /// The promise in figures, judged one by one.
    pub expect: Vec<Expect>,
}

fn pass() -> Verdict {
    Verdict::Pass
}

/// The load under which the promise is judged.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Load {
    /// A plan of `chitram-load`: the file's name without `.toml` in the folder of plans.
    pub plan: String,
}

/// Lengths of the phases, in whole seconds.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Phases {
    /// Sent, but judged by nothing.
    pub warm_up_s: u64,
    /// The steady state that everything else is compared with.
    pub baseline_s: u64,
    /// From the verified injection to one second before the rollback.
    pub fault_s: u64,
}

impl Default for Phases {
    fn default() -> Self {
        Self {
            warm_up_s: 5,
            baseline_s: 12,
            fault_s: 12,
        }
    }
}

/// Where the fault is injected and how it shows.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// The proxy's name in Toxiproxy.
    pub proxy: String,
    /// What client spans call the dependency (`peer.service`); the proxy's name unless said otherwise.
    pub dependency: Option<String>,
    /// What is spoken through the proxy: how the fault's effect is felt before it is believed.
    pub protocol: Protocol,
    /// What is done.
    pub effect: Effect,
}

impl Fault {
    /// What client spans call the dependency.
    pub fn dependency(&self) -> &str {
        self.dependency.as_deref().unwrap_or(&self.proxy)
    }
}

/// What the behavioural probe speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    /// `GET /`: any answer counts.
    Http,
    /// An empty export over gRPC.
    Otlp,
    /// `SSLRequest`: eight bytes, one byte of answer.
    Postgres,
}

/// The direction that a toxic acts on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stream {
    /// From the dependency to the service.
    #[default]
    Downstream,
    /// From the service to the dependency.
    Upstream,
}

impl Stream {
    /// The word in Toxiproxy's API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Downstream => "downstream",
            Self::Upstream => "upstream",
        }
    }
}

/// What is done to the traffic. Each has a file below `faults/`.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Effect {
    /// Each piece of data arrives later.
    Latency {
        /// Direction.
        #[serde(default)]
        stream: Stream,
        /// Delay in milliseconds.
        latency_ms: u64,
        /// The delay varies by so many milliseconds both ways.
        #[serde(default)]
        jitter_ms: u64,
        /// Share of the connections that are hit.
        #[serde(default = "all")]
        toxicity: f64,
    },
    /// Data is swallowed; the connection closes after `timeout_ms`, or never when that is 0 (a black hole).
    Timeout {
        /// Direction.
        #[serde(default)]
        stream: Stream,
        /// Milliseconds from the last byte to the close; 0 is never.
        timeout_ms: u64,
        /// Share of the connections that are hit.
        #[serde(default = "all")]
        toxicity: f64,
    },
    /// The connection is reset `timeout_ms` after data arrives.
    ResetPeer {
        /// Direction.
        #[serde(default)]
        stream: Stream,
        /// Milliseconds.
        #[serde(default)]
        timeout_ms: u64,
        /// Share of the connections that are hit.
        #[serde(default = "all")]
        toxicity: f64,
    },
    /// The proxy is disabled: connections close and new ones are refused.
    Down {},
}

fn all() -> f64 {
    1.0
}

/// When service must be as before.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Recovery {
    /// The first of three windows in the baseline band begins at most so many seconds after the lift.
    pub within_s: u64,
}

impl Default for Recovery {
    fn default() -> Self {
        Self { within_s: 10 }
    }
}

/// When to give up early.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Guardrails {
    /// A window with a larger share of errors aborts the experiment; absent: none does.
    pub error_ratio: Option<f64>,
}

/// What must be true afterwards.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Invariants {
    /// The content of every listed image answers 200 and has its hash.
    pub content: bool,
}

/// Which telemetry must name the fault, or the verdict is `not_detected`.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Detection {
    /// Of the failed requests' sampled traces, so large a share has its first error on a span of the dependency.
    pub first_error_share: Option<f64>,
    /// Whether an experiment may conclude without it, since the server that would tell may be missing.
    pub optional: bool,
}

/// Shortest baseline and fault: six windows of two seconds, and 200 requests on a route with a sixth of 100 a second.
pub const MIN_PHASE_S: u64 = 12;

impl Experiment {
    /// The same with another length of baseline and fault, in seconds (`--seconds`).
    #[must_use]
    pub fn with_seconds(mut self, seconds: u64) -> Self {
        self.phases.baseline_s = seconds;
        self.phases.fault_s = seconds;
        self
    }

    /// The same with a doubled baseline: how an inconclusive experiment is repeated.
    #[must_use]
    pub fn with_doubled_baseline(mut self) -> Self {
        self.phases.baseline_s *= 2;
        self
    }

    /// Routes that the promise expects to change.
    pub fn changing_routes(&self) -> Vec<&str> {
        let mut routes: Vec<&str> = self
            .expect
            .iter()
            .filter(|e| e.is_change())
            .flat_map(Expect::routes)
            .map(String::as_str)
            .collect();
        routes.sort_unstable();
        routes.dedup();
        routes
    }

    /// The alerts that are expected, each with the place of its expectation in the file.
    pub fn expected_alerts(&self) -> impl Iterator<Item = (usize, &ExpectedAlert)> {
        let lines = self.expect.iter().enumerate();
        lines.filter_map(|(index, expect)| match expect {
            Expect::Alert(alert) => Some((index, alert)),
            _ => None,
        })
    }

    /// The PromQL results that are expected, each with the place of its expectation in the file.
    pub fn expected_readings(&self) -> impl Iterator<Item = (usize, &Reading)> {
        let lines = self.expect.iter().enumerate();
        lines.filter_map(|(index, expect)| match expect {
            Expect::Promql(reading) => Some((index, reading)),
            _ => None,
        })
    }

    /// The longest time after the lift in which an alert has to clear, in seconds.
    pub fn longest_clearing_s(&self) -> Option<u64> {
        self.expected_alerts()
            .filter_map(|(_, alert)| alert.clears_within_s)
            .max()
    }

    /// How long the fault is observed: its phase, and the second before the rollback that no promise is judged on.
    pub fn observation(&self) -> Duration {
        Duration::from_secs(self.phases.fault_s) + crate::phases::BEFORE_ROLLBACK
    }
}
