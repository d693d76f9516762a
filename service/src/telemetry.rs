//! Every metric that the service itself declares, and the handles on them. The catalog and the job worker declare their
//! own beside their code; the HTTP server's are observability's. The table of all of them is docs/telemetry.md.
//!
//! Handles are made once, when an app is built, so that each app has a registry of its own and no hot path looks one up.

mod api;
mod declared;
mod dependency;
mod images;

use observability::Registry;
use observability::metrics::{Counter, Desc, Label};

pub use self::api::{
    ApiMetrics, Damage, Rejection, RenderSource, answers, in_flight, originals, spool,
};
pub use self::declared::declarations;
pub use self::dependency::{CLIENT_DURATION, CircuitMetrics, GuardMetrics};
pub use self::images::{CpuMetrics, ImageStages, Outcome, Stage, Work};

const SHED: Desc = Desc::counter(
    "chitram_shed_total",
    "Work refused to protect the service, by the limit that was reached.",
    &[Label::closed(
        "reason",
        &[
            "in_flight",
            "uploads",
            "cpu",
            "bulkhead",
            "circuit_open",
            "originals",
            "answers",
        ],
    )],
);

/// Why work was shed.
#[derive(Debug, Clone, Copy)]
pub enum Shed {
    /// Too many requests are being answered.
    InFlight,
    /// Too many uploads are being taken.
    Uploads,
    /// Work waited too long for the CPU pool, or too much waits already.
    Cpu,
    /// Too many calls wait for the store.
    Bulkhead,
    /// A circuit of the store is open.
    CircuitOpen,
    /// Too many whole originals are in memory.
    Originals,
    /// Renders that their clients have not taken yet hold too much memory.
    Answers,
}

/// A counter of [`SHED`].
pub fn shed(registry: &Registry, reason: Shed) -> Counter {
    let reason = match reason {
        Shed::InFlight => "in_flight",
        Shed::Uploads => "uploads",
        Shed::Cpu => "cpu",
        Shed::Bulkhead => "bulkhead",
        Shed::CircuitOpen => "circuit_open",
        Shed::Originals => "originals",
        Shed::Answers => "answers",
    };
    registry.counter(&SHED, &[("reason", reason)])
}
