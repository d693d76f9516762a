//! What a run measured, as one JSON document: the contract that reports, CI and chaos read.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::events::{ErrorKind, NotSent};
use crate::stats::{LatencyHistogram, Percentiles};
use crate::threshold::ThresholdOutcome;

/// The version of this format.
pub const VERSION: u32 = 1;

/// The name of the phase that is excluded from judgement unless a threshold names it.
pub const WARMUP: &str = "warmup";
/// The name of the phase that counts.
pub const MEASURE: &str = "measure";

/// Arrivals lost to the generator, as a share of those that were due, beyond which a run says nothing.
pub const GENERATOR_LOSS_BOUND: f64 = 0.02;

/// One run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunResult {
    /// [`VERSION`].
    pub version: u32,
    /// What was run.
    pub run: Run,
    /// The arrivals of the measured phase.
    pub totals: Totals,
    /// `warmup` (when there was one) and `measure`, in this order.
    pub phases: Vec<PhaseResult>,
    /// Each threshold of the plan with what was seen.
    pub thresholds: Vec<ThresholdOutcome>,
    /// What the run says.
    pub conclusion: Conclusion,
    /// Why: one sentence for each thing that decided the conclusion.
    pub reasons: Vec<String>,
    /// The run was asked to stop (SIGTERM or SIGHUP) before its time.
    pub stopped: bool,
    /// The run was interrupted (SIGINT).
    pub aborted: bool,
    /// Events that the events file could not take in time; with any, the file is incomplete, the result is not.
    pub events_lost: u64,
}

/// What was run, enough to run it again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// The baggage entry `run.id` of every request.
    pub run_id: String,
    /// The baggage entry `experiment.id`, when there was one.
    pub experiment_id: Option<String>,
    /// The plan's name.
    pub plan: String,
    /// The address that was loaded.
    pub target: String,
    /// Chooses pictures, presets and their order.
    pub seed: u64,
    /// Unix time in microseconds at which the first request was due.
    pub started_at_us: i64,
    /// Arrivals a second.
    pub rate: f64,
    /// Planned seconds of warm-up.
    pub warmup_seconds: f64,
    /// Planned seconds of measurement.
    pub measure_seconds: f64,
    /// The timeout of a request in milliseconds.
    pub timeout_ms: u64,
    /// The most requests that can be in flight.
    pub workers: usize,
    /// Pictures that requests were about.
    pub pictures: usize,
    /// The generator's version.
    pub generator: String,
    /// Requests of all phases that goose counted by itself; on a machine that was starved at the start it misses the first
    /// few of those sent. `None` when goose did not end in time.
    pub goose_requests: Option<u64>,
}

/// Arrivals and what became of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Requests that were due.
    pub due: u64,
    /// Of these, requests that were sent.
    pub sent: u64,
    /// Answers that were what the route promises.
    pub ok: u64,
    /// Errors, the requests that were not sent because of the target included.
    pub errors: u64,
    /// Requests that were not sent, by cause.
    pub not_sent: NotSent,
}

/// One phase. Requests belong to the phase of their due time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PhaseResult {
    /// `warmup` or `measure`.
    pub name: String,
    /// Its arrivals.
    pub totals: Totals,
    /// How long after their due time requests were sent.
    pub send_lag: Percentiles,
    /// The longest that the generator's event loop kept a timer waiting, in microseconds.
    pub event_loop_lag_max_us: u64,
    /// Whether the generator kept up.
    #[serde(default)]
    pub generator: GeneratorFigures,
    /// All routes pooled: their histograms merged.
    pub all: RouteFigures,
    /// Each route of the plan.
    pub routes: BTreeMap<String, RouteFigures>,
}

/// How the generator itself did in one phase.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct GeneratorFigures {
    /// Seconds that were looked at.
    pub seconds: u64,
    /// Of these, seconds in which its threads or its event loop were at their bound.
    pub saturated_seconds: u64,
    /// The share of the time that its threads were busy, in the busiest second: between 0 and 1.
    pub busy_max: f64,
    /// How long its event loop did not run, in microseconds.
    pub stalled_us: u64,
    /// How much of each request's latency may be the generator's doing.
    pub added: Percentiles,
}

/// One route in one phase. Errors and timeouts are in the histogram, at the time they took; what was not sent because of
/// the generator is not.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RouteFigures {
    /// Samples: requests sent, and those not sent because of the target.
    pub n: u64,
    /// Errors by kind.
    pub errors: BTreeMap<ErrorKind, u64>,
    /// From the due time to the last byte.
    pub latency: Percentiles,
    /// The histogram itself, `HdrHistogram` V2 in base64: figures of several runs come from merging these.
    pub histogram: String,
}

impl RouteFigures {
    /// Figures from the errors by kind and the latencies of all samples, errors included.
    pub fn new(errors: BTreeMap<ErrorKind, u64>, histogram: &LatencyHistogram) -> Self {
        Self {
            n: histogram.len(),
            errors,
            latency: histogram.percentiles(),
            histogram: histogram.to_base64(),
        }
    }

    /// Errors of every kind.
    pub fn error_count(&self) -> u64 {
        self.errors.values().sum()
    }

    /// Errors by samples; 0 without samples.
    pub fn error_rate(&self) -> f64 {
        if self.n == 0 {
            0.0
        } else {
            self.error_count() as f64 / self.n as f64
        }
    }
}

/// What a run says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Conclusion {
    /// Every threshold held.
    Pass,
    /// At least one failed.
    Fail,
    /// Nothing was proven: the generator was at its bound, a threshold had too few samples, or the run was stopped early.
    Inconclusive,
}
