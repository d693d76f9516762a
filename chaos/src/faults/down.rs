//! The proxy is disabled: its connections close and new ones are refused. Toxiproxy accepts before it dials, so nothing
//! else looks like a dependency that is down.

use super::{Fault, Symptom};

pub(super) fn fault() -> Fault {
    Fault {
        toxic: None,
        symptom: Symptom::Refused,
        toxicity: 1.0,
        label: "down",
    }
}
