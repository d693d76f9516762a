//! The server that is measured, as a process of its own: our accept loop with as much telemetry as it is asked for.

use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::http::Method;
use axum::routing::get;
use observability::guard::Hosts;
use observability::http::{self, RouteSpec};
use observability::metrics::{Desc, Histogram, Label, SECONDS};
use observability::server::{self, Limits};
use observability::{LogOutput, Logs, Registry, Settings, Traces, admin, client, scope, testing};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::Failure;
use crate::process::end_with_parent;

pub(crate) const ROLE: &str = "serve";

/// A handler that does nothing.
pub(crate) const PLAIN: &str = "/plain";
/// What the image service emits for a read: a step, a query and a fetch, each with its span and its observation.
pub(crate) const READ: &str = "/v1/images/0190f3c2/content";

/// Connections wait for longer than this for their next turn only where nothing goes on.
const TURNS: Duration = Duration::from_mins(10);

const CALLS: Desc = Desc::histogram(
    "bench_call_duration_seconds",
    "Calls that end at once.",
    &[Label::closed("peer", &["catalog", "store"])],
    SECONDS,
);
const MANY: Desc = Desc::counter(
    "bench_many_total",
    "A series for each number.",
    &[Label::bounded("number", "the command line")],
);

/// Which telemetry a server has.
#[derive(Debug, Clone, Default)]
pub(crate) struct Telemetry {
    /// The HTTP layer, and with it metrics.
    pub(crate) layer: bool,
    pub(crate) logs: bool,
    /// The collector, and the share of traces.
    pub(crate) traces: Option<(String, f64)>,
    /// Series beyond those of the server.
    pub(crate) series: usize,
    /// Spans that a thread `flood` ends in each second.
    pub(crate) flood: usize,
}

impl Telemetry {
    pub(crate) fn arguments(&self) -> Vec<String> {
        let (endpoint, ratio) = self.traces.clone().unwrap_or_default();
        vec![
            self.layer.to_string(),
            self.logs.to_string(),
            endpoint,
            ratio.to_string(),
            self.series.to_string(),
            self.flood.to_string(),
        ]
    }

    fn parse(arguments: &[String]) -> Result<Self, Failure> {
        let [layer, logs, endpoint, ratio, series, flood] = arguments else {
            return Err("a server needs six arguments".into());
        };
        let ratio = ratio.parse()?;
        Ok(Self {
            layer: layer.parse()?,
            logs: logs.parse()?,
            traces: (!endpoint.is_empty()).then(|| (endpoint.clone(), ratio)),
            series: series.parse()?,
            flood: flood.parse()?,
        })
    }
}

/// Set when the parent has told so.
static FLOOD_OVER: AtomicBool = AtomicBool::new(false);

/// The child: says the addresses of its API and of its admin listener, and serves until its parent ends.
#[tokio::main]
pub(crate) async fn run(arguments: &[String]) -> Result<(), Failure> {
    end_with_parent(|| FLOOD_OVER.store(true, Ordering::Relaxed));
    let telemetry = Telemetry::parse(arguments)?;
    let registry = Registry::new(&testing::service());
    let guard = start(&telemetry, &registry)?;
    for number in 0..telemetry.series {
        registry
            .counter(&MANY, &[("number", &*number.to_string())])
            .inc();
    }
    if telemetry.flood > 0 {
        let spans = telemetry.flood;
        std::thread::Builder::new()
            .name("flood".to_owned())
            .spawn(move || flood(spans))?;
    }
    let api = TcpListener::bind("127.0.0.1:0").await?;
    let metrics = TcpListener::bind("127.0.0.1:0").await?;
    eprintln!("{} {}", api.local_addr()?, metrics.local_addr()?);
    let admin = admin::router(registry.clone(), Hosts::default(), std::future::pending);
    let stop = CancellationToken::new();
    tokio::try_join!(
        server::serve(
            api,
            app(&telemetry, &registry),
            Limits {
                header_read_timeout: TURNS,
                idle: TURNS,
                ..Limits::new("api")
            },
            &registry,
            stop.clone()
        ),
        server::serve(metrics, admin, Limits::new("admin"), &registry, stop),
    )?;
    drop(guard);
    Ok(())
}

/// Without logs and traces there is no subscriber at all.
fn start(
    telemetry: &Telemetry,
    registry: &Registry,
) -> Result<Option<observability::Guard>, Failure> {
    if !telemetry.logs && telemetry.traces.is_none() {
        return Ok(None);
    }
    let output = if telemetry.logs {
        LogOutput::Stdout
    } else {
        LogOutput::Off
    };
    let traces = telemetry
        .traces
        .clone()
        .map(|(endpoint, sample_ratio)| Traces {
            endpoint,
            sample_ratio,
        });
    let settings = Settings {
        service: testing::service(),
        logs: Logs {
            output,
            ..Logs::default()
        },
        traces,
    };
    Ok(Some(observability::init(settings, registry)?))
}

fn app(telemetry: &Telemetry, registry: &Registry) -> Router {
    let calls = ["catalog", "store"].map(|peer| registry.histogram(&CALLS, &[("peer", peer)]));
    let app = Router::new().route(PLAIN, get(async || "ok")).route(
        "/v1/images/{id}/content",
        get(async move || read(&calls).await),
    );
    let spec = |route| RouteSpec {
        method: Method::GET,
        route,
        statuses: &[200],
    };
    if telemetry.layer {
        let routes = [spec(PLAIN), spec("/v1/images/{id}/content")];
        app.layer(http::layer(registry, &routes))
    } else {
        app
    }
}

async fn read([catalog, store]: &[Histogram; 2]) -> String {
    scope::stage_sync("validate", || ());
    let query = client::Call::new("SELECT images", "catalog")
        .attribute("db.system.name", "postgresql")
        .attribute("db.operation.name", "SELECT")
        .attribute("db.collection.name", "images");
    let fetch = client::Call::new("GetObject", "store").server_address("127.0.0.1:9000");
    for (call, histogram) in [(query, catalog), (fetch, store)] {
        let done = async { Ok::<_, Infallible>(()) };
        let Ok(()) = client::timed(
            call,
            done,
            |never| match *never {},
            |elapsed, _| {
                histogram.record(elapsed);
            },
        )
        .await;
    }
    "content".repeat(16)
}

/// Ends so many spans a second, in portions of a hundredth.
fn flood(spans: usize) {
    let portion = Duration::from_millis(10);
    let mut due = Instant::now();
    while !FLOOD_OVER.load(Ordering::Relaxed) {
        for _ in 0..spans / 100 {
            drop(tracing::info_span!(parent: None, "flood", number = 1));
        }
        due += portion;
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
    }
}
