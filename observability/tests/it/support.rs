//! A server in the test's own runtime, a plain HTTP client, and a process of its own for what is process-wide.

use std::net::SocketAddr;
use std::process::{Output, Stdio};
use std::time::Duration;

use axum::Router;
use axum::http::Method;
use observability::http::RouteSpec;
use observability::server::{self, Limits};
use observability::testing::{self, Scrape};
use observability::{Declarations, Registry};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

/// Every series of this text is declared.
pub(crate) fn assert_declared(text: &str) {
    let declared = Declarations::new("test").log().traces().http(&[]);
    let strange = testing::undeclared_series(&declared, &Scrape::parse(text));
    assert!(strange.is_empty(), "{strange:?}");
}

/// Nothing in these tests takes this long unless it is broken.
pub(crate) const DEADLINE: Duration = Duration::from_mins(1);

pub(crate) const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
pub(crate) const TRACEPARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

pub(crate) fn registry() -> Registry {
    Registry::new(&testing::service())
}

pub(crate) fn scrape(registry: &Registry) -> Scrape {
    Scrape::parse(&registry.render())
}

pub(crate) const fn get(route: &'static str, statuses: &'static [u16]) -> RouteSpec {
    RouteSpec {
        method: Method::GET,
        route,
        statuses,
    }
}

/// A running server, stopped when dropped.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) stop: CancellationToken,
    pub(crate) running: JoinHandle<std::io::Result<()>>,
    _stop_on_drop: DropGuard,
}

impl Server {
    pub(crate) async fn start(app: Router, registry: &Registry) -> Self {
        Self::with_limits(app, registry, Limits::new("api")).await
    }

    pub(crate) async fn with_limits(app: Router, registry: &Registry, limits: Limits) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let (registry, token) = (registry.clone(), stop.clone());
        let running =
            tokio::spawn(
                async move { server::serve(listener, app, limits, &registry, token).await },
            );
        Self {
            address,
            _stop_on_drop: stop.clone().drop_guard(),
            stop,
            running,
        }
    }

    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(&format!(
            "GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"
        ))
        .await
    }

    /// Sends the text of a request and reads until the server closes.
    pub(crate) async fn send(&self, request: &str) -> Answer {
        let mut stream = self.connect().await;
        stream.write_all(request.as_bytes()).await.unwrap();
        Answer(read_to_end(&mut stream).await)
    }
}

/// The text of an answer.
pub(crate) struct Answer(String);

impl Answer {
    pub(crate) fn status(&self) -> u16 {
        self.0
            .split(' ')
            .nth(1)
            .unwrap_or_else(|| panic!("no answer: {:?}", self.0))
            .parse()
            .unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let (head, _) = self.0.split_once("\r\n\r\n")?;
        head.lines()
            .skip(1)
            .filter_map(|line| line.split_once(": "))
            .find(|(key, _)| *key == name)
            .map(|(_, value)| value)
    }

    pub(crate) fn body(&self) -> &str {
        self.0.split_once("\r\n\r\n").map_or("", |(_, body)| body)
    }
}

/// Everything until the peer closes, or resets.
pub(crate) async fn read_to_end(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let read = async {
        let mut chunk = [0; 4096];
        while let Ok(count @ 1..) = stream.read(&mut chunk).await {
            bytes.extend_from_slice(&chunk[..count]);
        }
    };
    tokio::time::timeout(DEADLINE, read)
        .await
        .expect("the server neither answers nor closes");
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Waits until `condition` gives something.
pub(crate) async fn eventually<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let poll = async {
        loop {
            if let Some(value) = condition() {
                return value;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(DEADLINE, poll)
        .await
        .unwrap_or_else(|_| panic!("never came about: {what}"))
}

/// Runs the test `name` of this binary as a process of its own, where [`child_role`] gives `role`.
pub(crate) async fn child(name: &str, role: &str) -> Output {
    let run = tokio::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture", "--test-threads=1"])
        .env(ROLE, role)
        .env_remove("RUST_BACKTRACE")
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    tokio::time::timeout(2 * DEADLINE, run)
        .await
        .expect("the child process does not end")
        .unwrap()
}

/// What the child process is asked to do; `None` in the test's own process.
pub(crate) fn child_role() -> Option<String> {
    std::env::var(ROLE).ok()
}

const ROLE: &str = "OBSERVABILITY_TEST_CHILD";
