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
    let (patient, quick) = (toxiproxy.within(CALL_DEADLINE), toxiproxy.within(HURRIED));
    let undone = match interrupt
        .hurried(undo(&patient, intent), undo(&quick, intent))
        .await
    {
        Err(Error::Unanswered(_)) if server.is_some() => restart(&quick, intent, server).await,
        Err(Error::NoServer(_) | Error::NotFound(_)) => restart(&quick, intent, None).await,
        other => other,
    };
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

/// A server that was killed forgets its proxies and their toxics. Whoever keeps it running starts it again; the proxies
/// that are then missing are created from the journal.
async fn restart(
    toxiproxy: &Toxiproxy,
    intent: &Intent,
    server: Option<Identity>,
) -> Result<(), Error> {
    if let Some(server) = server {
        server.kill();
    }
    let begun = Instant::now();
    loop {
        match toxiproxy.version().await {
            Ok(_) => break,
            Err(error) if begun.elapsed() > RESTART => return Err(error),
            Err(_) => tokio::time::sleep(BETWEEN_LOOKS).await,
        }
    }
    toxiproxy.populate(&intent.all).await?;
    undo(toxiproxy, intent).await
}
