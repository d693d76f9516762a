//! Each real server starts on a free port, answers, and leaves nothing behind.

use std::net::SocketAddr;
use std::path::PathBuf;

use stack::net;
use stack::server::{Launch, Running, jaeger, postgres, require, toxiproxy, versitygw};

use crate::support::assert_gone;

/// Drops the server and looks for what should be gone: the process, the port, the folders it had on disk.
async fn assert_leaves_nothing(running: Running, address: SocketAddr) {
    let identity = running.child().identity();
    let folders: Vec<PathBuf> = running
        .folders()
        .into_iter()
        .map(std::path::Path::to_owned)
        .inspect(|folder| assert!(folder.exists()))
        .collect();
    assert!(net::answers(address).await);
    drop(running);
    assert_gone(identity).await;
    assert!(!net::answers(address).await);
    for folder in folders {
        assert!(!folder.exists(), "{} is left", folder.display());
    }
}

#[tokio::test]
async fn toxiproxy_starts_answers_and_leaves_nothing() {
    let Some(found) = require(toxiproxy::find()) else {
        return;
    };
    let server = toxiproxy::start(&found, &Launch::for_test().unwrap())
        .await
        .unwrap();
    let address = net::address_of(&server.url).await.unwrap();
    if let Some(running) = server.running {
        assert_leaves_nothing(running, address).await;
    }
}

#[tokio::test]
async fn jaeger_starts_takes_spans_and_leaves_nothing() {
    let Some(found) = require(jaeger::find()) else {
        return;
    };
    let server = jaeger::start(&found, &Launch::for_test().unwrap())
        .await
        .unwrap();
    let otlp = net::address_of(&server.otlp).await.unwrap();
    assert!(net::answers(otlp).await);
    let address = net::address_of(&server.query).await.unwrap();
    if let Some(running) = server.running {
        assert_leaves_nothing(running, address).await;
    }
}

#[tokio::test]
async fn versitygw_starts_answers_and_leaves_nothing() {
    let Some(found) = require(versitygw::find()) else {
        return;
    };
    let server = versitygw::start(&found, &Launch::for_test().unwrap())
        .await
        .unwrap();
    let address = net::address_of(&server.endpoint).await.unwrap();
    if let Some(running) = server.running {
        assert_leaves_nothing(running, address).await;
    }
}

#[tokio::test]
async fn postgresql_starts_answers_and_leaves_nothing() {
    let Some(found) = require(postgres::find()) else {
        return;
    };
    let server = postgres::start(&found, &Launch::for_test().unwrap())
        .await
        .unwrap();
    let url = url::Url::parse(&server.url).unwrap();
    assert_eq!(url.host_str(), Some("127.0.0.1"));
    assert!(url.password().is_some_and(|password| password.len() == 32));
    let address = net::loopback(url.port().unwrap());
    if let Some(running) = server.running {
        assert_leaves_nothing(running, address).await;
    }
}

#[tokio::test]
async fn two_servers_at_once_do_not_meet() {
    let Some(found) = require(toxiproxy::find()) else {
        return;
    };
    let launch = Launch::for_test().unwrap();
    let (one, two) = tokio::join!(
        toxiproxy::start(&found, &launch),
        toxiproxy::start(&found, &launch)
    );
    assert_ne!(one.unwrap().url, two.unwrap().url);
}

#[tokio::test]
async fn a_server_that_cannot_start_is_named_with_its_log() {
    use stack::server::{Found, Source};
    let found = Found {
        source: Source::Program("/bin/false".into()),
        version: String::new(),
    };
    let folder = tempfile::tempdir().unwrap();
    let launch = Launch {
        logs: Some(folder.path().to_owned()),
        ..Launch::for_test().unwrap()
    };
    let error = toxiproxy::start(&found, &launch).await.unwrap_err();
    let (text, log) = (error.to_string(), folder.path().join("toxiproxy.log"));
    assert!(
        text.starts_with("toxiproxy ended with exit status: 1 before it was ready"),
        "{text}"
    );
    assert!(
        text.ends_with(&format!("its log is {}", log.display())),
        "{text}"
    );
    assert!(log.exists());
    assert_eq!(error.exit_code(), 69);
}
