//! Undoes what a run that was killed left behind, from its journal. Idempotent, and touches only toxics that the journal
//! names: other people's stay.

use crate::exit::{Exit, Refusal};
use crate::interrupt::Interrupt;
use crate::journal::{Intent, Journal};
use crate::process::Identity;
use crate::rollback::{self, CALL_DEADLINE};
use crate::toxiproxy::{Error, Toxiproxy};

/// Undoes everything pending and returns a sentence for each. The caller holds the lock.
pub async fn recover(
    journal: &Journal,
    http: &reqwest::Client,
    server: Option<Identity>,
    interrupt: &Interrupt,
    dir: &std::path::Path,
) -> Result<Vec<String>, Refusal> {
    let mut sentences = Vec::new();
    for intent in journal.pending()? {
        let toxiproxy = Toxiproxy::new(http.clone(), intent.toxiproxy.clone(), CALL_DEADLINE);
        let fault = format!(
            "the fault of experiment {} on proxy {} at {}",
            intent.experiment, intent.proxy.name, intent.toxiproxy
        );
        let sentence = if let Some(why) = is_gone(&toxiproxy, &intent).await {
            format!("{fault} is gone already: {why}")
        } else {
            let undone = rollback::roll_back(&toxiproxy, &intent, server, interrupt, dir).await;
            undone.map_err(|sentence| Refusal {
                exit: Exit::RollbackFailed,
                sentence,
            })?;
            format!("{fault} is taken back")
        };
        journal.done(&intent.name)?;
        sentences.push(sentence);
    }
    journal.tidy()?;
    Ok(sentences)
}

/// Toxiproxy keeps toxics in memory only: with the server or the proxy the fault is gone too.
async fn is_gone(toxiproxy: &Toxiproxy, intent: &Intent) -> Option<String> {
    match toxiproxy.proxy(&intent.proxy.name).await {
        Err(error @ (Error::NoServer(_) | Error::NotFound(_))) => Some(error.to_string()),
        _ => None,
    }
}
