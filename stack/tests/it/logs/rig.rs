//! A producer of numbered lines, rsyslog between, and questions to Elasticsearch.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::time::{Duration, SystemTime};

use rustix::process::Signal;
use serde_json::{Value, json};
use stack::process::Child;
use stack::server::elasticsearch::index::{self, STREAM};
use stack::server::elasticsearch::{self, Elasticsearch};
use stack::server::rsyslog::statistics::{self, Statistics};
use stack::server::rsyslog::{self, Rsyslog, Shipment};
use stack::server::{Launch, Source, require};
use stack::{net, wait};
use tempfile::TempDir;
use tokio::sync::Mutex;

/// For what takes a Java to start, and for thousands of lines, on a loaded machine. Nothing waits this long unless it fails.
pub(crate) const DEADLINE: Duration = Duration::from_mins(3);

/// An Elasticsearch of this test's own, with the shipped template; `None` when this machine has none or no rsyslog.
pub(crate) async fn own_elasticsearch() -> Option<Elasticsearch> {
    require(rsyslog::find())?;
    let found = require(elasticsearch::find())?;
    let server = elasticsearch::start(&found, &Launch::for_test().unwrap())
        .await
        .unwrap();
    index::install(&server.url, index::TEMPLATE).await.unwrap();
    Some(server)
}

/// One for all tests that run at the same time, which only add lines under a node name of their own. The last one that
/// lets it go stops it.
pub(crate) async fn shared_elasticsearch() -> Option<Arc<Elasticsearch>> {
    static SHARED: Mutex<Weak<Elasticsearch>> = Mutex::const_new(Weak::new());
    let mut shared = SHARED.lock().await;
    if let Some(server) = shared.upgrade() {
        return Some(server);
    }
    let server = Arc::new(own_elasticsearch().await?);
    *shared = Arc::downgrade(&server);
    Some(server)
}

/// A program that logs numbered lines to a file which can be rotated below it.
pub(crate) struct Producer {
    /// Its `service.node.name`, which nobody else has.
    pub(crate) node: String,
    /// The last number that was written.
    pub(crate) last: u64,
    path: PathBuf,
    file: File,
}

impl Producer {
    pub(crate) fn new(path: &Path) -> Self {
        Self {
            node: format!("node-{:032x}", rand::random::<u128>()),
            last: 0,
            path: path.to_owned(),
            file: open(path),
        }
    }

    /// The next line's fields, to be changed or written as they are.
    pub(crate) fn next(&mut self) -> Value {
        self.last += 1;
        json!({
            "@timestamp": "2026-01-02T03:04:05.678901Z",
            "log.level": "info",
            "message": "request",
            "ecs.version": "8.11.0",
            "service.name": "producer",
            "service.node.name": self.node,
            "event.dataset": "producer",
            "event.sequence": self.last,
            "event.duration": 1_000_000 + self.last,
            "http.response.status_code": 200,
            "url.path": format!("/v1/images/{}", self.last),
        })
    }

    /// Bytes as they are, with a line end.
    pub(crate) fn write(&mut self, line: &[u8]) {
        // One write, as a log has it: a line is not torn by the reader.
        self.file.write_all(&[line, b"\n"].concat()).unwrap();
    }

    pub(crate) fn lines(&mut self, count: usize) {
        for _ in 0..count {
            let line = self.next().to_string();
            self.write(line.as_bytes());
        }
    }

    /// Renames the file; lines go on into it until [`Producer::reopen`].
    pub(crate) fn rotate_away(&self, suffix: &str) {
        let mut rotated = self.path.clone().into_os_string();
        rotated.push(suffix);
        std::fs::rename(&self.path, rotated).unwrap();
    }

    pub(crate) fn reopen(&mut self) {
        self.file = open(&self.path);
    }
}

fn open(path: &Path) -> File {
    OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .unwrap()
}

/// An rsyslog that ships one file, restarted as often as a test likes.
pub(crate) struct Shipper {
    rsyslog: Option<Rsyslog>,
    program: PathBuf,
    shipment: Shipment,
    launch: Launch,
    folder: TempDir,
}

impl Shipper {
    /// Ships [`Shipper::log`] to an address.
    pub(crate) async fn start(elasticsearch: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("service.log*");
        Self::with(elasticsearch, &log, folder).await
    }

    /// Ships the same file as `other` once more, from its beginning.
    pub(crate) async fn again(elasticsearch: &str, other: &Self) -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self::with(elasticsearch, &other.shipment.logs, folder).await
    }

    async fn with(elasticsearch: &str, logs: &Path, folder: TempDir) -> Self {
        let Some(Source::Program(program)) = rsyslog::find().found.map(|found| found.source) else {
            panic!("required before")
        };
        let shipment = Shipment {
            logs: logs.to_owned(),
            elasticsearch: elasticsearch.to_owned(),
            state: folder.path().join("state"),
        };
        let launch = Launch {
            logs: Some(folder.path().to_owned()),
            ..Launch::for_test().unwrap()
        };
        let mut shipper = Self {
            rsyslog: None,
            program,
            shipment,
            launch,
            folder,
        };
        shipper.restart().await;
        shipper
    }

    /// The file that is shipped.
    pub(crate) fn log(&self) -> PathBuf {
        self.folder.path().join("service.log")
    }

    pub(crate) fn shipment(&self) -> &Shipment {
        &self.shipment
    }

    /// Ends it as a crash does.
    pub(crate) async fn kill(&mut self) {
        let rsyslog = self.rsyslog.take().unwrap();
        let child: &Child = rsyslog.running.child();
        child.signal(Signal::KILL);
        child.wait().await;
    }

    /// Starts it where the last one ended.
    pub(crate) async fn restart(&mut self) {
        self.rsyslog = None;
        let started = rsyslog::start(&self.program, &self.shipment, &self.launch).await;
        self.rsyslog = Some(started.unwrap());
    }

    /// What it counts, as soon as it has counted what happened until now.
    pub(crate) async fn statistics(&self) -> Statistics {
        let asked = SystemTime::now();
        let file = self.shipment.files().statistics;
        let fresh = async || {
            let written = file.metadata().ok()?.modified().ok()?;
            (written > asked).then(|| statistics::read(&file))?
        };
        let read = wait::until(DEADLINE, fresh).await;
        read.unwrap_or_else(|| panic!("no statistics\n{}", self.said()))
    }

    /// Waits until nothing is on its way any more.
    pub(crate) async fn settled(&self) -> Statistics {
        // The queue's line may have been written before the newest one: after these, all are newer than the question.
        self.statistics().await;
        let empty = async || Some(self.statistics().await).filter(|now| now.queue == 0);
        let settled = wait::until(DEADLINE, empty).await;
        settled.unwrap_or_else(|| panic!("its queue does not empty\n{}", self.said()))
    }

    /// The program's own messages, for a test that fails.
    pub(crate) fn said(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("rsyslog.log")).unwrap_or_default()
    }

    /// Waits until the producer's lines are there, and nothing is on its way; then each must be there once.
    pub(crate) async fn assert_each_once(&self, elasticsearch: &str, producer: &Producer) {
        let all = producer.last;
        let arrived = async || (count_of(elasticsearch, producer).await >= Some(all)).then_some(());
        if wait::until(DEADLINE, arrived).await.is_none() {
            let there = count_of(elasticsearch, producer).await;
            panic!("{there:?} of {all} lines are there\n{}", self.said());
        }
        self.settled().await;
        assert_eq!(count_of(elasticsearch, producer).await, Some(all));
        let expected: Vec<u64> = (1..=all).collect();
        assert_eq!(sequences(elasticsearch, producer).await, expected);
    }
}

/// All of a producer's lines.
pub(crate) fn of(producer: &Producer) -> Value {
    json!({"term": {"service.node.name": producer.node}})
}

/// How many of a producer's lines are there; `None` when Elasticsearch does not answer.
pub(crate) async fn count_of(elasticsearch: &str, producer: &Producer) -> Option<u64> {
    count(elasticsearch, &of(producer)).await
}

/// How many documents match, by its count API, after a refresh.
pub(crate) async fn count(elasticsearch: &str, query: &Value) -> Option<u64> {
    ask(elasticsearch, "_refresh", &json!(null)).await?;
    let answer = ask(elasticsearch, "_count", &json!({"query": query})).await?;
    answer["count"].as_u64()
}

/// The sources that match, at most 10,000, after a refresh, sorted by sequence where there is one.
pub(crate) async fn sources(elasticsearch: &str, query: &Value) -> Vec<Value> {
    ask(elasticsearch, "_refresh", &json!(null)).await.unwrap();
    let search = json!({"query": query, "size": 10_000, "sort": ["event.sequence"]});
    let answer = ask(elasticsearch, "_search", &search).await.unwrap();
    assert_eq!(answer["timed_out"], false, "{answer}");
    let hits = answer["hits"]["hits"].as_array().unwrap().iter();
    hits.map(|hit| hit["_source"].clone()).collect()
}

async fn sequences(elasticsearch: &str, producer: &Producer) -> Vec<u64> {
    let sources = sources(elasticsearch, &of(producer)).await;
    let number = |source: &Value| source["event.sequence"].as_u64().unwrap();
    sources.iter().map(number).collect()
}

/// Waits until so many documents match.
pub(crate) async fn eventually(elasticsearch: &str, query: &Value, expected: u64) {
    let there = async || (count(elasticsearch, query).await == Some(expected)).then_some(());
    if wait::until(DEADLINE, there).await.is_none() {
        let last = count(elasticsearch, query).await;
        panic!("{last:?} documents match {query}, not {expected}");
    }
}

/// POSTs to the stream, which the first line makes; `None` when it is not there, or nobody answers.
pub(crate) async fn ask(elasticsearch: &str, what: &str, body: &Value) -> Option<Value> {
    let url = format!("{elasticsearch}/{STREAM}/{what}");
    let mut request = net::http().unwrap().post(url).timeout(DEADLINE);
    if !body.is_null() {
        request = request.json(body);
    }
    let answer = request.send().await.ok()?;
    if !answer.status().is_success() {
        return None;
    }
    answer.json().await.ok()
}

/// The mapping of the stream's newest index, as dotted names of fields.
pub(crate) async fn mapped_fields(elasticsearch: &str) -> Vec<String> {
    let url = format!("{elasticsearch}/{STREAM}/_mapping");
    let answer = net::http().unwrap().get(url).send().await.unwrap();
    let indices: serde_json::Map<String, Value> = answer.json().await.unwrap();
    let newest = indices
        .iter()
        .max_by_key(|(name, _)| (*name).clone())
        .unwrap()
        .1;
    let mut fields = Vec::new();
    flatten("", &newest["mappings"]["properties"], &mut fields);
    fields
}

fn flatten(prefix: &str, properties: &Value, fields: &mut Vec<String>) {
    for (name, field) in properties.as_object().into_iter().flatten() {
        let name = format!("{prefix}{name}");
        if field["type"].is_string() {
            fields.push(name.clone());
        }
        flatten(&format!("{name}."), &field["properties"], fields);
    }
}
