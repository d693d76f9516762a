//! What a report says, as data: plain values, already judged.
//!
//! The renderer decides how things look, never what they mean: whoever fills these types has computed every figure and
//! every verdict. The same values are embedded in the page as JSON, so that a report can be read by a program too.

use serde::{Deserialize, Serialize};

/// One page: a run of one or more experiments.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Report {
    /// What was run, for instance `Chitram demo`.
    pub title: String,
    /// RFC 3339, UTC.
    pub generated_at: String,
    /// The command that runs it again.
    pub command: String,
    /// One sentence for the first screen: did every verdict come out as expected, and if not, which did not.
    pub summary: String,
    /// Whether every experiment was finished and every verdict was the expected one.
    pub as_expected: bool,
    /// How the command ended.
    pub ended: Ended,
    /// The experiments that were finished, in the order in which they ran.
    pub experiments: Vec<Experiment>,
    /// Those that were not: they have no verdict.
    pub unfinished: Vec<Unfinished>,
    /// Machine, servers (real or stand-in), versions: name and value.
    pub environment: Vec<(String, String)>,
}

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    /// After the last experiment.
    Finished,
    /// By a signal.
    Interrupted,
    /// By a refusal, a failure or a fault that could not be removed.
    Failed,
    /// It has not: the page was written while experiments were still to come, and whoever wrote it may have been killed.
    Running,
}

/// An experiment without a verdict.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unfinished {
    /// The name in the experiment's file.
    pub name: String,
    /// One line for people.
    pub title: String,
    /// How far it came.
    pub state: State,
    /// What ended it; empty when nothing did.
    pub why: String,
}

/// How far an experiment without a verdict came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// A signal ended it.
    Interrupted,
    /// It was refused, or something that it needs failed.
    Failed,
    /// It was not begun.
    NotRun,
}

impl State {
    /// The word on the screen.
    pub fn word(self) -> &'static str {
        match self {
            Self::Interrupted => "interrupted",
            Self::Failed => "failed",
            Self::NotRun => "not run",
        }
    }
}

/// One experiment: its promise, what was seen, and the verdict.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Experiment {
    /// The name in the experiment's file, for instance `store-slow`.
    pub name: String,
    /// One line for people.
    pub title: String,
    /// What the platform promises under this fault.
    pub promise: String,
    /// The verdict's word, with the share that was measured where it was not all: `pass (3 of 5 measured)`.
    pub verdict: String,
    /// Whether the verdict is that nothing can be concluded.
    pub inconclusive: bool,
    /// Whether the verdict is the one that the file expects.
    pub as_expected: bool,
    /// The verdict that the file expects.
    pub expected_verdict: String,
    /// Why: one sentence for each thing that decided the verdict.
    pub reasons: Vec<String>,
    /// What was done, in order, with the moment in seconds since the first request was due.
    pub events: Vec<(f64, String)>,
    /// Rate, errors and latency over time.
    pub timeline: Timeline,
    /// One row for each route.
    pub routes: Vec<RouteRow>,
    /// What was expected and what was seen.
    pub expectations: Vec<Expectation>,
    /// The slowest sampled request before and during the fault.
    pub waterfalls: Vec<Waterfall>,
    /// What could not be measured and why: `metrics: no Prometheus`.
    pub not_measured: Vec<String>,
}

/// Windows of one experiment and the spans of time that matter. All times in seconds since the first request was due.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Timeline {
    /// In order, without overlap.
    pub windows: Vec<Window>,
    /// `baseline`, `fault`, `recovery`, ...: name, begin, end.
    pub phases: Vec<(String, f64, f64)>,
    /// When the fault was active, and its label: drawn as a band.
    pub fault: Option<(f64, f64, String)>,
    /// Upper bound of the baseline band for p95, in milliseconds.
    pub band_p95_ms: Option<f64>,
}

/// Requests due within one window, all routes pooled.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Window {
    /// Begin in seconds.
    pub from_s: f64,
    /// End in seconds.
    pub to_s: f64,
    /// Requests due.
    pub requests: u64,
    /// Of these, errors.
    pub errors: u64,
    /// Median latency from the due time, in milliseconds.
    pub p50_ms: f64,
    /// 95th percentile in milliseconds; `None` with too few requests for one.
    pub p95_ms: Option<f64>,
}

/// A route before and during the fault.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RouteRow {
    /// The route's name in the plan: `content`.
    pub route: String,
    /// Before the fault.
    pub baseline: RouteFigures,
    /// During the fault.
    pub fault: RouteFigures,
    /// Whether the route stayed in its baseline band; `None` with too few requests to say.
    pub in_band: Option<bool>,
    /// Whether the promise is about this route.
    pub expected_to_change: bool,
}

/// Figures of one route over one phase. `None`: too few samples for this figure.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct RouteFigures {
    /// Requests due.
    pub requests: u64,
    /// Of these, errors.
    pub errors: u64,
    /// Median in milliseconds.
    pub p50_ms: Option<f64>,
    /// 95th percentile in milliseconds.
    pub p95_ms: Option<f64>,
}

/// One thing that was promised.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Expectation {
    /// What the file expects, as a sentence.
    pub expected: String,
    /// What was seen, with figures and n.
    pub seen: String,
    /// How it was measured, for people: the source's words.
    pub how: String,
    /// What kind of promise it is.
    pub class: Class,
    /// What it was measured by.
    pub source: Source,
    /// Whether an experiment in which it was not measured concludes nothing.
    pub required: bool,
    /// Held, broke, or not measured.
    pub outcome: Outcome,
}

/// What kind of promise an expectation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// What the platform does under the fault.
    Promise,
    /// That service is as before when the fault is gone.
    Recovery,
    /// What must be true whatever was broken.
    Invariant,
    /// That telemetry names the fault.
    Detection,
}

/// What an expectation was measured by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// Single requests of some routes.
    Requests,
    /// Windows of all routes.
    Windows,
    /// Requests and their sampled traces.
    RequestsAndTraces,
    /// Sampled traces alone.
    Traces,
    /// Every listed image.
    Images,
    /// Alerts, as Prometheus has them.
    Alerts,
    /// The result of a PromQL expression.
    Metrics,
}

impl Source {
    /// For the reader.
    pub fn words(self) -> &'static str {
        match self {
            Self::Requests => "requests, from the due time to the last byte",
            Self::Windows => "windows of all routes against the baseline band",
            Self::RequestsAndTraces => "requests, and their sampled traces",
            Self::Traces => "sampled traces",
            Self::Images => "every listed image fetched and hashed",
            Self::Alerts => "Prometheus' alerts, looked at once a second",
            Self::Metrics => "a PromQL expression, evaluated at the end of its phase",
        }
    }
}

/// How an expectation came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// As promised.
    Held,
    /// Not as promised.
    Broke,
    /// The server that would tell was not there, or there were too few samples.
    NotMeasured,
}

/// One trace as bars over time.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Waterfall {
    /// For instance `slowest sampled request during the fault`.
    pub title: String,
    /// 32 hex digits.
    pub trace_id: String,
    /// Address of the trace in Jaeger, where there is one.
    pub link: Option<String>,
    /// Parents before children, in order of start.
    pub spans: Vec<SpanBar>,
}

/// One span of a waterfall.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SpanBar {
    /// The span's name: `GetObject`.
    pub name: String,
    /// `peer.service` for a client span, so the dependency; else none.
    pub dependency: Option<String>,
    /// Distance from the root.
    pub depth: u16,
    /// Microseconds since the root began.
    pub start_us: u64,
    /// Microseconds.
    pub duration_us: u64,
    /// `error.type`, where the span failed.
    pub error: Option<String>,
}
