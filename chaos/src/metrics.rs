//! `/metrics` on a free loopback port, registered in the folder from which Prometheus learns its targets, so that the
//! moment of a fault is in the same graphs as its effects.

use std::io;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use observability::guard::Hosts;
use observability::metrics::{Desc, Gauge, Label};
use observability::{Declarations, Registry, Service, admin, server};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

const FAULT_ACTIVE: Desc = Desc::gauge(
    "chaos_fault_active",
    "1 from the begin of an injection until its rollback was verified, else 0.",
    &[
        Label::bounded("experiment", "the names of the experiments of the run"),
        Label::bounded(
            "dependency",
            "the proxies that the experiments of the run name",
        ),
        Label::closed("toxic", &["latency", "timeout", "reset_peer", "down"]),
    ],
);

/// The declarations of `chitram-chaos`.
pub fn declarations() -> Declarations {
    Declarations::new("chitram-chaos").metrics(&[&FAULT_ACTIVE])
}

/// The runner's metrics while it runs; unregistered when dropped.
pub struct Metrics {
    registry: Registry,
    target: PathBuf,
    shutdown: CancellationToken,
}

impl Metrics {
    /// Serves and registers below `dir/targets`.
    pub async fn serve(dir: &Path) -> io::Result<Self> {
        let service = Service {
            name: "chitram-chaos",
            version: env!("CARGO_PKG_VERSION"),
            revision: option_env!("CHITRAM_REVISION"),
            environment: "local".into(),
        };
        let registry = Registry::new(&service);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let target = register(dir, &listener.local_addr()?.to_string())?;
        let shutdown = CancellationToken::new();
        let app = admin::router(registry.clone(), Hosts::default(), || async {
            admin::Readiness {
                ready: true,
                degraded: false,
                checks: Vec::new(),
            }
        });
        let (served, stop) = (registry.clone(), shutdown.clone());
        tokio::spawn(async move {
            server::serve(listener, app, server::Limits::new("admin"), &served, stop).await
        });
        Ok(Self {
            registry,
            target,
            shutdown,
        })
    }

    /// The gauge of one fault, 0 from now on.
    pub fn fault(&self, experiment: &str, dependency: &str, toxic: &str) -> Gauge {
        let labels = [
            ("experiment", experiment),
            ("dependency", dependency),
            ("toxic", toxic),
        ];
        let gauge = self.registry.gauge(&FAULT_ACTIVE, &labels);
        gauge.set(0.0);
        gauge
    }
}

impl Drop for Metrics {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.target);
        self.shutdown.cancel();
    }
}

/// Writes a `file_sd` target, whole or not at all.
fn register(dir: &Path, address: &str) -> io::Result<PathBuf> {
    let folder = dir.join("targets");
    std::fs::create_dir_all(&folder)?;
    let target = folder.join(format!("chitram-chaos-{}.json", std::process::id()));
    let text = serde_json::json!([{ "targets": [address], "labels": { "job": "chitram-chaos" } }])
        .to_string();
    let unfinished = target.with_extension("tmp");
    std::fs::write(&unfinished, text)?;
    std::fs::rename(&unfinished, &target)?;
    Ok(target)
}
