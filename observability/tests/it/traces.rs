//! Spans on their way to a collector: a process of its own sends, the test receives.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::Request;
use axum::routing::get;
use observability::guard::Hosts;
use observability::testing::{Scrape, service};
use observability::{
    Guard, InitError, LogOutput, Logs, Registry, Settings, Traces, admin, client, http,
};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value};
use opentelemetry_proto::tonic::trace::v1::Span;
use tokio::net::TcpListener;
use tower::ServiceExt as _;

use crate::support::{
    TRACE, TRACEPARENT, assert_declared, child, child_role, eventually, registry,
};

const PROCESSED: &str = "otel_sdk_processor_span_processed_total";
const EXPORTED: &str = "otel_sdk_exporter_span_exported_total";
const REQUESTS: usize = 20;
/// More than the queue holds.
const FLOOD: usize = 6000;

#[tokio::test]
async fn spans_arrive_at_the_collector_with_their_resource_and_nothing_else_does() {
    if let Some(endpoint) = child_role() {
        return send(&endpoint, REQUESTS, Duration::from_secs(30)).await;
    }
    let collector = Collector::start().await;
    let name = "traces::spans_arrive_at_the_collector_with_their_resource_and_nothing_else_does";
    let output = child(name, &collector.endpoint).await;
    let scrape = metrics(&output.stderr);

    let received = eventually("all spans", || {
        let spans = collector.spans();
        (spans.len() == 2 * REQUESTS).then_some(spans)
    })
    .await;
    let servers: Vec<&Span> = received
        .iter()
        .filter(|span| span.name == "GET /item")
        .collect();
    let calls: Vec<&Span> = received
        .iter()
        .filter(|span| span.name == "GetObject")
        .collect();
    assert_eq!((servers.len(), calls.len()), (REQUESTS, REQUESTS));
    for call in calls {
        let parent = servers
            .iter()
            .find(|server| server.span_id == call.parent_span_id)
            .unwrap();
        assert_eq!(parent.trace_id, call.trace_id);
        assert_eq!(
            text(&call.attributes, "peer.service").as_deref(),
            Some("store")
        );
    }
    let status = servers[0]
        .attributes
        .iter()
        .find(|pair| pair.key == "http.response.status_code")
        .unwrap();
    assert!(matches!(
        status.value.as_ref().unwrap().value,
        Some(any_value::Value::IntValue(200))
    ));
    let resource = collector.resource();
    assert_eq!(resource["service.name"], "test");
    assert_eq!(resource["service.version"], "0.0.0");
    assert_eq!(resource["deployment.environment.name"], "test");
    assert_eq!(resource["service.instance.id"].len(), 36);

    let spans = Some((2 * REQUESTS) as f64);
    assert_eq!(scrape.value(PROCESSED, &[("error_type", "")]), spans);
    assert_eq!(scrape.value(EXPORTED, &[("error_type", "")]), spans);
    assert_eq!(
        scrape.value(PROCESSED, &[("error_type", "queue_full")]),
        Some(0.0)
    );
    assert_eq!(
        scrape.value("otel_sdk_processor_span_queue_size", &[]),
        Some(0.0)
    );
}

#[tokio::test]
async fn a_collector_that_never_answers_slows_no_request_and_what_it_costs_is_counted() {
    if let Some(endpoint) = child_role() {
        return send(&endpoint, FLOOD, Duration::from_secs(1)).await;
    }
    // Its backlog takes the connection; nobody ever reads.
    let black_hole = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", black_hole.local_addr().unwrap());
    let name =
        "traces::a_collector_that_never_answers_slows_no_request_and_what_it_costs_is_counted";
    let output = child(name, &endpoint).await;
    let scrape = metrics(&output.stderr);
    let taken = scrape.value(PROCESSED, &[("error_type", "")]).unwrap();
    let dropped = scrape
        .value(PROCESSED, &[("error_type", "queue_full")])
        .unwrap();
    assert!(dropped > 0.0);
    assert_eq!((taken + dropped) as usize, 2 * FLOOD);
    assert_eq!(
        scrape.value("otel_sdk_span_ended_total", &[]),
        Some((2 * FLOOD) as f64)
    );
    assert_eq!(scrape.value(EXPORTED, &[("error_type", "")]), Some(0.0));
}

#[tokio::test]
async fn a_collector_that_is_not_there_slows_no_request_and_what_it_costs_is_counted() {
    if let Some(endpoint) = child_role() {
        return send(&endpoint, REQUESTS, Duration::from_secs(20)).await;
    }
    let free = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    let name =
        "traces::a_collector_that_is_not_there_slows_no_request_and_what_it_costs_is_counted";
    let output = child(name, &format!("http://{free}")).await;
    let scrape = metrics(&output.stderr);
    let lost = scrape.value(EXPORTED, &[("error_type", "export_failed")]);
    assert_eq!(lost, Some((2 * REQUESTS) as f64));
}

#[tokio::test]
async fn the_sampling_ratio_is_changed_while_the_process_runs_and_a_sampled_caller_is_always_followed()
 {
    if let Some(endpoint) = child_role() {
        return switch(&endpoint).await;
    }
    let collector = Collector::start().await;
    let name = "traces::the_sampling_ratio_is_changed_while_the_process_runs_and_a_sampled_caller_is_always_followed";
    let output = child(name, &collector.endpoint).await;
    let scrape = metrics(&output.stderr);
    let servers: Vec<Span> = eventually("the spans of both phases", || {
        let spans = collector.spans();
        (spans.len() == 2 * (REQUESTS + 1)).then_some(spans)
    })
    .await;
    let followed = servers.iter().filter(|span| hex(&span.trace_id) == TRACE);
    assert_eq!(
        followed.count(),
        2,
        "the request of the sampled caller, and its call"
    );
    assert_eq!(scrape.value("chitram_trace_sampling_ratio", &[]), Some(1.0));
    assert_eq!(
        scrape.value("otel_sdk_span_ended_total", &[]),
        Some((2 * (REQUESTS + 1)) as f64)
    );
}

/// The child: requests with a ratio of 0, of which one comes from a sampled caller, then as many with a ratio of 1.
async fn switch(endpoint: &str) {
    let registry = registry();
    let guard = start(endpoint, 0.0, &registry);
    let app = app(&registry);
    let admin = admin::router(registry.clone(), Hosts::default(), std::future::pending);
    let ratio = async |method: &str, text: &str| {
        let request = Request::builder()
            .method(method)
            .uri("/sampling-ratio")
            .header("host", "localhost")
            .body(Body::from(text.to_owned()))
            .unwrap();
        let answer = admin.clone().oneshot(request).await.unwrap();
        let status = answer.status().as_u16();
        let body = axum::body::to_bytes(answer.into_body(), 4096)
            .await
            .unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    };
    for _ in 0..REQUESTS {
        ask(&app, None).await;
    }
    ask(&app, Some(TRACEPARENT)).await;
    for refused in ["", "2", "-1", "nan", "many"] {
        let (status, problem) = ratio("PUT", refused).await;
        assert_eq!(status, 400, "{refused}: {problem}");
        assert!(problem.contains("bad-sampling-ratio"), "{problem}");
    }
    assert_eq!(ratio("GET", "").await, (200, "0".to_owned()));
    assert_eq!(ratio("PUT", "1\n").await.0, 204);
    assert_eq!(ratio("GET", "").await, (200, "1".to_owned()));
    for _ in 0..REQUESTS {
        ask(&app, None).await;
    }
    guard.shutdown(Duration::from_secs(30)).await;
    eprintln!("{}", registry.render());
}

#[tokio::test]
async fn a_value_that_logs_while_it_is_recorded_stops_nobody() {
    /// Says that it is looked at, in the span whose value it is.
    struct Talkative;
    impl std::fmt::Debug for Talkative {
        fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            tracing::warn!("looked at");
            formatter.write_str("value")
        }
    }
    if let Some(endpoint) = child_role() {
        let registry = registry();
        let guard = start(&endpoint, 1.0, &registry);
        let span = tracing::info_span!("talk", said = tracing::field::Empty);
        span.in_scope(|| {
            span.record("said", tracing::field::debug(Talkative));
            tracing::warn!(value = ?Talkative, "twice");
        });
        drop(span);
        guard.shutdown(Duration::from_secs(30)).await;
        return eprintln!("{}", registry.render());
    }
    let collector = Collector::start().await;
    let name = "traces::a_value_that_logs_while_it_is_recorded_stops_nobody";
    metrics(&child(name, &collector.endpoint).await.stderr);
    let spans = eventually("the span", || {
        Some(collector.spans()).filter(|spans| !spans.is_empty())
    })
    .await;
    let said = text(&spans[0].attributes, "said");
    assert_eq!(said.as_deref(), Some("value"));
    let events: Vec<&str> = spans[0].events.iter().map(|event| &*event.name).collect();
    assert_eq!(events, ["looked at", "looked at", "twice"]);
}

#[tokio::test]
async fn an_endpoint_that_is_no_address_is_refused_with_a_sentence() {
    for endpoint in [
        "127.0.0.1:4317",
        "https://collector",
        "http://",
        "http://a b",
    ] {
        let traces = Some(Traces {
            endpoint: endpoint.to_owned(),
            sample_ratio: 1.0,
        });
        let settings = Settings {
            service: service(),
            logs: Logs::default(),
            traces,
        };
        let error = observability::init(settings, &registry()).err().unwrap();
        assert!(
            matches!(error, InitError::Endpoint { .. }),
            "{endpoint}: {error}"
        );
        assert!(error.to_string().contains("http://host:port"), "{error}");
    }
}

/// The child: traced requests, one after the other, then the shutdown; its metrics go to standard error.
async fn send(endpoint: &str, requests: usize, deadline: Duration) {
    let registry = registry();
    let guard = start(endpoint, 1.0, &registry);
    let app = app(&registry);
    let mut slow = 0;
    for _ in 0..requests {
        let start = Instant::now();
        ask(&app, None).await;
        slow += usize::from(start.elapsed() > Duration::from_secs(2));
    }
    // An export takes 3 s until it has failed. If requests waited for exports, one in each batch would; a busy machine
    // stops one now and then.
    assert!(slow <= 3, "{slow} requests took longer than 2 s");
    let stopping = Instant::now();
    guard.shutdown(deadline).await;
    assert!(
        stopping.elapsed() < deadline + Duration::from_secs(10),
        "the shutdown ignored its deadline"
    );
    eprintln!("{}", registry.render());
}

fn start(endpoint: &str, sample_ratio: f64, registry: &Registry) -> Guard {
    let traces = Some(Traces {
        endpoint: endpoint.to_owned(),
        sample_ratio,
    });
    let logs = Logs {
        filter: "info".to_owned(),
        output: LogOutput::Off,
    };
    let settings = Settings {
        service: service(),
        logs,
        traces,
    };
    observability::init(settings, registry).unwrap()
}

/// An app whose requests make one call each.
fn app(registry: &Registry) -> Router {
    let handler = async || {
        let call = client::Call::new("GetObject", "store");
        client::span(call, async { Ok::<_, ()>("item") }, |()| "never")
            .await
            .unwrap()
    };
    let routes = [crate::support::get("/item", &[200])];
    Router::new()
        .route("/item", get(handler))
        .layer(http::layer(registry, &routes))
}

/// One request from loopback, perhaps by a caller with a trace.
async fn ask(app: &Router, traceparent: Option<&str>) {
    let loopback: SocketAddr = "127.0.0.1:1".parse().unwrap();
    let mut request = Request::get("/item").extension(ConnectInfo(loopback));
    if let Some(traceparent) = traceparent {
        request = request.header("traceparent", traceparent);
    }
    let request = request.body(Body::empty()).unwrap();
    let answer = app.clone().oneshot(request).await.unwrap();
    let body = axum::body::to_bytes(answer.into_body(), 64).await.unwrap();
    assert_eq!(body, "item");
}

/// The metrics in the child's standard error. An empty text: the child failed before it printed them.
fn metrics(stderr: &[u8]) -> Scrape {
    let text = String::from_utf8_lossy(stderr);
    let start = text
        .find("# HELP")
        .unwrap_or_else(|| panic!("the child failed: {text}"));
    assert_declared(&text[start..]);
    Scrape::parse(&text[start..])
}

/// An OTLP receiver.
#[derive(Clone, Default)]
struct Collector {
    endpoint: String,
    received: Arc<Mutex<Vec<ExportTraceServiceRequest>>>,
}

impl Collector {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let collector = Self {
            endpoint,
            received: Arc::default(),
        };
        let routes = tonic::service::Routes::new(TraceServiceServer::new(collector.clone()))
            .into_axum_router();
        tokio::spawn(async move {
            let registry = registry();
            let limits = observability::server::Limits::new("api");
            let forever = tokio_util::sync::CancellationToken::new();
            observability::server::serve(listener, routes, limits, &registry, forever).await
        });
        collector
    }

    fn spans(&self) -> Vec<Span> {
        let received = self.received.lock().unwrap();
        let resources = received.iter().flat_map(|request| &request.resource_spans);
        resources
            .flat_map(|resource| &resource.scope_spans)
            .flat_map(|scope| scope.spans.clone())
            .collect()
    }

    fn resource(&self) -> BTreeMap<String, String> {
        let received = self.received.lock().unwrap();
        let resource = received[0].resource_spans[0].resource.as_ref().unwrap();
        let pairs = resource.attributes.iter();
        pairs
            .filter_map(|pair| Some((pair.key.clone(), text(&resource.attributes, &pair.key)?)))
            .collect()
    }
}

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: tonic::Request<ExportTraceServiceRequest>,
    ) -> Result<tonic::Response<ExportTraceServiceResponse>, tonic::Status> {
        self.received.lock().unwrap().push(request.into_inner());
        Ok(tonic::Response::new(ExportTraceServiceResponse::default()))
    }
}

fn text(attributes: &[KeyValue], key: &str) -> Option<String> {
    let pair = attributes.iter().find(|pair| pair.key == key)?;
    match pair.value.as_ref()?.value.as_ref()? {
        any_value::Value::StringValue(text) => Some(text.clone()),
        _ => None,
    }
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::new();
    for byte in bytes {
        write!(text, "{byte:02x}").unwrap();
    }
    text
}
