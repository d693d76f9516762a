//! What only the stand-in has: limits, and an orderly end.

use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::json;
use tokio::time::timeout;

use super::{
    peers::{PATIENCE, Peer, echo_server, pair, refuses, server},
    subject::{Subject, run},
};

#[tokio::test]
async fn proxies_and_toxics_are_bounded() {
    let subject = Subject::stand_in().await;
    let refused = async |request: &str, body: fn(usize) -> serde_json::Value, limit: usize| {
        for index in 0..limit {
            subject.ok(request, body(index)).await;
        }
        let answer = subject.call(request, body(limit)).await;
        assert_eq!(answer.status, 507, "{}", answer.text);
        assert!(
            answer.text.contains(&format!("no more than {limit}")),
            "{}",
            answer.text
        );
    };
    let proxy =
        |index| json!({"name": format!("{index}"), "upstream": "127.0.0.1:9", "enabled": false});
    refused("POST /proxies", proxy, 256).await;
    subject.ok("POST /populate", json!([proxy(0)])).await;
    assert_eq!(
        subject
            .call("POST /populate", json!([proxy(999)]))
            .await
            .status,
        507
    );
    refused(
        "POST /proxies/0/toxics",
        |index| json!({"type": "latency", "name": format!("{index}")}),
        64,
    )
    .await;
}

#[tokio::test]
async fn a_large_body_is_refused() {
    let subject = Subject::stand_in().await;
    let answer = subject.call("POST /populate", " ".repeat(2 << 20)).await;
    assert_eq!(answer.status, 413);
}

/// Lets this process have so many descriptors; fails where even the hard limit is lower.
fn allow_descriptors(needed: u64) {
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_some_and(|current| current < needed) {
        let raised = Rlimit {
            current: Some(needed),
            ..limit
        };
        setrlimit(Resource::Nofile, raised).expect("a limit of open files of at least 8,192");
    }
}

#[tokio::test]
async fn one_connection_more_than_1024_waits_until_another_ends() {
    const CONNECTIONS: usize = 1024;
    // Each has both its ends in this process, and the proxy's two between them.
    allow_descriptors(8 * CONNECTIONS as u64);
    run(async {
        let subject = Subject::stand_in().await;
        let (upstream, mut clients) = server().await;
        let proxy = subject.proxy(upstream).await;
        let mut pairs = Vec::with_capacity(CONNECTIONS);
        for _ in 0..CONNECTIONS {
            pairs.push(pair(proxy, &mut clients).await);
        }
        // The kernel accepts it, so it can send; nobody is dialled for it.
        let mut waiting = Peer::connect(proxy).await;
        waiting.send(b"at last").await;
        let dialled = timeout(Duration::from_millis(500), clients.recv()).await;
        assert!(dialled.is_err(), "a connection beyond the bound is carried");
        let (client, server) = &mut pairs[0];
        client.send(b"as ever").await;
        server.expect(b"as ever").await;

        drop(pairs.pop());
        let mut server = timeout(PATIENCE, clients.recv())
            .await
            .expect("its turn never comes")
            .unwrap();
        server.expect(b"at last").await;
    })
    .await;
}

#[tokio::test]
async fn shutdown_closes_the_api_every_proxy_and_every_connection() {
    run(async {
        let subject = Subject::stand_in().await;
        let api = subject.url.trim_start_matches("http://").parse().unwrap();
        let proxy = subject.proxy(echo_server().await).await;
        let mut client = Peer::connect(proxy).await;
        client.echo(b"a").await;
        // A request that never ends does not hold the end up.
        let mut request = Peer::connect(api).await;
        request
            .send(b"POST /proxies HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{")
            .await;

        timeout(PATIENCE, subject.shut_down())
            .await
            .expect("the end waits for a client");
        client.expect_end().await;
        assert!(refuses(proxy).await);
        assert!(refuses(api).await);
    })
    .await;
}

#[tokio::test]
async fn an_operation_is_completed_although_its_client_hangs_up() {
    let subject = Subject::stand_in().await;
    let address = subject.url.trim_start_matches("http://").parse().unwrap();
    let body = json!({"name": "p", "listen": "localhost:0", "upstream": "127.0.0.1:9"}).to_string();
    let mut client = Peer::connect(address).await;
    let head = format!(
        "POST /proxies HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    client.send(format!("{head}{body}").as_bytes()).await;
    drop(client);
    let made = async {
        while subject.call("GET /proxies/p", "").await.status != 200 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, made)
        .await
        .expect("the proxy is not made");
}
