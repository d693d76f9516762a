//! Each piece of data arrives later.

use std::time::Duration;

use super::{Fault, Symptom};
use crate::definition::Stream;
use crate::toxiproxy::Toxic;

pub(super) fn fault(
    name: &str,
    stream: Stream,
    latency_ms: u64,
    jitter_ms: u64,
    toxicity: f64,
) -> Fault {
    let attributes = [("latency", latency_ms), ("jitter", jitter_ms)];
    Fault {
        toxic: Some(Toxic::new(name, "latency", stream, toxicity, &attributes)),
        // The least that any one answer can be delayed by.
        symptom: Symptom::Later(Duration::from_millis(latency_ms - jitter_ms)),
        toxicity,
        label: "latency",
    }
}
