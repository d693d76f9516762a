//! One fault on one proxy, from the intent on the disk to the proof that it is gone.

use std::cell::Cell;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::definition;
use crate::exit::Refusal;
use crate::faults::{Fault, Symptom};
use crate::interrupt::Interrupt;
use crate::journal::{Intent, Journal};
use crate::probe::{Felt, probe};
use crate::process::Identity;
use crate::rollback::{Effort, Patience, Rollback};
use crate::toxiproxy::{Definition, Error, Proxy, Toxiproxy};
use crate::watch::{self, Change, Watch, Watched};

/// How long a probe waits for an answer when there should be one.
const PROBE_DEADLINE: Duration = Duration::from_secs(2);
/// No probe waits longer than this, however long the latency.
const LONGEST_PROBE: Duration = Duration::from_secs(10);
/// How long a probe waits before it calls it silence.
const SILENCE: Duration = Duration::from_secs(1);
/// Probes at most, until one feels the fault: with a toxicity below 1 not every connection is hit.
const PROBES: u32 = 3;
const PROBES_OF_SOME: u32 = 20;
/// How long an answer may take to come back after the rollback.
const BACK: Duration = Duration::from_secs(5);

/// A fault that is ready, active or taken back.
#[derive(Debug)]
pub struct Injection {
    toxiproxy: Toxiproxy,
    server: Option<Identity>,
    intent: Intent,
    fault: Fault,
    protocol: definition::Protocol,
    /// The quickest answer before the injection.
    before: Duration,
    begun: bool,
    /// The injection was not answered, so that it may still happen.
    unsure: bool,
    /// Others were seen on the proxy during the fault.
    is_joined: Cell<bool>,
}

impl Injection {
    /// A fault that is not injected yet. Fails when nothing answers through the proxy as it is: such an experiment could
    /// prove nothing.
    pub async fn prepare(
        toxiproxy: Toxiproxy,
        server: Option<Identity>,
        intent: Intent,
        definition: &definition::Fault,
    ) -> Result<Self, Refusal> {
        let fault = Fault::new(&definition.effect, &intent.name);
        // The list has names that no path can hold, e.g. one with a slash.
        toxiproxy.proxy(&intent.proxy.name).await.map_err(|error| {
            Refusal::unavailable(format!(
                "proxy {} can't be looked at by its name: {error}; rename it",
                intent.proxy.name
            ))
        })?;
        let listen = &intent.proxy.listen;
        let mut before: Option<Duration> = None;
        for _ in 0..PROBES {
            if let Felt::Answer(took) = probe(definition.protocol, listen, PROBE_DEADLINE).await {
                before = Some(before.map_or(took, |best| best.min(took)));
            }
        }
        let Some(before) = before else {
            return Err(Refusal::unavailable(format!(
                "nothing answers {:?} through proxy {} at {listen} (upstream {}): start the dependency, or enable the \
                 proxy",
                definition.protocol, intent.proxy.name, intent.proxy.upstream
            )));
        };
        Ok(Self {
            toxiproxy,
            server,
            intent,
            fault,
            protocol: definition.protocol,
            before,
            begun: false,
            unsure: false,
            is_joined: Cell::new(false),
        })
    }

    /// The fault's short name, for the metric.
    pub fn label(&self) -> &'static str {
        self.fault.label
    }

    /// Looks at all proxies once more, writes the intent to the disk, then injects. Not to be given up half-way: it ends within its calls'
    /// deadlines.
    pub async fn inject(&mut self, journal: &Journal) -> Result<(), InjectError> {
        let unproven =
            |why: String| InjectError::Unproven(format!("the fault was not injected: {why}"));
        // All of them: the preflight is long ago, and what is put back after a restart is what was there now.
        let all = self.toxiproxy.list().await;
        let all = all.map_err(|error| unproven(error.to_string()))?;
        let name = &self.intent.proxy.name;
        let change = match all.iter().find(|seen| seen.definition.name == *name) {
            Some(seen) => Change::between(seen, &self.intent.proxy, None),
            None => Some(Change::NoProxy(name.clone())),
        };
        if let Some(change) = change {
            return Err(unproven(change.to_string()));
        }
        self.intent.all = all;
        journal.intend(&self.intent)?;
        self.begun = true;
        let proxy = &self.intent.proxy.name;
        let injected = match &self.fault.toxic {
            Some(toxic) => self.toxiproxy.add(proxy, toxic).await,
            None => self.toxiproxy.set_enabled(proxy, false).await,
        };
        self.unsure = matches!(injected, Err(Error::Unanswered(_)));
        injected.map_err(|error| {
            InjectError::Unproven(format!("the fault could not be injected: {error}"))
        })
    }

    /// Proves that the fault is active: Toxiproxy says so, and a probe feels it. Returns what the probe felt.
    pub async fn verify(&self) -> Result<String, String> {
        let unproven = |why: String| format!("the fault was not proven active: {why}");
        let seen = self.toxiproxy.proxy(&self.intent.proxy.name).await;
        let seen = seen.map_err(|error| unproven(error.to_string()))?;
        if let Some(change) = self.watched().change(&seen) {
            return Err(unproven(change.to_string()));
        }
        let probes = if self.fault.toxicity < 1.0 {
            PROBES_OF_SOME
        } else {
            PROBES
        };
        let mut felt = Felt::Refused;
        for _ in 0..probes {
            felt = probe(self.protocol, &self.intent.proxy.listen, self.patience()).await;
            if self.is_felt(felt) {
                return Ok(format!(
                    "{} (before: {} ms)",
                    felt.words(),
                    self.before.as_millis()
                ));
            }
        }
        // What somebody did meanwhile says more than what was felt of it.
        let seen = self.toxiproxy.proxy(&self.intent.proxy.name).await;
        if let Some(change) = seen.ok().and_then(|seen| self.watched().change(&seen)) {
            return Err(unproven(change.to_string()));
        }
        Err(unproven(format!(
            "Toxiproxy shows it, but a probe through proxy {} felt {}, after an answer in {} ms before",
            self.intent.proxy.name,
            felt.words(),
            self.before.as_millis()
        )))
    }

    /// How long a verifying probe waits.
    fn patience(&self) -> Duration {
        match self.fault.symptom {
            Symptom::Later(delay) => (PROBE_DEADLINE + delay * 2).min(LONGEST_PROBE),
            Symptom::NoAnswer | Symptom::Refused => SILENCE,
        }
    }

    /// Whether a verifying probe felt the fault. Of a latency that is too long to wait for, silence for as long as a probe
    /// waits is felt, where answers came at once before.
    fn is_felt(&self, felt: Felt) -> bool {
        let is_long = matches!(self.fault.symptom, Symptom::Later(delay) if PROBE_DEADLINE + delay * 2 > LONGEST_PROBE);
        felt.is(self.fault.symptom, self.before) || (is_long && felt == Felt::NoAnswer)
    }

    /// What it takes to watch the fault.
    fn watched(&self) -> Watched<'_> {
        Watched {
            toxiproxy: &self.toxiproxy,
            meant: Definition {
                enabled: self.intent.proxy.enabled && self.fault.toxic.is_some(),
                ..self.intent.proxy.clone()
            },
            toxic: self.fault.toxic.as_ref(),
            is_joined: &self.is_joined,
            protocol: self.protocol,
            symptom: self.fault.symptom,
            toxicity: self.fault.toxicity,
            everything: self.server.is_some(),
        }
    }

    /// Watches the fault from now on.
    pub fn watch(&self) -> Watch<'_> {
        Watch::new(self.watched())
    }

    /// Takes over what was learnt of all proxies while watching, for a server that has to be restarted.
    pub fn know(&mut self, proxies: Vec<Proxy>) {
        for proxy in proxies {
            if proxy.definition.name != self.intent.proxy.name {
                self.intent.know(proxy);
            }
        }
    }

    /// Whether something may be injected now, so that a rollback is due.
    pub fn is_begun(&self) -> bool {
        self.begun
    }

    /// Takes the fault back; the journal's entry is closed only once that is proven. Says also what that took.
    pub async fn roll_back(
        &mut self,
        journal: &Journal,
        interrupt: &Interrupt,
        dir: &Path,
    ) -> (Result<(), String>, Effort) {
        if self.is_joined.get() {
            // So long that another runner's looks see us as we saw it: its fault was not alone either.
            tokio::select! {
                () = tokio::time::sleep(watch::INTERVAL * 2) => {}
                () = interrupt.raised() => {}
            }
        }
        let rollback = Rollback {
            toxiproxy: &self.toxiproxy,
            intent: &self.intent,
            server: self.server,
            journal,
            everything: false,
            unsure: self.unsure,
        };
        let (undone, mut effort) = rollback.run(Patience::USUAL, interrupt, dir).await;
        if undone.is_ok() {
            self.begun = false;
            let closed = journal.done(&self.intent.name);
            effort.unclosed = closed.err().map(|refusal| refusal.sentence);
        }
        (undone, effort)
    }

    /// Waits a bounded time until something answers through the proxy again, and says what was felt. Service that does
    /// not return is a matter of recovery, not of the rollback.
    pub async fn feel_again(&self) -> String {
        let begun = Instant::now();
        loop {
            let felt = probe(self.protocol, &self.intent.proxy.listen, PROBE_DEADLINE).await;
            if matches!(felt, Felt::Answer(_)) || begun.elapsed() > BACK {
                return felt.words();
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

/// Why an injection did not happen, or may not have.
#[derive(Debug)]
pub enum InjectError {
    /// The journal could not be written; nothing was injected.
    Refused(Refusal),
    /// Toxiproxy refused, or did not answer.
    Unproven(String),
}

impl From<Refusal> for InjectError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}
