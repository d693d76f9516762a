//! Delays: how long, in which direction, in which order, and what changes of them do to live connections.

use std::time::Instant;

use serde_json::json;

use crate::toxiproxy::{
    on_both,
    peers::{Peer, echo_server, pair, server},
    subject::Subject,
    wire::{NOTICE, ms, noise},
};

on_both! {
    latency_delays_its_own_direction,
    latencies_of_both_directions_add_up,
    jitter_varies_the_delay_within_its_bounds,
    chunks_wait_side_by_side_not_one_after_the_other,
    the_end_of_the_server_reaches_the_client_after_its_data,
    a_toxic_added_to_a_live_connection_works_at_once,
    an_updated_latency_works_on_live_connections,
    removed_latency_lets_go_what_it_held,
    reset_keeps_connections_and_lets_go_what_latency_held,
}

async fn latency_delays_its_own_direction(subject: Subject) {
    for stream in ["upstream", "downstream"] {
        let (upstream, mut clients) = server().await;
        let proxy = subject.proxy(upstream).await;
        subject
            .toxic("latency", stream, json!({"latency": 300}))
            .await;
        let (mut client, mut server) = pair(proxy, &mut clients).await;
        let (from, to) = if stream == "upstream" {
            (&mut client, &mut server)
        } else {
            (&mut server, &mut client)
        };
        let start = Instant::now();
        from.send(b"slow").await;
        to.expect(b"slow").await;
        assert!(
            start.elapsed() >= ms(300),
            "{stream}: {:?}",
            start.elapsed()
        );
        // What goes the other way overtakes what is being delayed.
        from.send(b"slow").await;
        to.send(b"fast").await;
        let arrival = async |peer: &mut Peer, data: &[u8]| {
            peer.expect(data).await;
            Instant::now()
        };
        let (slow, fast) = tokio::join!(arrival(to, b"slow"), arrival(from, b"fast"));
        assert!(fast < slow, "{stream}: the other direction is delayed too");
        subject.ok("DELETE /proxies/p", "").await;
    }
}

async fn latencies_of_both_directions_add_up(subject: Subject) {
    let proxy = subject.proxy(echo_server().await).await;
    subject
        .toxic("latency", "upstream", json!({"latency": 120}))
        .await;
    subject
        .toxic("latency", "downstream", json!({"latency": 80}))
        .await;
    let body = json!({"type": "latency", "name": "another", "attributes": {"latency": 50}});
    subject.ok("POST /proxies/p/toxics", body).await;
    let took = Peer::connect(proxy).await.echo(b"a").await;
    assert!(took >= ms(250) && took < ms(10_000), "{took:?}");
}

async fn jitter_varies_the_delay_within_its_bounds(subject: Subject) {
    let proxy = subject.proxy(echo_server().await).await;
    subject
        .toxic("latency", "upstream", json!({"latency": 60, "jitter": 40}))
        .await;
    let mut client = Peer::connect(proxy).await;
    let mut delays = Vec::new();
    for _ in 0..20 {
        delays.push(client.echo(b"a").await);
    }
    let (least, most) = (delays.iter().min().unwrap(), delays.iter().max().unwrap());
    assert!(*least >= ms(20), "{delays:?}");
    assert!(*most >= *least + ms(5), "{delays:?}");
}

async fn chunks_wait_side_by_side_not_one_after_the_other(subject: Subject) {
    let (upstream, mut clients) = server().await;
    let proxy = subject.proxy(upstream).await;
    subject
        .toxic("latency", "upstream", json!({"latency": 200}))
        .await;
    let (mut client, mut server) = pair(proxy, &mut clients).await;
    let data = noise(1 << 20);
    let start = Instant::now();
    tokio::join!(client.send(&data), server.expect(&data));
    let took = start.elapsed();
    // One after the other, 32 chunks of 32 KiB would take 6.4 s.
    assert!(took >= ms(200) && took < ms(3000), "{took:?}");
}

async fn the_end_of_the_server_reaches_the_client_after_its_data(subject: Subject) {
    let (upstream, mut clients) = server().await;
    let proxy = subject.proxy(upstream).await;
    subject
        .toxic("latency", "downstream", json!({"latency": 50}))
        .await;
    let (mut client, mut server) = pair(proxy, &mut clients).await;
    let data = noise(300_000);
    server.send(&data).await;
    drop(server);
    let (found, end) = client.rest().await;
    assert!(
        found == data && end.is_ok(),
        "{} of {} bytes, {end:?}",
        found.len(),
        data.len()
    );
}

async fn a_toxic_added_to_a_live_connection_works_at_once(subject: Subject) {
    let proxy = subject.proxy(echo_server().await).await;
    let mut client = Peer::connect(proxy).await;
    client.echo(b"a").await;
    subject
        .toxic("latency", "downstream", json!({"latency": 300}))
        .await;
    let took = client.echo(b"a").await;
    assert!(took >= ms(300), "{took:?}");
}

async fn an_updated_latency_works_on_live_connections(subject: Subject) {
    let proxy = subject.proxy(echo_server().await).await;
    subject
        .toxic("latency", "downstream", json!({"latency": 600_000}))
        .await;
    let mut client = Peer::connect(proxy).await;
    client.send(b"held").await;
    assert!(client.is_silent(NOTICE).await);
    subject
        .ok(
            "PATCH /proxies/p/toxics/latency_downstream",
            json!({"attributes": {"latency": 0}}),
        )
        .await;
    client.expect(b"held").await;
    subject
        .ok(
            "PATCH /proxies/p/toxics/latency_downstream",
            json!({"attributes": {"latency": 200}}),
        )
        .await;
    let took = client.echo(b"a").await;
    assert!(took >= ms(200), "{took:?}");
}

async fn removed_latency_lets_go_what_it_held(subject: Subject) {
    let proxy = subject.proxy(echo_server().await).await;
    subject
        .toxic("latency", "upstream", json!({"latency": 600_000}))
        .await;
    let mut client = Peer::connect(proxy).await;
    let data = noise(100_000);
    client.send(&data).await;
    assert!(client.is_silent(NOTICE).await);
    subject
        .ok("DELETE /proxies/p/toxics/latency_upstream", "")
        .await;
    client.expect(&data).await;
    client.echo(b"after").await;
}

async fn reset_keeps_connections_and_lets_go_what_latency_held(subject: Subject) {
    let proxy = subject.proxy(echo_server().await).await;
    subject
        .toxic("latency", "upstream", json!({"latency": 600_000}))
        .await;
    subject
        .toxic("latency", "downstream", json!({"latency": 600_000}))
        .await;
    let mut client = Peer::connect(proxy).await;
    client.send(b"held").await;
    assert!(client.is_silent(NOTICE).await);
    subject.ok("POST /reset", "").await;
    client.expect(b"held").await;
}
