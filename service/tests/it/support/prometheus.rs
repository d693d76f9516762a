//! A real Prometheus 3 that scrapes one process.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde_json::Value;
use stack::process::Spec;
use stack::server::{self, Launch, Running, Source, answers_ok, prometheus, start_on_ports};

use super::{PATIENCE, until};

/// A running server, ended with the test.
pub(crate) struct Prometheus {
    url: String,
    client: reqwest::Client,
    /// Held for its drop.
    _running: Running,
}

/// The program, or a line that says what the test needs.
pub(crate) fn find() -> Option<PathBuf> {
    match server::require(prometheus::find())?.source {
        Source::Program(program) => Some(program),
        Source::Url(_) => {
            eprintln!("not run: needs a Prometheus of its own, not one given by its URL");
            None
        }
    }
}

impl Prometheus {
    /// Starts one with these features that scrapes this address each second.
    pub(crate) async fn start(program: &Path, features: &str, target: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let home = folder.path().to_owned();
        let configuration = format!(
            "global:\n  scrape_interval: 1s\nscrape_configs:\n  - job_name: chitram\n    static_configs:\n      - targets: ['{target}']\n"
        );
        std::fs::write(home.join("prometheus.yml"), configuration).expect("written");
        // The binary may be built without its pages.
        let pages = home.join("static/mantine-ui");
        std::fs::create_dir_all(&pages).expect("made");
        std::fs::write(pages.join("index.html"), "").expect("written");
        let spec = |ports: &[u16], log: &Path| {
            let mut spec = Spec::new("prometheus", program, log).args([
                "--config.file=prometheus.yml".to_owned(),
                "--storage.tsdb.path=data".to_owned(),
                format!("--web.listen-address=127.0.0.1:{}", ports[0]),
                format!("--enable-feature={features}"),
            ]);
            spec.folder = Some(home.clone());
            Ok(spec)
        };
        let ready = async |ports: &[u16]| {
            answers_ok(&format!("http://127.0.0.1:{}/-/ready", ports[0])).await
        };
        let launch = Launch::for_test().expect("a launcher");
        let started = start_on_ports(&launch, "prometheus", 1, Some(folder), spec, ready).await;
        let (running, ports) = started.expect("it starts");
        let client = reqwest::Client::builder()
            .no_proxy()
            .timeout(PATIENCE)
            .build()
            .expect("a client");
        let prometheus = Self {
            url: format!("http://127.0.0.1:{}", ports[0]),
            client,
            _running: running,
        };
        until("the process is scraped", async || {
            prometheus.value("up{job='chitram'}").await == Some(1.0)
        })
        .await;
        prometheus
    }

    /// The data of an answer; `None` while the server does not answer yet.
    pub(crate) async fn ask(&self, path: &str, parameters: &[(&str, &str)]) -> Option<Value> {
        let url = reqwest::Url::parse_with_params(&format!("{}{path}", self.url), parameters);
        let answer = self.client.get(url.expect("a URL")).send().await.ok()?;
        let mut answer: Value = answer.json().await.ok()?;
        Some(answer["data"].take())
    }

    /// The value of the only series of an instant query.
    pub(crate) async fn value(&self, query: &str) -> Option<f64> {
        let data = self.ask("/api/v1/query", &[("query", query)]).await?;
        data["result"][0]["value"][1].as_str()?.parse().ok()
    }

    /// The stored samples of the only series of a range selector, the first one first.
    pub(crate) async fn samples(&self, selector: &str) -> Vec<f64> {
        let data = self.ask("/api/v1/query", &[("query", selector)]).await;
        let values = data.map(|mut data| data["result"][0]["values"].take());
        let values = values.as_ref().and_then(Value::as_array);
        values
            .into_iter()
            .flatten()
            .filter_map(|sample| sample[1].as_str()?.parse().ok())
            .collect()
    }

    /// The trace ids of a selector's exemplars.
    pub(crate) async fn exemplars(&self, selector: &str) -> Vec<String> {
        let now = SystemTime::UNIX_EPOCH.elapsed().expect("after 1970");
        let now = now.as_secs();
        let (start, end) = ((now - 600).to_string(), (now + 60).to_string());
        let parameters = [
            ("query", selector),
            ("start", start.as_str()),
            ("end", end.as_str()),
        ];
        let data = self.ask("/api/v1/query_exemplars", &parameters).await;
        let series = data.as_ref().and_then(Value::as_array);
        series
            .into_iter()
            .flatten()
            .filter_map(|series| series["exemplars"].as_array())
            .flatten()
            .filter_map(|exemplar| exemplar["labels"]["trace_id"].as_str().map(str::to_owned))
            .collect()
    }
}
