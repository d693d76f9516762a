//! Data is swallowed, and the connection closes after a while, or never: then it is a black hole.

use super::{Fault, Symptom};
use crate::definition::Stream;
use crate::toxiproxy::Toxic;

pub(super) fn fault(name: &str, stream: Stream, timeout_ms: u64, toxicity: f64) -> Fault {
    Fault {
        toxic: Some(Toxic::new(
            name,
            "timeout",
            stream,
            toxicity,
            &[("timeout", timeout_ms)],
        )),
        symptom: Symptom::NoAnswer,
        toxicity,
        label: "timeout",
    }
}
