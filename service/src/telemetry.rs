//! Every metric that the service itself declares, and the handles on them. The catalog and the job worker declare their
//! own beside their code; the HTTP server's are observability's. The table of all of them is docs/metrics.md.
//!
//! Handles are made once, when an app is built, so that each app has a registry of its own and no hot path looks one up.

use std::collections::HashMap;
use std::time::Duration;

use observability::Registry;
use observability::metrics::{Counter, Desc, Gauge, Histogram, SECONDS};

use crate::domain::Format;
use crate::resilience::breaker::CircuitState;

/// Calls to the object store.
pub const CLIENT_DURATION: Desc = Desc::histogram(
    "http_client_request_duration_seconds",
    "Time until the object store began to answer, for each attempt that was made.",
    &["http_request_method", "http_response_status_code", "error_type", "server_address"],
    SECONDS,
);
const CIRCUIT_STATE: Desc = Desc::gauge(
    "chitram_circuit_state",
    "1 for the state the circuit breaker is in, 0 for the others.",
    &["dependency", "state"],
);
const CIRCUIT_TRANSITIONS: Desc = Desc::counter(
    "chitram_circuit_transitions_total",
    "Times that the circuit breaker entered a state.",
    &["dependency", "state"],
);
const RETRIES: Desc = Desc::counter("chitram_retries_total", "Second attempts of calls to a dependency.", &["dependency"]);
const BULKHEAD_LIMIT: Desc = Desc::gauge(
    "chitram_bulkhead_limit",
    "Calls that may wait for a dependency at the same time.",
    &["dependency"],
);
const BULKHEAD_IN_USE: Desc =
    Desc::gauge("chitram_bulkhead_in_use", "Calls that wait for a dependency now.", &["dependency"]);
const SHED: Desc = Desc::counter(
    "chitram_shed_total",
    "Work refused to protect the service, by the limit that was reached.",
    &["reason"],
);
const REJECTED: Desc = Desc::counter(
    "chitram_rejected_total",
    "Uploads refused for what they are, by reason.",
    &["reason"],
);
const STAGE_DURATION: Desc = Desc::histogram(
    "chitram_image_stage_duration_seconds",
    "Time that one stage of image work took, by the format made (for `inspect`, the format read).",
    &["stage", "format"],
    SECONDS,
);
const CPU_LIMIT: Desc = Desc::gauge("chitram_cpu_permits_limit", "Threads of the CPU pool.", &[]);
const CPU_IN_USE: Desc = Desc::gauge("chitram_cpu_permits_in_use", "Threads of the CPU pool that work now.", &[]);
const CPU_WAITING: Desc = Desc::gauge("chitram_cpu_permits_waiting", "Work that waits for the CPU pool.", &[]);
const DECODED_BUDGET: Desc = Desc::gauge(
    "chitram_decoded_bytes_budget",
    "Bytes that decoded pictures may take at the same time.",
    &[],
);
const DECODED_IN_USE: Desc =
    Desc::gauge("chitram_decoded_bytes_in_use", "Bytes reserved for decoded pictures now.", &[]);
const RENDER_DURATION: Desc = Desc::histogram(
    "chitram_render_duration_seconds",
    "Time until a render began to be answered, by where it came from and its format.",
    &["source", "format"],
    SECONDS,
);
const UPLOADS_ACCEPTED: Desc = Desc::counter("chitram_uploads_accepted_total", "Uploads that made a new image.", &[]);
const SPOOL_LIMIT: Desc = Desc::gauge("chitram_spool_bytes_limit", "Bytes that unfinished uploads may take on disk.", &[]);
const SPOOL_IN_USE: Desc = Desc::gauge("chitram_spool_bytes_in_use", "Bytes that unfinished uploads take on disk now.", &[]);

/// Why work was shed.
#[derive(Debug, Clone, Copy)]
pub enum Shed {
    /// Too many requests are being answered.
    InFlight,
    /// Work waited too long for the CPU pool, or too much waits already.
    Cpu,
    /// Too many calls wait for the store.
    Bulkhead,
    /// The store's circuit is open.
    CircuitOpen,
    /// Too many finished uploads wait to be stored.
    Uploads,
}

/// A counter of [`SHED`].
pub fn shed(registry: &Registry, reason: Shed) -> Counter {
    let reason = match reason {
        Shed::InFlight => "in_flight",
        Shed::Cpu => "cpu",
        Shed::Bulkhead => "bulkhead",
        Shed::CircuitOpen => "circuit_open",
        Shed::Uploads => "uploads",
    };
    registry.counter(&SHED, &[("reason", reason)])
}

/// The circuit breaker of one dependency.
pub struct CircuitMetrics {
    dependency: &'static str,
    states: [(CircuitState, Gauge, Counter); 3],
    /// Calls refused because the circuit was open.
    pub refused: Counter,
}

impl CircuitMetrics {
    /// Handles for `dependency`.
    pub fn new(registry: &Registry, dependency: &'static str) -> Self {
        let states = CircuitState::ALL.map(|state| {
            let labels = [("dependency", dependency), ("state", state.name())];
            (state, registry.gauge(&CIRCUIT_STATE, &labels), registry.counter(&CIRCUIT_TRANSITIONS, &labels))
        });
        Self { dependency, states, refused: shed(registry, Shed::CircuitOpen) }
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
        let (dependency, state_name) = (self.dependency, state.name());
        match state {
            CircuitState::Open => {
                tracing::warn!(event.dataset = "chitram.circuit", dependency, state = state_name, "circuit opened");
            }
            CircuitState::HalfOpen => {
                tracing::debug!(event.dataset = "chitram.circuit", dependency, state = state_name, "circuit half open");
            }
            CircuitState::Closed => {
                tracing::info!(event.dataset = "chitram.circuit", dependency, state = state_name, "circuit closed");
            }
        }
    }
}

/// What guards the store.
pub struct StoreMetrics {
    /// Its breaker.
    pub circuit: CircuitMetrics,
    /// Its retries.
    pub retries: Counter,
    /// Calls that wait for it.
    pub in_use: Gauge,
    /// Calls refused because too many wait.
    pub bulkhead_full: Counter,
}

impl StoreMetrics {
    /// Handles for `dependency`, whose bulkhead lets `limit` calls wait.
    pub fn new(registry: &Registry, dependency: &'static str, limit: usize) -> Self {
        let labels = [("dependency", dependency)];
        registry.gauge(&BULKHEAD_LIMIT, &labels).set(limit as f64);
        Self {
            circuit: CircuitMetrics::new(registry, dependency),
            retries: registry.counter(&RETRIES, &labels),
            in_use: registry.gauge(&BULKHEAD_IN_USE, &labels),
            bulkhead_full: shed(registry, Shed::Bulkhead),
        }
    }
}

/// A stage of image work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stage {
    /// Waiting for the CPU pool.
    Wait,
    /// Getting the original from the store.
    Fetch,
    /// Reading the header and the dominant colour of an upload.
    Inspect,
    /// Decoding, resizing and encoding.
    Render,
    /// Putting the result into the store.
    Store,
}

impl Stage {
    const ALL: [Self; 5] = [Self::Wait, Self::Fetch, Self::Inspect, Self::Render, Self::Store];

    const fn name(self) -> &'static str {
        match self {
            Self::Wait => "wait",
            Self::Fetch => "fetch",
            Self::Inspect => "inspect",
            Self::Render => "render",
            Self::Store => "store",
        }
    }
}

/// Durations of the stages of image work.
pub struct ImageStages(HashMap<(Stage, Format), Histogram>);

impl ImageStages {
    /// A handle for each stage and format.
    pub fn new(registry: &Registry) -> Self {
        let pairs = Stage::ALL.into_iter().flat_map(|stage| Format::ALL.map(|format| (stage, format)));
        Self(
            pairs
                .map(|(stage, format)| {
                    let labels = [("stage", stage.name()), ("format", format.name())];
                    ((stage, format), registry.histogram(&STAGE_DURATION, &labels))
                })
                .collect(),
        )
    }

    /// Records that `stage` took `elapsed`.
    pub fn record(&self, stage: Stage, format: Format, elapsed: Duration) {
        if let Some(histogram) = self.0.get(&(stage, format)) {
            histogram.record(elapsed);
        }
    }
}

/// The CPU pool.
pub struct CpuMetrics {
    /// Threads at work.
    pub in_use: Gauge,
    /// Work that waits.
    pub waiting: Gauge,
    /// Bytes reserved for decoded pictures.
    pub decoded_bytes: Gauge,
    /// Work refused.
    pub shed: Counter,
    /// Stage durations.
    pub stages: ImageStages,
}

impl CpuMetrics {
    /// Handles of a pool with these limits.
    pub fn new(registry: &Registry, threads: usize, decoded_bytes: u64) -> Self {
        registry.gauge(&CPU_LIMIT, &[]).set(threads as f64);
        registry.gauge(&DECODED_BUDGET, &[]).set(decoded_bytes as f64);
        Self {
            in_use: registry.gauge(&CPU_IN_USE, &[]),
            waiting: registry.gauge(&CPU_WAITING, &[]),
            decoded_bytes: registry.gauge(&DECODED_IN_USE, &[]),
            shed: shed(registry, Shed::Cpu),
            stages: ImageStages::new(registry),
        }
    }
}

/// Where a render came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RenderSource {
    /// A stored variant.
    Stored,
    /// Made for this request.
    Rendered,
}

/// Why an upload was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Rejection {
    TooLarge,
    Unsupported,
    Undecodable,
    OverLimit,
    Malformed,
    Stalled,
    SpoolFull,
}

impl Rejection {
    const ALL: [(Self, &'static str); 7] = [
        (Self::TooLarge, "too_large"),
        (Self::Unsupported, "unsupported"),
        (Self::Undecodable, "undecodable"),
        (Self::OverLimit, "over_limit"),
        (Self::Malformed, "malformed"),
        (Self::Stalled, "stalled"),
        (Self::SpoolFull, "spool_full"),
    ];
}

/// What the API counts beyond what the HTTP layer does.
pub struct ApiMetrics {
    /// Uploads that made a new image.
    pub uploads_accepted: Counter,
    /// Uploads shed while they waited to be stored.
    pub uploads_shed: Counter,
    renders: HashMap<(RenderSource, Format), Histogram>,
    rejected: HashMap<Rejection, Counter>,
}

impl ApiMetrics {
    /// Handles for the API.
    pub fn new(registry: &Registry) -> Self {
        let sources = [(RenderSource::Stored, "stored"), (RenderSource::Rendered, "rendered")];
        let renders = sources.into_iter().flat_map(|(source, name)| {
            [Format::Jpeg, Format::Png, Format::Webp].map(|format| {
                let labels = [("source", name), ("format", format.name())];
                ((source, format), registry.histogram(&RENDER_DURATION, &labels))
            })
        });
        let rejected = Rejection::ALL
            .map(|(reason, name)| (reason, registry.counter(&REJECTED, &[("reason", name)])));
        Self {
            uploads_accepted: registry.counter(&UPLOADS_ACCEPTED, &[]),
            uploads_shed: shed(registry, Shed::Uploads),
            renders: renders.collect(),
            rejected: rejected.into_iter().collect(),
        }
    }

    /// A render began to be answered after `elapsed`.
    pub fn rendered(&self, source: RenderSource, format: Format, elapsed: Duration) {
        if let Some(histogram) = self.renders.get(&(source, format)) {
            histogram.record(elapsed);
        }
    }

    /// An upload was refused.
    pub fn rejected(&self, reason: Rejection) {
        if let Some(counter) = self.rejected.get(&reason) {
            counter.inc();
        }
    }
}

/// The upload spool.
pub fn spool(registry: &Registry, limit: u64) -> Gauge {
    registry.gauge(&SPOOL_LIMIT, &[]).set(limit as f64);
    registry.gauge(&SPOOL_IN_USE, &[])
}
