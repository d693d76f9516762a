//! The official command-line client, which knows of no stand-in.

use std::{process::Output, time::Duration};

use serde_json::json;
use stack::server;
use tokio::process::Command;

use super::{
    on_both,
    peers::{Peer, echo_server},
    subject::Subject,
};

on_both! {
    the_official_client_works_with_proxies_and_toxics,
    the_official_client_reports_what_is_refused,
}

/// Runs `toxiproxy-cli` with these words.
async fn cli(subject: &Subject, words: &str) -> Option<Output> {
    let Some(program) = server::toxiproxy::find_cli() else {
        server::require(server::Backend {
            found: None,
            ..server::toxiproxy::find()
        });
        return None;
    };
    let mut command = Command::new(program);
    command
        .args(words.split(' '))
        .env("TOXIPROXY_URL", &subject.url)
        .kill_on_drop(true);
    Some(
        tokio::time::timeout(Duration::from_secs(30), command.output())
            .await
            .unwrap()
            .unwrap(),
    )
}

/// Runs it and expects this in its output.
async fn expect(subject: &Subject, words: &str, text: &str) {
    let Some(output) = cli(subject, words).await else {
        return;
    };
    let found = String::from_utf8(output.stdout).unwrap();
    assert!(
        output.status.success(),
        "{words}: {found}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(found.contains(text), "{words}: {found}");
}

async fn the_official_client_works_with_proxies_and_toxics(subject: Subject) {
    let upstream = echo_server().await;
    let create = format!("create --listen 127.0.0.1:0 --upstream {upstream} p");
    expect(&subject, &create, "Created new proxy p\n").await;
    let add = "toxic add -n slow -t latency --upstream -a latency=200 -a jitter=0 p";
    expect(
        &subject,
        add,
        "Added upstream latency toxic 'slow' on proxy 'p'",
    )
    .await;
    expect(
        &subject,
        "toxic add -n never -t timeout --toxicity 0 p",
        "Added downstream timeout toxic",
    )
    .await;
    expect(&subject, "inspect p", "latency=200").await;
    if cli(&subject, "list").await.is_none() {
        return;
    }

    let proxy = subject.ok("GET /proxies/p", "").await;
    let mut client = Peer::connect(proxy["listen"].as_str().unwrap().parse().unwrap()).await;
    assert!(client.echo(b"a").await >= Duration::from_millis(200));
    expect(
        &subject,
        "toxic update -n slow -a latency=300 p",
        "Updated toxic 'slow'",
    )
    .await;
    assert!(client.echo(b"a").await >= Duration::from_millis(300));
    expect(
        &subject,
        "toxic remove -n slow p",
        "Removed toxic 'slow' on proxy 'p'",
    )
    .await;
    client.echo(b"a").await;

    expect(&subject, "toggle p", "disabled").await;
    client.expect_end().await;
    expect(&subject, "toggle p", "enabled").await;
    expect(&subject, "list", &upstream.to_string()).await;
    expect(&subject, "delete p", "Deleted proxy p").await;
    assert_eq!(subject.ok("GET /proxies", "").await, json!({}));
}

async fn the_official_client_reports_what_is_refused(subject: Subject) {
    for (words, text) in [
        ("inspect nobody", "proxy not found"),
        (
            "create --listen nowhere --upstream 127.0.0.1:9 p",
            "missing port in address",
        ),
        ("toxic add -t slime p", "invalid toxic type"),
        ("toxic remove -n nothing p", "toxic not found"),
    ] {
        let body = json!([{"name": "p", "listen": "127.0.0.1:0", "upstream": "127.0.0.1:9", "enabled": false}]);
        if words.starts_with("toxic") {
            subject.ok("POST /populate", body).await;
        }
        let Some(output) = cli(&subject, words).await else {
            return;
        };
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8(said).unwrap();
        assert!(
            !output.status.success() && said.contains(text),
            "{words}: {said}"
        );
    }
}
