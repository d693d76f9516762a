//! What clients and servers feel on either side of a proxy. Lower bounds of times are strict, upper ones generous.

use std::time::{Duration, Instant};

use serde_json::json;

use super::{
    on_both,
    peers::{Peer, echo_server, pair, refuses, server},
    subject::Subject,
};

on_both! {
    bytes_pass_both_ways_unchanged,
    an_upstream_that_refuses_closes_the_accepted_client,
    a_disabled_proxy_refuses_and_closes_and_an_enabled_one_serves_again,
    a_deleted_proxy_closes_its_connections,
    a_moved_proxy_closes_its_connections_and_serves_at_its_new_address,
    populate_with_the_same_addresses_keeps_connections,
    there_is_no_half_close,
    the_end_of_the_server_reaches_the_client_after_its_data,
    latency_delays_its_own_direction,
    latencies_of_both_directions_add_up,
    jitter_varies_the_delay_within_its_bounds,
    chunks_wait_side_by_side_not_one_after_the_other,
    a_toxic_added_to_a_live_connection_works_at_once,
    an_updated_latency_works_on_live_connections,
    removed_latency_lets_go_what_it_held,
    reset_keeps_connections_and_lets_go_what_latency_held,
    a_timeout_closes_when_it_has_passed_since_the_last_byte,
    a_timeout_of_zero_holds_until_it_is_removed_which_closes_and_loses_all,
    reset_peer_does_nothing_before_data_and_then_resets_both_ends,
    reset_peer_waits_for_its_timeout,
    reset_peer_added_to_a_live_connection_ends_it_by_fin,
    a_toxicity_of_zero_spares_every_connection,
    half_a_toxicity_is_drawn_for_each_connection_and_again_when_a_toxic_is_added_or_removed,
    a_sender_is_slowed_to_the_pace_of_its_reader,
}

/// Long enough to notice that something comes that should not.
const NOTICE: Duration = Duration::from_millis(300);

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// Bytes without a period that a chunk could hide behind.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let next = |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    (0..length).map(next).collect()
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
    assert!(*most - *least >= ms(5), "{delays:?}");
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

async fn a_toxicity_of_zero_spares_every_connection(subject: Subject) {
    let proxy = subject.proxy(echo_server().await).await;
    let body = json!({"type": "latency", "toxicity": 0, "attributes": {"latency": 600_000}});
    subject.ok("POST /proxies/p/toxics", body).await;
    for _ in 0..20 {
        Peer::connect(proxy).await.echo(b"a").await;
    }
}

async fn half_a_toxicity_is_drawn_for_each_connection_and_again_when_a_toxic_is_added_or_removed(
    subject: Subject,
) {
    const CONNECTIONS: usize = 40;
    const DELAY: Duration = Duration::from_millis(400);
    let proxy = subject.proxy(echo_server().await).await;
    let body = json!({"type": "latency", "toxicity": 0.5, "attributes": {"latency": 400}});
    subject.ok("POST /proxies/p/toxics", body).await;
    let mut clients = Vec::new();
    for _ in 0..CONNECTIONS {
        clients.push(Peer::connect(proxy).await);
    }
    // All at once: who waits 400 ms was drawn. A spared echo that takes as long on a loaded machine looks drawn, so
    // the bounds below are wide.
    let first = drawn(&mut clients, DELAY).await;
    let count = first.iter().filter(|drawn| **drawn).count();
    assert!((5..=35).contains(&count), "{count} of {CONNECTIONS}");
    let second = drawn(&mut clients, DELAY).await;
    let same = first
        .iter()
        .zip(&second)
        .filter(|(first, second)| first == second)
        .count();
    assert!(
        same >= 35,
        "the draw holds for the connection: {same} of {CONNECTIONS} kept theirs"
    );

    subject
        .ok(
            "POST /proxies/p/toxics",
            json!({"type": "latency", "name": "none"}),
        )
        .await;
    let added = drawn(&mut clients, DELAY).await;
    let same = second
        .iter()
        .zip(&added)
        .filter(|(before, after)| before == after)
        .count();
    assert!(
        (5..=35).contains(&same),
        "an added toxic draws anew: {same} of {CONNECTIONS} kept theirs"
    );

    subject.ok("DELETE /proxies/p/toxics/none", "").await;
    let removed = drawn(&mut clients, DELAY).await;
    let same = added
        .iter()
        .zip(&removed)
        .filter(|(before, after)| before == after)
        .count();
    assert!(
        (5..=35).contains(&same),
        "a removed toxic draws anew: {same} of {CONNECTIONS} kept theirs"
    );
}

/// Which of the connections take that long.
async fn drawn(clients: &mut [Peer], delay: Duration) -> Vec<bool> {
    let echoes = clients.iter_mut().map(|client| client.echo(b"a"));
    futures::future::join_all(echoes)
        .await
        .into_iter()
        .map(|took| took >= delay)
        .collect()
}

async fn a_sender_is_slowed_to_the_pace_of_its_reader(subject: Subject) {
    const FAR_TOO_MUCH: usize = 256 << 20;
    let (upstream, mut clients) = server().await;
    let proxy = subject.proxy(upstream).await;
    for with_latency in [false, true] {
        if with_latency {
            subject
                .toxic("latency", "upstream", json!({"latency": 600_000}))
                .await;
        }
        let (client, _idle) = pair(proxy, &mut clients).await;
        let block = vec![0; 1 << 20];
        let mut taken = 0;
        // Stuck when nothing was taken for that long.
        while let Ok(ready) = tokio::time::timeout(ms(1000), client.0.writable()).await {
            ready.unwrap();
            taken += client.0.try_write(&block).unwrap_or(0);
            assert!(taken < FAR_TOO_MUCH, "the proxy takes all it is sent");
        }
    }
}
