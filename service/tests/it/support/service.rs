//! A service of a test: its own folders, ports and registry, stopped and removed with the test.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use observability::Registry;
use observability::testing::{self, Scrape};
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde_json::Value;
use service::api;
use service::app::{App, Listeners, Role};
use service::config::{Config, Sources};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::PATIENCE;

/// A running service.
pub(crate) struct Service {
    pub(crate) address: SocketAddr,
    admin: SocketAddr,
    client: reqwest::Client,
    folder: TempDir,
    stop: CancellationToken,
    running: JoinHandle<std::io::Result<()>>,
}

impl Service {
    /// Starts a service on SQLite and a folder, with these settings besides.
    pub(crate) async fn start(settings: &[(&str, &str)]) -> Self {
        Self::start_as(Role::Api, settings).await
    }

    pub(crate) async fn start_as(role: Role, settings: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let place = |name: &str| folder.path().join(name).display().to_string();
        let defaults = [
            ("CHITRAM_LISTEN", "127.0.0.1:0".to_owned()),
            ("CHITRAM_ADMIN_LISTEN", "127.0.0.1:0".to_owned()),
            (
                "CHITRAM_CATALOG_URL",
                format!("sqlite://{}", place("catalog.db")),
            ),
            ("CHITRAM_STORE_URL", format!("file:{}", place("objects"))),
            ("CHITRAM_SPOOL_DIR", place("spool")),
            ("CHITRAM_CPU_THREADS", "2".to_owned()),
        ];
        let defaults = defaults.map(|(name, value)| (name.to_owned(), value));
        let settings = settings
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let mut sources = Sources::new(defaults.into_iter().chain(settings));
        let config = Config::load(&mut sources).expect("valid settings");

        let api = TcpListener::bind(config.http.listen).await.expect("a port");
        let admin = TcpListener::bind(config.admin.listen)
            .await
            .expect("a port");
        let (address, admin_address) = (
            api.local_addr().expect("bound"),
            admin.local_addr().expect("bound"),
        );
        let registry = Registry::new(&testing::service());
        let app = App::build(&config, role, registry)
            .await
            .expect("a service");
        let stop = CancellationToken::new();
        let listeners = Listeners {
            api: role.serves().then_some(api),
            admin,
        };
        let running = tokio::spawn(app.run(listeners, stop.clone()));
        let client = reqwest::Client::builder()
            .no_proxy()
            .timeout(PATIENCE)
            .build()
            .expect("a client");
        Self {
            address,
            admin: admin_address,
            client,
            folder,
            stop,
            running,
        }
    }

    /// Stops it and waits for its end.
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        let end = tokio::time::timeout(PATIENCE, self.running)
            .await
            .expect("it stops");
        end.expect("no panic").expect("no error");
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn admin_address(&self) -> SocketAddr {
        self.admin
    }

    /// A request of the API.
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client
            .request(method, format!("http://{}{path}", self.address))
    }

    pub(crate) fn get(&self, path: &str) -> RequestBuilder {
        self.request(Method::GET, path)
    }

    /// Uploads a picture as a raw body.
    pub(crate) async fn upload(&self, picture: Vec<u8>) -> Answer {
        let request = self
            .request(Method::POST, "/v1/images")
            .header("content-type", "image/png")
            .body(picture);
        send(request).await
    }

    /// Uploads a picture that has to be taken; answers its JSON.
    pub(crate) async fn uploaded(&self, picture: Vec<u8>) -> Value {
        let answer = self.upload(picture).await;
        assert_eq!(answer.status, 201, "{}", answer.text());
        answer.json()
    }

    /// The answer of the admin listener.
    pub(crate) async fn admin(&self, path: &str) -> Answer {
        send(self.client.get(format!("http://{}{path}", self.admin))).await
    }

    /// The page of metrics as Prometheus asks for it.
    pub(crate) async fn openmetrics(&self) -> String {
        let request = self.client.get(format!("http://{}/metrics", self.admin));
        let accept = "application/openmetrics-text; version=1.0.0";
        send(request.header("accept", accept)).await.text()
    }

    /// The metrics now.
    pub(crate) async fn metrics(&self) -> Scrape {
        Scrape::parse(&self.admin("/metrics").await.text())
    }

    /// As [`Self::metric`], for what is counted in whole numbers.
    pub(crate) async fn count(&self, name: &str, labels: &[(&str, &str)]) -> u64 {
        self.metric(name, labels).await as u64
    }

    /// One value of the metrics now; 0 when there is no such series.
    pub(crate) async fn metric(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.metrics().await.value(name, labels).unwrap_or_default()
    }
}

/// A whole answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) body: Vec<u8>,
    pub(crate) took: Duration,
}

impl Answer {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().expect("text"))
    }

    /// Checks that this is a problem document of this kind, with everything such a document has.
    #[track_caller]
    pub(crate) fn assert_problem(&self, status: u16, kind: &str) {
        assert_eq!(self.status, status, "{}", self.text());
        assert_eq!(self.header("content-type"), "application/problem+json");
        let document = self.json();
        assert_eq!(document["type"], format!("urn:chitram:problem:{kind}"));
        assert_eq!(document["status"], status);
        assert_eq!(
            document["trace_id"].as_str().map(str::len),
            Some(32),
            "{document}"
        );
        assert!(
            document["title"].is_string() && document["detail"].is_string(),
            "{document}"
        );
    }
}

/// Sends a request of which an answer is expected. Its status has to be one that the route table declares.
pub(crate) async fn send(request: RequestBuilder) -> Answer {
    let (client, request) = request.build_split();
    let request = request.expect("a request");
    let (method, path) = (request.method().clone(), request.url().path().to_owned());
    let began = std::time::Instant::now();
    let response: Response = client.execute(request).await.expect("an answer");
    let (status, headers) = (response.status(), response.headers().clone());
    assert_declared(&method, &path, status);
    let body = response.bytes().await.expect("a body").to_vec();
    Answer {
        status,
        headers,
        body,
        took: began.elapsed(),
    }
}

#[track_caller]
fn assert_declared(method: &Method, path: &str, status: StatusCode) {
    let fits = |template: &str| {
        let (mut wanted, mut given) = (template.split('/'), path.split('/'));
        let same = wanted
            .by_ref()
            .zip(given.by_ref())
            .all(|(wanted, given)| wanted.starts_with('{') || wanted == given);
        same && template.split('/').count() == path.split('/').count()
    };
    let table = api::table();
    if let Some(route) = table
        .iter()
        .find(|route| route.method == *method && fits(route.route))
    {
        assert!(
            route.statuses.contains(&status.as_u16()),
            "{method} {path} answered {status}, which is not declared"
        );
    }
}
