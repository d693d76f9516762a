//! Takes a fault back: at the end of every experiment, and for runs that were killed.
//!
//! The order matters. Removing a toxic from a proxy whose client does not read can hang for half a minute and leave
//! Toxiproxy holding a lock, on which every later call for all proxies hangs. A disabled proxy has no connections, so:
//! disable, remove our toxic by name, restore, read back.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::interrupt::Interrupt;
use crate::journal::Intent;
use crate::process::Identity;
use crate::toxiproxy::{Error, Toxiproxy};

/// Deadline of each call of the API.
pub const CALL_DEADLINE: Duration = Duration::from_secs(3);
/// The same after a second Ctrl-C.
const HURRIED: Duration = Duration::from_secs(1);
/// How long a killed Toxiproxy may take to be back.
const RESTART: Duration = Duration::from_secs(20);
/// The same after a second Ctrl-C.
const HURRIED_RESTART: Duration = Duration::from_secs(5);
const BETWEEN_LOOKS: Duration = Duration::from_millis(100);

/// Takes the fault back, restarting a wedged server when that is possible. The error is a sentence with the command to
/// type.
pub async fn roll_back(
    toxiproxy: &Toxiproxy,
    intent: &Intent,
    server: Option<Identity>,
    interrupt: &Interrupt,
    dir: &Path,
) -> Result<(), String> {
    let patient = attempt(toxiproxy.within(CALL_DEADLINE), RESTART, intent, server);
    let quick = attempt(toxiproxy.within(HURRIED), HURRIED_RESTART, intent, server);
    let undone = interrupt.hurried(patient, quick).await;
    undone.map_err(|error| {
        format!(
            "the fault on proxy {} could not be taken back: {error}. Restart Toxiproxy at {}, then type: chitram-chaos \
             recover --dir {}",
            intent.proxy.name,
            toxiproxy.base(),
            dir.display()
        )
    })
}

/// Undoes the fault; where the server does not answer at all, once more after a restart.
async fn attempt(
    toxiproxy: Toxiproxy,
    patience: Duration,
    intent: &Intent,
    server: Option<Identity>,
) -> Result<(), Error> {
    match (undo(&toxiproxy, intent).await, server) {
        (Err(Error::Unanswered(_)), Some(wedged)) => {
            wedged.kill();
            after_restart(&toxiproxy, patience, intent).await
        }
        (Err(Error::NoServer(_) | Error::NotFound(_)), _) => {
            after_restart(&toxiproxy, patience, intent).await
        }
        (outcome, _) => outcome,
    }
}

/// Disable, remove, restore, read back.
pub async fn undo(toxiproxy: &Toxiproxy, intent: &Intent) -> Result<(), Error> {
    let proxy = &intent.proxy.name;
    toxiproxy.set_enabled(proxy, false).await?;
    if intent.toxic {
        toxiproxy.remove(proxy, &intent.name).await?;
    }
    toxiproxy.set_enabled(proxy, intent.proxy.enabled).await?;
    let seen = toxiproxy.proxy(proxy).await?;
    if seen.toxics.iter().any(|toxic| toxic.name == intent.name) {
        return Err(Error::Refused(format!(
            "toxic {} is still there",
            intent.name
        )));
    }
    if seen.definition.enabled != intent.proxy.enabled {
        return Err(Error::Refused(format!(
            "`enabled` is not {} again",
            intent.proxy.enabled
        )));
    }
    Ok(())
}

/// A server that ended forgets its proxies and their toxics. Whoever keeps it running starts it again; the proxies that are
/// then missing are created from the journal.
async fn after_restart(
    toxiproxy: &Toxiproxy,
    patience: Duration,
    intent: &Intent,
) -> Result<(), Error> {
    let begun = Instant::now();
    loop {
        match toxiproxy.version().await {
            Ok(_) => break,
            Err(error) if begun.elapsed() > patience => return Err(error),
            Err(_) => tokio::time::sleep(BETWEEN_LOOKS).await,
        }
    }
    toxiproxy.populate(&intent.all).await?;
    undo(toxiproxy, intent).await
}
