//! The program, a board without a mistake, and a Prometheus with known data.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};
pub(crate) use stack::server::prometheus::Prometheus;
use stack::server::{Launch, Source, prometheus, require};

/// Runs `chitram-proof boards` with these arguments.
pub(crate) fn boards(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_chitram-proof"))
        .arg("boards")
        .args(arguments)
        .output()
        .unwrap()
}

/// The JSON of a run that ended with this code.
pub(crate) fn report(arguments: &[&str], code: i32) -> Value {
    let mut all = arguments.to_vec();
    all.extend(["--output", "json"]);
    let output = boards(&all);
    let (stdout, stderr) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert_eq!(output.status.code(), Some(code), "{stdout}{stderr}");
    serde_json::from_str(&stdout).unwrap()
}

/// The codes of the findings, each once, in alphabetical order.
pub(crate) fn codes(report: &Value) -> Vec<String> {
    let findings = report["findings"].as_array().unwrap();
    let mut codes: Vec<String> = findings
        .iter()
        .map(|finding| finding["code"].as_str().unwrap().to_owned())
        .collect();
    codes.sort();
    codes.dedup();
    codes
}

/// A folder with boards and other files.
pub(crate) struct Folder(tempfile::TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// Adds a board in canonical form.
    pub(crate) fn board(&self, name: &str, board: &Value) {
        let text = proof::boards::format::canonical(&board.to_string()).unwrap();
        self.file(name, &text);
    }

    pub(crate) fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    pub(crate) fn path(&self) -> &str {
        self.0.path().to_str().unwrap()
    }

    pub(crate) fn path_of(&self, name: &str) -> String {
        self.0.path().join(name).to_str().unwrap().to_owned()
    }
}

/// A board on which nothing is wrong, with one panel that runs this query.
pub(crate) fn board(expr: &str) -> Value {
    json!({
        "uid": "clean",
        "title": "Clean",
        "tags": ["test"],
        "schemaVersion": 39,
        "templating": {"list": [
            {"name": "datasource", "type": "datasource", "query": "prometheus"},
            {
                "name": "instance", "type": "query", "multi": true, "includeAll": true,
                "allValue": ".+", "refresh": 2,
                "datasource": {"type": "prometheus", "uid": "${datasource}"},
                "query": {"query": "label_values(http_requests_total, instance)", "refId": "V"}
            }
        ]},
        "panels": [{
            "id": 1,
            "type": "timeseries",
            "title": "Requests",
            "description": "Requests a second. It should follow the load.",
            "datasource": {"type": "prometheus", "uid": "${datasource}"},
            "gridPos": {"h": 8, "w": 12, "x": 0, "y": 0},
            "fieldConfig": {"defaults": {"unit": "reqps", "custom": {"spanNulls": false}}},
            "targets": [{"refId": "A", "expr": expr, "legendFormat": "now"}]
        }]
    })
}

/// A query on which nothing is wrong; it uses the board's variable.
pub(crate) const CLEAN: &str =
    r#"sum(rate(http_requests_total{job="api", instance=~"$instance"}[$__rate_interval]))"#;

/// What the programs of the tests declare.
pub(crate) fn declared() -> Value {
    let target = |values: &[&str]| json!({"name": "code", "values": values});
    json!({"program": "api", "spans": [], "log_fields": [], "metrics": [
        {"name": "http_requests_total", "kind": "counter", "unit": "requests", "help": "",
         "labels": [target(&["200", "500", "503"]), {"name": "route", "values": null}]},
        {"name": "http_request_duration_seconds", "kind": "histogram", "unit": "s", "help": "",
         "labels": [], "buckets": [0.1, 0.5, 1.0]},
        {"name": "in_flight", "kind": "gauge", "unit": "requests", "help": "", "labels": []},
    ]})
}

/// The first moment of the data, Unix seconds.
pub(crate) const BEGIN: u32 = 1_700_000_000;
/// The last.
pub(crate) const END: u32 = BEGIN + 900;
/// Between two samples.
pub(crate) const SCRAPE: u32 = 5;
/// When load begins and ends.
pub(crate) const LOAD: (u32, u32) = (BEGIN + 200, BEGIN + 700);

/// A Prometheus that has the data of [`exposition`], or `None` with a line that says what is missing.
pub(crate) fn prometheus() -> Option<Prometheus> {
    let (server, tool) = (
        require(prometheus::find())?.source,
        require(prometheus::find_promtool())?.source,
    );
    let (Source::Program(server), Source::Program(tool)) = (server, tool) else {
        eprintln!("not run: needs a Prometheus of its own, not one given by its URL");
        return None;
    };
    Some(start(&server, &tool))
}

fn start(server: &Path, tool: &Path) -> Prometheus {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let text = folder.path().join("data.om");
    fs::write(&text, exposition()).unwrap();
    let made = Command::new(tool)
        .args(["tsdb", "create-blocks-from", "openmetrics"])
        .args([&text, &data])
        .output()
        .unwrap();
    assert!(
        made.status.success(),
        "{}",
        String::from_utf8_lossy(&made.stderr)
    );
    let launch = Launch::for_test().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let started = prometheus::start_over(server, &launch, folder);
    runtime.block_on(started).unwrap()
}

/// A family: name, kind, and of each series the rest of its name and the value after so many turns of the load.
type Family = (
    &'static str,
    &'static str,
    &'static [(&'static str, fn(f64) -> f64)],
);

const FAMILIES: &[Family] = &[
    (
        "http_requests",
        "counter",
        &[
            (
                r#"_total{job="api",instance="a:1",route="/x",code="200"}"#,
                |n| n * 9.0,
            ),
            (
                r#"_total{job="api",instance="a:1",route="/x",code="500"}"#,
                |n| n,
            ),
        ],
    ),
    (
        "http_request_duration_seconds",
        "histogram",
        &[
            (r#"_bucket{job="api",instance="a:1",le="0.1"}"#, |n| n * 8.0),
            (r#"_bucket{job="api",instance="a:1",le="0.5"}"#, |n| n * 9.5),
            (r#"_bucket{job="api",instance="a:1",le="1.0"}"#, |n| {
                n * 10.0
            }),
            (r#"_bucket{job="api",instance="a:1",le="+Inf"}"#, |n| {
                n * 10.0
            }),
            (r#"_count{job="api",instance="a:1"}"#, |n| n * 10.0),
            (r#"_sum{job="api",instance="a:1"}"#, |n| n),
        ],
    ),
    (
        "in_flight",
        "gauge",
        &[(r#"{job="api",instance="a:1"}"#, |_| 3.0)],
    ),
    (
        "idle",
        "counter",
        &[(r#"_total{job="api",instance="a:1"}"#, |_| 0.0)],
    ),
    (
        "early",
        "counter",
        &[(r#"_total{job="api",instance="a:1"}"#, |n| n)],
    ),
    (
        "told",
        "counter",
        &[
            (r#"_total{job="api",instance="a:1"}"#, |n| n),
            (r#"_total{job="sidecar",instance="a:2"}"#, |n| n),
        ],
    ),
    (
        "mixed_seconds",
        "histogram",
        &[
            (r#"_bucket{job="api",instance="a:1",le="1.0"}"#, |n| n),
            (r#"_bucket{job="api",instance="a:1",le="+Inf"}"#, |n| n),
            (r#"_bucket{job="api",instance="a:2",le="2.0"}"#, |n| n),
            (r#"_bucket{job="api",instance="a:2",le="+Inf"}"#, |n| n),
        ],
    ),
];

/// Ten requests of which one fails, each five seconds of the load; none before and after. The series of `early` end when the
/// load begins.
fn exposition() -> String {
    use std::fmt::Write as _;
    let mut text = String::new();
    for (family, kind, series) in FAMILIES {
        let _ = writeln!(text, "# TYPE {family} {kind}");
        for (name, value) in *series {
            let end = if *family == "early" { LOAD.0 } else { END };
            for at in (BEGIN..=end).step_by(SCRAPE as usize) {
                let turns = at.clamp(LOAD.0, LOAD.1) - LOAD.0;
                let turns = f64::from(turns / SCRAPE);
                let _ = writeln!(text, "{family}{name} {} {at}", value(turns));
            }
        }
    }
    text + "# EOF\n"
}
