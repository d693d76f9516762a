//! How a request can end, and what then is counted.

use observability::testing::capture;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{ACTIVE, COUNT, count, start, until_counted};
use crate::support::{eventually, scrape};

#[tokio::test]
async fn a_client_that_leaves_while_the_handler_works_is_a_499() {
    let telemetry = capture();
    let (server, registry) = start().await;
    let mut stream = server.connect().await;
    stream
        .write_all(b"GET /hangs HTTP/1.1\r\nhost: localhost\r\n\r\n")
        .await
        .unwrap();
    let active = [("http_request_method", "GET"), ("http_route", "/hangs")];
    eventually("active", || {
        (scrape(&registry).value(ACTIVE, &active) == Some(1.0)).then_some(())
    })
    .await;
    drop(stream);
    until_counted(&registry, "/hangs", "499").await;
    assert_eq!(scrape(&registry).value(ACTIVE, &active), Some(0.0));
    let line = telemetry.line("request").unwrap();
    assert_eq!(line["http.response.status_code"], 499);
    assert_eq!(line["error.type"], "client_closed_request");
    let span = telemetry.span("GET /hangs").unwrap();
    assert_eq!(span.attributes["http.response.status_code"], "499");
    assert!(!span.error);
}

#[tokio::test]
async fn a_client_that_leaves_amid_the_body_is_a_499() {
    let (server, registry) = start().await;
    let mut stream = server.connect().await;
    stream
        .write_all(b"GET /stream HTTP/1.1\r\nhost: localhost\r\n\r\n")
        .await
        .unwrap();
    stream.read_exact(&mut [0; 10_000]).await.unwrap();
    drop(stream);
    until_counted(&registry, "/stream", "499").await;
    assert_eq!(count(&scrape(&registry), "/stream", "200"), Some(0.0));
    assert_eq!(
        scrape(&registry).value(ACTIVE, &[("http_route", "/stream")]),
        Some(0.0)
    );
}

#[tokio::test]
async fn a_body_that_breaks_is_an_error_of_the_server() {
    let telemetry = capture();
    let (server, registry) = start().await;
    server.get("/breaks").await;
    let broken = [
        ("http_route", "/breaks"),
        ("http_response_status_code", "200"),
        ("error_type", "response_body"),
    ];
    eventually("counted", || {
        (scrape(&registry).value(COUNT, &broken) == Some(1.0)).then_some(())
    })
    .await;
    // The span ends a moment after it was counted, when the broken body is dropped.
    let span = eventually("ended", || telemetry.span("GET /breaks")).await;
    assert!(span.error);
    assert_eq!(span.attributes["error.type"], "response_body");
}

#[tokio::test]
async fn a_body_whose_length_is_declared_ends_with_its_last_byte() {
    let (server, registry) = start().await;
    assert_eq!(server.get("/fixed").await.body(), "12345");
    until_counted(&registry, "/fixed", "200").await;
    assert_eq!(count(&scrape(&registry), "/fixed", "499"), None);
}

#[tokio::test]
async fn answers_that_have_no_body_end_with_their_head() {
    let (server, registry) = start().await;
    assert_eq!(server.get("/unchanged").await.status(), 304);
    server
        .send("HEAD /fixed HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
        .await;
    let scrape = scrape(&registry);
    assert_eq!(count(&scrape, "/unchanged", "304"), Some(1.0));
    let head = [
        ("http_request_method", "HEAD"),
        ("http_route", "/fixed"),
        ("http_response_status_code", "200"),
    ];
    assert_eq!(scrape.value(COUNT, &head), Some(1.0));
}

#[tokio::test]
async fn a_handler_that_panics_is_a_500_and_not_a_client_that_left() {
    let telemetry = capture();
    let (server, registry) = start().await;
    server
        .send("GET /panics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
        .await;
    let panicked = [
        ("http_route", "/panics"),
        ("http_response_status_code", "500"),
        ("error_type", "panic"),
    ];
    eventually("counted", || {
        (scrape(&registry).value(COUNT, &panicked) == Some(1.0)).then_some(())
    })
    .await;
    assert!(telemetry.span("GET /panics").unwrap().error);
    assert_eq!(server.get("/items/1").await.status(), 200);
}
