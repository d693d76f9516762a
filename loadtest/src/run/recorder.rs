//! Counts what became of each arrival: by phase and route for the result, by second of due time for the events.
//!
//! Recording is short and never waits for a file or a task, so that it can't delay the schedule.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use super::answer::{Answer, OwnLimit};
use super::event_file::EventQueue;
use super::line::Cause;
use super::pace::Pace;
use crate::events::{ErrorKind, Event, RequestSample, RouteWindow, Window};
use crate::result::{GeneratorFigures, MEASURE, PhaseResult, RouteFigures, Totals, WARMUP};
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
        /// Of that, what may be the generator's doing.
        added: Duration,
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

/// What a run measured.
pub(crate) struct Measured {
    /// The phases that had arrivals or were planned.
    pub(crate) phases: Vec<PhaseResult>,
    /// The same without whatever may be the generator's doing: no target could look better.
    pub(crate) favourable: Vec<PhaseResult>,
    /// A limit of this process or machine that kept requests from being sent.
    pub(crate) limit: Option<OwnLimit>,
}

pub(crate) struct Recorder {
    shape: Shape,
    pace: Arc<Pace>,
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
    limit: Option<OwnLimit>,
}

#[derive(Default)]
struct Phase {
    totals: Totals,
    send_lag: LatencyHistogram,
    added: LatencyHistogram,
    loop_lag_max_us: u64,
    routes: BTreeMap<&'static str, Seen>,
    /// The same without what may be the generator's doing.
    favourable: BTreeMap<&'static str, Seen>,
}

/// Errors by kind, and the latencies of all samples.
#[derive(Clone, Default)]
struct Seen {
    errors: BTreeMap<ErrorKind, u64>,
    latencies: LatencyHistogram,
}

#[derive(Default)]
struct OpenWindow {
    totals: Totals,
    /// Latencies and errors by route.
    routes: BTreeMap<&'static str, (Vec<u64>, u64)>,
}

impl Recorder {
    pub(crate) fn new(shape: Shape, pace: Arc<Pace>, events: EventQueue) -> Self {
        Self {
            shape,
            pace,
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
            counts.close_window(second, &self.pace, &self.events);
        }
        drop(counts);
        if let Some(sample) = sample
            && self.shape.requests
        {
            self.events.put(Event::Request(sample));
        }
        self.recorded.send_modify(|recorded| *recorded += 1);
    }

    /// Takes note of a limit that kept a request from being sent.
    pub(crate) fn note_limit(&self, limit: OwnLimit) {
        self.counts().limit.get_or_insert(limit);
    }

    /// Takes note of how late the event loop's timers fired lately.
    pub(crate) fn record_loop_lag(&self, at: Duration, lag: Duration) {
        let lag_us = lag.as_micros() as u64;
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

    /// Closes the windows that a stop left incomplete, and says what was measured.
    pub(crate) fn finish(&self) -> Measured {
        let mut counts = self.counts();
        while let Some(second) = counts.windows.keys().next().copied() {
            counts.close_window(second, &self.pace, &self.events);
        }
        let mut measured = Measured {
            phases: Vec::new(),
            favourable: Vec::new(),
            limit: counts.limit,
        };
        let end = self
            .shape
            .schedule
            .offset(self.shape.schedule.slots().saturating_sub(1));
        let (warm, end) = (
            self.shape.warmup.as_secs(),
            end.unwrap_or_default().as_secs() + 1,
        );
        let mut add = |phase: &Phase, name, seconds| {
            let generator = self.generator(phase, seconds);
            let result = |routes| phase.result(name, &self.shape.routes, routes, generator);
            measured.phases.push(result(&phase.routes));
            measured.favourable.push(result(&phase.favourable));
        };
        if !self.shape.warmup.is_zero() {
            add(&counts.warmup, WARMUP, 0..warm);
        }
        add(&counts.measure, MEASURE, warm..end);
        measured
    }

    /// How the generator did in these seconds of a phase.
    fn generator(&self, phase: &Phase, seconds: std::ops::Range<u64>) -> GeneratorFigures {
        let known = self.pace.seconds(seconds);
        let at_bound = known.iter().filter(|second| second.at_bound).count();
        GeneratorFigures {
            seconds: known.len() as u64,
            saturated_seconds: at_bound as u64,
            busy_max: known.iter().map(|second| second.busy).fold(0.0, f64::max),
            stalled_us: known.iter().map(|second| second.stalled_us).sum(),
            added: phase.added.percentiles(),
        }
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
                ..
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
            Fate::NotSent(Cause::Generator | Cause::Workers) => None,
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
        let mut added_us = 0;
        if let Fate::Sent { lag, added, .. } = fate {
            phase.send_lag.record(lag.as_micros() as u64);
            added_us = added.as_micros() as u64;
            phase.added.record(added_us);
        }
        let route = shape.routes[arrival.route];
        let favourable = phase.favourable.entry(route).or_default();
        let Some(sample) = sample else {
            // Nobody knows what it would have been: nothing could speak better for the target.
            return favourable.add(0, None);
        };
        let least_us = sample.latency_us.saturating_sub(added_us);
        favourable.add(
            least_us,
            error.filter(|kind| !excused(*kind, least_us, shape.timeout)),
        );
        phase
            .routes
            .entry(route)
            .or_default()
            .add(sample.latency_us, error);
        let (latencies, window_errors) = window.routes.entry(route).or_default();
        latencies.push(sample.latency_us);
        *window_errors += u64::from(error.is_some());
    }

    fn close_window(&mut self, second: u64, pace: &Pace, events: &EventQueue) {
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
            generator: pace.second(second),
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
            Fate::NotSent(Cause::Workers) => self.not_sent.workers += 1,
            Fate::NotSent(Cause::Target) => self.not_sent.target += 1,
        }
    }
}

/// Whether a request timed out for the generator's sake: it had less than half of its time without it.
fn excused(kind: ErrorKind, least_us: u64, timeout: Duration) -> bool {
    kind == ErrorKind::Timeout && u128::from(least_us) * 2 < timeout.as_micros()
}

impl Seen {
    fn add(&mut self, latency_us: u64, error: Option<ErrorKind>) {
        self.latencies.record(latency_us);
        if let Some(kind) = error {
            *self.errors.entry(kind).or_default() += 1;
        }
    }
}

impl Phase {
    /// `seen` is one of its two ways of counting.
    fn result(
        &self,
        name: &str,
        routes: &[&'static str],
        seen: &BTreeMap<&'static str, Seen>,
        generator: GeneratorFigures,
    ) -> PhaseResult {
        let mut pooled = Seen::default();
        let mut figures = BTreeMap::new();
        for route in routes {
            let Seen { errors, latencies } = seen.get(route).cloned().unwrap_or_default();
            pooled.latencies.merge(&latencies);
            for (kind, n) in &errors {
                *pooled.errors.entry(*kind).or_default() += n;
            }
            figures.insert((*route).to_owned(), RouteFigures::new(errors, &latencies));
        }
        PhaseResult {
            name: name.to_owned(),
            totals: self.totals,
            send_lag: self.send_lag.percentiles(),
            event_loop_lag_max_us: self.loop_lag_max_us,
            generator,
            all: RouteFigures::new(pooled.errors, &pooled.latencies),
            routes: figures,
        }
    }
}
