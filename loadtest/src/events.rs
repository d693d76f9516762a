//! What a run tells while it goes on: one JSON object a line, in a file that a reader may follow.
//!
//! The first line is [`Event::Run`], the last [`Event::End`]; a file without an end belongs to a run that was killed.
//! These types know nothing of how requests are sent.

use std::collections::BTreeMap;

use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

/// The version of this format, in the first line of every file.
pub const VERSION: u32 = 1;

/// Microseconds of `CLOCK_MONOTONIC`, by which the schedule goes: writer and reader of a file share it.
pub fn monotonic_us() -> i64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec * 1_000_000 + now.tv_nsec / 1_000
}

/// One line of the events file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Event {
    /// First line: which run this is and when its first request was due.
    Run(RunStarted),
    /// One second of due time, written when every request due in it has an outcome.
    Window(Window),
    /// One request, when the run was asked for them.
    Request(RequestSample),
    /// Last line.
    End(End),
}

impl Event {
    /// Reads one line of an events file.
    pub fn parse(line: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(line)
    }
}

/// Which run an events file is about.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunStarted {
    /// [`VERSION`].
    pub version: u32,
    /// The value of the baggage entry `run.id` of every request.
    pub run_id: String,
    /// The value of the baggage entry `experiment.id`, when there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub experiment_id: Option<String>,
    /// The plan's name.
    pub plan: String,
    /// The address that is loaded.
    pub target: String,
    /// Unix time in microseconds at which the first request is due.
    pub started_at_us: i64,
    /// The same moment in microseconds of `CLOCK_MONOTONIC`, which all processes of a machine share and nobody steps. A
    /// reader that measures time by it is not misled by a step of the wall clock. Generators of before did not tell it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_monotonic_us: Option<i64>,
    /// Arrivals a second.
    pub rate: f64,
    /// Seconds of due time that belong to the warm-up.
    pub warmup_seconds: f64,
    /// The generator's process.
    pub pid: u32,
}

/// One second of due time. All latencies are microseconds from the due time to the last byte.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Window {
    /// Seconds since the first request was due: this window holds the requests due in `[second, second + 1)`.
    pub second: u64,
    /// Requests that were due.
    pub due: u64,
    /// Of these, requests that were sent.
    pub sent: u64,
    /// Answers that were what the route promises.
    pub ok: u64,
    /// Everything else, the requests that were not sent because of the target included.
    pub errors: u64,
    /// Requests that were not sent, by cause.
    pub not_sent: NotSent,
    /// Median; 0 without a sample.
    pub p50_us: u64,
    /// 95th percentile, exact but of few samples: for the eye, not for judging.
    pub p95_us: u64,
    /// The slowest.
    pub max_us: u64,
    /// Whether the generator kept up.
    #[serde(default)]
    pub generator: GeneratorWindow,
    /// The same by route.
    pub routes: BTreeMap<String, RouteWindow>,
}

/// How the generator itself did in one second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct GeneratorWindow {
    /// The share of the time that its threads were busy, between 0 and 1.
    pub busy: f64,
    /// How long its event loop did not run, in microseconds.
    pub stalled_us: u64,
    /// One of the two was at its bound: what is late or slow in this second may be the generator's doing.
    pub at_bound: bool,
}

/// One route in one second of due time.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RouteWindow {
    /// Requests that were due.
    pub n: u64,
    /// Of these, errors.
    pub errors: u64,
    /// Median in microseconds.
    pub p50_us: u64,
    /// 95th percentile in microseconds.
    pub p95_us: u64,
}

/// Arrivals that were never sent, by whose fault it was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotSent {
    /// The generator's event loop, CPU, descriptors or ports were at their bound: says nothing about the target.
    pub generator: u64,
    /// Every worker was waiting for an answer, and `max_workers` allows fewer than the plan can need: says nothing about
    /// the target either.
    #[serde(default)]
    pub workers: u64,
    /// Every worker was waiting for an answer: the target's failure, an error.
    pub target: u64,
}

impl NotSent {
    /// Those that say nothing about the target.
    pub fn lost(self) -> u64 {
        self.generator + self.workers
    }
}

/// One request and its outcome.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestSample {
    /// Unix time in microseconds at which the request was due.
    pub due_us: i64,
    /// `list`, `metadata`, `content`, `render` or `upload`.
    pub route: String,
    /// The answer's status, when there was an answer.
    pub status: Option<u16>,
    /// What was wrong; nothing when the answer was what the route promises.
    pub error: Option<ErrorKind>,
    /// From the due time to the last byte, or to the failure. For a request that was not sent because of the target it is
    /// the timeout: the least that it would have taken.
    pub latency_us: u64,
    /// How long after its due time the request was sent.
    pub send_lag_us: u64,
    /// Bytes of the body that arrived.
    pub bytes: u64,
    /// Whether the answer was a problem document (`application/problem+json`).
    pub problem: bool,
    /// Whether the answer had a `Retry-After`.
    pub retry_after: bool,
    /// The trace's id, 32 hex digits, when the request carried the sampled flag.
    pub trace_id: Option<String>,
}

/// Why a request counts as an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorKind {
    /// No complete answer within the timeout.
    Timeout,
    /// No connection.
    Connect,
    /// The connection broke before the last byte.
    Io,
    /// An answer, with a status that the route does not promise.
    Status,
    /// The promised status, but a wrong body: another hash, another shape, another type.
    Body,
    /// Not sent, since every worker was waiting for the target.
    NotSent,
}

/// The last line of an events file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// The run was asked to stop (SIGTERM or SIGHUP) before its time.
    pub stopped: bool,
    /// The run was interrupted (SIGINT).
    pub aborted: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_names_its_type_and_reads_back() {
        let event = Event::Request(RequestSample {
            due_us: 1_700_000_000_000_000,
            route: "content".into(),
            status: Some(503),
            error: Some(ErrorKind::Status),
            latency_us: 1_200,
            send_lag_us: 80,
            bytes: 140,
            problem: true,
            retry_after: true,
            trace_id: None,
        });
        let line = serde_json::to_string(&event).expect("serializes");
        assert!(
            line.starts_with(r#"{"type":"request","due_us":1700000000000000,"#),
            "{line}"
        );
        assert!(line.contains(r#""error":"status""#), "{line}");
        assert_eq!(Event::parse(&line).expect("parses"), event);
    }

    #[test]
    fn an_unknown_type_is_refused() {
        assert!(Event::parse(r#"{"type":"weather"}"#).is_err());
    }
}
