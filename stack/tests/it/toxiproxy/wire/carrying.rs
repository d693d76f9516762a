//! What a proxy carries while it injects nothing, and when connections end.

use std::net::SocketAddr;

use serde_json::json;
use tokio::sync::mpsc;

use crate::toxiproxy::{
    on_both,
    peers::{Peer, echo_server, pair, refuses, server},
    subject::Subject,
    wire::noise,
};

on_both! {
    bytes_pass_both_ways_unchanged,
    an_upstream_that_refuses_closes_the_accepted_client,
    a_disabled_proxy_refuses_and_closes_and_an_enabled_one_serves_again,
    a_deleted_proxy_closes_its_connections,
    a_moved_proxy_closes_its_connections_and_serves_at_its_new_address,
    a_proxy_is_made_anew_at_its_address_whatever_its_connections_hold,
    populate_with_the_same_addresses_keeps_connections,
    there_is_no_half_close,
    a_sender_is_slowed_to_the_pace_of_its_reader,
    a_sender_is_slowed_behind_a_latency_too,
}

async fn bytes_pass_both_ways_unchanged(subject: Subject) {
    let (upstream, mut clients) = server().await;
    let (mut client, mut server) = pair(subject.proxy(upstream).await, &mut clients).await;
    let data = noise(5 << 20);
    tokio::join!(client.send(&data), server.expect(&data));
    tokio::join!(server.send(&data), client.expect(&data));
}

async fn an_upstream_that_refuses_closes_the_accepted_client(subject: Subject) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let upstream = listener.local_addr().unwrap();
    drop(listener);
    let mut client = Peer::connect(subject.proxy(upstream).await).await;
    client.expect_end().await;
}

async fn a_disabled_proxy_refuses_and_closes_and_an_enabled_one_serves_again(subject: Subject) {
    let (upstream, mut clients) = server().await;
    let proxy = subject.proxy(upstream).await;
    let (mut client, mut server) = pair(proxy, &mut clients).await;
    subject
        .ok("PATCH /proxies/p", json!({"enabled": false}))
        .await;
    assert!(refuses(proxy).await);
    client.expect_end().await;
    server.expect_end().await;
    subject
        .ok("PATCH /proxies/p", json!({"enabled": true}))
        .await;
    let (mut client, mut server) = pair(proxy, &mut clients).await;
    client.send(b"again").await;
    server.expect(b"again").await;
}

async fn a_deleted_proxy_closes_its_connections(subject: Subject) {
    let proxy = subject.proxy(echo_server().await).await;
    let mut client = Peer::connect(proxy).await;
    client.echo(b"a").await;
    subject.ok("DELETE /proxies/p", "").await;
    client.expect_end().await;
    assert!(refuses(proxy).await);
}

/// How a fault is rolled back: none of these calls waits for a connection.
async fn a_proxy_is_made_anew_at_its_address_whatever_its_connections_hold(subject: Subject) {
    for (kind, attributes) in [
        ("latency", json!({"latency": 4000})),
        ("timeout", json!({"timeout": 0})),
        ("reset_peer", json!({"timeout": 8000})),
    ] {
        let (upstream, mut clients) = server().await;
        let proxy = subject.proxy(upstream).await;
        subject.toxic(kind, "downstream", attributes).await;
        let (_unread, mut server) = pair(proxy, &mut clients).await;
        server.stuff(8 << 20).await;
        let (mut client, _waiting) = pair(proxy, &mut clients).await;
        client.send(b"in flight").await;

        let disabled = json!({"enabled": false});
        subject.ok("POST /proxies/p", disabled).await;
        subject.ok("DELETE /proxies/p", "").await;
        let again = json!({"name": "p", "listen": proxy, "upstream": upstream});
        let made = subject.ok("POST /proxies", again).await;
        assert_eq!(made["toxics"], json!([]), "{kind}");
        assert_eq!(made["listen"], json!(proxy), "{kind}");
        let (mut client, mut server) = pair(proxy, &mut clients).await;
        client.send(b"ask").await;
        server.expect(b"ask").await;
        server.send(b"answer").await;
        client.expect(b"answer").await;
        subject.ok("DELETE /proxies/p", "").await;
    }
}

async fn a_moved_proxy_closes_its_connections_and_serves_at_its_new_address(subject: Subject) {
    let proxy = subject.proxy(echo_server().await).await;
    let mut client = Peer::connect(proxy).await;
    client.echo(b"a").await;
    let moved = subject
        .ok("PATCH /proxies/p", json!({"listen": "127.0.0.1:0"}))
        .await;
    client.expect_end().await;
    assert!(refuses(proxy).await);
    let mut client = Peer::connect(moved["listen"].as_str().unwrap().parse().unwrap()).await;
    client.echo(b"a").await;

    let (upstream, mut clients) = server().await;
    subject
        .ok("PATCH /proxies/p", json!({"upstream": upstream}))
        .await;
    client.expect_end().await;
    let (mut client, mut server) = pair(
        moved["listen"].as_str().unwrap().parse().unwrap(),
        &mut clients,
    )
    .await;
    client.send(b"elsewhere").await;
    server.expect(b"elsewhere").await;
}

async fn populate_with_the_same_addresses_keeps_connections(subject: Subject) {
    let upstream = echo_server().await;
    let proxy = subject.proxy(upstream).await;
    let mut client = Peer::connect(proxy).await;
    client.echo(b"a").await;
    let entry = |listen: &str| json!([{"name": "p", "listen": listen, "upstream": upstream, "enabled": false}]);
    subject
        .ok("POST /populate", entry(&proxy.to_string()))
        .await;
    client.echo(b"still").await;
    subject.ok("POST /populate", entry("127.0.0.1:0")).await;
    client.expect_end().await;
}

async fn there_is_no_half_close(subject: Subject) {
    let (upstream, mut clients) = server().await;
    let (mut client, mut server) = pair(subject.proxy(upstream).await, &mut clients).await;
    client.send(b"question").await;
    server.expect(b"question").await;
    tokio::io::AsyncWriteExt::shutdown(&mut client.0)
        .await
        .unwrap();
    server.expect_end().await;
    // The answer to a client that has sent its FIN is lost.
    client.expect_end().await;
}

async fn a_sender_is_slowed_to_the_pace_of_its_reader(subject: Subject) {
    let (upstream, clients) = server().await;
    let proxy = subject.proxy(upstream).await;
    expect_a_bounded_intake(proxy, clients).await;
}

async fn a_sender_is_slowed_behind_a_latency_too(subject: Subject) {
    let (upstream, clients) = server().await;
    let proxy = subject.proxy(upstream).await;
    subject
        .toxic("latency", "upstream", json!({"latency": 600_000}))
        .await;
    expect_a_bounded_intake(proxy, clients).await;
}

/// Sends to a server that does not read, until the proxy takes no more.
async fn expect_a_bounded_intake(proxy: SocketAddr, mut clients: mpsc::Receiver<Peer>) {
    const FAR_TOO_MUCH: usize = 256 << 20;
    let (mut client, _idle) = pair(proxy, &mut clients).await;
    let taken = client.stuff(FAR_TOO_MUCH).await;
    assert!(taken < FAR_TOO_MUCH, "the proxy takes all it is sent");
}
