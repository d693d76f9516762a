//! The connection is reset some time after data arrives.

use super::{Fault, Symptom};
use crate::definition::Stream;
use crate::toxiproxy::Toxic;

pub(super) fn fault(name: &str, stream: Stream, timeout_ms: u64, toxicity: f64) -> Fault {
    Fault {
        toxic: Some(Toxic::new(
            name,
            "reset_peer",
            stream,
            toxicity,
            &[("timeout", timeout_ms)],
        )),
        symptom: Symptom::NoAnswer,
        toxicity,
        label: "reset_peer",
    }
}
