//! Signals: SIGTERM and SIGHUP end a run early, SIGINT interrupts it, a second SIGINT stops the waiting as well.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::exit::Failure;

/// Whether and how the run is to end before its time.
#[derive(Clone, Debug, Default)]
pub struct Stop {
    requested: CancellationToken,
    hurry: CancellationToken,
    interrupted: Arc<AtomicBool>,
}

impl Stop {
    /// Listens to the process's signals from now on. To be called before goose is started.
    pub fn on_signals() -> Result<Self, Failure> {
        let refuse = |error: &dyn std::error::Error| {
            Failure::Internal(format!("signals can't be handled: {error}"))
        };
        // Goose installs a handler through this crate, which takes the first one only and would exit the process on the
        // second Ctrl-C. This one takes the place and does nothing; the streams below are told of the same signals.
        ctrlc::set_handler(|| {}).map_err(|error| refuse(&error))?;
        let listen = |kind| signal(kind).map_err(|error| refuse(&error));
        let (mut interrupt, mut terminate) = (
            listen(SignalKind::interrupt())?,
            listen(SignalKind::terminate())?,
        );
        let mut hang_up = listen(SignalKind::hangup())?;
        let stop = Self::default();
        let told = stop.clone();
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    Some(()) = interrupt.recv() => told.interrupt(),
                    Some(()) = terminate.recv() => told.requested.cancel(),
                    Some(()) = hang_up.recv() => told.requested.cancel(),
                    else => return,
                }
            }
        });
        Ok(stop)
    }

    fn interrupt(&self) {
        if self.interrupted.swap(true, Ordering::Relaxed) {
            self.hurry.cancel();
        }
        self.requested.cancel();
    }

    /// Returns when the run is to end.
    pub async fn requested(&self) {
        self.requested.cancelled().await;
    }

    /// Returns when nothing may be waited for any more.
    pub async fn hurry(&self) {
        self.hurry.cancelled().await;
    }

    /// Whether the run is to end.
    pub fn is_requested(&self) -> bool {
        self.requested.is_cancelled()
    }

    /// Whether SIGINT was among the reasons.
    pub fn is_interrupted(&self) -> bool {
        self.interrupted.load(Ordering::Relaxed)
    }
}
