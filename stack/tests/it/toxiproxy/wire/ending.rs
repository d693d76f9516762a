//! Toxics that end connections: `timeout` and `reset_peer`.

use std::time::Instant;

use serde_json::json;

use crate::toxiproxy::{
    on_both,
    peers::{Peer, echo_server, pair, server},
    subject::Subject,
    wire::{NOTICE, ms},
};

on_both! {
    a_timeout_closes_when_it_has_passed_since_the_last_byte,
    a_timeout_of_zero_holds_until_it_is_removed_which_closes_and_loses_all,
    reset_peer_does_nothing_before_data_and_then_resets_both_ends,
    reset_peer_waits_for_its_timeout,
    reset_peer_added_to_a_live_connection_ends_it_by_fin,
}

async fn a_timeout_closes_when_it_has_passed_since_the_last_byte(subject: Subject) {
    let (upstream, mut clients) = server().await;
    let proxy = subject.proxy(upstream).await;
    subject
        .toxic("timeout", "upstream", json!({"timeout": 500}))
        .await;
    let (mut client, mut server) = pair(proxy, &mut clients).await;
    client.send(b"a").await;
    assert!(client.is_silent(ms(200)).await);
    let last_byte = Instant::now();
    client.send(b"b").await;
    client.expect_end().await;
    assert!(last_byte.elapsed() >= ms(500), "{:?}", last_byte.elapsed());
    server.expect_end().await;
}

async fn a_timeout_of_zero_holds_until_it_is_removed_which_closes_and_loses_all(subject: Subject) {
    let (upstream, mut clients) = server().await;
    let proxy = subject.proxy(upstream).await;
    subject
        .toxic("timeout", "downstream", json!({"timeout": 0}))
        .await;
    let (mut client, mut server) = pair(proxy, &mut clients).await;
    client.send(b"question").await;
    server.expect(b"question").await;
    server.send(b"answer").await;
    assert!(client.is_silent(NOTICE).await);
    subject
        .ok("DELETE /proxies/p/toxics/timeout_downstream", "")
        .await;
    client.expect_end().await;
    server.expect_end().await;
}

async fn reset_peer_does_nothing_before_data_and_then_resets_both_ends(subject: Subject) {
    for stream in ["upstream", "downstream"] {
        let (upstream, mut clients) = server().await;
        let proxy = subject.proxy(upstream).await;
        subject
            .toxic("reset_peer", stream, json!({"timeout": 0}))
            .await;
        let (mut client, mut server) = pair(proxy, &mut clients).await;
        assert!(client.is_silent(NOTICE).await);
        let sender = if stream == "upstream" {
            &mut client
        } else {
            &mut server
        };
        sender.send(b"a").await;
        client.expect_reset().await;
        server.expect_reset().await;
        subject.ok("DELETE /proxies/p", "").await;
    }
}

async fn reset_peer_waits_for_its_timeout(subject: Subject) {
    let proxy = subject.proxy(echo_server().await).await;
    subject
        .toxic("reset_peer", "downstream", json!({"timeout": 400}))
        .await;
    let mut client = Peer::connect(proxy).await;
    let start = Instant::now();
    client.send(b"a").await;
    client.expect_reset().await;
    assert!(start.elapsed() >= ms(400), "{:?}", start.elapsed());
}

async fn reset_peer_added_to_a_live_connection_ends_it_by_fin(subject: Subject) {
    let proxy = subject.proxy(echo_server().await).await;
    let mut client = Peer::connect(proxy).await;
    client.echo(b"a").await;
    subject
        .toxic("reset_peer", "downstream", json!({"timeout": 0}))
        .await;
    client.send(b"a").await;
    client.expect_fin().await;
}
