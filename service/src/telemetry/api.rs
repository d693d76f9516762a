//! Metrics of the API beyond what the HTTP layer measures.

use std::collections::HashMap;
use std::time::Duration;

use observability::Registry;
use observability::metrics::{Counter, Desc, Gauge, Histogram, Label, SECONDS};

use super::images::MADE;
use super::{Shed, shed};
use crate::domain::Format;

const REJECTED: Desc = Desc::counter(
    "chitram_rejected_total",
    "Uploads refused for what they are, or for how they arrive, by reason.",
    &[Label::closed(
        "reason",
        &[
            "too_large",
            "unsupported",
            "undecodable",
            "over_limit",
            "malformed",
            "stalled",
            "slow",
            "spool_full",
        ],
    )],
);
const RENDER_DURATION: Desc = Desc::histogram(
    "chitram_render_duration_seconds",
    "Time from the request for a render to the head of its answer, by where the render came from and its format.",
    &[Label::closed("source", &["stored", "rendered"]), MADE],
    SECONDS,
);
const UPLOADS_ACCEPTED: Desc = Desc::counter(
    "chitram_uploads_accepted_total",
    "Uploads that made a new image.",
    &[],
);
const OBJECTS_REPAIRED: Desc = Desc::counter(
    "chitram_objects_repaired_total",
    "Objects that were not as the catalog says and were put again by an upload of the same bytes.",
    &[Label::closed("reason", &["missing", "size"])],
);
const OBJECTS_ORPHANED: Desc = Desc::counter(
    "chitram_objects_orphaned_total",
    "Objects that uploads may have left in the store without a row: the row's fate is unknown, or the object could not be removed.",
    &[],
);
const SPOOL_LIMIT: Desc = Desc::gauge(
    "chitram_spool_bytes_limit",
    "Bytes that unfinished uploads may take on disk.",
    &[],
);
const SPOOL_IN_USE: Desc = Desc::gauge(
    "chitram_spool_bytes_in_use",
    "Bytes that unfinished uploads take on disk now.",
    &[],
);

const ORIGINALS_BUDGET: Desc = Desc::gauge(
    "chitram_original_bytes_budget",
    "Bytes of memory that whole originals of requests may take.",
    &[],
);
const ORIGINALS_IN_USE: Desc = Desc::gauge(
    "chitram_original_bytes_in_use",
    "Bytes of memory that whole originals of requests take now.",
    &[],
);

const ANSWERS_BUDGET: Desc = Desc::gauge(
    "chitram_answer_bytes_budget",
    "Bytes of memory that renders may take until their clients have taken them.",
    &[],
);
const ANSWERS_IN_USE: Desc = Desc::gauge(
    "chitram_answer_bytes_in_use",
    "Bytes of memory that renders take, or have reserved, now.",
    &[],
);
const IN_FLIGHT_LIMIT: Desc = Desc::gauge(
    "chitram_in_flight_limit",
    "Requests of a class that may be worked on at the same time.",
    &[CLASS],
);
const IN_FLIGHT_IN_USE: Desc = Desc::gauge(
    "chitram_in_flight_in_use",
    "Requests of a class that are worked on now: until the head of the answer.",
    &[CLASS],
);
const CLASS: Label = Label::closed("class", &["requests", "uploads"]);

pub(super) const DECLARED: &[&Desc] = &[
    &REJECTED,
    &RENDER_DURATION,
    &UPLOADS_ACCEPTED,
    &OBJECTS_REPAIRED,
    &OBJECTS_ORPHANED,
    &SPOOL_LIMIT,
    &SPOOL_IN_USE,
    &ORIGINALS_BUDGET,
    &ORIGINALS_IN_USE,
    &ANSWERS_BUDGET,
    &ANSWERS_IN_USE,
    &IN_FLIGHT_LIMIT,
    &IN_FLIGHT_IN_USE,
];

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
    Slow,
    SpoolFull,
}

impl Rejection {
    const ALL: [(Self, &'static str); 8] = [
        (Self::TooLarge, "too_large"),
        (Self::Unsupported, "unsupported"),
        (Self::Undecodable, "undecodable"),
        (Self::OverLimit, "over_limit"),
        (Self::Malformed, "malformed"),
        (Self::Stalled, "stalled"),
        (Self::Slow, "slow"),
        (Self::SpoolFull, "spool_full"),
    ];
}

/// How an object differs from what the catalog says of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Damage {
    /// It is not there.
    Missing,
    /// It is longer or shorter.
    Size,
}

impl Damage {
    /// The damage as a label value.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Size => "size",
        }
    }
}

/// What the API counts beyond what the HTTP layer does.
pub struct ApiMetrics {
    /// Uploads that made a new image.
    pub uploads_accepted: Counter,
    /// Objects left without a row, maybe.
    pub objects_orphaned: Counter,
    repaired: [(Damage, Counter); 2],
    renders: HashMap<(RenderSource, Format), Histogram>,
    rejected: HashMap<Rejection, Counter>,
}

impl ApiMetrics {
    /// Handles for the API.
    pub fn new(registry: &Registry) -> Self {
        let sources = [
            (RenderSource::Stored, "stored"),
            (RenderSource::Rendered, "rendered"),
        ];
        let renders = sources.into_iter().flat_map(|(source, name)| {
            let written = Format::ALL.iter().filter(|format| **format != Format::Gif);
            written.map(move |&format| {
                let labels = [("source", name), ("format", format.name())];
                // Objectives are about each source: one of its series says from the start that nothing was late.
                let histogram = if format == Format::Jpeg {
                    registry.histogram_from_zero(&RENDER_DURATION, &labels)
                } else {
                    registry.histogram(&RENDER_DURATION, &labels)
                };
                ((source, format), histogram)
            })
        });
        let rejected = Rejection::ALL
            .map(|(reason, name)| (reason, registry.counter(&REJECTED, &[("reason", name)])));
        Self {
            uploads_accepted: registry.counter(&UPLOADS_ACCEPTED, &[]),
            objects_orphaned: registry.counter(&OBJECTS_ORPHANED, &[]),
            repaired: [Damage::Missing, Damage::Size].map(|damage| {
                let labels = [("reason", damage.name())];
                (damage, registry.counter(&OBJECTS_REPAIRED, &labels))
            }),
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

    /// An object was put again.
    pub fn repaired(&self, damage: Damage) {
        for (_, counter) in self.repaired.iter().filter(|(each, _)| *each == damage) {
            counter.inc();
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

/// Whole originals in memory: the bytes in use, and how often there was no room.
pub fn originals(registry: &Registry, budget: u64) -> (Gauge, Counter) {
    registry.gauge(&ORIGINALS_BUDGET, &[]).set(budget as f64);
    (
        registry.gauge(&ORIGINALS_IN_USE, &[]),
        shed(registry, Shed::Originals),
    )
}

/// Renders on their way out: the bytes in use, and how often there was no room.
pub fn answers(registry: &Registry, budget: u64) -> (Gauge, Counter) {
    registry.gauge(&ANSWERS_BUDGET, &[]).set(budget as f64);
    (
        registry.gauge(&ANSWERS_IN_USE, &[]),
        shed(registry, Shed::Answers),
    )
}

/// Requests of a class, `requests` or `uploads`, that are worked on now.
pub fn in_flight(registry: &Registry, class: &'static str, limit: usize) -> Gauge {
    let labels = [("class", class)];
    registry.gauge(&IN_FLIGHT_LIMIT, &labels).set(limit as f64);
    registry.gauge(&IN_FLIGHT_IN_USE, &labels)
}
