//! A real S3 server (the stand-in's) behind a fault proxy: what is broken is the network, as experiments break it.

use std::net::SocketAddr;

use serde_json::{Value, json};
use stack::standin::{s3, toxiproxy};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::PATIENCE;
use super::service::Service;

/// The store and the proxy before it. Both stop with it.
pub(crate) struct FaultyStore {
    /// Where the proxy accepts: the store's address as the service knows it.
    pub(crate) address: SocketAddr,
    credentials: s3::Credentials,
    /// The proxy in the fault proxy's API.
    proxy: String,
    client: reqwest::Client,
    _folder: TempDir,
    _stop: DropGuard,
}

impl FaultyStore {
    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let stop = CancellationToken::new();
        let (objects, upstream) = listen().await;
        let (path, credentials) = (folder.path().to_owned(), s3::Credentials::random());
        let (owner, stopped) = (credentials.clone(), stop.clone());
        tokio::spawn(async move { s3::serve(objects, &path, owner, stopped).await });
        let (api, api_address) = listen().await;
        tokio::spawn(toxiproxy::serve(api, stop.clone()));

        let client = reqwest::Client::builder()
            .no_proxy()
            .timeout(PATIENCE)
            .build()
            .expect("a client");
        let proxies = format!("http://{api_address}/proxies");
        let proxy = json!({ "name": "store", "listen": "127.0.0.1:0", "upstream": upstream });
        let made = client.post(&proxies).json(&proxy).send().await;
        let made: Value = made.expect("an answer").json().await.expect("a proxy");
        let address = made["listen"].as_str().and_then(|text| text.parse().ok());
        Self {
            address: address.expect("an address"),
            credentials,
            proxy: format!("{proxies}/store"),
            client,
            _folder: folder,
            _stop: stop.drop_guard(),
        }
    }

    /// A service that reaches its store through the proxy.
    pub(crate) async fn service(&self, settings: &[(&str, &str)]) -> Service {
        let endpoint = format!("http://{}", self.address);
        let bucket = format!("s3://{}", s3::BUCKET);
        let own = [
            ("CHITRAM_STORE_URL", bucket.as_str()),
            ("CHITRAM_STORE_ENDPOINT", &endpoint),
            ("CHITRAM_STORE_ACCESS_KEY", &self.credentials.access_key),
            ("CHITRAM_STORE_SECRET_KEY", &self.credentials.secret_key),
        ];
        Service::start(&[&own, settings].concat()).await
    }

    /// Injects a fault into what comes from the store, such as `latency` with `{"latency": 400}`.
    pub(crate) async fn inject(&self, kind: &str, attributes: Value) {
        let toxic = json!({ "name": "fault", "type": kind, "attributes": attributes });
        let request = self.client.post(format!("{}/toxics", self.proxy));
        let answer = request.json(&toxic).send().await.expect("an answer");
        assert!(answer.status().is_success(), "{}", answer.status());
    }

    /// Takes the fault back.
    pub(crate) async fn lift(&self) {
        let request = self.client.delete(format!("{}/toxics/fault", self.proxy));
        let answer = request.send().await.expect("an answer");
        assert!(answer.status().is_success(), "{}", answer.status());
    }

    /// Switches the proxy: disabled, it closes its connections and refuses new ones.
    pub(crate) async fn set_enabled(&self, enabled: bool) {
        let request = self.client.post(&self.proxy);
        let body = json!({ "enabled": enabled });
        let answer = request.json(&body).send().await.expect("an answer");
        assert!(answer.status().is_success(), "{}", answer.status());
    }
}

async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    (listener, address)
}
