//! What one command shares between its experiments: addresses, folders, the signal, what is shown.

use std::ffi::OsString;
use std::path::PathBuf;

use url::Url;

use crate::exit::Refusal;
use crate::interrupt::Interrupt;
use crate::jaeger::Jaeger;
use crate::metrics::Metrics;
use crate::progress::Progress;
use crate::prometheus::Prometheus;
use crate::stack_file::Stack;
use crate::toxiproxy::Toxiproxy;

/// Shared by the experiments of one command.
pub struct Context {
    /// The stack's folder: lock, journal, events.
    pub dir: PathBuf,
    /// Names this command.
    pub run_id: String,
    /// What runs.
    pub stack: Stack,
    /// The client of everything that is only read.
    pub http: reqwest::Client,
    /// Folder of plans; without one the generator's own are used.
    pub plans: Option<PathBuf>,
    /// Pictures to upload.
    pub pictures: Option<PathBuf>,
    /// Whether also what experiments call optional must be measured.
    pub require_all: bool,
    /// Signals.
    pub interrupt: Interrupt,
    /// What a person sees.
    pub progress: Progress,
    /// `chaos_fault_active`.
    pub metrics: Metrics,
}

impl Context {
    /// Names one attempt at an experiment, in baggage and in its toxic's name. Not the command's own id: the load generator
    /// makes its uploads unique by it, so that two attempts must not share one.
    pub fn attempt_id(&self, number: usize) -> String {
        format!("{}-{number}", self.run_id)
    }

    /// The service's address.
    pub fn target(&self) -> Result<&Url, Refusal> {
        self.stack
            .endpoints
            .api
            .as_ref()
            .ok_or_else(|| self.no_address("the service", "--target"))
    }

    /// Toxiproxy's API.
    pub fn toxiproxy(&self) -> Result<Toxiproxy, Refusal> {
        let base = self.stack.endpoints.toxiproxy.clone();
        let base = base.ok_or_else(|| self.no_address("Toxiproxy", "--toxiproxy"))?;
        Ok(Toxiproxy::new(
            self.http.clone(),
            base,
            crate::rollback::CALL_DEADLINE,
        ))
    }

    /// Jaeger's query API, when there is one.
    pub fn jaeger(&self) -> Option<Jaeger> {
        self.stack
            .endpoints
            .jaeger
            .clone()
            .map(|base| Jaeger::new(self.http.clone(), base))
    }

    /// Prometheus, when there is one.
    pub fn prometheus(&self) -> Option<Prometheus> {
        let base = self.stack.endpoints.prometheus.clone()?;
        Some(Prometheus::new(self.http.clone(), base))
    }

    /// What the load generator is given as its plan.
    pub fn plan(&self, name: &str) -> Result<OsString, Refusal> {
        crate::plans::find(self.plans.as_deref(), name).map_err(Refusal::usage)
    }

    fn no_address(&self, of: &str, flag: &str) -> Refusal {
        let dir = self.dir.display();
        Refusal::unavailable(format!(
            "{dir}/stack.toml has no address of {of}: run `chitram-stack up`, or give {flag} URL"
        ))
    }
}
