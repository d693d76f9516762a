//! The whole platform in one folder: stores, proxies, the service; started in order, supervised, stopped in reverse.
//!
//! The service reaches its object store, its trace store and (PostgreSQL only) its catalog through fault proxies, and its
//! users reach it through one. All proxies are made through Toxiproxy's HTTP API, whoever speaks it.
//!
//! The control endpoint comes first and goes last; Prometheus comes last, when all that it scrapes is there.

mod catalog;
mod control;
mod fault_proxy;
mod logs;
mod monitoring;
mod object_store;
mod part;
mod programs;
mod recovery;
mod service;
mod setup;
mod traces;

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::control::{ALERTS, Control};
use crate::error::Error;
use crate::folder::Folder;
use crate::interrupt::Interrupts;
use crate::net::loopback;
use crate::process::{Child, Launcher, Spec, spawn};
use crate::server::Launch;
use crate::state::{Endpoints, Server, State};
use catalog::{Catalog, url_at};
use part::Part;
pub use programs::Programs;
use recovery::Recovery;
pub use setup::{Optional, Ports, Setup, Take};

/// Everything that runs. Stop it with [`Platform::stop`]; dropping it stops it too, without order.
pub struct Platform {
    context: Context,
    /// In the order of their start.
    parts: Vec<Part>,
    missing: Vec<&'static str>,
    recovery: Arc<Recovery>,
}

/// What every part needs to start.
#[derive(Clone)]
struct Context {
    folder: Arc<Folder>,
    launcher: Launcher,
    programs: Programs,
    control: Control,
}

impl Context {
    /// Where a real server is started.
    fn launch(&self, port: u16) -> Launch {
        Launch {
            launcher: self.launcher.clone(),
            logs: Some(self.folder.logs()),
            data: Some(self.folder.data()),
            port,
        }
    }

    /// Notes in `stack.toml` who plays a role, and at which address.
    fn note(&self, server: Server, endpoint: impl FnOnce(&mut Endpoints)) -> Result<(), Error> {
        self.folder.update(|state| {
            state.servers.push(server);
            endpoint(&mut state.endpoints);
        })
    }
}

impl Platform {
    /// Starts everything and waits until the service answers through its proxy. When that fails or is interrupted, what
    /// was started is stopped again before this returns.
    pub async fn start(
        folder: Folder,
        setup: &Setup,
        interrupts: &Interrupts,
    ) -> Result<Self, Error> {
        setup.check_ports()?;
        let context = Context {
            folder: Arc::new(folder),
            launcher: Launcher::find()?,
            programs: Programs::find()?,
            control: Control::new(),
        };
        let recovery = Arc::new(Recovery::new(&context));
        let mut platform = Self {
            context,
            parts: Vec::new(),
            missing: Vec::new(),
            recovery,
        };
        match interrupts.cut(platform.start_parts(setup)).await {
            Ok(()) => Ok(platform),
            Err(error) => {
                platform.stop(&interrupts.hurry).await;
                Err(error)
            }
        }
    }

    /// Elasticsearch takes some 20 s, so it starts beside the rest: a log that has begun before is read from its start. What
    /// ships the logs stops late, so it comes early.
    async fn start_parts(&mut self, setup: &Setup) -> Result<(), Error> {
        let context = self.context.clone();
        let logs = logs::start(&context, setup);
        let (logs, ()) = tokio::try_join!(logs, self.start_served(setup))?;
        match logs {
            Some(logs) => {
                let after_control = self.parts.len().min(1);
                let parts = logs.into_parts(&context)?;
                self.parts.splice(after_control..after_control, parts);
            }
            None if setup.is_expected(Optional::Elasticsearch) => {
                self.missing.push("Elasticsearch");
            }
            None => {}
        }
        self.context.folder.update(|state| {
            state.environment = State::environment_of(&state.servers);
        })
    }

    async fn start_served(&mut self, setup: &Setup) -> Result<(), Error> {
        let Setup { take, ports, .. } = *setup;
        let context = self.context.clone();
        let control = self.keep(control::start(&context, ports.control).await?);
        let store = self.keep(object_store::start(&context, take).await?);
        let catalog = self.keep(catalog::start(&context, take).await?);
        let traces = self.keep(traces::start(&context, take, ports.jaeger).await?);
        let proxy = self.keep(fault_proxy::start(&context, take, ports.toxiproxy).await?);

        let through = service::Dependencies {
            store_endpoint: proxy.add("store", loopback(0), store.address).await?,
            traces: proxy.add("traces", loopback(0), traces.otlp).await?,
            catalog_url: match catalog {
                Catalog::Postgres { url, address } => {
                    url_at(&url, proxy.add("catalog", loopback(0), address).await?)
                }
                Catalog::Sqlite { url } => url,
            },
            store,
        };
        let service = self.keep(service::start(&context, &through, ports.admin).await?);
        let api = proxy.add("api", loopback(ports.api), service.api).await?;
        self.context.folder.update(|state| {
            state.endpoints.api = Some(format!("http://{api}"));
        })?;

        let webhook = format!("{control}{ALERTS}");
        let alertmanager = monitoring::start_alertmanager(&context, setup, &webhook).await?;
        let expected = setup.is_expected(Optional::Alertmanager);
        let alertmanager = self.keep_found(alertmanager, "Alertmanager", expected);
        let prometheus = monitoring::start_prometheus(&context, setup, alertmanager).await?;
        let expected = setup.is_expected(Optional::Prometheus);
        self.keep_found(prometheus, "Prometheus", expected);
        self.parts.push(recovery::watch(&self.recovery));
        Ok(())
    }

    /// A server without a stand-in: that it is missing is said, unless nobody looked for it.
    fn keep_found<T>(
        &mut self,
        found: Option<(Part, T)>,
        name: &'static str,
        expected: bool,
    ) -> Option<T> {
        if found.is_none() && expected {
            self.missing.push(name);
        }
        found.map(|part| self.keep(part))
    }

    fn keep<T>(&mut self, (part, handle): (Part, T)) -> T {
        self.parts.push(part);
        handle
    }

    /// The servers that were not started because this machine does not have them.
    pub fn missing(&self) -> &[&'static str] {
        &self.missing
    }

    /// What `stack.toml` says.
    pub fn state(&self) -> State {
        self.context.folder.state()
    }

    /// The folder's path.
    pub fn folder(&self) -> &Folder {
        &self.context.folder
    }

    /// The programs of the platform.
    pub fn programs(&self) -> &Programs {
        &self.context.programs
    }

    /// Starts a child that is not supervised, e.g. the load generator.
    pub fn spawn(&self, spec: &Spec) -> Result<Child, Error> {
        spawn(&self.context.launcher, spec)
    }

    /// Rolls back what a chaos run left when it died. Nothing to do is no error.
    pub async fn recover(&self) {
        self.recovery.recover_if_orphaned().await;
    }

    /// Stops everything: a chaos run first (it rolls back), then the parts in reverse order. Removes `stack.toml` and the
    /// data. `hurry` shortens each deadline, it skips nothing.
    pub async fn stop(self, hurry: &CancellationToken) {
        self.recovery.stop_owner(hurry).await;
        for part in self.parts.into_iter().rev() {
            part.stop(hurry).await;
        }
    }
}
