//! Takes a fault back: at the end of every experiment, and for runs that were killed.
//!
//! A toxic is not deleted from a proxy that has connections: Toxiproxy waits for each of them with a lock held, and one
//! whose client does not read, or whose last data can't be delivered since the proxy was disabled, makes it wait for
//! seconds or for ever, with every later call for that proxy and for the list. So the *proxy* is disabled, removed and made
//! again: none of these calls waits for a connection. ADR 22 has the measurements.
//!
//! Every step may be repeated, and is until the state was read back or patience is over: a late answer is not the end, and
//! `enabled` is restored whatever became of the rest. Our own fault comes first, and nothing else keeps it from going.

mod making;

use std::cell::RefCell;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::interrupt::Interrupt;
use crate::journal::{Intent, Journal};
use crate::process::Identity;
use crate::toxiproxy::{Error, Proxy, Toxic, Toxiproxy};
use making::State;

/// Deadline of each call of the API.
pub const CALL_DEADLINE: Duration = Duration::from_secs(3);
const BETWEEN_ATTEMPTS: Duration = Duration::from_millis(100);

/// How long what is waited for.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// Each call.
    call: Duration,
    /// All attempts together, as long as something listens there.
    attempts: Duration,
    /// Until a server of ours that answers nothing is taken for wedged.
    wedged: Duration,
    /// Until somebody has started a server again that does not listen.
    absent: Duration,
}

impl Patience {
    /// Toxiproxy itself gives up on a lock after 25 s, and may be well after that.
    pub const USUAL: Self = Self {
        call: CALL_DEADLINE,
        attempts: Duration::from_secs(45),
        wedged: Duration::from_secs(12),
        absent: Duration::from_secs(20),
    };
    /// In `recover`, which a person or the stack repeats.
    pub const RECOVERING: Self = Self {
        absent: Duration::from_secs(3),
        ..Self::USUAL
    };
    /// After a second Ctrl-C.
    const HURRIED: Self = Self {
        call: Duration::from_secs(1),
        attempts: Duration::from_secs(8),
        wedged: Duration::from_secs(3),
        absent: Duration::from_secs(5),
    };
}

/// What it took beside the calls that are always needed. The report says so.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Effort {
    /// Attempts that were begun.
    pub attempts: u32,
    /// How often a wedged Toxiproxy of our stack was killed, so that the stack started it again.
    pub restarts: u32,
    /// Proxies that were missing and were made again.
    pub made_again: Vec<String>,
    /// Toxics of other people that were put back: `proxy/toxic`.
    pub put_back: Vec<String>,
    /// Why the journal still holds a fault that is gone: its folder was removed, or its disk is full.
    pub unclosed: Option<String>,
}

impl Effort {
    /// For the terminal and the report; nothing when there is nothing to say.
    pub fn sentence(&self) -> Option<String> {
        let mut parts = Vec::new();
        if self.restarts > 0 {
            parts.push("Toxiproxy answered nothing and was restarted".to_owned());
        }
        if !self.made_again.is_empty() {
            parts.push(format!(
                "made again: proxies {}",
                self.made_again.join(", ")
            ));
        }
        if !self.put_back.is_empty() {
            let toxics = self.put_back.join(", ");
            parts.push(format!("put back: toxics of others {toxics}"));
        }
        if let Some(why) = &self.unclosed {
            parts.push(format!(
                "the fault is gone, but the journal could not be closed ({why}): chitram-chaos recover closes it"
            ));
        }
        (!parts.is_empty()).then(|| parts.join("; "))
    }
}

/// A fault to take back.
#[derive(Debug)]
pub struct Rollback<'a> {
    /// Where.
    pub toxiproxy: &'a Toxiproxy,
    /// What was about to be done.
    pub intent: &'a Intent,
    /// The server's process, if it is a real Toxiproxy that our stack keeps at this very address.
    pub server: Option<Identity>,
    /// Where it is written what has to be put back, before it is taken away.
    pub journal: &'a Journal,
    /// Whether every proxy that is missing is made again also where that of the fault is there.
    pub everything: bool,
    /// Whether the injection was not answered, so that it may still happen: then the proxy is made anew even if it shows no
    /// toxic, since a late one then meets a proxy that nobody uses.
    pub unsure: bool,
}

impl Rollback<'_> {
    /// Takes the fault back. The error is a sentence with the command to type.
    pub async fn run(
        &self,
        patience: Patience,
        interrupt: &Interrupt,
        dir: &Path,
    ) -> (Result<(), String>, Effort) {
        let state = RefCell::new(State::new(self.intent.clone()));
        let patient = self.persist(patience, &state);
        let quick = self.persist(Patience::HURRIED, &state);
        let undone = interrupt.hurried(patient, quick).await;
        let failed = undone.map_err(|left| self.failed(&left, dir));
        (failed, state.into_inner().effort)
    }

    fn failed(&self, left: &Left, dir: &Path) -> String {
        let (proxy, base) = (&self.intent.proxy.name, self.toxiproxy.base());
        let (dir, journal) = (dir.display(), self.journal.path().display());
        match left {
            Left::Fault(error) => format!(
                "the fault on proxy {proxy} at {base} could not be taken back: {error}. Type: chitram-chaos recover --dir {dir} \
                 (again after a restart of Toxiproxy, which forgets its proxies: recover makes them again). If that Toxiproxy \
                 will never run again, its faults are gone with it: remove {journal}"
            ),
            Left::Others(others) => {
                let sentence = |(name, error): &(String, Error)| format!("{name} ({error})");
                let others: Vec<String> = others.iter().map(sentence).collect();
                format!(
                    "the fault on proxy {proxy} at {base} is gone, but other proxies could not be made again as they were: \
                     {}. Mend that and type: chitram-chaos recover --dir {dir}. If nobody misses them: remove {journal}",
                    others.join(", ")
                )
            }
        }
    }

    /// Attempts until one succeeds or patience is over.
    async fn persist(&self, patience: Patience, state: &RefCell<State>) -> Result<(), Left> {
        let toxiproxy = &self.toxiproxy.within(patience.call);
        let mut begun = Instant::now();
        let mut answered = Instant::now();
        loop {
            state.borrow_mut().effort.attempts += 1;
            let last_resort = answered.elapsed() >= patience.wedged;
            let left = match self.attempt(toxiproxy, last_resort, state).await {
                Ok(()) => return Ok(()),
                Err(left) => left,
            };
            if !matches!(left, Left::Fault(Error::Unanswered(_))) {
                answered = Instant::now();
            }
            let wedged =
                answered.elapsed() >= patience.wedged && state.borrow().effort.restarts == 0;
            if let Some(server) = self.server.filter(|server| wedged && server.is_alive()) {
                self.look_around(toxiproxy, state).await;
                // Whoever is back first, nothing is whole before all of this was put back.
                self.begin_making(self.known_names(state), state);
                server.kill();
                state.borrow_mut().effort.restarts += 1;
                begun = Instant::now();
                continue;
            }
            if begun.elapsed() >= left.limit(patience) {
                return Err(left);
            }
            tokio::time::sleep(BETWEEN_ATTEMPTS).await;
        }
    }

    /// Takes the fault back, and only then looks after the proxies of others.
    async fn attempt(
        &self,
        toxiproxy: &Toxiproxy,
        last_resort: bool,
        state: &RefCell<State>,
    ) -> Result<(), Left> {
        let own = self.take_back(toxiproxy, last_resort, state).await;
        own.map_err(Left::Fault)?;
        let left = self.make_others(toxiproxy, state).await;
        if left.is_empty() {
            Ok(())
        } else {
            Err(Left::Others(left))
        }
    }

    /// Takes the fault back, restores `enabled`, and reads both back.
    async fn take_back(
        &self,
        toxiproxy: &Toxiproxy,
        last_resort: bool,
        state: &RefCell<State>,
    ) -> Result<(), Error> {
        let name = &self.intent.proxy.name;
        let seen = match toxiproxy.proxy(name).await {
            Err(Error::NotFound(_)) => {
                state.borrow_mut().note_missing();
                self.begin_making(vec![name.clone()], state);
                self.make(toxiproxy, name, state).await?;
                Some(toxiproxy.proxy(name).await?)
            }
            // Somebody holds the lock of its connections, and may give it back. Closing them unseen is the last resort.
            Err(Error::Unanswered(_)) if last_resort => None,
            other => Some(other?),
        };
        let lifted = match &seen {
            _ if !self.intent.toxic => Ok(()),
            Some(seen) if !self.unsure && !seen.toxics.iter().any(|toxic| self.is_ours(toxic)) => {
                Ok(())
            }
            _ => self.lift(toxiproxy, seen, state).await,
        };
        let made = match lifted {
            // What an earlier attempt, or one that was killed, began to make.
            Ok(()) if state.borrow().is_being_made(name) => self.make(toxiproxy, name, state).await,
            other => other,
        };
        // Never left disabled because another call was late.
        let enabled = toxiproxy.set_enabled(name, self.intent.proxy.enabled).await;
        made.and(enabled)?;
        self.read_back(&toxiproxy.proxy(name).await?)
    }

    fn is_ours(&self, toxic: &Toxic) -> bool {
        toxic.name == self.intent.name
    }

    /// Removes our toxic, with its proxy, which is to be made again. Where others have toxics on this proxy too it is deleted
    /// from among them, so that theirs stay where they are, and the proxy is made anew only if that hangs.
    async fn lift(
        &self,
        toxiproxy: &Toxiproxy,
        seen: Option<Proxy>,
        state: &RefCell<State>,
    ) -> Result<(), Error> {
        let name = &self.intent.proxy.name;
        if let Some(seen) = seen {
            let is_joined = seen.toxics.iter().any(|toxic| !self.is_ours(toxic));
            // Who comes after us, if we don't come to the end, has to put the same back.
            self.know(seen, state);
            if is_joined && !self.unsure {
                match toxiproxy.remove(name, &self.intent.name).await {
                    Err(Error::Unanswered(_)) => {}
                    other => return other,
                }
            }
        }
        self.begin_making(vec![name.clone()], state);
        state.borrow_mut().is_lifting = true;
        // Once it is disabled it has neither connections to be dialled nor any that could hold a lock.
        toxiproxy.set_enabled(name, false).await?;
        toxiproxy.remove_proxy(name).await
    }

    fn read_back(&self, seen: &Proxy) -> Result<(), Error> {
        if seen.toxics.iter().any(|toxic| self.is_ours(toxic)) {
            let name = &self.intent.name;
            return Err(Error::Refused(format!("toxic {name} is still there")));
        }
        let enabled = self.intent.proxy.enabled;
        if seen.definition.enabled != enabled {
            return Err(Error::Refused(format!("`enabled` is not {enabled} again")));
        }
        Ok(())
    }

    /// What the other proxies are like before their server is killed, as far as it still says.
    async fn look_around(&self, toxiproxy: &Toxiproxy, state: &RefCell<State>) {
        let names = self.known_names(state);
        let looks = names
            .iter()
            .filter(|name| **name != self.intent.proxy.name)
            .map(|name| toxiproxy.proxy(name));
        for seen in futures::future::join_all(looks).await.into_iter().flatten() {
            self.know(seen, state);
        }
    }

    /// Notes how a proxy is, in the journal too: who comes after us has to put the same back.
    fn know(&self, seen: Proxy, state: &RefCell<State>) {
        self.note(state, |intent| intent.know(seen));
    }

    /// Changes what the journal says, if it is a change.
    fn note(&self, state: &RefCell<State>, change: impl FnOnce(&mut Intent)) {
        let mut state = state.borrow_mut();
        let before = state.intent.clone();
        change(&mut state.intent);
        if state.intent != before {
            // The rollback is more urgent than a full disk.
            let _ = self.journal.intend(&state.intent);
        }
    }
}

/// What an attempt could not do.
#[derive(Debug)]
enum Left {
    /// The fault may still be there.
    Fault(Error),
    /// It is gone, but these proxies of others are not as they were.
    Others(Vec<(String, Error)>),
}

impl Left {
    /// How long attempts that end so are repeated.
    fn limit(&self, patience: Patience) -> Duration {
        match self {
            Self::Fault(Error::NoServer(_)) => patience.absent,
            Self::Fault(_) => patience.attempts,
            Self::Others(others) => {
                let late = |(_, error): &(String, Error)| matches!(error, Error::Unanswered(_));
                // A port that somebody else has taken meanwhile is not given back by waiting.
                if others.iter().any(late) {
                    patience.attempts
                } else {
                    patience.absent
                }
            }
        }
    }
}
