//! Many clients that take nothing of their answers, or send their uploads a byte at a time: others must not notice.

use std::time::Duration;

use observability::testing::http2::{Frame, Http2};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use crate::support::service::{Service, send};
use crate::support::store::FakeStore;
use crate::support::{pictures, until};

const READERS: usize = 1024;
const WRITERS: usize = 512;
const HTTP2: usize = 20;
/// An ordinary read may take this long on a busy machine. Each of these crowds once held all others up for a minute and more.
const READ: Duration = Duration::from_secs(15);

/// HTTP/2's preface, settings that open no window, and a request for `path`.
fn closed_window(path: &str) -> Vec<u8> {
    let fields = [
        (":method", "GET"),
        (":scheme", "http"),
        (":path", path),
        (":authority", "localhost"),
    ];
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            block.push(text.len() as u8);
            block.extend_from_slice(text.as_bytes());
        }
    }
    let settings = [0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0];
    let head = [0, 0, block.len() as u8, 1, 5, 0, 0, 0, 1];
    [
        &b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..],
        &settings,
        &head,
        &block,
    ]
    .concat()
}

/// A client that has sent `bytes` and reads nothing. Its own buffer is small, as is that of a client far away.
async fn client(service: &Service, bytes: &[u8]) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(16 * 1024).expect("an option");
    let mut stream = socket.connect(service.address).await.expect("a connection");
    // Some of them are closed before they have said all.
    let _ = stream.write_all(bytes).await;
    stream
}

fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n").into_bytes()
}

/// The begin of an upload that never ends.
const DRIP: &[u8] = b"POST /v1/images HTTP/1.1\r\nhost: localhost\r\ncontent-type: image/png\r\n\
    content-length: 100000\r\n\r\n\x89";

/// Reads `path` over a connection of its own, as a stranger would; how long it took.
async fn read(service: &Service, path: &str) -> Duration {
    let began = std::time::Instant::now();
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    let mut answer = Vec::new();
    let reading = async {
        let mut stream = TcpStream::connect(service.address).await?;
        stream.write_all(request.as_bytes()).await?;
        stream.read_to_end(&mut answer).await
    };
    let read = tokio::time::timeout(READ, reading).await;
    let head = String::from_utf8_lossy(&answer[..answer.len().min(300)]).into_owned();
    assert!(
        matches!(read, Ok(Ok(_))) && head.starts_with("HTTP/1.1 200"),
        "{path}: {read:?} {head}"
    );
    began.elapsed()
}

async fn with_noise(settings: &[(&str, &str)], width: u32, height: u32) -> (Service, String) {
    let service = Service::start(settings).await;
    let picture = pictures::noise(7, width, height);
    let id = service.uploaded(picture).await["id"]
        .as_str()
        .expect("an id")
        .to_owned();
    (service, format!("/v1/images/{id}"))
}

fn allow_descriptors() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    setrlimit(Resource::Nofile, raised).expect("a limit");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_go_on_while_1024_clients_read_nothing_and_512_drip_their_uploads() {
    allow_descriptors();
    let (service, image) = with_noise(&[], 700, 500).await;
    let content = format!("{image}/content");
    let mut crowd = Vec::new();
    for _ in 0..HTTP2 {
        crowd.push(client(&service, &closed_window(&content)).await);
    }
    for _ in 0..READERS {
        crowd.push(client(&service, &get(&content)).await);
    }
    for _ in 0..WRITERS {
        crowd.push(client(&service, DRIP).await);
    }
    let mut slowest = Duration::ZERO;
    for _ in 0..10 {
        for path in [&image, &content, "/v1/images"] {
            slowest = slowest.max(read(&service, path).await);
        }
    }
    println!("slowest read: {slowest:?}");
    assert!(evicted(&service).await > 0);
    drop(crowd);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn renders_go_on_while_clients_that_read_nothing_hold_large_ones() {
    // Room for three of them.
    let budget = ("CHITRAM_ANSWER_BYTES", "8MiB");
    let (service, image) = with_noise(&[budget], 900, 900).await;
    let large = format!("{image}/render?w=900&h=900&fit=fill&format=png");
    let mut holders = Vec::new();
    for _ in 0..3 {
        holders.push(client(&service, &get(&large)).await);
    }
    let in_use = async || service.metric("chitram_answer_bytes_in_use", &[]).await;
    until("the budget is used up", async || {
        in_use().await > 7_000_000.0
    })
    .await;
    for _ in 0..3 {
        read(&service, &large).await;
    }
    assert!(in_use().await <= 8.0 * 1024.0 * 1024.0);
    drop(holders);
    until("all of it is given back", async || in_use().await == 0.0).await;
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_client_that_reads_nothing_makes_room_for_all_who_wait() {
    const HOLDERS: usize = 8;
    // Room for them, and for none of those who wait.
    let budget = ("CHITRAM_ANSWER_BYTES", "7150KiB");
    let (service, image) = with_noise(&[budget], 550, 550).await;
    let large = format!("{image}/render?w=550&h=550&fit=fill&format=png");
    let mut holders = Vec::new();
    for _ in 0..HOLDERS {
        holders.push(client(&service, &get(&large)).await);
    }
    until("the budget is used up", async || {
        service.metric("chitram_answer_bytes_in_use", &[]).await > 7_200_000.0
    })
    .await;
    let small = format!("{image}/render?w=180&h=180&fit=fill&format=png");
    let waiting = (0..HOLDERS).map(|_| read(&service, &small));
    futures::future::join_all(waiting).await;
    let evicted = evicted(&service).await;
    assert!((1..=3).contains(&evicted), "{evicted} were closed");
    drop(holders);
    service.stop().await;
}

#[tokio::test]
async fn room_is_taken_for_the_result_that_can_be_and_not_for_the_box_that_is_asked_for() {
    let (service, image) = with_noise(&[("CHITRAM_ANSWER_BYTES", "4MiB")], 900, 900).await;
    let large = format!("{image}/render?w=900&h=900&fit=fill&format=png");
    let holder = client(&service, &get(&large)).await;
    until("the budget is used by half", async || {
        service.metric("chitram_answer_bytes_in_use", &[]).await > 2_400_000.0
    })
    .await;
    // Never enlarged, so it needs what a picture of 900 x 900 does.
    let small = format!("{image}/render?w=16384&format=webp");
    let answer = send(service.get(&small)).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let refused = format!("{image}/render?w=10000&h=10000&fit=fill");
    let answer = send(service.get(&refused)).await;
    assert!(answer.status.is_client_error(), "{}", answer.text());
    assert_eq!(evicted(&service).await, 0);
    drop(holder);
    service.stop().await;
}

async fn evicted(service: &Service) -> u64 {
    let labels = [("listener", "api"), ("reason", "evicted")];
    service
        .count("chitram_connections_closed_total", &labels)
        .await
}

#[tokio::test]
async fn a_client_that_reads_nothing_loses_its_answer_and_the_store_s_socket_with_it() {
    let store = FakeStore::start().await;
    let service = store.service(&[("CHITRAM_SEND_TIMEOUT", "500ms")]).await;
    let picture = pictures::noise(7, 1500, 1500);
    let image = service.uploaded(picture).await;
    let id = image["id"].as_str().expect("an id");
    let content = format!("/v1/images/{id}/content");
    let mut clients = Vec::new();
    for _ in 0..5 {
        clients.push(client(&service, &get(&content)).await);
    }
    until("all bodies are under way", async || store.bodies() == 5).await;
    until("the store's bodies are let go", async || {
        store.bodies() == 0
    })
    .await;
    let labels = [("listener", "api"), ("reason", "stalled")];
    until("all are counted", async || {
        service
            .count("chitram_connections_closed_total", &labels)
            .await
            == 5
    })
    .await;
    let labels = [
        ("http_request_method", "GET"),
        ("http_route", "/v1/images/{id}/content"),
        ("http_response_status_code", "499"),
        ("error_type", "client_closed_request"),
    ];
    let name = "http_server_request_duration_seconds_count";
    assert_eq!(service.count(name, &labels).await, 5);
    drop(clients);
    service.stop().await;
}

#[tokio::test]
async fn uploads_that_drip_are_ended_and_those_over_their_bound_hold_nothing() {
    let settings = [
        ("CHITRAM_UPLOAD_GRACE", "2s"),
        ("CHITRAM_UPLOAD_CONCURRENCY", "4"),
    ];
    let service = Service::start(&settings).await;
    let mut dripping = Vec::new();
    for _ in 0..4 {
        dripping.push(client(&service, DRIP).await);
    }
    let in_use = [("class", "uploads")];
    until("all places are taken", async || {
        service.count("chitram_in_flight_in_use", &in_use).await == 4
    })
    .await;
    assert_eq!(service.count("chitram_in_flight_limit", &in_use).await, 4);

    // One more is shed, and its connection with it although its body does not end.
    let shed = answer_of(client(&service, DRIP).await).await;
    assert!(shed.starts_with("HTTP/1.1 503"), "{shed}");
    assert!(shed.contains("retry-after: 1"), "{shed}");
    let reason = [("reason", "uploads")];
    assert_eq!(service.count("chitram_shed_total", &reason).await, 1);
    // Reads have places of their own.
    send(service.get("/v1/images")).await;

    for stream in dripping {
        let ended = answer_of(drip(stream)).await;
        assert!(ended.starts_with("HTTP/1.1 408"), "{ended}");
        assert!(ended.contains("connection: close"), "{ended}");
        assert!(ended.contains("urn:chitram:problem:body-slow"), "{ended}");
    }
    let slow = [("reason", "slow")];
    assert_eq!(service.count("chitram_rejected_total", &slow).await, 4);
    service.stop().await;
}

#[tokio::test]
async fn every_kind_of_upload_has_the_least_rate() {
    let service = Service::start(&[("CHITRAM_UPLOAD_GRACE", "500ms")]).await;
    let multipart = "content-type: multipart/form-data; boundary=b\r\n";
    let field = "--b\r\ncontent-disposition: form-data; name=\"a\"\r\n\r\nx";
    let file = "--b\r\ncontent-disposition: form-data; name=\"file\"\r\n\r\nx";
    for (head, body) in [
        (
            "content-type: image/png\r\ncontent-length: 1000\r\n",
            "x".to_owned(),
        ),
        (
            "content-type: image/png\r\ntransfer-encoding: chunked\r\n",
            "1\r\nx\r\n".to_owned(),
        ),
        (
            &format!("{multipart}content-length: 1000\r\n"),
            "-".to_owned(),
        ),
        (
            &format!("{multipart}content-length: 1000\r\n"),
            field.to_owned(),
        ),
        (
            &format!("{multipart}content-length: 1000\r\n"),
            file.to_owned(),
        ),
        (
            &format!("{multipart}transfer-encoding: chunked\r\n"),
            format!("{:x}\r\n{file}\r\n", file.len()),
        ),
    ] {
        let request = format!("POST /v1/images HTTP/1.1\r\nhost: localhost\r\n{head}\r\n{body}");
        let ended = answer_of(client(&service, request.as_bytes()).await).await;
        assert!(ended.starts_with("HTTP/1.1 408"), "{head}: {ended}");
        assert!(
            ended.contains("urn:chitram:problem:body-slow"),
            "{head}: {ended}"
        );
    }
    service.stop().await;
}

#[tokio::test]
async fn an_upload_of_http2_has_the_least_rate_and_its_connection_goes_on() {
    let service = Service::start(&[("CHITRAM_UPLOAD_GRACE", "500ms")]).await;
    let mut client = Http2::connect(service.address, 65_535)
        .await
        .expect("a connection");
    let fields = [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", "/v1/images"),
        (":authority", "localhost"),
        ("content-type", "image/png"),
    ];
    let upload = client.upload(&fields).await.expect("sent");
    client.data(upload, b"x").await.expect("sent");
    let status = async |client: &mut Http2, stream| loop {
        match client.frame().await.expect("an answer") {
            Frame::Head(of, status) if of == stream => break status,
            Frame::GoAway => panic!("the connection ended"),
            _ => {}
        }
    };
    let ended = tokio::time::timeout(READ, status(&mut client, upload)).await;
    assert_eq!(ended, Ok(Some(408)));
    let read = [
        (":method", "GET"),
        (":scheme", "http"),
        (":path", "/v1/images"),
        (":authority", "localhost"),
    ];
    let read = client.request(&read).await.expect("sent");
    let answered = tokio::time::timeout(READ, status(&mut client, read)).await;
    assert_eq!(answered, Ok(Some(200)));
    service.stop().await;
}

#[tokio::test]
async fn a_body_that_nobody_wants_holds_nothing_while_it_drips_in() {
    let service = Service::start(&[]).await;
    let unknown = "/v1/images/0192f0c1-2345-7890-abcd-ef0123456789";
    for (method, path, status) in [
        ("GET", "/v1/images", 200),
        ("GET", unknown, 404),
        ("DELETE", unknown, 404),
        ("POST", "/nowhere", 404),
        ("PUT", "/v1/images", 405),
    ] {
        for length in ["content-length: 100000", "transfer-encoding: chunked"] {
            let request =
                format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\n{length}\r\n\r\n1");
            let answer = answer_of(client(&service, request.as_bytes()).await).await;
            let expected = format!("HTTP/1.1 {status}");
            assert!(answer.starts_with(&expected), "{method} {path}: {answer}");
        }
    }
    service.stop().await;
}

/// Sends a byte now and then for as long as the connection takes them.
fn drip(stream: TcpStream) -> TcpStream {
    let stream = stream.into_std().expect("a socket");
    let dripping = stream.try_clone().expect("a copy");
    let mut dripping = TcpStream::from_std(dripping).expect("a socket");
    tokio::spawn(async move {
        while dripping.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    });
    TcpStream::from_std(stream).expect("a socket")
}

/// Everything until the service closes the connection, which it has to.
async fn answer_of(mut stream: TcpStream) -> String {
    let mut answer = Vec::new();
    let mut chunk = [0; 4096];
    let reading = async {
        while let Ok(count @ 1..) = stream.read(&mut chunk).await {
            answer.extend_from_slice(&chunk[..count]);
        }
    };
    tokio::time::timeout(READ, reading)
        .await
        .expect("the connection ends");
    String::from_utf8_lossy(&answer).into_owned()
}
