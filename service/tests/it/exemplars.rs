//! From a latency in a real Prometheus to the trace of a request that took that long, and the first of all errors in a rate.

use stack::standin::jaeger;
use tokio_util::sync::CancellationToken;

use crate::process::Running;
use crate::support::prometheus::{self, Prometheus};
use crate::support::{PATIENCE, until};

const MISSING: &str = "http_server_request_duration_seconds_count{http_route='/v1/images/{id}',http_response_status_code='404',http_request_method='GET'}";

#[tokio::test]
async fn prometheus_stores_exemplars_whose_traces_open_and_counts_the_first_event_of_a_late_series()
{
    let Some(program) = prometheus::find() else {
        return;
    };
    let bind = async || {
        tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a port")
    };
    let (query, otlp, stop) = (bind().await, bind().await, CancellationToken::new());
    let search = query.local_addr().expect("bound");
    let collector = format!("http://{}", otlp.local_addr().expect("bound"));
    tokio::spawn(jaeger::serve(
        query,
        otlp,
        jaeger::Limits::default(),
        stop.clone(),
    ));
    let folder = tempfile::tempdir().expect("a folder");
    let settings = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.as_str()),
        ("OTEL_TRACES_SAMPLER_ARG", "1"),
    ];
    let (_child, api, admin) = Running::start(folder.path(), &settings);
    let features = "exemplar-storage,created-timestamp-zero-ingestion";
    let with = Prometheus::start(&program, features, &admin).await;
    let without = Prometheus::start(&program, "exemplar-storage", &admin).await;
    assert_eq!(with.value(MISSING).await, None, "no 404 so far");

    let client = reqwest::Client::builder()
        .no_proxy()
        .timeout(PATIENCE)
        .build()
        .expect("a client");
    let unknown = format!("http://{api}/v1/images/01890a5d-ac96-774b-bcce-b302099a8057");
    // One: a scrape may fall between two of them.
    let answer = client.get(&unknown).send().await.expect("an answer");
    assert_eq!(answer.status(), 404);
    for prometheus in [&with, &without] {
        until("the request is scraped", async || {
            prometheus.value(MISSING).await == Some(1.0)
        })
        .await;
    }
    let range = format!("{MISSING}[5m]");
    // The zero is stored at the time at which the series came to be, so the increase is from 0 to 1.
    assert_eq!(with.samples(&range).await.first(), Some(&0.0));
    assert!(with.value(&format!("increase({range})")).await > Some(0.0));
    assert_eq!(
        with.value("count({__name__=~'.+_created'})").await,
        None,
        "times of creation are no series"
    );
    // Without the feature the series begins with 1: nothing of it is seen to increase.
    assert_eq!(without.samples(&range).await.first(), Some(&1.0));

    for selector in [
        "http_server_request_duration_seconds_bucket",
        "db_client_operation_duration_seconds_bucket",
    ] {
        let mut traces = Vec::new();
        until("exemplars are stored", async || {
            traces = with.exemplars(selector).await;
            !traces.is_empty()
        })
        .await;
        let trace = traces.last().expect("not empty");
        until("the trace opens", async || {
            let found = client
                .get(format!("http://{search}/api/traces/{trace}"))
                .send()
                .await
                .expect("an answer");
            found.status().is_success()
        })
        .await;
    }
    stop.cancel();
}
