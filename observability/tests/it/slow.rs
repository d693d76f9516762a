//! Clients that don't take what they are sent.

use std::convert::Infallible;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::header::CONTENT_LENGTH;
use axum::routing::get;
use bytes::Bytes;
use observability::Registry;
use observability::server::{Connection, Limits};
use observability::testing::http2::{Frame, Http2};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

use crate::support::{DEADLINE, Server, eventually, get as get_spec, registry, scrape};

const SHORT: Duration = Duration::from_millis(400);
const LARGE: usize = 8 * 1024 * 1024;
/// Time that the client of an idle connection gets to take the news.
const GOODBYE: Duration = Duration::from_secs(1);

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
    let late = || async {
        tokio::time::sleep(GOODBYE * 2).await;
        "late"
    };
    let stream = || async {
        let pieces = futures::stream::iter(["pie", "ces"].map(Ok::<_, Infallible>));
        ([(CONTENT_LENGTH, "6")], Body::from_stream(pieces))
    };
    Router::new()
        .route("/large", get(move || async move { large }))
        .route("/small", get(|| async { "small" }))
        .route("/late", get(late))
        .route("/stream", get(stream))
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
    all_places_are_free(&registry).await;
    let cut = closed(&registry, "slow") + closed(&registry, "stalled");
    assert_eq!(cut, 1);
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
    for path in ["/small", "/stream"] {
        let registry = registry();
        let routes = [get_spec("/small", &[200]), get_spec("/stream", &[200])];
        let app = app().layer(observability::http::layer(&registry, &routes));
        let server = Server::with_limits(app, &registry, limits()).await;
        // The window ends within the last piece.
        let mut client = Http2::connect(server.address, 4).await.unwrap();
        client.request(&fields(path)).await.unwrap();
        let reading = async { while client.frame().await.is_ok() {} };
        let ended = tokio::time::timeout(DEADLINE, reading).await;
        assert!(ended.is_ok(), "{path}: the answer lies there");
        all_places_are_free(&registry).await;
        let cut = closed(&registry, "stalled") + reset(&registry);
        assert_eq!(cut, 1, "{path}");
    }
}

#[tokio::test]
async fn many_http2_streams_share_a_slow_socket_and_none_is_reset() {
    const STREAMS: u32 = 64;
    let registry = registry();
    let limits = Limits {
        send_timeout: Duration::from_secs(3),
        ..Limits::new("api")
    };
    let server = Server::with_limits(app(), &registry, limits).await;
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(64 * 1024).unwrap();
    let socket = socket.connect(server.address).await.unwrap();
    let mut client = Http2::over(socket, 1 << 24).await.unwrap();
    client.grant(0, 1 << 30).await.unwrap();
    for _ in 0..STREAMS {
        client.request(&fields("/large")).await.unwrap();
    }
    // Up to 160 kB/s in all, of which a stream gets far less than the piece that it is handed in a period.
    let slow = tokio::time::Instant::now() + Duration::from_secs(8);
    while tokio::time::Instant::now() < slow {
        match client.frame().await.expect("the connection goes on") {
            Frame::Head(..) => {}
            Frame::Data(..) => tokio::time::sleep(Duration::from_millis(100)).await,
            frame => panic!("{frame:?}"),
        }
    }
    assert_eq!(reset(&registry), 0);
}

#[tokio::test]
async fn a_request_that_crosses_the_news_of_the_end_is_answered() {
    let registry = registry();
    let limits = Limits {
        idle: SHORT,
        ..Limits::new("api")
    };
    let server = Server::with_limits(app(), &registry, limits).await;
    let mut client = Http2::connect(server.address, 1000).await.unwrap();
    client.request(&fields("/small")).await.unwrap();
    while client.frame().await.unwrap() != Frame::GoAway {}
    let late = client.request(&fields("/late")).await.unwrap();
    while client.frame().await.expect("an answer") != Frame::Data(late, b"late".to_vec()) {}
    while client.frame().await.is_ok() {}
    all_places_are_free(&registry).await;
    assert_eq!(closed(&registry, "idle"), 1);
}

#[tokio::test]
async fn an_idle_http2_connection_that_makes_room_is_told() {
    let registry = registry();
    let limits = Limits {
        connections: 1,
        ..Limits::new("api")
    };
    let server = Server::with_limits(app(), &registry, limits).await;
    let mut client = Http2::connect(server.address, 1000).await.unwrap();
    client.request(&fields("/small")).await.unwrap();
    assert_eq!(server.get("/small").await.status(), 200);
    let mut told = false;
    while let Ok(frame) = client.frame().await {
        told |= frame == Frame::GoAway;
    }
    assert!(told, "closed without a word");
    assert_eq!(closed(&registry, "evicted"), 1);
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
    all_places_are_free(&registry).await;
    assert_eq!(closed(&registry, "idle"), 1);
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
    eventually("the holder is gone and the other is not", || {
        (in_use(&registry) == Some(1.0)).then_some(())
    })
    .await;
    assert_eq!(closed(&registry, "evicted"), 1);
}
