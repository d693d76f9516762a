//! Everything that was observed in one experiment: the only input of the judging rules, so that they can be tested with
//! made-up figures.

use loadtest::events::RequestSample;

use crate::attribution::Traces;
use crate::figures::Figures;
use crate::invariants::Lost;
use crate::observer::Observed;
use crate::phases::{Marks, Phase, Span};
use crate::rollback::Effort;
use crate::usage::Reading;
use crate::windows::{Baseline, between};

/// What was observed. Fields that describe steps which were not reached keep their default.
#[derive(Clone, Debug, Default)]
pub struct Evidence {
    /// When what happened.
    pub marks: Marks,
    /// Requests with their outcome, sorted by due time.
    pub samples: Vec<RequestSample>,
    /// Arrivals of each second of due time.
    pub seconds: Vec<Arrivals>,
    /// CPU of the processes, about once a second.
    pub usage: Vec<Reading>,
    /// The steady state; `None` when the experiment ended before it was judged.
    pub baseline: Option<Result<Baseline, String>>,
    /// What telemetry said before the fault that nothing could be concluded from: an alert that was active already, a result
    /// out of its bounds. The experiment ends with it.
    pub unsteady: Option<String>,
    /// What metrics and alerts said.
    pub observed: Observed,
    /// Whether the fault was proven active, from its verification to its rollback; `None` when nothing was injected.
    pub injection: Option<Result<(), String>>,
    /// Whether the fault was removed; `None` when nothing was injected.
    pub rollback: Option<Result<(), String>>,
    /// What the rollback took beside its usual calls: a restart of Toxiproxy, what was put back.
    pub effort: Effort,
    /// A guardrail or the death of the load generator.
    pub aborted: Option<String>,
    /// Whether recovery was watched for as long as it may take.
    pub recovery_watched: bool,
    /// Every listed image is there: how many, or what was lost; `None` when it was not looked at.
    pub content: Option<Result<usize, Lost>>,
    /// The sampled traces, or why there are none.
    pub traces: Option<Result<Traces, String>>,
}

/// The arrivals of one second of due time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Arrivals {
    /// Begin in Unix microseconds.
    pub from: i64,
    /// Requests that were due.
    pub due: u64,
    /// Of these, lost by the generator, or for want of a worker of it.
    pub lost: u64,
    /// Its CPU or event loop was at its bound: what was slow in this second may be its own doing.
    pub at_bound: bool,
}

impl Evidence {
    /// End of what was observed.
    pub fn end(&self) -> i64 {
        self.marks.ended.unwrap_or(self.marks.baseline_end)
    }

    /// The stretch of a phase in which promises are judged.
    pub fn span(&self, phase: Phase) -> Option<Span> {
        match phase {
            Phase::Baseline => Some(self.marks.baseline_span()),
            Phase::Fault => self.marks.fault_span(self.end()),
            _ => None,
        }
    }

    /// The requests of a route in the baseline or during the fault.
    pub fn route(&self, phase: Phase, route: &str) -> Vec<&RequestSample> {
        self.routes(phase, &[route])
    }

    /// The requests of several routes in the baseline or during the fault.
    pub fn routes<S: AsRef<str>>(&self, phase: Phase, routes: &[S]) -> Vec<&RequestSample> {
        let within = self
            .span(phase)
            .map(|span| between(&self.samples, span))
            .unwrap_or_default();
        within
            .iter()
            .filter(|sample| routes.iter().any(|route| route.as_ref() == sample.route))
            .collect()
    }

    /// The figures of a route in the baseline or during the fault.
    pub fn figures(&self, phase: Phase, route: &str) -> Figures {
        Figures::of(self.route(phase, route))
    }

    /// The names of all routes that were used, sorted.
    pub fn route_names(&self) -> Vec<String> {
        let mut names: Vec<String> = self
            .samples
            .iter()
            .map(|sample| sample.route.clone())
            .collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// The steady state, when there was one.
    pub fn steady(&self) -> Option<&Baseline> {
        self.baseline
            .as_ref()
            .and_then(|baseline| baseline.as_ref().ok())
    }

    /// The traces, or why there are none.
    pub fn traces(&self) -> Result<&Traces, String> {
        match &self.traces {
            Some(Ok(traces)) => Ok(traces),
            Some(Err(why)) => Err(why.clone()),
            None => Err("traces were not fetched".into()),
        }
    }
}
