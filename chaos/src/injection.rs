//! One fault on one proxy, from the intent on the disk to the proof that it is gone.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::definition;
use crate::exit::Refusal;
use crate::faults::{Fault, Symptom};
use crate::interrupt::Interrupt;
use crate::journal::{Intent, Journal};
use crate::probe::{Felt, probe};
use crate::process::Identity;
use crate::rollback;
use crate::toxiproxy::Toxiproxy;

/// How long a probe waits for an answer when there should be one.
const PROBE_DEADLINE: Duration = Duration::from_secs(2);
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
        })
    }

    /// The fault's short name, for the metric.
    pub fn label(&self) -> &'static str {
        self.fault.label
    }

    /// Writes the intent to the disk, then injects.
    pub async fn inject(&mut self, journal: &Journal) -> Result<(), InjectError> {
        journal.intend(&self.intent)?;
        self.begun = true;
        let proxy = &self.intent.proxy.name;
        let injected = match &self.fault.toxic {
            Some(toxic) => self.toxiproxy.add(proxy, toxic).await,
            None => self.toxiproxy.set_enabled(proxy, false).await,
        };
        injected.map_err(|error| {
            InjectError::Unproven(format!("the fault could not be injected: {error}"))
        })
    }

    /// Proves that the fault is active: Toxiproxy says so, and a probe feels it. Returns what the probe felt.
    pub async fn verify(&self) -> Result<String, String> {
        self.read_back().await?;
        let deadline = match self.fault.symptom {
            Symptom::Later(delay) => PROBE_DEADLINE + delay * 2,
            Symptom::NoAnswer | Symptom::Refused => SILENCE,
        };
        let probes = if self.fault.toxicity < 1.0 {
            PROBES_OF_SOME
        } else {
            PROBES
        };
        let mut felt = Felt::Refused;
        for _ in 0..probes {
            felt = probe(self.protocol, &self.intent.proxy.listen, deadline).await;
            if felt.is(self.fault.symptom, self.before) {
                return Ok(format!(
                    "{} (before: {} ms)",
                    felt.words(),
                    self.before.as_millis()
                ));
            }
        }
        Err(format!(
            "the fault was not proven active: Toxiproxy shows it, but a probe through proxy {} felt {}, after an answer \
             in {} ms before",
            self.intent.proxy.name,
            felt.words(),
            self.before.as_millis()
        ))
    }

    async fn read_back(&self) -> Result<(), String> {
        let unproven = |why: String| format!("the fault was not proven active: {why}");
        let seen = self
            .toxiproxy
            .proxy(&self.intent.proxy.name)
            .await
            .map_err(|error| unproven(error.to_string()))?;
        let is_there = match &self.fault.toxic {
            Some(meant) => {
                seen.definition.enabled && seen.toxics.iter().any(|toxic| toxic.is_as_meant(meant))
            }
            None => !seen.definition.enabled,
        };
        if is_there {
            Ok(())
        } else {
            Err(unproven(format!(
                "Toxiproxy does not show it on {}",
                self.intent.proxy.name
            )))
        }
    }

    /// Whether something may be injected now, so that a rollback is due.
    pub fn is_begun(&self) -> bool {
        self.begun
    }

    /// Takes the fault back; the journal's entry is closed only once that is proven.
    pub async fn roll_back(
        &mut self,
        journal: &Journal,
        interrupt: &Interrupt,
        dir: &Path,
    ) -> Result<(), String> {
        rollback::roll_back(&self.toxiproxy, &self.intent, self.server, interrupt, dir).await?;
        self.begun = false;
        journal
            .done(&self.intent.name)
            .map_err(|refusal| refusal.sentence)
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
