//! Spans on their way to a collector: a process of its own sends, the test receives.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use axum::routing::get;
use observability::testing::{Scrape, service};
use observability::{InitError, LogOutput, Logs, Settings, Traces, client, http};
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

use crate::support::{assert_documented, child, child_role, eventually, registry};

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
    let lost = scrape
        .value(EXPORTED, &[("error_type", "export_failed")])
        .unwrap()
        + scrape
            .value(EXPORTED, &[("error_type", "timeout")])
            .unwrap();
    assert_eq!(lost as usize, 2 * REQUESTS);
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
    let traces = Some(Traces {
        endpoint: endpoint.to_owned(),
        sample_ratio: 1.0,
    });
    let logs = Logs {
        filter: "info".to_owned(),
        output: LogOutput::Off,
    };
    let guard = observability::init(
        Settings {
            service: service(),
            logs,
            traces,
        },
        &registry,
    )
    .unwrap();
    let handler = async || {
        let call = client::Call::new("GetObject", "store");
        client::span(call, async { Ok::<_, ()>("item") }, |()| "never")
            .await
            .unwrap()
    };
    let routes = [crate::support::get("/item", &[200])];
    let app = Router::new()
        .route("/item", get(handler))
        .layer(http::layer(&registry, &routes));
    let mut slowest = Duration::ZERO;
    for _ in 0..requests {
        let start = Instant::now();
        let request = Request::get("/item").body(Body::empty()).unwrap();
        let answer = app.clone().oneshot(request).await.unwrap();
        assert_eq!(
            axum::body::to_bytes(answer.into_body(), 64).await.unwrap(),
            "item"
        );
        slowest = slowest.max(start.elapsed());
    }
    // An export takes 3 s until it has failed: no request may have waited for one.
    assert!(
        slowest < Duration::from_secs(2),
        "a request took {slowest:?}"
    );
    let stopping = Instant::now();
    guard.shutdown(deadline).await;
    assert!(
        stopping.elapsed() < deadline + Duration::from_secs(10),
        "the shutdown ignored its deadline"
    );
    eprintln!("{}", registry.render());
}

/// The metrics in the child's standard error. An empty text: the child failed before it printed them.
fn metrics(stderr: &[u8]) -> Scrape {
    let text = String::from_utf8_lossy(stderr);
    let start = text
        .find("# HELP")
        .unwrap_or_else(|| panic!("the child failed: {text}"));
    assert_documented(&text[start..]);
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
            let limits = observability::server::Limits::new("otlp");
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
