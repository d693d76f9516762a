//! The metrics of the queue and its worker.

use std::{collections::HashMap, time::Duration};

use observability::{
    Registry,
    metrics::{Desc, Gauge, Histogram, Label},
};

use crate::domain::{QueueStats, Work};

/// Every metric of the queue.
pub(crate) const DECLARED: &[&Desc] = &[
    &PROCESS_DURATION,
    &DEPTH,
    &OLDEST_AGE,
    &DEAD_LETTERS,
    &IMAGE_READY,
];

/// From an upload to its presets: seconds when all is well, minutes when a dependency was out of order. 30 s is a bound
/// because a promise is made about it.
const READY_SECONDS: &[f64] = &[
    0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 900.0,
];
/// An attempt at a job is image work, and is given up after minutes.
const ATTEMPT_SECONDS: &[f64] = &[
    0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0,
];
const QUEUE: Label = Label::closed("queue", &Work::KINDS);

const PROCESS_DURATION: Desc = Desc::histogram(
    "messaging_process_duration_seconds",
    "Duration of attempts at jobs, by how they ended.",
    &[
        QUEUE,
        Label::closed(
            "outcome",
            &["done", "failed", "dead", "postponed", "handed_back", "lost"],
        ),
    ],
    ATTEMPT_SECONDS,
);
const DEPTH: Desc = Desc::gauge("chitram_queue_depth", "Jobs that wait or run.", &[QUEUE]);
const OLDEST_AGE: Desc = Desc::gauge(
    "chitram_queue_oldest_age_seconds",
    "Age of the oldest job that waits or runs.",
    &[QUEUE],
);
const DEAD_LETTERS: Desc = Desc::gauge(
    "chitram_queue_dead_letters",
    "Jobs given up after too many attempts.",
    &[QUEUE],
);

/// From the accepted upload to its stored presets.
pub(super) const IMAGE_READY: Desc = Desc::histogram(
    "chitram_image_ready_seconds",
    "Time from an accepted upload until its presets are stored.",
    &[],
    READY_SECONDS,
);

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Outcome {
    /// The work is done.
    Done,
    /// It failed and will be tried again.
    Failed,
    /// It failed for the last time.
    Dead,
    /// Something it needs is out of order; it will be tried again.
    Postponed,
    /// This worker stops; another one will do it.
    HandedBack,
    /// The lease was lost, so another worker has it, or the end could not be written down.
    Lost,
}

impl Outcome {
    const ALL: [Self; 6] = [
        Self::Done,
        Self::Failed,
        Self::Dead,
        Self::Postponed,
        Self::HandedBack,
        Self::Lost,
    ];

    /// The value of the label `outcome`, and of `error.type` when it is no success.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Dead => "dead",
            Self::Postponed => "postponed",
            Self::HandedBack => "handed_back",
            Self::Lost => "lost",
        }
    }
}

/// Handles of one worker.
pub(super) struct WorkerMetrics {
    processed: HashMap<(&'static str, Outcome), Histogram>,
    queues: Vec<(&'static str, QueueGauges)>,
}

struct QueueGauges {
    depth: Gauge,
    oldest_age: Gauge,
    dead_letters: Gauge,
}

impl WorkerMetrics {
    pub(super) fn new(registry: &Registry) -> Self {
        let processed = Work::KINDS
            .into_iter()
            .flat_map(|kind| Outcome::ALL.map(|outcome| (kind, outcome)))
            .map(|(kind, outcome)| {
                let labels = [("queue", kind), ("outcome", outcome.name())];
                (
                    (kind, outcome),
                    registry.histogram(&PROCESS_DURATION, &labels),
                )
            })
            .collect();
        let queues = Work::KINDS.map(|kind| {
            let labels = [("queue", kind)];
            let gauges = QueueGauges {
                depth: registry.gauge(&DEPTH, &labels),
                oldest_age: registry.gauge(&OLDEST_AGE, &labels),
                dead_letters: registry.gauge(&DEAD_LETTERS, &labels),
            };
            (kind, gauges)
        });
        Self {
            processed,
            queues: queues.into(),
        }
    }

    pub(super) fn processed(&self, kind: &'static str, outcome: Outcome, elapsed: Duration) {
        self.processed[&(kind, outcome)].record(elapsed);
    }

    pub(super) fn queue(&self, stats: &QueueStats) {
        let Some((_, gauges)) = self.queues.iter().find(|(kind, _)| *kind == stats.kind) else {
            return;
        };
        gauges.depth.set(stats.depth as f64);
        gauges.oldest_age.set(stats.oldest.as_secs_f64());
        gauges.dead_letters.set(stats.dead as f64);
    }
}
