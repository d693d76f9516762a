//! Watches that a fault is there for as long as it is judged: once a second Toxiproxy is asked for the proxy, and a probe
//! feels it. What is gone, altered or joined by others proves nothing.
//!
//! Between two looks a fault can be away and come back unseen: Toxiproxy keeps no history, and a toxic that was deleted and
//! added again looks as before. A probe that meets the gap tells; nothing else does.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::time::{Duration, Instant};

use tokio::time::MissedTickBehavior;

use crate::definition::Protocol;
use crate::faults::Symptom;
use crate::probe::probe;
use crate::toxiproxy::{Definition, Error, Proxy, Toxic, Toxiproxy};

/// Between two looks, and between two probes.
pub(crate) const INTERVAL: Duration = Duration::from_secs(1);
/// Deadline of a look and of a probe.
const DEADLINE: Duration = Duration::from_secs(1);
/// Between the last looks, where one was not answered.
const BETWEEN_LAST_LOOKS: Duration = Duration::from_millis(200);
/// So many looks in a row without an answer leave the fault unproven.
const MISSED: u32 = 3;
/// With a toxicity below 1 probes miss the fault by chance: so many in a row that chance does it once in a million times
/// tell that it is gone.
const CHANCE: f64 = 1e-6;

/// How a proxy is not as it was meant to be.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// The proxy is not there.
    NoProxy(String),
    /// It listens or dials elsewhere.
    Moved(Definition),
    /// It was enabled or disabled.
    Enabled(bool),
    /// Our toxic is not there.
    Gone(String),
    /// Our toxic has other attributes, another toxicity or another stream.
    Altered(String),
    /// Other toxics are there.
    Joined(Vec<String>),
}

impl Change {
    /// The first difference between a proxy and what was meant: where, whether enabled, and the only toxic.
    pub fn between(seen: &Proxy, meant: &Definition, toxic: Option<&Toxic>) -> Option<Self> {
        let Proxy { definition, toxics } = seen;
        if (&definition.listen, &definition.upstream) != (&meant.listen, &meant.upstream) {
            return Some(Self::Moved(definition.clone()));
        }
        if let Some(toxic) = toxic {
            match toxics.iter().find(|there| there.name == toxic.name) {
                None => return Some(Self::Gone(toxic.name.clone())),
                Some(there) if !there.is_as_meant(toxic) => {
                    return Some(Self::Altered(toxic.name.clone()));
                }
                Some(_) => {}
            }
        }
        if definition.enabled != meant.enabled {
            return Some(Self::Enabled(definition.enabled));
        }
        let others = toxics.iter().map(|there| there.name.clone());
        let others: Vec<String> = others
            .filter(|name| toxic.is_none_or(|ours| ours.name != *name))
            .collect();
        (!others.is_empty()).then_some(Self::Joined(others))
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoProxy(name) => write!(
                f,
                "proxy {name} is gone: somebody removed it, or Toxiproxy was restarted"
            ),
            Self::Moved(to) => write!(
                f,
                "proxy {} was moved by others: it listens at {} and dials {}",
                to.name, to.listen, to.upstream
            ),
            Self::Enabled(true) => write!(
                f,
                "the proxy was enabled by others, or Toxiproxy was restarted"
            ),
            Self::Enabled(false) => write!(f, "the proxy was disabled by others"),
            Self::Gone(name) => write!(
                f,
                "toxic {name} is gone: somebody removed it, or Toxiproxy was restarted"
            ),
            Self::Altered(name) => write!(f, "toxic {name} was changed by others"),
            Self::Joined(others) => write!(
                f,
                "the fault was joined by others: the proxy carries toxics that are not ours ({})",
                others.join(", ")
            ),
        }
    }
}

/// A fault to watch.
pub struct Watched<'a> {
    /// Where.
    pub toxiproxy: &'a Toxiproxy,
    /// The proxy as the fault makes it.
    pub meant: Definition,
    /// Its only toxic, if the fault is one.
    pub toxic: Option<&'a Toxic>,
    /// Set when others are seen on the proxy.
    pub is_joined: &'a Cell<bool>,
    /// What the probe speaks.
    pub protocol: Protocol,
    /// What the probe must feel.
    pub symptom: Symptom,
    /// Share of the connections that are hit.
    pub toxicity: f64,
    /// Whether all proxies are remembered, for a server that may have to be restarted.
    pub everything: bool,
}

impl Watched<'_> {
    /// How the proxy differs from what the fault makes of it.
    pub fn change(&self, seen: &Proxy) -> Option<Change> {
        let change = Change::between(seen, &self.meant, self.toxic);
        if matches!(change, Some(Change::Joined(_))) {
            self.is_joined.set(true);
        }
        change
    }
}

/// The watch over one fault.
pub struct Watch<'a> {
    watched: Watched<'a>,
    begun: Instant,
    all: RefCell<Vec<Proxy>>,
}

impl<'a> Watch<'a> {
    pub(crate) fn new(watched: Watched<'a>) -> Self {
        Self {
            watched,
            begun: Instant::now(),
            all: RefCell::default(),
        }
    }

    /// Ends only when the fault is not proven any more, with a sentence.
    pub async fn until_lost(&self) -> String {
        tokio::select! {
            lost = self.keep_looking() => lost,
            lost = self.keep_probing() => lost,
        }
    }

    /// Looks and feels a last time, just before the rollback.
    pub async fn last_look(&self) -> Result<(), String> {
        let mut missed = 0;
        while let Err(error) = self.look().await? {
            missed += 1;
            if missed >= MISSED {
                return Err(self.unreadable(&error));
            }
            tokio::time::sleep(BETWEEN_LAST_LOOKS).await;
        }
        let felt = self.feel().await;
        // One probe that misses proves nothing where some are meant to.
        if self.watched.toxicity >= 1.0
            && let Some(why) = felt
        {
            return Err(why);
        }
        Ok(())
    }

    /// All proxies as they were last seen; empty if nobody was to remember them.
    pub fn into_proxies(self) -> Vec<Proxy> {
        self.all.into_inner()
    }

    async fn keep_looking(&self) -> String {
        let mut missed = 0;
        let mut ticks = tokio::time::interval(INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            match self.look().await {
                Ok(Ok(())) => missed = 0,
                Ok(Err(error)) => {
                    missed += 1;
                    if missed >= MISSED {
                        return self.unreadable(&error);
                    }
                }
                Err(lost) => return lost,
            }
        }
    }

    async fn keep_probing(&self) -> String {
        let most = misses(self.watched.toxicity);
        let mut missed = 0;
        loop {
            tokio::time::sleep(INTERVAL).await;
            match self.feel().await {
                None => missed = 0,
                Some(why) => {
                    missed += 1;
                    if missed >= most {
                        // Toxiproxy may say more of it than the probe could feel.
                        return self.look().await.err().unwrap_or(why);
                    }
                }
            }
        }
    }

    /// One look. An API that does not answer says nothing yet, a changed proxy says all.
    async fn look(&self) -> Result<Result<(), Error>, String> {
        let Watched {
            meant, toxiproxy, ..
        } = &self.watched;
        let toxiproxy = toxiproxy.within(DEADLINE);
        let change = match toxiproxy.proxy(&meant.name).await {
            Ok(seen) => self.watched.change(&seen),
            Err(Error::NotFound(_)) => Some(Change::NoProxy(meant.name.clone())),
            Err(error) => return Ok(Err(error)),
        };
        if let Some(change) = change {
            return Err(self.lost(&change.to_string()));
        }
        if self.watched.everything
            && let Ok(all) = toxiproxy.list().await
        {
            *self.all.borrow_mut() = all;
        }
        Ok(Ok(()))
    }

    /// One probe; a sentence if it felt what the fault does not let through.
    async fn feel(&self) -> Option<String> {
        let Watched {
            protocol,
            meant,
            symptom,
            ..
        } = &self.watched;
        let felt = probe(*protocol, &meant.listen, DEADLINE).await;
        felt.refutes(*symptom).then(|| {
            let felt = felt.words();
            self.lost(&format!("a probe through proxy {} felt {felt}", meant.name))
        })
    }

    fn unreadable(&self, error: &Error) -> String {
        self.lost(&format!(
            "{MISSED} looks in a row were not answered: {error}"
        ))
    }

    fn lost(&self, why: &str) -> String {
        let after = self.begun.elapsed().as_secs_f64();
        format!(
            "the fault was not proven active all the time: {after:.1} s after its verification {why}"
        )
    }
}

/// So many probes in a row that miss a fault of this toxicity tell that it is gone.
fn misses(toxicity: f64) -> u32 {
    let missing = 1.0 - toxicity;
    if missing < CHANCE {
        return 1;
    }
    // A toxicity of 0 hits nothing, and no number of misses tells anything.
    if missing >= 1.0 {
        return u32::MAX;
    }
    (CHANCE.ln() / missing.ln()).ceil().min(f64::from(u32::MAX)) as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::definition::Stream;

    fn toxic(name: &str) -> Toxic {
        Toxic::new(
            name,
            "latency",
            Stream::Downstream,
            1.0,
            &[("latency", 400)],
        )
    }

    fn proxy(toxics: &[Toxic]) -> Proxy {
        Proxy {
            definition: Definition {
                name: "store".into(),
                listen: "127.0.0.1:1".into(),
                upstream: "127.0.0.1:2".into(),
                enabled: true,
            },
            toxics: toxics.to_vec(),
        }
    }

    #[test]
    fn a_fault_is_there_only_as_it_was_meant_and_alone() {
        let (ours, other) = (toxic("ours"), toxic("other"));
        let meant = proxy(&[]).definition;
        let change = |seen: Proxy| Change::between(&seen, &meant, Some(&ours));
        assert_eq!(change(proxy(std::slice::from_ref(&ours))), None);
        assert_eq!(change(proxy(&[])), Some(Change::Gone("ours".into())));
        let joined = Some(Change::Joined(vec!["other".into()]));
        assert_eq!(change(proxy(&[ours.clone(), other.clone()])), joined);
        let stronger = Toxic::new(
            "ours",
            "latency",
            Stream::Downstream,
            1.0,
            &[("latency", 4)],
        );
        assert_eq!(
            change(proxy(&[stronger])),
            Some(Change::Altered("ours".into()))
        );
        let rarer = Toxic {
            toxicity: 0.5,
            ..ours.clone()
        };
        assert_eq!(
            change(proxy(&[rarer])),
            Some(Change::Altered("ours".into()))
        );
        let mut disabled = proxy(std::slice::from_ref(&ours));
        disabled.definition.enabled = false;
        assert_eq!(change(disabled), Some(Change::Enabled(false)));
        let mut moved = proxy(std::slice::from_ref(&ours));
        moved.definition.upstream = "127.0.0.1:3".into();
        assert_eq!(change(moved.clone()), Some(Change::Moved(moved.definition)));
    }

    #[test]
    fn without_a_toxic_the_proxy_alone_is_compared() {
        let mut meant = proxy(&[]).definition;
        meant.enabled = false;
        let seen = |enabled, toxics: &[Toxic]| {
            let mut seen = proxy(toxics);
            seen.definition.enabled = enabled;
            seen
        };
        assert_eq!(Change::between(&seen(false, &[]), &meant, None), None);
        let enabled = Change::between(&seen(true, &[]), &meant, None);
        assert_eq!(enabled, Some(Change::Enabled(true)));
        let joined = Change::between(&seen(false, &[toxic("other")]), &meant, None);
        assert_eq!(joined, Some(Change::Joined(vec!["other".into()])));
    }

    #[test]
    fn one_miss_tells_of_a_fault_that_hits_all_and_a_rarer_one_may_miss_by_chance() {
        assert_eq!(misses(1.0), 1);
        assert_eq!(misses(0.5), 20);
        assert_eq!(misses(0.1), 132);
        assert!(misses(0.000_1) > 100_000);
        assert_eq!(misses(0.0), u32::MAX);
    }
}
