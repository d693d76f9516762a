//! The accept loop's bounds.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use axum::routing::get;
use observability::server::Limits;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::watch;

use crate::support::{DEADLINE, Server, eventually, read_to_end, registry, scrape};

const REQUEST: &[u8] = b"GET /held HTTP/1.1\r\nhost: localhost\r\n\r\n";
const QUICK: Duration = Duration::from_millis(200);

/// `/held` answers once the sender says so; `/peer` tells who asks.
fn app(release: &watch::Receiver<bool>) -> Router {
    let release = release.clone();
    let held = async move || {
        let _ = release.clone().wait_for(|released| *released).await;
        "held"
    };
    let peer = async |ConnectInfo(peer): ConnectInfo<SocketAddr>| peer.to_string();
    Router::new()
        .route("/held", get(held))
        .route("/peer", get(peer))
}

fn in_use(registry: &observability::Registry) -> Option<f64> {
    scrape(registry).value("chitram_connections_in_use", &[("listener", "api")])
}

async fn ask(server: &Server) -> TcpStream {
    let mut stream = server.connect().await;
    stream.write_all(REQUEST).await.unwrap();
    stream
}

#[tokio::test]
async fn handlers_know_their_peer() {
    let registry = registry();
    let server = Server::start(app(&watch::channel(true).1), &registry).await;
    let mut stream = server.connect().await;
    let own = stream.local_addr().unwrap();
    stream
        .write_all(b"GET /peer HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
        .await
        .unwrap();
    assert!(read_to_end(&mut stream).await.ends_with(&own.to_string()));
}

#[tokio::test]
async fn a_connection_over_the_cap_waits_for_a_place() {
    let registry = registry();
    let (release, held) = watch::channel(false);
    let limits = Limits {
        connections: 2,
        ..Limits::new("api")
    };
    let server = Server::with_limits(app(&held), &registry, limits).await;
    let mut clients = [ask(&server).await, ask(&server).await];
    eventually("both are served", || {
        (in_use(&registry) == Some(2.0)).then_some(())
    })
    .await;
    let mut third = server.connect().await;
    third
        .write_all(b"GET /peer HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
        .await
        .unwrap();
    let early = tokio::time::timeout(QUICK, third.read(&mut [0; 1])).await;
    assert!(
        early.is_err(),
        "the third connection was served beyond the cap"
    );
    assert_eq!(in_use(&registry), Some(2.0));
    assert_eq!(
        scrape(&registry).value("chitram_connections_limit", &[("listener", "api")]),
        Some(2.0)
    );
    release.send(true).unwrap();
    clients[0].shutdown().await.unwrap();
    assert!(read_to_end(&mut third).await.starts_with("HTTP/1.1 200"));
    drop(clients);
    eventually("all places are free", || {
        (in_use(&registry) == Some(0.0)).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_client_that_dribbles_its_header_is_closed() {
    for start in [
        "GET /peer HTTP/1.1\r\nhost: localhost\r\nx-slow: ",
        "P",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "",
    ] {
        let registry = registry();
        let limits = Limits {
            header_read_timeout: QUICK,
            ..Limits::new("api")
        };
        let server = Server::with_limits(app(&watch::channel(true).1), &registry, limits).await;
        let mut stream = server.connect().await;
        stream.write_all(start.as_bytes()).await.unwrap();
        let answer = read_to_end(&mut stream).await;
        assert!(!answer.contains("200 OK"), "{start:?}: {answer}");
        eventually("its place is free", || {
            (in_use(&registry) == Some(0.0)).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn a_request_that_takes_longer_than_a_header_may_is_not_closed() {
    let registry = registry();
    let (release, held) = watch::channel(false);
    let limits = Limits {
        header_read_timeout: QUICK,
        ..Limits::new("api")
    };
    let server = Server::with_limits(app(&held), &registry, limits).await;
    let mut stream = ask(&server).await;
    let early = tokio::time::timeout(4 * QUICK, stream.read(&mut [0; 1])).await;
    assert!(early.is_err(), "closed, or answered, before its time");
    release.send(true).unwrap();
    let mut answer = [0; 15];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200 OK");
}

#[tokio::test]
async fn a_stop_lets_requests_under_way_finish_and_takes_no_new_ones() {
    let registry = registry();
    let (release, held) = watch::channel(false);
    let server = Server::with_limits(
        app(&held),
        &registry,
        Limits {
            drain: DEADLINE,
            ..Limits::new("api")
        },
    )
    .await;
    let mut under_way = ask(&server).await;
    eventually("it is served", || {
        (in_use(&registry) == Some(1.0)).then_some(())
    })
    .await;
    server.stop.cancel();
    let address = server.address;
    let refused = async {
        while TcpStream::connect(address).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(DEADLINE, refused).await.unwrap();
    assert!(!server.running.is_finished());
    release.send(true).unwrap();
    assert!(read_to_end(&mut under_way).await.ends_with("held"));
    tokio::time::timeout(DEADLINE, server.running)
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    assert_eq!(in_use(&registry), Some(0.0));
}

#[tokio::test]
async fn a_stop_closes_what_outlasts_the_drain() {
    let registry = registry();
    let (_release, held) = watch::channel(false);
    let server = Server::with_limits(
        app(&held),
        &registry,
        Limits {
            drain: QUICK,
            ..Limits::new("api")
        },
    )
    .await;
    let mut under_way = ask(&server).await;
    eventually("it is served", || {
        (in_use(&registry) == Some(1.0)).then_some(())
    })
    .await;
    server.stop.cancel();
    assert_eq!(read_to_end(&mut under_way).await, "");
    tokio::time::timeout(DEADLINE, server.running)
        .await
        .unwrap()
        .unwrap()
        .unwrap();
}

#[tokio::test]
async fn an_idle_connection_does_not_hold_up_a_stop() {
    let registry = registry();
    let server = Server::with_limits(
        app(&watch::channel(true).1),
        &registry,
        Limits {
            drain: DEADLINE,
            ..Limits::new("api")
        },
    )
    .await;
    let mut idle = ask(&server).await;
    idle.read_exact(&mut [0; 15]).await.unwrap();
    server.stop.cancel();
    tokio::time::timeout(DEADLINE / 2, server.running)
        .await
        .unwrap()
        .unwrap()
        .unwrap();
}
