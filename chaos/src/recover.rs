//! Undoes what a run that was killed left behind, from its journal. Idempotent, and takes away only toxics that the journal
//! names: other people's stay. Proxies that a restarted Toxiproxy forgot are made again.

use std::path::Path;

use crate::exit::{Exit, Refusal};
use crate::interrupt::Interrupt;
use crate::journal::{Intent, Journal};
use crate::rollback::{CALL_DEADLINE, Effort, Patience, Rollback};
use crate::stack_file::Stack;
use crate::toxiproxy::{Error, Toxiproxy};

/// Undoes everything pending and returns a sentence for each. The caller holds the lock. What could not be undone stays in
/// the journal, and does not keep the rest from being undone.
pub async fn recover(
    journal: &Journal,
    http: &reqwest::Client,
    stack: &Stack,
    interrupt: &Interrupt,
    dir: &Path,
) -> Result<Vec<String>, Refusal> {
    let mut done = Vec::new();
    let mut failed = Vec::new();
    let mut unclosed = None;
    for intent in journal.pending()? {
        match undo(&intent, journal, http, stack, interrupt, dir).await {
            Ok(sentence) => {
                done.push(sentence);
                // It stays in the journal, and whoever recovers it next finds that it is gone.
                if let Err(refusal) = journal.done(&intent.name) {
                    unclosed = Some(refusal.sentence);
                }
            }
            Err(sentence) => failed.push(sentence),
        }
    }
    let exit = match (failed.is_empty(), &unclosed) {
        (true, None) => {
            journal.tidy()?;
            return Ok(done);
        }
        (true, Some(_)) => Exit::Internal,
        (false, _) => Exit::RollbackFailed,
    };
    done.extend(failed);
    done.extend(unclosed);
    Err(Refusal {
        exit,
        sentence: done.join("\n"),
    })
}

async fn undo(
    intent: &Intent,
    journal: &Journal,
    http: &reqwest::Client,
    stack: &Stack,
    interrupt: &Interrupt,
    dir: &Path,
) -> Result<String, String> {
    let toxiproxy = Toxiproxy::new(http.clone(), intent.toxiproxy.clone(), CALL_DEADLINE);
    let fault = format!(
        "the fault of experiment {} on proxy {} at {}",
        intent.experiment, intent.proxy.name, intent.toxiproxy
    );
    let before = toxiproxy.proxy(&intent.proxy.name).await;
    if matches!(before, Err(Error::NoServer(_))) && has_ended(intent) {
        return Ok(format!("{fault} has ended with its Toxiproxy"));
    }
    let rollback = Rollback {
        toxiproxy: &toxiproxy,
        intent,
        server: stack.own_toxiproxy(&intent.toxiproxy),
        journal,
        everything: true,
        unsure: false,
    };
    let (undone, effort) = rollback.run(Patience::RECOVERING, interrupt, dir).await;
    undone?;
    Ok(format!("{fault} {}", outcome(intent, &before, &effort)))
}

/// Whether the process in which the fault lived is known and gone. An address where nothing listens proves nothing by
/// itself: it may be out of reach from here, or be started again by who keeps it.
fn has_ended(intent: &Intent) -> bool {
    intent.holder.is_some_and(|holder| !holder.is_alive())
}

fn outcome(
    intent: &Intent,
    before: &Result<crate::toxiproxy::Proxy, Error>,
    effort: &Effort,
) -> String {
    let was_there = before.as_ref().is_ok_and(|seen| {
        let toxic = seen.toxics.iter().any(|toxic| toxic.name == intent.name);
        toxic || seen.definition.enabled != intent.proxy.enabled
    });
    let lifted = if was_there || before.is_err() {
        "is taken back"
    } else {
        "was gone already"
    };
    match effort.sentence() {
        Some(more) => format!("{lifted}; {more}"),
        None => lifted.to_owned(),
    }
}
