//! What the suite runs against: the stand-in, and the real Jaeger where this machine has it.

use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, trace_service_client::TraceServiceClient,
};
use serde_json::Value;
use stack::{
    server::{self, Launch},
    standin::jaeger::{self, Limits},
    wait,
};
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

const DEADLINE: Duration = Duration::from_secs(30);

/// A running Jaeger, of either kind. Stops when dropped.
pub(super) struct Target {
    pub stand_in: bool,
    query: String,
    otlp: String,
    _stop: Option<DropGuard>,
    _real: Option<server::jaeger::Jaeger>,
}

/// Both kinds; only the stand-in where the real one is missing.
pub(super) async fn both() -> Vec<Target> {
    let mut targets = vec![stand_in(Limits::default()).await];
    if let Some(found) = server::require(server::jaeger::find()) {
        let real = server::jaeger::start(&found, &Launch::for_test().unwrap())
            .await
            .unwrap();
        let (query, otlp) = (real.query.clone(), real.otlp.clone());
        targets.push(Target {
            stand_in: false,
            query,
            otlp,
            _stop: None,
            _real: Some(real),
        });
    }
    targets
}

pub(super) async fn stand_in(limits: Limits) -> Target {
    let query = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let otlp = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = |listener: &TcpListener| format!("http://{}", listener.local_addr().unwrap());
    let stop = CancellationToken::new();
    let (query_url, otlp_url) = (url(&query), url(&otlp));
    tokio::spawn(jaeger::serve(query, otlp, limits, stop.clone()));
    Target {
        stand_in: true,
        query: query_url,
        otlp: otlp_url,
        _stop: Some(stop.drop_guard()),
        _real: None,
    }
}

/// An answer: status, content type, body.
#[derive(Debug)]
pub(super) struct Answer {
    pub status: u16,
    pub content_type: String,
    pub body: String,
}

impl Answer {
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The sentence of an error.
    pub(super) fn message(&self) -> String {
        self.json()["errors"][0]["msg"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }
}

impl Target {
    pub(super) fn name(&self) -> &'static str {
        if self.stand_in {
            "the stand-in"
        } else {
            "the real Jaeger"
        }
    }

    pub(super) async fn send(&self, request: ExportTraceServiceRequest) {
        let mut client = TraceServiceClient::connect(self.otlp.clone())
            .await
            .unwrap();
        client.export(request).await.unwrap();
    }

    pub(super) async fn get(&self, path: &str) -> Answer {
        let response = reqwest::get(format!("{}{path}", self.query)).await.unwrap();
        let content_type = response.headers()["content-type"]
            .to_str()
            .unwrap()
            .to_owned();
        Answer {
            status: response.status().as_u16(),
            content_type,
            body: response.text().await.unwrap(),
        }
    }

    /// The trace, once all of its spans have arrived.
    pub(super) async fn trace(&self, id: &str, spans: usize) -> Value {
        let found = wait::until(DEADLINE, async || {
            let trace = self.get(&format!("/api/traces/{id}")).await.json()["data"][0].clone();
            (trace["spans"].as_array().map_or(0, Vec::len) >= spans).then_some(trace)
        });
        found
            .await
            .unwrap_or_else(|| panic!("{}: trace {id} with {spans} spans never came", self.name()))
    }

    /// Ids of the traces that a search over all times finds.
    pub(super) async fn search(&self, parameters: &str) -> Vec<String> {
        self.search_between(1, 9_000_000_000_000_000, parameters)
            .await
    }

    /// Ids of the traces that a search between two moments finds, in microseconds.
    pub(super) async fn search_between(
        &self,
        start: u64,
        end: u64,
        parameters: &str,
    ) -> Vec<String> {
        self.found(&format!("{parameters}&start={start}&end={end}"))
            .await
    }

    /// Ids of the traces that these parameters find.
    pub(super) async fn found(&self, parameters: &str) -> Vec<String> {
        let answer = self.get(&format!("/api/traces?{parameters}")).await;
        assert_eq!(
            answer.status,
            200,
            "{}: {parameters}: {answer:?}",
            self.name()
        );
        let json = answer.json();
        let traces = json["data"].as_array().cloned().unwrap_or_default();
        traces
            .iter()
            .map(|trace| trace["traceID"].as_str().unwrap().to_owned())
            .collect()
    }
}
