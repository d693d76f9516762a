//! Where the stand-in differs from Toxiproxy 2.12 on purpose. Each test asserts what both do, so that a new version of
//! the real server which mends its fault is noticed.

use std::{future::Future, net::SocketAddr, time::Duration};

use serde_json::{Value, json};
use tokio::{sync::mpsc, time::timeout};

use super::{
    peers::{PATIENCE, Peer, echo_server, pair, server},
    subject::{Subject, run},
};

/// Longer than an answer takes that does not wait for anybody.
const PROMPT: Duration = Duration::from_secs(10);

/// Long enough to be sure that an answer waits for somebody.
const STUCK: Duration = Duration::from_secs(3);

/// Runs what the stand-in does, then what the real server does if this machine has it.
async fn both<S: Future<Output = ()>, R: Future<Output = ()>>(
    stand_in: impl FnOnce(Subject) -> S,
    real: impl FnOnce(Subject) -> R,
) {
    run(stand_in(Subject::stand_in().await)).await;
    if let Some(subject) = Subject::real().await {
        run(real(subject)).await;
    }
}

/// Fills a connection through `proxy` until its server can send no more, since the client does not read.
async fn stuff(proxy: SocketAddr, clients: &mut mpsc::Receiver<Peer>) -> (Peer, Peer) {
    let (client, mut server) = pair(proxy, clients).await;
    server.stuff(usize::MAX).await;
    (client, server)
}

/// Removing a toxic while a client does not read: the real server waits for the client and keeps a lock, so that other
/// requests hang too. A rollback must not depend on the client that suffers from the fault.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_toxic_is_removed_although_a_client_does_not_read() {
    async fn stuffed(subject: &Subject) -> (Peer, Peer) {
        let (upstream, mut clients) = server().await;
        let proxy = subject.proxy(upstream).await;
        subject
            .toxic("latency", "downstream", json!({"latency": 1}))
            .await;
        stuff(proxy, &mut clients).await
    }
    let remove = "DELETE /proxies/p/toxics/latency_downstream";
    both(
        async |subject| {
            let _peers = stuffed(&subject).await;
            timeout(PROMPT, subject.ok(remove, ""))
                .await
                .expect("the removal waits for the client");
        },
        async |subject| {
            let _peers = stuffed(&subject).await;
            assert!(timeout(STUCK, subject.call(remove, "")).await.is_err());
        },
    )
    .await;
}

/// Adding a toxic while a client does not read: the real server waits for the client here too, with the same lock.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_toxic_is_added_although_a_client_does_not_read() {
    async fn stuffed(subject: &Subject) -> (Peer, Peer) {
        let (upstream, mut clients) = server().await;
        let proxy = subject.proxy(upstream).await;
        stuff(proxy, &mut clients).await
    }
    let add = "POST /proxies/p/toxics";
    let toxic = json!({"type": "latency", "stream": "downstream", "attributes": {"latency": 1}});
    both(
        async |subject| {
            let _peers = stuffed(&subject).await;
            timeout(PROMPT, subject.ok(add, &toxic))
                .await
                .expect("the addition waits for the client");
        },
        async |subject| {
            let _peers = stuffed(&subject).await;
            assert!(timeout(STUCK, subject.call(add, &toxic)).await.is_err());
        },
    )
    .await;
}

/// A reset that counts down: the real server lets nobody change it and hangs until it fires.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reset_that_counts_down_can_be_removed_and_closes_at_once() {
    async fn counting(subject: &Subject) -> Peer {
        let (upstream, mut clients) = server().await;
        let proxy = subject.proxy(upstream).await;
        subject
            .toxic("reset_peer", "upstream", json!({"timeout": 600_000}))
            .await;
        let (mut client, _server) = pair(proxy, &mut clients).await;
        client.send(b"a").await;
        assert!(client.is_silent(Duration::from_millis(300)).await);
        client
    }
    let remove = "DELETE /proxies/p/toxics/reset_peer_upstream";
    both(
        async |subject| {
            let mut client = counting(&subject).await;
            timeout(PROMPT, subject.ok(remove, ""))
                .await
                .expect("the removal waits for the reset");
            client.expect_end().await;
        },
        async |subject| {
            let _client = counting(&subject).await;
            assert!(timeout(STUCK, subject.call(remove, "")).await.is_err());
        },
    )
    .await;
}

/// A jitter beyond half of an `i64`: the real server crashes at the first byte.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_huge_jitter_is_survived() {
    async fn jittery(subject: &Subject) -> Peer {
        let proxy = subject.proxy(echo_server().await).await;
        subject
            .toxic("latency", "upstream", json!({"jitter": i64::MAX}))
            .await;
        let mut client = Peer::connect(proxy).await;
        client.send(b"a").await;
        client
    }
    both(
        async |subject| {
            let mut client = jittery(&subject).await;
            subject.ok("POST /reset", "").await;
            client.expect(b"a").await;
        },
        async |subject| {
            let mut client = jittery(&subject).await;
            client.expect_end().await;
            let gone = async {
                while subject
                    .request("GET".parse().unwrap(), "/version")
                    .send()
                    .await
                    .is_ok()
                {}
            };
            timeout(PATIENCE, gone).await.expect("it survives now");
        },
    )
    .await;
}

/// An upstream that does not answer: the real server waits as long as the kernel does, and accepts nobody meanwhile.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dial_without_answer_is_given_up_and_keeps_nobody_waiting() {
    /// A listener whose backlog is full: the kernel answers no further connection.
    async fn deaf() -> (tokio::net::TcpListener, Vec<tokio::net::TcpStream>) {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = socket.listen(0).unwrap();
        let mut waiting = Vec::new();
        let attempt = || tokio::net::TcpStream::connect(listener.local_addr().unwrap());
        while let Ok(stream) = timeout(Duration::from_millis(500), attempt()).await {
            waiting.push(stream.unwrap());
        }
        (listener, waiting)
    }
    let dial = Duration::from_secs(5);
    both(
        async |subject| {
            let (listener, _waiting) = deaf().await;
            let proxy = subject.proxy(listener.local_addr().unwrap()).await;
            let mut clients = [Peer::connect(proxy).await, Peer::connect(proxy).await];
            let start = std::time::Instant::now();
            for client in &mut clients {
                client.expect_end().await;
            }
            assert!(
                start.elapsed() < dial * 2,
                "one dial waits for the other: {:?}",
                start.elapsed()
            );
        },
        async |subject| {
            let (listener, _waiting) = deaf().await;
            let mut client =
                Peer::connect(subject.proxy(listener.local_addr().unwrap()).await).await;
            assert!(client.is_silent(dial + STUCK).await);
        },
    )
    .await;
}

/// An address without a host: the real server listens on every interface, the stand-in on loopback. A fault proxy
/// inside a demo must not open a port to the network that nobody named.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_without_a_host_means_loopback() {
    async fn check(subject: Subject, host: &str) {
        for listen in [Value::Null, json!(":0")] {
            let body = json!({"name": "p", "listen": listen, "upstream": "127.0.0.1:9"});
            let proxy = subject.ok("POST /proxies", body).await;
            let found = proxy["listen"].as_str().unwrap();
            assert!(
                found.starts_with(host) && !found.ends_with(":0"),
                "{listen}: {found}"
            );
            subject.ok("DELETE /proxies/p", "").await;
        }
    }
    both(
        |subject| check(subject, "127.0.0.1:"),
        |subject| check(subject, "[::]:"),
    )
    .await;
}

/// The stand-in tells the version whose answers it gives; the real server, built without its release script, "git".
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_version_is_a_number() {
    both(
        async |subject| {
            assert_eq!(
                subject.ok("GET /version", "").await,
                json!({"version": "2.12.0"})
            );
        },
        async |subject| assert!(subject.ok("GET /version", "").await["version"].is_string()),
    )
    .await;
}

/// Toxics that the stand-in does not have are refused as the real server refuses unknown ones.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn toxics_that_are_not_there_are_unknown_types() {
    async fn check(subject: Subject, status: u16) {
        subject.proxy("127.0.0.1:9".parse().unwrap()).await;
        for kind in ["bandwidth", "slow_close", "limit_data", "slicer"] {
            let answer = subject
                .call("POST /proxies/p/toxics", json!({"type": kind}))
                .await;
            assert_eq!(answer.status, status, "{kind}: {}", answer.text);
            assert!(status == 200 || answer.json()["error"] == "invalid toxic type");
        }
    }
    both(|subject| check(subject, 400), |subject| check(subject, 200)).await;
}
