//! SIGINT, SIGTERM and SIGHUP. The first asks to stop, and whatever is injected is rolled back; a second one only shortens
//! the deadlines of that.

use std::future::Future;
use std::io;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// What was asked for by signals so far.
#[derive(Clone, Debug, Default)]
pub struct Interrupt {
    stop: CancellationToken,
    hurry: CancellationToken,
}

impl Interrupt {
    /// Listens from now on, for as long as the process lives.
    pub fn listen() -> io::Result<Self> {
        let interrupt = Self::default();
        let mut signals = (
            signal(SignalKind::interrupt())?,
            signal(SignalKind::terminate())?,
            signal(SignalKind::hangup())?,
        );
        let raised = interrupt.clone();
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    _ = signals.0.recv() => {}
                    _ = signals.1.recv() => {}
                    _ = signals.2.recv() => {}
                }
                if raised.stop.is_cancelled() {
                    raised.hurry.cancel();
                }
                raised.stop.cancel();
            }
        });
        Ok(interrupt)
    }

    /// Whether a stop was asked for.
    pub fn is_raised(&self) -> bool {
        self.stop.is_cancelled()
    }

    /// Ends when a stop is asked for.
    pub async fn raised(&self) {
        self.stop.cancelled().await;
    }

    /// The outcome of `patient`, or that of `quick`, begun when a second signal comes first.
    pub async fn hurried<T>(
        &self,
        patient: impl Future<Output = T>,
        quick: impl Future<Output = T>,
    ) -> T {
        tokio::select! {
            outcome = patient => outcome,
            () = self.hurry.cancelled() => quick.await,
        }
    }
}
