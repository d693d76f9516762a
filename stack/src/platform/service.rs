//! The service: its configuration is the addresses of the proxies, by environment variables.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use super::Context;
use super::object_store::ObjectStore;
use super::part::{Part, nothing};
use crate::error::Error;
use crate::net::loopback;
use crate::process::Spec;
use crate::server::{answers_ok, start_on_ports};

/// The service drains requests in flight before it ends.
const DRAIN: Duration = Duration::from_secs(20);

/// What the service is given.
pub(super) struct Dependencies {
    pub store: ObjectStore,
    /// The proxy `store`.
    pub store_endpoint: SocketAddr,
    /// With the proxy's address in it, for PostgreSQL.
    pub catalog_url: String,
    /// The proxy `traces`.
    pub traces: SocketAddr,
}

/// Where the service itself listens.
pub(super) struct Service {
    pub api: SocketAddr,
}

/// Starts it and waits until it is ready; `admin` is the admin listener's port.
pub(super) async fn start(
    context: &Context,
    through: &Dependencies,
    admin: u16,
) -> Result<(Part, Service), Error> {
    let spec = |ports: &[u16], log: &Path| Ok(command(context, through, ports[0], ports[1], log));
    let ready =
        async |ports: &[u16]| answers_ok(&format!("http://127.0.0.1:{}/ready", ports[0])).await;
    let (running, ports) =
        start_on_ports(&context.launch(admin), "service", 2, None, spec, ready).await?;
    let (admin, api) = (loopback(ports[0]), loopback(ports[1]));
    context.folder.update(|state| {
        state.endpoints.admin = Some(format!("http://{admin}"));
        state.endpoints.api_direct = Some(format!("http://{api}"));
    })?;
    Ok((Part::process(context, running, nothing)?, Service { api }))
}

fn command(context: &Context, through: &Dependencies, admin: u16, api: u16, log: &Path) -> Spec {
    let store = &through.store;
    let mut spec = Spec::new("service", &context.programs.service, log)
        .args(["serve", "--role", "all"])
        .env("CHITRAM_LISTEN", loopback(api).to_string())
        .env("CHITRAM_ADMIN_LISTEN", loopback(admin).to_string())
        .env("CHITRAM_CATALOG_URL", &through.catalog_url)
        .env("CHITRAM_STORE_URL", format!("s3://{}", store.bucket))
        .env(
            "CHITRAM_STORE_ENDPOINT",
            format!("http://{}", through.store_endpoint),
        )
        .env("CHITRAM_STORE_ACCESS_KEY", &store.credentials.access_key)
        .env("CHITRAM_STORE_SECRET_KEY", &store.credentials.secret_key)
        .env("CHITRAM_SPOOL_DIR", context.folder.data().join("spool"))
        .env(
            "OTEL_EXPORTER_OTLP_ENDPOINT",
            format!("http://{}", through.traces),
        );
    spec.grace = DRAIN;
    spec
}
