//! Ctrl-C, SIGTERM and SIGHUP: the first asks everything to stop in order, the second shortens every deadline.

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::error::Error;

/// What the person has asked for so far.
#[derive(Debug, Clone, Default)]
pub struct Interrupts {
    /// Cancelled by the first signal: stop in order.
    pub stop: CancellationToken,
    /// Cancelled by the second: the same order, with short deadlines.
    pub hurry: CancellationToken,
}

impl Interrupts {
    /// Takes over the three signals for the rest of the process. Needs a tokio runtime.
    pub fn listen() -> Result<Self, Error> {
        let open = |kind| signal(kind).map_err(|source| Error::io("listen for signals", source));
        let mut int = open(SignalKind::interrupt())?;
        let mut term = open(SignalKind::terminate())?;
        let mut hangup = open(SignalKind::hangup())?;
        let interrupts = Self::default();
        let told = interrupts.clone();
        tokio::spawn(async move {
            for token in [&told.stop, &told.hurry] {
                tokio::select! {
                    _ = int.recv() => {}
                    _ = term.recv() => {}
                    _ = hangup.recv() => {}
                }
                token.cancel();
            }
            // Further ones are swallowed: the deadlines are already the shortest that leave nothing behind.
            loop {
                tokio::select! {
                    _ = int.recv() => {}
                    _ = term.recv() => {}
                    _ = hangup.recv() => {}
                }
            }
        });
        Ok(interrupts)
    }

    /// Runs `work` until it is done or the first signal comes; then it is dropped, which stops what it started.
    pub async fn cut<T>(&self, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => Err(Error::Interrupted),
            done = work => done,
        }
    }
}
