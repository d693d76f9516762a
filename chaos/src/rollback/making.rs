//! Makes proxies again as they were. It takes several calls, and may end after each of them: a proxy is disabled until it
//! has its toxics, so that nobody passes it without them. Before the first call the journal says which proxies are being
//! made, and whoever finds one of these there completes it instead of taking it for whole.

use std::cell::RefCell;

use super::{Effort, Rollback};
use crate::journal::Intent;
use crate::toxiproxy::{Definition, Error, Toxic, Toxiproxy};

/// What all attempts of one rollback know.
#[derive(Debug)]
pub(super) struct State {
    /// With what was learnt since.
    pub(super) intent: Intent,
    pub(super) effort: Effort,
    /// The proxy of the fault is removed by ourselves: that it is made again is no effort worth telling.
    pub(super) is_lifting: bool,
    /// The proxy of the fault was missing, so that others may be: Toxiproxy was restarted.
    pub(super) has_forgotten: bool,
}

impl State {
    pub(super) fn new(intent: Intent) -> Self {
        Self {
            intent,
            effort: Effort::default(),
            is_lifting: false,
            has_forgotten: false,
        }
    }

    pub(super) fn is_being_made(&self, proxy: &str) -> bool {
        self.intent.making.iter().any(|making| making == proxy)
    }

    /// The proxy of the fault is missing.
    pub(super) fn note_missing(&mut self) {
        self.has_forgotten |= !self.is_lifting;
    }

    /// How a proxy was, with the toxics that are no runner's.
    fn known(&self, name: &str) -> Option<(Definition, Vec<Toxic>)> {
        let intent = &self.intent;
        let known = intent.all.iter().map(|known| &known.definition);
        let known = known
            .chain([&intent.proxy])
            .find(|known| known.name == name)?;
        let mut definition = known.clone();
        if name == intent.proxy.name {
            definition.enabled = intent.proxy.enabled;
        }
        Some((definition, intent.others_on(name)))
    }
}

impl Rollback<'_> {
    pub(super) fn known_names(&self, state: &RefCell<State>) -> Vec<String> {
        let state = state.borrow();
        let all = state.intent.all.iter();
        let mut names: Vec<String> = all.map(|known| known.definition.name.clone()).collect();
        // Journals may lack the proxy itself among all.
        if !names.contains(&self.intent.proxy.name) {
            names.push(self.intent.proxy.name.clone());
        }
        names
    }

    /// Notes that these proxies are missing, or are about to be.
    pub(super) fn begin_making(&self, names: Vec<String>, state: &RefCell<State>) {
        self.note(state, |intent| {
            for name in names {
                if !intent.making.contains(&name) {
                    intent.making.push(name);
                }
            }
        });
    }

    /// Makes the proxies of others that are missing, and completes those that an earlier attempt began to make. What became
    /// of one does not keep the next from being made.
    pub(super) async fn make_others(
        &self,
        toxiproxy: &Toxiproxy,
        state: &RefCell<State>,
    ) -> Vec<(String, Error)> {
        let mut left = Vec::new();
        let everything = self.everything || state.borrow().has_forgotten;
        for name in self.known_names(state) {
            if name == self.intent.proxy.name {
                continue;
            }
            let mut is_being_made = state.borrow().is_being_made(&name);
            if everything && !is_being_made {
                // One that does not answer is there.
                is_being_made = matches!(toxiproxy.proxy(&name).await, Err(Error::NotFound(_)));
            }
            if !is_being_made {
                continue;
            }
            self.begin_making(vec![name.clone()], state);
            if let Err(error) = self.make(toxiproxy, &name, state).await {
                left.push((name, error));
            }
        }
        left
    }

    /// Makes one proxy as it was, as far as it is not there yet: first its toxics, then whether it accepts.
    pub(super) async fn make(
        &self,
        toxiproxy: &Toxiproxy,
        name: &str,
        state: &RefCell<State>,
    ) -> Result<(), Error> {
        let Some((was, toxics)) = state.borrow().known(name) else {
            return Ok(());
        };
        let disabled_first = Definition {
            enabled: was.enabled && toxics.is_empty(),
            ..was.clone()
        };
        match toxiproxy.create(&disabled_first).await {
            Ok(()) => note_made(state, name),
            Err(Error::Exists(_)) => {}
            Err(error) => return Err(error),
        }
        let seen = match toxiproxy.proxy(name).await {
            // There, with a name that no path can hold: nobody can say more of it.
            Err(Error::NotFound(_)) => None,
            other => Some(other?),
        };
        if let Some(seen) = seen {
            for toxic in &toxics {
                if seen.toxics.iter().all(|there| there.name != toxic.name) {
                    add(toxiproxy, name, toxic).await?;
                    note_put_back(state, name, &toxic.name);
                }
            }
            if seen.definition.enabled != was.enabled {
                toxiproxy.set_enabled(name, was.enabled).await?;
            }
        }
        self.note(state, |intent| {
            intent.making.retain(|making| making != name);
        });
        Ok(())
    }
}

fn is_told(state: &State, proxy: &str) -> bool {
    !(state.is_lifting && proxy == state.intent.proxy.name)
}

fn note_made(state: &RefCell<State>, proxy: &str) {
    let mut state = state.borrow_mut();
    if is_told(&state, proxy) {
        state.effort.made_again.push(proxy.to_owned());
    }
}

fn note_put_back(state: &RefCell<State>, proxy: &str, toxic: &str) {
    let mut state = state.borrow_mut();
    if is_told(&state, proxy) {
        state.effort.put_back.push(format!("{proxy}/{toxic}"));
    }
}

/// Adds a toxic. One that a late call has added meanwhile is there as well.
async fn add(toxiproxy: &Toxiproxy, proxy: &str, toxic: &Toxic) -> Result<(), Error> {
    match toxiproxy.add(proxy, toxic).await {
        Err(Error::Exists(_)) => Ok(()),
        other => other,
    }
}
