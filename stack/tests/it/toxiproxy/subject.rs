//! The fault proxy under test, and its API as the suite uses it.

use std::{future::Future, io, net::SocketAddr, time::Duration};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use stack::{
    net::{self, loopback},
    server::{self, Found, Launch, Source},
    standin,
};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::{CancellationToken, DropGuard};

/// How long one test may take on a loaded machine before it counts as hung.
const DEADLINE: Duration = Duration::from_secs(90);

/// Fails a test that hangs.
pub(crate) async fn run(test: impl Future<Output = ()>) {
    tokio::time::timeout(DEADLINE, test)
        .await
        .expect("the test hangs");
}

/// A fault proxy of the test's own, stopped with it.
pub(crate) struct Subject {
    pub(crate) url: String,
    running: Keep,
}

enum Keep {
    StandIn {
        shutdown: DropGuard,
        serving: JoinHandle<io::Result<()>>,
    },
    Real {
        _server: Box<server::toxiproxy::Toxiproxy>,
    },
}

/// What the API answered.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    /// The body, read as JSON whatever its content type; null if it is empty.
    pub(crate) fn json(&self) -> Value {
        if self.text.is_empty() {
            Value::Null
        } else {
            serde_json::from_str(&self.text).unwrap()
        }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        Some(self.headers.get(name)?.to_str().unwrap())
    }
}

impl Subject {
    pub(crate) async fn stand_in() -> Self {
        let listener = TcpListener::bind(loopback(0)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let shutdown = CancellationToken::new();
        let serving = tokio::spawn(standin::toxiproxy::serve(listener, shutdown.clone()));
        Self {
            url,
            running: Keep::StandIn {
                shutdown: shutdown.drop_guard(),
                serving,
            },
        }
    }

    /// The real server, started for this test even where a URL names one: the suite resets all that a server has.
    pub(crate) async fn real() -> Option<Self> {
        let mut backend = server::toxiproxy::find();
        if let Some(Found {
            source: source @ Source::Url(_),
            ..
        }) = &mut backend.found
        {
            *source = Source::Program(server::find::on_path_or_cached("toxiproxy-server")?);
        }
        let found = server::require(backend)?;
        let server = server::toxiproxy::start(&found, &Launch::for_test().unwrap())
            .await
            .unwrap();
        Some(Self {
            url: server.url.clone(),
            running: Keep::Real {
                _server: Box::new(server),
            },
        })
    }

    /// Shuts the stand-in down in order.
    pub(crate) async fn shut_down(self) {
        if let Keep::StandIn { shutdown, serving } = self.running {
            drop(shutdown);
            serving.await.unwrap().unwrap();
        }
    }

    pub(crate) async fn send(&self, request: reqwest::RequestBuilder) -> Answer {
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        Answer {
            status,
            headers,
            text: response.text().await.unwrap(),
        }
    }

    /// A request of the suite's own making.
    pub(crate) fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        net::http()
            .unwrap()
            .request(method, format!("{}{path}", self.url))
            .timeout(DEADLINE)
    }

    /// `call("POST /reset", "")`.
    pub(crate) async fn call(&self, request: &str, body: impl ToString) -> Answer {
        let (method, path) = request.split_once(' ').unwrap();
        self.send(
            self.request(method.parse().unwrap(), path)
                .body(body.to_string()),
        )
        .await
    }

    /// A call that has to succeed.
    pub(crate) async fn ok(&self, request: &str, body: impl ToString) -> Value {
        let answer = self.call(request, body).await;
        assert!(
            answer.status.is_success(),
            "{request}: {} {}",
            answer.status,
            answer.text
        );
        answer.json()
    }

    /// Creates the proxy `p` in front of `upstream`, and tells where it listens.
    pub(crate) async fn proxy(&self, upstream: SocketAddr) -> SocketAddr {
        let body = json!({"name": "p", "listen": "127.0.0.1:0", "upstream": upstream});
        let proxy = self.ok("POST /proxies", body).await;
        proxy["listen"].as_str().unwrap().parse().unwrap()
    }

    /// Adds a toxic to the proxy `p`.
    pub(crate) async fn toxic(&self, kind: &str, stream: &str, attributes: Value) {
        let body = json!({"type": kind, "stream": stream, "attributes": attributes});
        self.ok("POST /proxies/p/toxics", body).await;
    }
}
