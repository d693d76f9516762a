//! Prometheus and Alertmanager on this machine.

use std::collections::BTreeMap;

use stack::server::{Backend, Found, alertmanager, prometheus};

use crate::exit::Refusal;

/// The servers of a run, which must be ours: one that is given by its URL is neither empty nor scaled.
pub(super) struct Servers {
    /// Prometheus.
    pub(super) prometheus: Found,
    /// Alertmanager.
    pub(super) alertmanager: Found,
}

impl Servers {
    /// Finds both, as programs.
    pub(super) fn find() -> Result<Self, Refusal> {
        Ok(Self {
            prometheus: own(prometheus::find(), "CHITRAM_PROMETHEUS_URL")?,
            alertmanager: own(alertmanager::find(), "CHITRAM_ALERTMANAGER_URL")?,
        })
    }

    /// The version of each.
    pub(super) fn versions(&self) -> BTreeMap<&'static str, String> {
        BTreeMap::from([
            ("Prometheus", self.prometheus.version.clone()),
            ("Alertmanager", self.alertmanager.version.clone()),
        ])
    }
}

fn own(backend: Backend, variable: &str) -> Result<Found, Refusal> {
    let Backend {
        name,
        install,
        found,
        ..
    } = backend;
    match found {
        None => Err(Refusal::unavailable(format!(
            "{name} is not found: {install} installs it"
        ))),
        Some(found) if found.is_given() => Err(Refusal::unavailable(format!(
            "{variable} names a running {name}; an empty one with scaled time is needed: unset {variable}"
        ))),
        Some(found) => Ok(found),
    }
}
