//! Metrics of the CPU pool and the stages of image work.

use std::collections::HashMap;
use std::time::Duration;

use observability::Registry;
use observability::metrics::{Counter, Desc, Gauge, Histogram, Label, SECONDS};

use super::{Shed, shed};
use crate::domain::Format;

const STAGE_DURATION: Desc = Desc::histogram(
    "chitram_image_stage_duration_seconds",
    "Time that one stage of image work took, by the format made (for `inspect`, the format read). A stage that failed counts too.",
    &[
        Label::closed(
            "stage",
            &[
                "wait",
                "fetch",
                "inspect",
                "decode",
                "transform",
                "encode",
                "store",
            ],
        ),
        Label::closed("format", &["jpeg", "png", "webp", "gif", "avif"]),
    ],
    SECONDS,
);
const CPU_LIMIT: Desc = Desc::gauge("chitram_cpu_permits_limit", "Threads of the CPU pool.", &[]);
const CPU_IN_USE: Desc = Desc::gauge(
    "chitram_cpu_permits_in_use",
    "Threads of the CPU pool that work now.",
    &[],
);
const CPU_WAITING: Desc = Desc::gauge(
    "chitram_cpu_permits_waiting",
    "Pieces of work that wait for the CPU pool.",
    &[],
);
const DECODED_BUDGET: Desc = Desc::gauge(
    "chitram_decoded_bytes_budget",
    "Bytes that decoded pictures may take at the same time.",
    &[],
);
const DECODED_IN_USE: Desc = Desc::gauge(
    "chitram_decoded_bytes_in_use",
    "Bytes reserved for decoded pictures now.",
    &[],
);

const WORK: Desc = Desc::counter(
    "chitram_image_work_total",
    "Pieces of image work that ended: well, by a fault of the picture or of what is asked of it (error), because nobody waited any more (cancelled), or by a defect (panic).",
    &[
        Label::closed("work", &["probe", "inspect", "render"]),
        Label::closed("outcome", &["ok", "error", "cancelled", "panic"]),
    ],
);
/// A format that renders are made in.
pub(super) const MADE: Label = Label::closed("format", &["jpeg", "png", "webp", "avif"]);

pub(super) const DECLARED: &[&Desc] = &[
    &STAGE_DURATION,
    &CPU_LIMIT,
    &CPU_IN_USE,
    &CPU_WAITING,
    &DECODED_BUDGET,
    &DECODED_IN_USE,
    &WORK,
];

/// A piece of image work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// Reading a header.
    Probe,
    /// Finding the dominant colour of an upload.
    Inspect,
    /// Making a render.
    Render,
}

/// How a piece of image work ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// With a result.
    Ok,
    /// The picture, or what is asked of it, is at fault, or memory is short.
    Error,
    /// Whoever waited for it has left: the request's deadline has passed, or the client is gone.
    Cancelled,
    /// It panicked, which is a defect.
    Panic,
}

/// A stage of image work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stage {
    /// Waiting for the CPU pool.
    Wait,
    /// Getting the original from the store.
    Fetch,
    /// Finding the dominant colour of an upload.
    Inspect,
    /// Decoding as much of a picture as its render needs.
    Decode,
    /// Resizing it, with its colours and orientation.
    Transform,
    /// Writing the result.
    Encode,
    /// Putting the result into the store.
    Store,
}

impl Stage {
    const ALL: [Self; 7] = [
        Self::Wait,
        Self::Fetch,
        Self::Inspect,
        Self::Decode,
        Self::Transform,
        Self::Encode,
        Self::Store,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::Wait => "wait",
            Self::Fetch => "fetch",
            Self::Inspect => "inspect",
            Self::Decode => "decode",
            Self::Transform => "transform",
            Self::Encode => "encode",
            Self::Store => "store",
        }
    }
}

/// Durations of the stages of image work.
pub struct ImageStages(HashMap<(Stage, Format), Histogram>);

impl ImageStages {
    /// A handle for each stage and format.
    pub fn new(registry: &Registry) -> Self {
        let pairs = Stage::ALL
            .into_iter()
            .flat_map(|stage| Format::ALL.iter().map(move |format| (stage, *format)));
        Self(
            pairs
                .map(|(stage, format)| {
                    let labels = [("stage", stage.name()), ("format", format.name())];
                    (
                        (stage, format),
                        registry.histogram(&STAGE_DURATION, &labels),
                    )
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
    ended: [[Counter; 4]; 3],
}

impl CpuMetrics {
    /// Handles of a pool with these limits.
    pub fn new(registry: &Registry, threads: usize, decoded_bytes: u64) -> Self {
        registry.gauge(&CPU_LIMIT, &[]).set(threads as f64);
        registry
            .gauge(&DECODED_BUDGET, &[])
            .set(decoded_bytes as f64);
        Self {
            in_use: registry.gauge(&CPU_IN_USE, &[]),
            waiting: registry.gauge(&CPU_WAITING, &[]),
            decoded_bytes: registry.gauge(&DECODED_IN_USE, &[]),
            shed: shed(registry, Shed::Cpu),
            stages: ImageStages::new(registry),
            ended: ["probe", "inspect", "render"].map(|work| {
                ["ok", "error", "cancelled", "panic"]
                    .map(|outcome| registry.counter(&WORK, &[("work", work), ("outcome", outcome)]))
            }),
        }
    }

    /// Counts a piece of work that ended.
    pub fn ended(&self, work: Work, outcome: Outcome) {
        self.ended[work as usize][outcome as usize].inc();
    }
}
