//! What is counted, and under which labels.

use observability::testing::capture;

use super::{ACTIVE, COUNT, count, start, until_counted};
use crate::support::scrape;

#[tokio::test]
async fn a_request_is_counted_under_its_route_not_its_path() {
    let (server, registry) = start().await;
    assert_eq!(server.get("/items/17").await.status(), 200);
    until_counted(&registry, "/items/{id}", "200").await;
    assert!(!registry.render().contains("/items/17"));
}

#[tokio::test]
async fn good_answers_and_503_are_there_at_0_before_the_first_request_and_nothing_else_is() {
    let (server, registry) = start().await;
    let before = scrape(&registry);
    for (status, value) in [
        ("200", Some(0.0)),
        ("503", Some(0.0)),
        ("404", None),
        ("499", None),
    ] {
        assert_eq!(count(&before, "/items/{id}", status), value, "{status}");
    }
    let of = |method| [("http_request_method", method)];
    assert_eq!(before.value(COUNT, &of("POST")), Some(0.0));
    assert_eq!(before.value(COUNT, &of("HEAD")), None);
    assert_eq!(server.get("/fails").await.status(), 500);
    until_counted(&registry, "/fails", "500").await;
    let scrape = scrape(&registry);
    assert_eq!(
        scrape.value(
            ACTIVE,
            &[("http_request_method", "POST"), ("http_route", "/items")]
        ),
        Some(0.0)
    );
}

#[tokio::test]
async fn unknown_paths_and_methods_are_unmatched() {
    let (server, registry) = start().await;
    assert_eq!(server.get("/nowhere/at/all").await.status(), 404);
    assert_eq!(
        server
            .send("DELETE /items/1 HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
            .await
            .status(),
        405
    );
    assert_eq!(
        server
            .send("BREW /items/1 HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
            .await
            .status(),
        405
    );
    let scrape = scrape(&registry);
    assert_eq!(count(&scrape, "unmatched", "404"), Some(1.0));
    assert_eq!(count(&scrape, "unmatched", "405"), Some(2.0));
    let other = [
        ("http_request_method", "_OTHER"),
        ("http_route", "unmatched"),
    ];
    assert_eq!(scrape.value(COUNT, &other), Some(1.0));
}

#[tokio::test]
async fn a_status_that_is_not_declared_is_counted_and_said_once() {
    let telemetry = capture();
    let (server, registry) = start().await;
    server.get("/surprise").await;
    server.get("/surprise").await;
    assert_eq!(count(&scrape(&registry), "/surprise", "418"), Some(2.0));
    let lines = telemetry.lines();
    let said = lines
        .iter()
        .filter(|line| line["message"] == "status is not declared for this route")
        .count();
    assert_eq!(said, 1);
}
