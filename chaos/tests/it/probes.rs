//! Each fault on the way to each kind of dependency: its probe feels it while it is there, and an answer before and after.

use std::net::SocketAddr;
use std::time::Duration;

use chaos::definition::{Effect, Fault, Protocol, Stream};
use chaos::injection::Injection;
use chaos::interrupt::Interrupt;
use chaos::journal::{Intent, Journal};
use chaos::probe::{Felt, probe};
use chaos::toxiproxy::{Definition, Toxiproxy};
use stack::net;
use stack::server::{self, Launch};
use stack::standin::{jaeger, s3};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::platform::DEADLINE;

const EFFECTS: [Effect; 6] = [
    Effect::Latency {
        stream: Stream::Downstream,
        latency_ms: 300,
        jitter_ms: 20,
        toxicity: 1.0,
    },
    Effect::Latency {
        stream: Stream::Upstream,
        latency_ms: 300,
        jitter_ms: 0,
        toxicity: 1.0,
    },
    Effect::Timeout {
        stream: Stream::Downstream,
        timeout_ms: 0,
        toxicity: 1.0,
    },
    Effect::Timeout {
        stream: Stream::Upstream,
        timeout_ms: 0,
        toxicity: 1.0,
    },
    Effect::ResetPeer {
        stream: Stream::Downstream,
        timeout_ms: 0,
        toxicity: 1.0,
    },
    Effect::Down {},
];

/// A free port of this machine.
async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    (listener, address)
}

/// A Toxiproxy of its own with one proxy, in front of `upstream`.
struct Proxied {
    toxiproxy: Toxiproxy,
    proxy: Definition,
    _stop: DropGuard,
}

impl Proxied {
    async fn before(upstream: SocketAddr) -> Self {
        let (listener, address) = listen().await;
        let shutdown = CancellationToken::new();
        tokio::spawn(stack::standin::toxiproxy::serve(listener, shutdown.clone()));
        let base = format!("http://{address}").parse().expect("an address");
        let client = chaos::http::client().expect("a client");
        let toxiproxy = Toxiproxy::new(client, base, DEADLINE);
        let proxy = Definition {
            name: "dependency".into(),
            listen: "127.0.0.1:0".into(),
            upstream: upstream.to_string(),
            enabled: true,
        };
        toxiproxy.create(&proxy).await.expect("a proxy");
        let made = toxiproxy.proxy("dependency").await.expect("the proxy");
        Self {
            toxiproxy,
            proxy: made.definition,
            _stop: shutdown.drop_guard(),
        }
    }

    fn intent(&self, effect: &Effect) -> Intent {
        Intent {
            name: "chitram-test-1".into(),
            experiment: "probes".into(),
            toxiproxy: self.toxiproxy.base().clone(),
            proxy: self.proxy.clone(),
            toxic: !matches!(effect, Effect::Down {}),
            all: Vec::new(),
            making: Vec::new(),
            holder: None,
        }
    }
}

/// Injects every fault in turn: each is proven by its probe, and gone after its rollback.
async fn every_fault_is_felt(protocol: Protocol, upstream: SocketAddr) {
    let proxied = Proxied::before(upstream).await;
    let dir = tempfile::tempdir().expect("a folder");
    let journal = Journal::at(dir.path());
    for effect in EFFECTS {
        let case = format!("{protocol:?} {effect:?}");
        let intent = proxied.intent(&effect);
        let fault = Fault {
            proxy: "dependency".into(),
            dependency: None,
            protocol,
            effect,
        };
        let mut injection = Injection::prepare(proxied.toxiproxy.clone(), None, intent, &fault)
            .await
            .unwrap_or_else(|refusal| panic!("{case}: {refusal}"));
        injection
            .inject(&journal)
            .await
            .unwrap_or_else(|error| panic!("{case}: {error:?}"));
        let felt = injection.verify().await;
        assert!(felt.is_ok(), "{case}: {felt:?}");
        let (undone, effort) = injection
            .roll_back(&journal, &Interrupt::default(), dir.path())
            .await;
        assert_eq!(undone, Ok(()), "{case}");
        assert_eq!((effort.attempts, effort.sentence()), (1, None), "{case}");
        let felt = injection.feel_again().await;
        assert!(felt.starts_with("an answer"), "{case}: {felt}");
    }
    assert_eq!(journal.pending().expect("readable"), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_fault_on_the_way_to_an_object_store_is_felt() {
    let (listener, address) = listen().await;
    let folder = tempfile::tempdir().expect("a folder");
    let (path, stop) = (folder.path().to_owned(), CancellationToken::new());
    let (credentials, stopped) = (s3::Credentials::random(), stop.clone());
    tokio::spawn(async move { s3::serve(listener, &path, credentials, stopped).await });
    // The probe signs nothing: being refused is an answer.
    every_fault_is_felt(Protocol::Http, address).await;
    stop.cancel();
}

#[tokio::test(flavor = "multi_thread")]
async fn every_fault_on_the_way_to_a_trace_collector_is_felt() {
    let (query, _) = listen().await;
    let (otlp, address) = listen().await;
    let stop = CancellationToken::new();
    let limits = jaeger::Limits::default();
    tokio::spawn(jaeger::serve(query, otlp, limits, stop.clone()));
    every_fault_is_felt(Protocol::Otlp, address).await;
    stop.cancel();
}

#[tokio::test(flavor = "multi_thread")]
async fn every_fault_on_the_way_to_the_real_jaeger_is_felt() {
    let Some(found) = server::require(server::jaeger::find()) else {
        return;
    };
    let launch = Launch::for_test().expect("a launcher");
    let jaeger = server::jaeger::start(&found, &launch)
        .await
        .expect("Jaeger starts");
    let address = net::address_of(&jaeger.otlp).await.expect("an address");
    every_fault_is_felt(Protocol::Otlp, address).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_fault_on_the_way_to_postgresql_is_felt() {
    let Some(found) = server::require(server::postgres::find()) else {
        return;
    };
    let launch = Launch::for_test().expect("a launcher");
    let postgres = server::postgres::start(&found, &launch)
        .await
        .expect("PostgreSQL starts");
    let url: url::Url = postgres.url.parse().expect("a URL");
    let (host, port) = (url.host_str().expect("a host"), url.port().unwrap_or(5432));
    let address = net::address_of(&format!("http://{host}:{port}"))
        .await
        .expect("an address");
    every_fault_is_felt(Protocol::Postgres, address).await;
}

/// A server that reads something, sends these bytes, and then closes or is silent for ever.
async fn server_that_says(bytes: &'static [u8], then_closes: bool) -> String {
    let (listener, address) = listen().await;
    tokio::spawn(async move {
        let mut silent = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read(&mut [0; 1024]).await;
            let _ = stream.write_all(bytes).await;
            if !then_closes {
                silent.push(stream);
            }
        }
    });
    address.to_string()
}

#[tokio::test]
async fn a_server_that_accepts_but_does_not_answer_in_the_protocol_is_no_answer() {
    // HTTP/2's settings alone: a collector that hangs before it answers.
    const SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];
    // The head of a frame that is longer than a server may send.
    const ENDLESS: &[u8] = &[0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 1];
    let wait = Duration::from_millis(300);
    for (protocol, says) in [
        (Protocol::Http, &b""[..]),
        (Protocol::Http, b"SSH-2.0-x\r\n"),
        (Protocol::Otlp, b""),
        (Protocol::Otlp, SETTINGS),
        (Protocol::Otlp, ENDLESS),
        (Protocol::Otlp, b"HTTP/1.1 400 Bad Request\r\n\r\n"),
        (Protocol::Postgres, b""),
        (Protocol::Postgres, b"HTTP/1.1 400 Bad Request\r\n\r\n"),
    ] {
        for then_closes in [true, false] {
            let address = server_that_says(says, then_closes).await;
            let felt = probe(protocol, &address, wait).await;
            let unanswered = matches!(felt, Felt::NoAnswer | Felt::Closed);
            assert!(unanswered, "{felt:?}: {protocol:?} {says:?} {then_closes}");
        }
    }
}

#[tokio::test]
async fn a_port_where_nobody_listens_is_a_refused_connection() {
    let (listener, address) = listen().await;
    drop(listener);
    for protocol in [Protocol::Http, Protocol::Otlp, Protocol::Postgres] {
        let felt = probe(protocol, &address.to_string(), DEADLINE).await;
        assert_eq!(felt, Felt::Refused, "{protocol:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_is_reset_as_soon_as_it_is_accepted_is_closed_and_not_refused() {
    let (listener, address) = listen().await;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            stream.set_zero_linger().expect("an option of every socket");
        }
    });
    for _ in 0..1000 {
        let felt = probe(Protocol::Otlp, &address.to_string(), DEADLINE).await;
        assert_eq!(felt, Felt::Closed);
    }
}
