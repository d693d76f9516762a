//! What each fault does to a proxy, and how a probe feels that it is active. One file for each.

mod down;
mod latency;
mod reset_peer;
mod timeout;

use std::time::Duration;

use crate::definition::Effect;
use crate::toxiproxy::Toxic;

/// How a fault shows to whoever talks through the proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Symptom {
    /// Answers come, so much later than before.
    Later(Duration),
    /// No answer comes: silence, or the connection closes.
    NoAnswer,
    /// No connection is accepted.
    Refused,
}

/// A fault ready to be injected.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    /// The toxic to add; without one the proxy is disabled.
    pub toxic: Option<Toxic>,
    /// What the probe must feel.
    pub symptom: Symptom,
    /// Share of the connections that are hit.
    pub toxicity: f64,
    /// A short text for people and for the metric's label: `latency`.
    pub label: &'static str,
}

impl Fault {
    /// The fault that a file asks for, with this name for its toxic.
    pub fn new(effect: &Effect, name: &str) -> Self {
        match *effect {
            Effect::Latency {
                stream,
                latency_ms,
                jitter_ms,
                toxicity,
            } => latency::fault(name, stream, latency_ms, jitter_ms, toxicity),
            Effect::Timeout {
                stream,
                timeout_ms,
                toxicity,
            } => timeout::fault(name, stream, timeout_ms, toxicity),
            Effect::ResetPeer {
                stream,
                timeout_ms,
                toxicity,
            } => reset_peer::fault(name, stream, timeout_ms, toxicity),
            Effect::Down {} => down::fault(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::definition::Stream;

    #[test]
    fn each_fault_has_its_toxic_and_its_symptom() {
        let stream = Stream::Downstream;
        let slow = Effect::Latency {
            stream,
            latency_ms: 400,
            jitter_ms: 50,
            toxicity: 1.0,
        };
        let hole = Effect::Timeout {
            stream,
            timeout_ms: 0,
            toxicity: 1.0,
        };
        let reset = Effect::ResetPeer {
            stream,
            timeout_ms: 0,
            toxicity: 1.0,
        };
        for (effect, kind, symptom) in [
            (
                slow,
                Some("latency"),
                Symptom::Later(Duration::from_millis(350)),
            ),
            (hole, Some("timeout"), Symptom::NoAnswer),
            (reset, Some("reset_peer"), Symptom::NoAnswer),
            (Effect::Down {}, None, Symptom::Refused),
        ] {
            let fault = Fault::new(&effect, "chitram-x-1");
            assert_eq!(fault.toxic.as_ref().map(|toxic| toxic.kind.as_str()), kind);
            assert_eq!(fault.symptom, symptom);
            assert!(fault.toxic.is_none_or(|toxic| toxic.name == "chitram-x-1"));
        }
    }
}
