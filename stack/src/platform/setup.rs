//! What is started, and where people find it.

use crate::alerts::Alerts;
use crate::error::Error;
use crate::net;
use crate::server::{Backend, Found, alertmanager, elasticsearch, jaeger, prometheus, toxiproxy};

/// Which servers play the parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Take {
    /// Stand-ins, and what the environment names by a URL.
    Embedded,
    /// Real servers wherever they are found, stand-ins for the rest.
    Found,
}

impl Take {
    /// The real server to use, if one is to be used.
    pub(super) fn choose(self, backend: Backend) -> Option<Found> {
        backend
            .found
            .filter(|found| self == Self::Found || found.is_given())
    }
}

/// A server that nothing stands in for: the platform runs without it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Optional {
    /// Then no rule is evaluated.
    Prometheus,
    /// Then no alert is sent.
    Alertmanager,
    /// Then log lines are in files only, and rsyslog is not started either.
    Elasticsearch,
}

/// Where people find things; 0 is a free port.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ports {
    /// The API, through its proxy (`--api-port`).
    pub api: u16,
    /// The service's admin listener (`--admin-port`).
    pub admin: u16,
    /// The fault proxy's HTTP API (`--toxiproxy-port`).
    pub toxiproxy: u16,
    /// The trace store's query API (`--jaeger-port`).
    pub jaeger: u16,
    /// Prometheus (`--prometheus-port`).
    pub prometheus: u16,
    /// Alertmanager (`--alertmanager-port`).
    pub alertmanager: u16,
    /// Elasticsearch (`--elasticsearch-port`).
    pub elasticsearch: u16,
    /// The control endpoint (`--control-port`).
    pub control: u16,
}

/// What is started, and where.
#[derive(Debug, Clone)]
pub struct Setup {
    /// Which servers play the parts.
    pub take: Take,
    /// What is left out even where it is found (`--without`).
    pub without: Vec<Optional>,
    /// Whether a Prometheus that is found is started: nothing stands in for it.
    pub metrics: Take,
    /// Where people find things.
    pub ports: Ports,
    /// What Prometheus evaluates and Alertmanager routes.
    pub alerts: Alerts,
}

impl Setup {
    /// The optional server to use, if one is to be used.
    pub(super) fn choose(&self, server: Optional, backend: Backend) -> Option<Found> {
        let take = match server {
            Optional::Prometheus => self.metrics,
            Optional::Alertmanager | Optional::Elasticsearch => self.take,
        };
        let wanted = !self.without.contains(&server);
        wanted.then(|| take.choose(backend)).flatten()
    }

    /// Whether people look for this server, so that they are told when it is missing.
    pub(super) fn is_expected(&self, server: Optional) -> bool {
        self.take == Take::Found && !self.without.contains(&server)
    }

    /// Fails before anything is started when somebody listens on a port that is going to be used: a server that is given
    /// by its URL may well listen on its usual one.
    pub(super) fn check_ports(&self) -> Result<(), Error> {
        let Self { take, ports, .. } = *self;
        // A stand-in listens where the server would.
        let is_ours = |backend: Backend| take.choose(backend).is_none_or(|found| !found.is_given());
        let starts = |server: Optional, backend: Backend| {
            self.choose(server, backend)
                .is_some_and(|found| !found.is_given())
        };
        let used = [
            (ports.api, "--api-port", true),
            (ports.admin, "--admin-port", true),
            (
                ports.toxiproxy,
                "--toxiproxy-port",
                is_ours(toxiproxy::find()),
            ),
            (ports.jaeger, "--jaeger-port", is_ours(jaeger::find())),
            (
                ports.prometheus,
                "--prometheus-port",
                starts(Optional::Prometheus, prometheus::find()),
            ),
            (
                ports.alertmanager,
                "--alertmanager-port",
                starts(Optional::Alertmanager, alertmanager::find()),
            ),
            (
                ports.elasticsearch,
                "--elasticsearch-port",
                starts(Optional::Elasticsearch, elasticsearch::find()),
            ),
            (ports.control, "--control-port", true),
        ];
        used.into_iter()
            .filter(|(port, _, is_used)| *is_used && *port != 0)
            .try_for_each(|(port, flag, _)| net::check_free(port, flag))
    }
}
