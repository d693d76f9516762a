//! Counts what became of each arrival: by phase and route for the result, by second of due time for the events.
//!
//! Recording is short and never waits for a file or a task, so that it can't delay the schedule.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use super::answer::Answer;
use super::event_file::EventQueue;
use super::line::Cause;
use crate::events::{ErrorKind, Event, RequestSample, RouteWindow, Window};
use crate::result::{MEASURE, PhaseResult, RouteFigures, Totals, WARMUP};
use crate::schedule::{Arrival, Schedule};
use crate::stats::{LatencyHistogram, quantile};

/// What became of one arrival.
#[derive(Clone, Debug)]
pub(crate) enum Fate {
    Sent {
        /// Actual minus due time.
        lag: Duration,
        /// From the due time to the last byte or the failure.
        latency: Duration,
        answer: Answer,
        /// Only of a sampled request.
        trace_id: Option<String>,
    },
    NotSent(Cause),
}

/// What a run is, as far as counting goes.
pub(crate) struct Shape {
    pub(crate) schedule: Schedule,
    pub(crate) warmup: Duration,
    pub(crate) timeout: Duration,
    pub(crate) routes: Vec<&'static str>,
    /// Whether each request is written to the events file.
    pub(crate) requests: bool,
}

/// What a person who watches wants to know.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Live {
    pub(crate) done: u64,
    pub(crate) errors: u64,
    pub(crate) not_sent: u64,
    /// Of the last complete second.
    pub(crate) p50_us: u64,
    /// Of the last complete second.
    pub(crate) max_us: u64,
}

pub(crate) struct Recorder {
    shape: Shape,
    counts: Mutex<Counts>,
    recorded: watch::Sender<u64>,
    events: EventQueue,
}

#[derive(Default)]
struct Counts {
    started_at_us: i64,
    warmup: Phase,
    measure: Phase,
    windows: BTreeMap<u64, OpenWindow>,
    live: Live,
}

#[derive(Default)]
struct Phase {
    totals: Totals,
    send_lag: LatencyHistogram,
    loop_lag_max_us: u64,
    routes: BTreeMap<&'static str, (BTreeMap<ErrorKind, u64>, LatencyHistogram)>,
}

#[derive(Default)]
struct OpenWindow {
    totals: Totals,
    /// Latencies and errors by route.
    routes: BTreeMap<&'static str, (Vec<u64>, u64)>,
}

impl Recorder {
    pub(crate) fn new(shape: Shape, events: EventQueue) -> Self {
        Self {
            shape,
            counts: Mutex::default(),
            recorded: watch::Sender::new(0),
            events,
        }
    }

    /// The first request is due at this Unix time in microseconds.
    pub(crate) fn start(&self, started_at_us: i64) {
        self.counts().started_at_us = started_at_us;
    }

    pub(crate) fn record(&self, arrival: &Arrival, fate: &Fate) {
        let mut counts = self.counts();
        let sample = self.sample(counts.started_at_us, arrival, fate);
        counts.add(&self.shape, arrival, fate, sample.as_ref());
        let second = arrival.offset.as_secs();
        let complete =
            |window: &OpenWindow| window.totals.due >= self.shape.schedule.due_in_second(second);
        if counts.windows.get(&second).is_some_and(complete) {
            counts.close_window(second, &self.events);
        }
        drop(counts);
        if let Some(sample) = sample
            && self.shape.requests
        {
            self.events.put(Event::Request(sample));
        }
        self.recorded.send_modify(|recorded| *recorded += 1);
    }

    /// Takes note of how late the event loop's timers fired lately.
    pub(crate) fn record_loop_lag(&self, at: Duration, lag_us: u64) {
        let mut counts = self.counts();
        let phase = if at < self.shape.warmup {
            &mut counts.warmup
        } else {
            &mut counts.measure
        };
        phase.loop_lag_max_us = phase.loop_lag_max_us.max(lag_us);
    }

    /// Returns when that many arrivals were recorded.
    pub(crate) async fn all_recorded(&self, arrivals: u64) {
        let _ = self
            .recorded
            .subscribe()
            .wait_for(|recorded| *recorded >= arrivals)
            .await;
    }

    pub(crate) fn live(&self) -> Live {
        self.counts().live
    }

    /// Closes the windows that a stop left incomplete, and gives the phases that had arrivals or were planned.
    pub(crate) fn finish(&self) -> Vec<PhaseResult> {
        let mut counts = self.counts();
        while let Some(second) = counts.windows.keys().next().copied() {
            counts.close_window(second, &self.events);
        }
        let mut phases = Vec::new();
        if !self.shape.warmup.is_zero() {
            phases.push(counts.warmup.result(WARMUP, &self.shape.routes));
        }
        phases.push(counts.measure.result(MEASURE, &self.shape.routes));
        phases
    }

    /// What the result counts as a sample: what was sent, and what the target kept from being sent.
    fn sample(&self, started_at_us: i64, arrival: &Arrival, fate: &Fate) -> Option<RequestSample> {
        let due_us = started_at_us + arrival.offset.as_micros() as i64;
        let route = self.shape.routes[arrival.route].to_owned();
        match fate {
            Fate::Sent {
                lag,
                latency,
                answer,
                trace_id,
            } => Some(RequestSample {
                due_us,
                route,
                status: answer.status,
                error: answer.error,
                latency_us: latency.as_micros() as u64,
                send_lag_us: lag.as_micros() as u64,
                bytes: answer.bytes,
                problem: answer.problem,
                retry_after: answer.retry_after,
                trace_id: trace_id.clone(),
            }),
            Fate::NotSent(Cause::Target) => Some(RequestSample {
                due_us,
                route,
                status: None,
                error: Some(ErrorKind::NotSent),
                latency_us: self.shape.timeout.as_micros() as u64,
                send_lag_us: 0,
                bytes: 0,
                problem: false,
                retry_after: false,
                trace_id: None,
            }),
            Fate::NotSent(Cause::Generator) => None,
        }
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counts {
    fn add(
        &mut self,
        shape: &Shape,
        arrival: &Arrival,
        fate: &Fate,
        sample: Option<&RequestSample>,
    ) {
        let phase = if arrival.offset < shape.warmup {
            &mut self.warmup
        } else {
            &mut self.measure
        };
        let window = self.windows.entry(arrival.offset.as_secs()).or_default();
        let error = sample.and_then(|sample| sample.error);
        for totals in [&mut phase.totals, &mut window.totals] {
            totals.count(fate, error);
        }
        self.live.done += 1;
        self.live.errors += u64::from(error.is_some());
        self.live.not_sent += u64::from(matches!(fate, Fate::NotSent(_)));
        if let Fate::Sent { lag, .. } = fate {
            phase.send_lag.record(lag.as_micros() as u64);
        }
        let Some(sample) = sample else { return };
        let route = shape.routes[arrival.route];
        let (errors, histogram) = phase.routes.entry(route).or_default();
        histogram.record(sample.latency_us);
        let (latencies, window_errors) = window.routes.entry(route).or_default();
        latencies.push(sample.latency_us);
        if let Some(kind) = error {
            *errors.entry(kind).or_default() += 1;
            *window_errors += 1;
        }
    }

    fn close_window(&mut self, second: u64, events: &EventQueue) {
        let Some(window) = self.windows.remove(&second) else {
            return;
        };
        let pooled: Vec<u64> = window
            .routes
            .values()
            .flat_map(|(latencies, _)| latencies)
            .copied()
            .collect();
        let at = |values: &[u64], q| quantile(values, q).unwrap_or_default();
        self.live.p50_us = at(&pooled, 0.5);
        self.live.max_us = at(&pooled, 1.0);
        let routes = window.routes.iter().map(|(route, (latencies, errors))| {
            let figures = RouteWindow {
                n: latencies.len() as u64,
                errors: *errors,
                p50_us: at(latencies, 0.5),
                p95_us: at(latencies, 0.95),
            };
            ((*route).to_owned(), figures)
        });
        let Totals {
            due,
            sent,
            ok,
            errors,
            not_sent,
        } = window.totals;
        events.put(Event::Window(Window {
            second,
            due,
            sent,
            ok,
            errors,
            not_sent,
            p50_us: self.live.p50_us,
            p95_us: at(&pooled, 0.95),
            max_us: self.live.max_us,
            routes: routes.collect(),
        }));
    }
}

impl Totals {
    fn count(&mut self, fate: &Fate, error: Option<ErrorKind>) {
        self.due += 1;
        self.errors += u64::from(error.is_some());
        match fate {
            Fate::Sent { .. } => {
                self.sent += 1;
                self.ok += u64::from(error.is_none());
            }
            Fate::NotSent(Cause::Generator) => self.not_sent.generator += 1,
            Fate::NotSent(Cause::Target) => self.not_sent.target += 1,
        }
    }
}

impl Phase {
    fn result(&self, name: &str, routes: &[&'static str]) -> PhaseResult {
        let mut pooled = LatencyHistogram::default();
        let mut pooled_errors: BTreeMap<ErrorKind, u64> = BTreeMap::new();
        let mut figures = BTreeMap::new();
        for route in routes {
            let (errors, histogram) = self.routes.get(route).cloned().unwrap_or_default();
            pooled.merge(&histogram);
            for (kind, n) in &errors {
                *pooled_errors.entry(*kind).or_default() += n;
            }
            figures.insert((*route).to_owned(), RouteFigures::new(errors, &histogram));
        }
        PhaseResult {
            name: name.to_owned(),
            totals: self.totals,
            send_lag: self.send_lag.percentiles(),
            event_loop_lag_max_us: self.loop_lag_max_us,
            all: RouteFigures::new(pooled_errors, &pooled),
            routes: figures,
        }
    }
}
