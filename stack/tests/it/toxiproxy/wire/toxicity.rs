//! Which connections a toxic applies to.

use std::time::Duration;

use serde_json::json;

use crate::toxiproxy::{
    on_both,
    peers::{Peer, echo_server},
    subject::Subject,
};

on_both! {
    a_toxicity_of_zero_spares_every_connection,
    half_a_toxicity_is_drawn_for_each_connection_and_again_when_a_toxic_is_added_or_removed,
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
    const DELAY: Duration = Duration::from_secs(1);
    let proxy = subject.proxy(echo_server().await).await;
    let body = json!({"type": "latency", "toxicity": 0.5, "attributes": {"latency": 1000}});
    subject.ok("POST /proxies/p/toxics", body).await;
    let mut clients = Vec::new();
    for _ in 0..CONNECTIONS {
        clients.push(Peer::connect(proxy).await);
    }
    // All at once: who waits a second was drawn. A spared echo that takes as long on a loaded machine looks drawn, so
    // the bounds below are wide.
    let first = drawn(&mut clients, DELAY).await;
    let count = first.iter().filter(|drawn| **drawn).count();
    assert!((5..=35).contains(&count), "{count} of {CONNECTIONS}");
    let second = drawn(&mut clients, DELAY).await;
    let same = kept(&first, &second);
    assert!(
        same >= 30,
        "the draw holds for the connection: {same} of {CONNECTIONS} kept theirs"
    );

    subject
        .ok(
            "POST /proxies/p/toxics",
            json!({"type": "latency", "name": "none"}),
        )
        .await;
    let added = drawn(&mut clients, DELAY).await;
    let same = kept(&second, &added);
    assert!(
        (5..=35).contains(&same),
        "an added toxic draws anew: {same} of {CONNECTIONS} kept theirs"
    );

    subject.ok("DELETE /proxies/p/toxics/none", "").await;
    let removed = drawn(&mut clients, DELAY).await;
    let same = kept(&added, &removed);
    assert!(
        (5..=35).contains(&same),
        "a removed toxic draws anew: {same} of {CONNECTIONS} kept theirs"
    );
}

/// How many connections are treated as before.
fn kept(before: &[bool], after: &[bool]) -> usize {
    before
        .iter()
        .zip(after)
        .filter(|(before, after)| before == after)
        .count()
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
