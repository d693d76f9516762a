//! The run as a Prometheus target: `/metrics` on a free loopback port, registered in a `file_sd` folder while it runs.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use observability::Declarations;
use observability::guard::Hosts;
use observability::metrics::{Counter, Desc, Gauge, Histogram, Label, Registry};
use observability::{admin, server};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::line::Cause;
use super::recorder::Fate;
use crate::exit::Failure;
use crate::plan::Plan;

const ACTIVE: Desc = Desc::gauge(
    "loadtest_active",
    "1 while a load run sends requests.",
    &[SCENARIO],
);
const RATE: Desc = Desc::gauge(
    "loadtest_intended_requests_per_second",
    "Requests a second that the plan intends.",
    &[SCENARIO],
);
const DURATION: Desc = Desc::histogram(
    "loadtest_request_duration_seconds",
    "Time from a request's due time to the last byte of its answer, or to its failure; of requests that were sent.",
    &[SCENARIO, ROUTE],
    LATENCY_SECONDS,
);
const SEND_LAG: Desc = Desc::histogram(
    "loadtest_send_lag_seconds",
    "Time from a request's due time to when it was sent.",
    &[SCENARIO],
    LAG_SECONDS,
);
const ARRIVALS: Desc = Desc::counter(
    "loadtest_arrivals_total",
    "Requests that were due, by what became of them.",
    &[SCENARIO, ROUTE, Label::closed("outcome", &OUTCOMES)],
);
const WORKERS: Desc = Desc::gauge(
    "loadtest_workers_limit",
    "Requests that can be in flight; further ones wait for a worker.",
    &[SCENARIO],
);
const IN_FLIGHT: Desc = Desc::gauge(
    "loadtest_requests_in_flight",
    "Requests that wait for an answer.",
    &[SCENARIO],
);
const BUSY: Desc = Desc::gauge(
    "loadtest_generator_busy_ratio",
    "Share of the time that the generator's threads are busy, from 0 to 1; from 0.9 on it measures itself.",
    &[SCENARIO],
);
const SCENARIO: Label = Label::bounded("scenario", "the name of the plan that is run");
const ROUTE: Label = Label::closed(
    "route",
    &["list", "metadata", "content", "render", "upload"],
);
/// As the service's own bounds, and 60 s: a request may wait for its answer for longer than the service works on it.
const LATENCY_SECONDS: &[f64] = &[
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 0.8, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
];
/// A request is sent within a millisecond of its due time, or the generator is at its bound.
const LAG_SECONDS: &[f64] = &[
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0,
];
const OUTCOMES: [&str; 5] = [
    "ok",
    "error",
    "not_sent_generator",
    "not_sent_workers",
    "not_sent_target",
];

/// The declarations of `chitram-load`.
pub(crate) fn declarations() -> Declarations {
    Declarations::new("chitram-load").log().metrics(&[
        &ACTIVE, &RATE, &DURATION, &SEND_LAG, &ARRIVALS, &WORKERS, &IN_FLIGHT, &BUSY,
    ])
}

/// Metrics of one run.
pub(crate) struct Exposition {
    active: Gauge,
    in_flight: Gauge,
    busy: Gauge,
    send_lag: Histogram,
    routes: Vec<RouteMetrics>,
}

/// The listener and its target file: both are there until this is dropped.
pub(crate) struct Registration {
    path: PathBuf,
    shutdown: CancellationToken,
}

struct RouteMetrics {
    duration: Histogram,
    arrivals: [Counter; OUTCOMES.len()],
}

impl Exposition {
    /// Serves `registry` and writes the target file into `folder`.
    pub(crate) async fn start(
        folder: &Path,
        registry: &Registry,
        plan: &Plan,
    ) -> Result<(Self, Registration), Failure> {
        let no_port = |error| Failure::Internal(format!("no port for /metrics: {error}"));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .map_err(no_port)?;
        let path = register(folder, listener.local_addr().map_err(no_port)?)?;
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
        let scenario = ("scenario", plan.name.as_str());
        registry.gauge(&RATE, &[scenario]).set(plan.rate);
        registry
            .gauge(&WORKERS, &[scenario])
            .set(plan.workers() as f64);
        let routes = plan.routes.iter().map(|route| {
            let route = ("route", route.kind.name());
            RouteMetrics {
                duration: registry.histogram(&DURATION, &[scenario, route]),
                arrivals: OUTCOMES.map(|outcome| {
                    registry.counter(&ARRIVALS, &[scenario, route, ("outcome", outcome)])
                }),
            }
        });
        let exposition = Self {
            active: registry.gauge(&ACTIVE, &[scenario]),
            in_flight: registry.gauge(&IN_FLIGHT, &[scenario]),
            busy: registry.gauge(&BUSY, &[scenario]),
            send_lag: registry.histogram(&SEND_LAG, &[scenario]),
            routes: routes.collect(),
        };
        Ok((exposition, Registration { path, shutdown }))
    }

    /// Requests are sent from now on, or no more.
    pub(crate) fn set_active(&self, active: bool) {
        self.active.set(f64::from(u8::from(active)));
    }

    /// How close the generator is to its bounds.
    pub(crate) fn set_pressure(&self, in_flight: usize, busy: f64) {
        self.in_flight.set(in_flight as f64);
        self.busy.set(busy);
    }

    pub(crate) fn record(&self, route: usize, fate: &Fate) {
        let route = &self.routes[route];
        let outcome = match fate {
            Fate::Sent {
                lag,
                latency,
                answer,
                ..
            } => {
                self.send_lag.record(*lag);
                route.duration.record(*latency);
                usize::from(answer.error.is_some())
            }
            Fate::NotSent(Cause::Generator) => 2,
            Fate::NotSent(Cause::Workers) => 3,
            Fate::NotSent(Cause::Target) => 4,
        };
        route.arrivals[outcome].inc();
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        // A file that is gone already is as good; one that can't be removed names a port that nobody listens on.
        let _ = std::fs::remove_file(&self.path);
        self.shutdown.cancel();
    }
}

/// Written beside and renamed, since Prometheus reads the folder whenever it changes.
fn register(folder: &Path, address: SocketAddr) -> Result<PathBuf, Failure> {
    let path = folder.join(format!("chitram-load-{}.json", std::process::id()));
    let beside = path.with_extension("new");
    let targets = serde_json::json!([{ "targets": [address.to_string()], "labels": { "job": "chitram-load" } }]);
    std::fs::create_dir_all(folder)
        .and_then(|()| std::fs::write(&beside, targets.to_string()))
        .and_then(|()| std::fs::rename(&beside, &path))
        .map_err(|error| {
            Failure::Internal(format!("--targets-dir {}: {error}", folder.display()))
        })?;
    Ok(path)
}
