//! `toxiproxy_rust`, a client by other people, drives the stand-in and the real server alike.
//!
//! A target of its own behind the feature `conformance-client`, since only this client needs the system's OpenSSL. It
//! blocks, so it runs on the test's plain thread. It ignores the status of answers: every step is checked by its effect.
//! Its fault of sending no `jitter` below zero, no `reset_peer` and no update leaves those to the other suites.
#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on fails where it stands"
)]

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    time::{Duration, Instant},
};

use stack::{
    net::loopback,
    server::{self, Source},
    standin,
};
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;
use toxiproxy_rust::{client::Client, proxy::ProxyPack};

/// Longer than anything here takes on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(30);

#[test]
fn the_independent_client_drives_the_stand_in() {
    let runtime = Runtime::new().unwrap();
    let listener = runtime
        .block_on(tokio::net::TcpListener::bind(loopback(0)))
        .unwrap();
    let api = listener.local_addr().unwrap();
    let shutdown = CancellationToken::new();
    let serving = runtime.spawn(standin::toxiproxy::serve(listener, shutdown.clone()));
    drive(api);
    shutdown.cancel();
    runtime.block_on(serving).unwrap().unwrap();
}

#[test]
fn the_independent_client_drives_the_real_server() {
    let mut backend = server::toxiproxy::find();
    if let Some(found) = &mut backend.found
        && let (Source::Url(_), Some(program)) = (
            &found.source,
            server::find::on_path_or_cached("toxiproxy-server"),
        )
    {
        // Even where a URL names a server: this test resets all that it has.
        found.source = Source::Program(program);
    }
    let Some(found) = server::require(backend) else {
        return;
    };
    let runtime = Runtime::new().unwrap();
    let launch = server::Launch::for_test().unwrap();
    let server = runtime
        .block_on(server::toxiproxy::start(&found, &launch))
        .unwrap();
    drive(server.url.trim_start_matches("http://").parse().unwrap());
}

/// Everything that this client can do and that does its work in this milestone.
fn drive(api: SocketAddr) {
    let client = Client::new(api);
    assert!(client.is_running());
    assert!(client.version().unwrap().starts_with(r#"{"version": ""#));

    let name = "toxiproxy_rust".to_owned();
    let pack = ProxyPack::new(
        name.clone(),
        "127.0.0.1:0".to_owned(),
        echo_server().to_string(),
    );
    let made = client.populate(vec![pack]).unwrap();
    let address: SocketAddr = made[0].proxy_pack.listen.parse().unwrap();
    let proxy = client.find_proxy(&name).unwrap();
    assert!(client.all().unwrap().contains_key(&name));
    echo(address);

    proxy
        .with_latency("downstream".to_owned(), 200, 0, 1.0)
        .with_timeout("upstream".to_owned(), 60_000, 0.0);
    let toxics: Vec<String> = proxy
        .toxics()
        .unwrap()
        .into_iter()
        .map(|toxic| toxic.name)
        .collect();
    assert_eq!(toxics, ["timeout_upstream", "latency_downstream"]);
    proxy
        .apply(|| assert!(echo(address) >= Duration::from_millis(200)))
        .unwrap();
    assert!(proxy.toxics().unwrap().is_empty());

    proxy
        .with_down(|| assert!(TcpStream::connect(address).is_err()))
        .unwrap();
    echo(address);

    proxy
        .with_latency("upstream".to_owned(), 600_000, 0, 1.0)
        .disable()
        .unwrap();
    client.find_and_reset_proxy(&name).unwrap();
    echo(address);
    proxy
        .with_latency("upstream".to_owned(), 600_000, 0, 1.0)
        .disable()
        .unwrap();
    client.reset().unwrap();
    echo(address);
    proxy.delete().unwrap();
    assert!(client.find_proxy(&name).is_err());
}

/// Sends four bytes, and returns how long they took there and back.
fn echo(address: SocketAddr) -> Duration {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let start = Instant::now();
    stream.write_all(b"ping").unwrap();
    let mut found = [0; 4];
    stream.read_exact(&mut found).unwrap();
    assert_eq!(&found, b"ping");
    start.elapsed()
}

fn echo_server() -> SocketAddr {
    let listener = TcpListener::bind(loopback(0)).unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            std::thread::spawn(move || {
                std::io::copy(&mut stream.try_clone().unwrap(), &mut stream)
            });
        }
    });
    address
}
