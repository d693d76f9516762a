//! Why the server ends connections and answers by itself, and how often it did.

use std::time::Duration;

use super::LISTENER;
use crate::metrics::{Counter, Desc, Label, Registry};

const GOODBYE: Duration = Duration::from_secs(1);
/// Shorter than the pause after which the next connection is closed to make room.
const SHORT_GOODBYE: Duration = Duration::from_millis(25);

pub(super) const CLOSED: Desc = Desc::counter(
    "chitram_connections_closed_total",
    "Connections that the listener closed by itself, by reason.",
    &[
        LISTENER,
        Label::closed(
            "reason",
            &["stalled", "slow", "evicted", "idle", "no_request"],
        ),
    ],
);
pub(super) const RESET: Desc = Desc::counter(
    "chitram_streams_reset_total",
    "HTTP/2 answers that were cut off while their connection went on, by reason.",
    &[LISTENER, Label::closed("reason", &["stalled", "slow"])],
);

/// Why a connection is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Reason {
    /// The client took nothing of an answer for as long as it may.
    Stalled = 1,
    /// The client took less than the least rate.
    Slow,
    /// Another connection, or another answer, needed its room.
    Evicted,
    /// Another connection needed the place, of which this one made no use.
    EvictedIdle,
    /// No further request in time.
    Idle,
    /// No request in time.
    NoRequest,
}

impl Reason {
    const ALL: [Self; 6] = [
        Self::Stalled,
        Self::Slow,
        Self::Evicted,
        Self::EvictedIdle,
        Self::Idle,
        Self::NoRequest,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Stalled => "stalled",
            Self::Slow => "slow",
            Self::Evicted | Self::EvictedIdle => "evicted",
            Self::Idle => "idle",
            Self::NoRequest => "no_request",
        }
    }

    /// How long the client gets to take the news, where a connection had no request when it was closed.
    pub(super) fn goodbye(self) -> Option<Duration> {
        match self {
            Self::Idle | Self::NoRequest => Some(GOODBYE),
            Self::EvictedIdle => Some(SHORT_GOODBYE),
            Self::Stalled | Self::Slow | Self::Evicted => None,
        }
    }

    pub(super) fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| *reason as u8 == code)
    }
}

/// Handles on every reason's counter.
pub(super) struct ClosedMetrics {
    /// In the order of [`Reason::ALL`].
    connections: [Counter; 6],
    stalled_streams: Counter,
    slow_streams: Counter,
}

impl ClosedMetrics {
    pub(super) fn new(registry: &Registry, listener: &'static str) -> Self {
        let labels = |reason: Reason| [("listener", listener), ("reason", reason.name())];
        Self {
            connections: Reason::ALL.map(|reason| registry.counter(&CLOSED, &labels(reason))),
            stalled_streams: registry.counter(&RESET, &labels(Reason::Stalled)),
            slow_streams: registry.counter(&RESET, &labels(Reason::Slow)),
        }
    }

    pub(super) fn count(&self, reason: Reason) {
        self.connections[reason as usize - 1].inc();
    }

    pub(super) fn count_stream(&self, reason: Reason) {
        match reason {
            Reason::Slow => self.slow_streams.inc(),
            _ => self.stalled_streams.inc(),
        }
    }
}
