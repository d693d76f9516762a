//! The admin listener.

use std::future::pending;

use observability::admin::{self, Check, Readiness};
use observability::guard::Hosts;
use observability::testing::Scrape;

use crate::support::{Answer, Server, registry};

async fn ready(readiness: Readiness) -> Answer {
    let registry = registry();
    let app = admin::router(registry.clone(), Hosts::default(), move || {
        std::future::ready(readiness.clone())
    });
    Server::start(app, &registry).await.get("/ready").await
}

fn checks() -> Vec<Check> {
    vec![
        Check {
            name: "catalog",
            result: Ok(()),
        },
        Check {
            name: "store",
            result: Err("refused the connection".to_owned()),
        },
    ]
}

#[tokio::test]
async fn readiness_names_each_dependency() {
    let answer = ready(Readiness {
        ready: true,
        degraded: true,
        checks: checks(),
    })
    .await;
    assert_eq!(answer.status(), 200);
    let expected = serde_json::json!({ "status": "degraded", "checks": [
        { "name": "catalog", "ok": true },
        { "name": "store", "ok": false, "reason": "refused the connection" },
    ]});
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(answer.body()).unwrap(),
        expected
    );
}

#[tokio::test]
async fn a_process_that_cannot_serve_is_not_ready() {
    let answer = ready(Readiness {
        ready: false,
        degraded: true,
        checks: checks(),
    })
    .await;
    assert_eq!(answer.status(), 503);
    assert!(answer.body().contains("unready"));
}

#[tokio::test]
async fn a_readiness_check_that_hangs_is_a_failed_one() {
    let registry = registry();
    let server = Server::start(
        admin::router(registry.clone(), Hosts::default(), pending),
        &registry,
    )
    .await;
    assert_eq!(server.get("/ready").await.status(), 503);
    assert_eq!(server.get("/live").await.status(), 200);
}

#[tokio::test]
async fn metrics_are_served_as_prometheus_text() {
    let registry = registry();
    let server = Server::start(
        admin::router(registry.clone(), Hosts::default(), pending),
        &registry,
    )
    .await;
    let answer = server.get("/metrics").await;
    assert_eq!(
        answer.header("content-type"),
        Some("text/plain; version=0.0.4; charset=utf-8")
    );
    assert_eq!(
        Scrape::parse(answer.body()).value("chitram_build_info", &[]),
        Some(1.0)
    );
}

#[tokio::test]
async fn the_log_level_of_a_process_without_logging_cannot_be_asked() {
    let registry = registry();
    let server = Server::start(
        admin::router(registry.clone(), Hosts::default(), pending),
        &registry,
    )
    .await;
    assert_eq!(server.get("/log-level").await.status(), 503);
}

#[tokio::test]
async fn a_log_level_that_does_not_arrive_is_not_waited_for() {
    let registry = registry();
    let app = admin::router(registry.clone(), Hosts::default(), pending);
    let server = Server::start(app, &registry).await;
    let request = "PUT /log-level HTTP/1.1\r\nhost: localhost\r\ncontent-length: 9\r\n\r\ni";
    assert_eq!(server.send(request).await.status(), 408);
}

#[tokio::test]
async fn a_host_that_is_not_ours_is_told_so_and_counted() {
    let registry = registry();
    let app = admin::router(registry.clone(), Hosts::default(), pending);
    let server = Server::start(app, &registry).await;
    let request = "GET /metrics HTTP/1.1\r\nhost: evil.example\r\nconnection: close\r\n\r\n";
    let answer = server.send(request).await;
    assert_eq!(answer.status(), 421);
    assert!(answer.body().contains("CHITRAM_HOSTS"), "{}", answer.body());
    assert!(!answer.body().contains("# TYPE"), "{}", answer.body());
    let refused = server.get("/metrics").await;
    let labels = [("listener", "admin"), ("reason", "unknown_host")];
    let refused = Scrape::parse(refused.body());
    assert_eq!(
        refused.value("chitram_requests_refused_total", &labels),
        Some(1.0)
    );
}

#[tokio::test]
async fn a_switch_that_this_process_does_not_have_is_a_problem() {
    let registry = registry();
    let app = admin::router(registry.clone(), Hosts::default(), pending);
    let server = Server::start(app, &registry).await;
    for path in ["/log-level", "/sampling-ratio"] {
        let answer = server.get(path).await;
        assert_eq!(answer.status(), 503);
        assert_eq!(
            answer.header("content-type"),
            Some("application/problem+json")
        );
        let problem: serde_json::Value = serde_json::from_str(answer.body()).unwrap();
        assert_eq!(problem["type"], "urn:chitram:problem:not-in-this-process");
        assert_eq!(problem["status"], 503);
        assert!(problem["title"].is_string() && problem["detail"].is_string());
    }
}
