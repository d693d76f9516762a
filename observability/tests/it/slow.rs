//! Clients that don't take what they are sent.

use std::time::Duration;

use axum::Router;
use axum::routing::get;
use bytes::Bytes;
use observability::Registry;
use observability::server::{Connection, Limits};
use observability::testing::http2::{Frame, Http2};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

use crate::support::{DEADLINE, Server, eventually, registry, scrape};

const SHORT: Duration = Duration::from_millis(400);
const LARGE: usize = 8 * 1024 * 1024;

fn app() -> Router {
    let large = Bytes::from(vec![7_u8; LARGE]);
    let held = || async {
        let bytes = vec![7_u8; LARGE];
        let held = Connection::current()
            .expect("a connection")
            .hold(LARGE as u64);
        Bytes::from_owner(Holding(bytes, held))
    };
    let room = || async {
        Connection::current()
            .expect("a connection")
            .make_room()
            .to_string()
    };
    Router::new()
        .route("/large", get(move || async move { large }))
        .route("/small", get(|| async { "small" }))
        .route("/held", get(held))
        .route("/room", get(room))
}

struct Holding(
    Vec<u8>,
    #[expect(dead_code, reason = "held")] observability::server::Held,
);

impl AsRef<[u8]> for Holding {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

fn limits() -> Limits {
    Limits {
        send_timeout: SHORT,
        ..Limits::new("api")
    }
}

fn in_use(registry: &Registry) -> Option<f64> {
    scrape(registry).value("chitram_connections_in_use", &[("listener", "api")])
}

fn closed(registry: &Registry, reason: &str) -> u64 {
    let labels = [("listener", "api"), ("reason", reason)];
    scrape(registry)
        .value("chitram_connections_closed_total", &labels)
        .expect("a series from the start") as u64
}

fn reset(registry: &Registry) -> u64 {
    let labels = [("listener", "api"), ("reason", "stalled")];
    scrape(registry)
        .value("chitram_streams_reset_total", &labels)
        .expect("a series from the start") as u64
}

async fn ask(server: &Server, path: &str) -> TcpStream {
    let mut stream = server.connect().await;
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    stream
}

async fn all_places_are_free(registry: &Registry) {
    eventually("all places are free", || {
        (in_use(registry) == Some(0.0)).then_some(())
    })
    .await;
}

const fn fields(path: &str) -> [(&str, &str); 4] {
    [
        (":method", "GET"),
        (":scheme", "http"),
        (":path", path),
        (":authority", "localhost"),
    ]
}

#[tokio::test]
async fn a_client_that_takes_nothing_of_its_answer_is_cut_off() {
    let registry = registry();
    let server = Server::with_limits(app(), &registry, limits()).await;
    let _client = ask(&server, "/large").await;
    eventually("it was cut off", || {
        (closed(&registry, "stalled") == 1).then_some(())
    })
    .await;
    all_places_are_free(&registry).await;
}

#[tokio::test]
async fn a_client_that_takes_less_than_the_least_rate_is_cut_off() {
    let registry = registry();
    let limits = Limits {
        send_rate: 100 * 1024 * 1024,
        ..limits()
    };
    let server = Server::with_limits(app(), &registry, limits).await;
    let mut client = ask(&server, "/large").await;
    let mut chunk = [0; 4096];
    while let Ok(1..) = client.read(&mut chunk).await {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let cut = closed(&registry, "slow") + closed(&registry, "stalled");
    assert_eq!(cut, 1);
    all_places_are_free(&registry).await;
}

#[tokio::test]
async fn a_slow_but_steady_client_gets_all_of_a_long_answer() {
    let registry = registry();
    // What a client has taken shows in lumps of up to 64 kB: more than one of them has to fit into the period.
    let limits = Limits {
        send_timeout: Duration::from_secs(3),
        ..Limits::new("api")
    };
    let server = Server::with_limits(app(), &registry, limits).await;
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(64 * 1024).unwrap();
    let mut client = socket.connect(server.address).await.unwrap();
    client
        .write_all(b"GET /large HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
        .await
        .unwrap();
    let mut taken = 0;
    let mut chunk = [0; 8192];
    // Slowly for twice the period, then the rest.
    let slow = tokio::time::Instant::now() + Duration::from_secs(7);
    while let Ok(count @ 1..) = client.read(&mut chunk).await {
        taken += count;
        if tokio::time::Instant::now() < slow {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
    assert!(taken > LARGE, "{taken} bytes, then it was cut off");
}

#[tokio::test]
async fn an_http2_stream_whose_window_stays_closed_is_reset_and_its_connection_goes_on() {
    let registry = registry();
    let server = Server::with_limits(app(), &registry, limits()).await;
    let mut client = Http2::connect(server.address, 0).await.unwrap();
    let stalled = client.request(&fields("/large")).await.unwrap();
    loop {
        match client.frame().await.unwrap() {
            Frame::Reset(stream) => break assert_eq!(stream, stalled),
            Frame::GoAway => panic!("the connection ended"),
            _ => {}
        }
    }
    assert_eq!(reset(&registry), 1);
    let good = client.request(&fields("/small")).await.unwrap();
    client.grant(good, 1000).await.unwrap();
    loop {
        if client.frame().await.unwrap() == Frame::Data(good, b"small".to_vec()) {
            break;
        }
    }
    assert_eq!(in_use(&registry), Some(1.0));
}

#[tokio::test]
async fn the_last_piece_of_an_http2_answer_does_not_lie_in_its_connection_for_ever() {
    let registry = registry();
    let server = Server::with_limits(app(), &registry, limits()).await;
    let mut client = Http2::connect(server.address, 0).await.unwrap();
    let stream = client.request(&fields("/small")).await.unwrap();
    client.grant(stream, 1).await.unwrap();
    while client.frame().await.is_ok() {}
    let cut = closed(&registry, "stalled") + reset(&registry);
    assert_eq!(cut, 1);
    all_places_are_free(&registry).await;
}

#[tokio::test]
async fn an_http2_connection_without_a_request_ends_although_it_answers_pings() {
    let registry = registry();
    let limits = Limits {
        idle: SHORT,
        ..Limits::new("api")
    };
    let server = Server::with_limits(app(), &registry, limits).await;
    let mut client = Http2::connect(server.address, 1000).await.unwrap();
    client.request(&fields("/small")).await.unwrap();
    let mut told = false;
    while let Ok(frame) = client.frame().await {
        told |= frame == Frame::GoAway;
    }
    assert!(told, "closed without a word");
    assert_eq!(closed(&registry, "idle"), 1);
    all_places_are_free(&registry).await;
}

/// At the cap, with the default timeouts: none of them can be what frees a place in the time of these tests.
async fn full(registry: &Registry, path: &str) -> (Server, Vec<TcpStream>) {
    let limits = Limits {
        connections: 8,
        send_timeout: 10 * DEADLINE,
        header_read_timeout: 10 * DEADLINE,
        ..Limits::new("api")
    };
    let server = Server::with_limits(app(), registry, limits).await;
    let mut clients = Vec::new();
    for _ in 0..8 {
        let mut client = ask(&server, path).await;
        client.read_exact(&mut [0; 8]).await.unwrap();
        clients.push(client);
    }
    (server, clients)
}

#[tokio::test]
async fn at_the_cap_stalled_and_idle_connections_make_room() {
    for path in ["/large", "/small"] {
        let registry = registry();
        let (server, _clients) = full(&registry, path).await;
        for _ in 0..3 {
            assert_eq!(server.get("/small").await.status(), 200, "{path}");
        }
        let evicted = closed(&registry, "evicted");
        assert!((1..=3).contains(&evicted), "{path}: {evicted}");
    }
}

#[tokio::test]
async fn memory_is_made_free_by_a_client_that_does_not_take_the_answer_it_is_held_for() {
    let registry = registry();
    let server = Server::start(app(), &registry).await;
    let _other = ask(&server, "/large").await;
    assert_eq!(server.get("/room").await.body(), "false");
    let _holder = ask(&server, "/held").await;
    let began = tokio::time::Instant::now();
    while server.get("/room").await.body() != "true" {
        assert!(began.elapsed() < DEADLINE, "nobody made room");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(closed(&registry, "evicted"), 1);
    eventually("the holder is gone and the other is not", || {
        (in_use(&registry) == Some(1.0)).then_some(())
    })
    .await;
}
