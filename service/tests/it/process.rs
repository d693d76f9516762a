//! The binary: configuration, exit codes, start and end.

use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use observability::testing::parse_lines;
use stack::standin::jaeger;
use tokio_util::sync::CancellationToken;

use crate::support::service::send;
use crate::support::{PATIENCE, pictures, until};

fn chitram(arguments: &[&str], environment: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_chitram"));
    command
        .args(arguments)
        .env_clear()
        .envs(environment.iter().copied());
    command
}

fn run(arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    chitram(arguments, environment)
        .output()
        .expect("the binary runs")
}

/// The one line that it said before it ended with this code.
#[track_caller]
fn refused(output: &Output, code: i32) -> String {
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    said
}

#[test]
fn a_setting_that_cannot_be_used_is_one_line_that_names_it() {
    for (variable, value) in [
        ("CHITRAM_LISTEN", "nowhere"),
        ("CHITRAM_ADMIN_LISTEN", "127.0.0.1"),
        ("CHITRAM_CATALOG_URL", "mysql://host/db"),
        ("CHITRAM_STORE_URL", "ftp://host"),
        ("CHITRAM_STORE_ENDPOINT", "127.0.0.1:9000"),
        ("CHITRAM_STORE_DEADLINE", "soon"),
        ("CHITRAM_STORE_BREAKER", "maybe"),
        ("CHITRAM_CPU_THREADS", "0"),
        ("CHITRAM_UPLOAD_BYTES", "many"),
        ("OTEL_TRACES_SAMPLER_ARG", "2"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector"),
    ] {
        let line = refused(&run(&["serve"], &[(variable, value)]), 64);
        assert!(line.contains(variable), "{line}");
    }
    let line = refused(&run(&["serve"], &[("CHITRAM_STORE_ACCESS_KEY", "a")]), 64);
    assert!(line.contains("CHITRAM_STORE_SECRET_KEY"), "{line}");
    let line = refused(&run(&["serve", "--listen", "nowhere"], &[]), 64);
    assert!(line.contains("--listen"), "{line}");
}

#[test]
fn it_refuses_to_listen_beyond_this_machine_and_says_why() {
    for (variable, address) in [
        ("CHITRAM_LISTEN", "0.0.0.0:0"),
        ("CHITRAM_ADMIN_LISTEN", "[::]:0"),
    ] {
        let line = refused(&run(&["serve"], &[(variable, address)]), 64);
        assert!(
            line.contains(variable) && line.contains("no API keys"),
            "{line}"
        );
    }
}

#[test]
fn a_file_with_an_unknown_key_is_refused_with_its_line() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("chitram.toml");
    let path = file.display().to_string();
    let cases = [
        (
            "[http]\nlisten = \"127.0.0.1:0\"\nlitsen = \"x\"\n",
            ":3:",
            "http.litsen",
        ),
        ("[cache]\nsize = 1\n", ":2:", "cache.size"),
        ("listen = 1\n", ":1:", "listen"),
        ("[http]\nlisten = \n", ":2:", ""),
        ("[store]\nbreaker = [1]\n", ":2:", "store.breaker"),
        ("[http]\nlisten = \"x\"\n", ":2:", "http.listen"),
    ];
    for (text, line, key) in cases {
        std::fs::write(&file, text).expect("written");
        let said = refused(&run(&["config", "--config", &path], &[]), 64);
        assert!(
            said.contains(&format!("{path}{line}")) && said.contains(key),
            "{said}"
        );
    }
    let said = refused(
        &run(&["config", "--config", "/nowhere/chitram.toml"], &[]),
        64,
    );
    assert!(said.contains("/nowhere/chitram.toml"), "{said}");
}

#[test]
fn config_prints_each_value_with_its_source_and_no_secret() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("chitram.toml");
    std::fs::write(
        &file,
        "[http]\nlisten = \"127.0.0.1:1\"\nconcurrency = 7\n[jobs]\nconcurrency = 3\n",
    )
    .expect("written");
    let path = file.display().to_string();
    let environment = [
        (
            "CHITRAM_CATALOG_URL",
            "postgres://me:hunter2@127.0.0.1:5432/db",
        ),
        ("CHITRAM_STORE_ACCESS_KEY", "key"),
        ("CHITRAM_STORE_SECRET_KEY", "hunter2"),
        ("CHITRAM_REQUEST_CONCURRENCY", "9"),
    ];
    let output = run(
        &["config", "--config", &path, "--listen", "127.0.0.1:2"],
        &environment,
    );
    let said = String::from_utf8(output.stdout).expect("text");
    assert!(output.status.success());
    assert!(!said.contains("hunter2"), "{said}");
    let line = |name: &str| {
        said.lines()
            .find(|line| line.starts_with(name))
            .unwrap_or_else(|| panic!("{name}: {said}"))
    };
    for (name, value, origin) in [
        ("http.listen", "127.0.0.1:2", "(--listen)"),
        ("http.concurrency", " 9 ", "(CHITRAM_REQUEST_CONCURRENCY)"),
        ("jobs.concurrency", " 3 ", ":5)"),
        ("store.deadline", " 1s ", "(default)"),
        ("store.secret_key", "(hidden)", "(CHITRAM_STORE_SECRET_KEY)"),
        (
            "catalog.url",
            "postgres://me@127.0.0.1:5432/db",
            "(CHITRAM_CATALOG_URL)",
        ),
    ] {
        assert!(
            line(name).contains(value) && line(name).contains(origin),
            "{}",
            line(name)
        );
    }
}

#[test]
fn bad_usage_is_64_and_help_is_0() {
    assert_eq!(run(&["dance"], &[]).status.code(), Some(64));
    assert_eq!(
        run(&["serve", "--role", "king"], &[]).status.code(),
        Some(64)
    );
    assert_eq!(run(&["--help"], &[]).status.code(), Some(0));
    assert_eq!(run(&["--version"], &[]).status.code(), Some(0));
}

#[test]
fn a_port_in_use_is_69_and_named() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("bound").to_string();
    let folder = tempfile::tempdir().expect("a folder");
    let mut command = chitram(
        &["serve"],
        &[
            ("CHITRAM_LISTEN", &address),
            ("CHITRAM_ADMIN_LISTEN", "127.0.0.1:0"),
        ],
    );
    let line = refused(
        &command
            .current_dir(folder.path())
            .output()
            .expect("it runs"),
        69,
    );
    assert!(
        line.contains(&address) && line.contains("CHITRAM_LISTEN"),
        "{line}"
    );
}

/// A child that is killed with the test, whatever becomes of it.
pub(crate) struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Running {
    /// Starts a service in this folder, on the two addresses answered (API, admin).
    pub(crate) fn start(folder: &Path, environment: &[(&str, &str)]) -> (Self, String, String) {
        let (api, admin) = (free_port(), free_port());
        let own = [
            ("CHITRAM_LISTEN", api.as_str()),
            ("CHITRAM_ADMIN_LISTEN", &admin),
        ];
        let mut command = chitram(&["serve"], &[&own, environment].concat());
        let child = command
            .current_dir(folder)
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let child = Self(child);
        let began = Instant::now();
        while TcpStream::connect(&api).is_err() {
            assert!(began.elapsed() < PATIENCE, "it does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
        (child, api, admin)
    }

    /// Sends this signal and waits for the end; answers the exit code and what was said.
    pub(crate) fn end(mut self, signal: &str) -> (Option<i32>, String) {
        let told = Command::new("kill")
            .args(["-s", signal, &self.0.id().to_string()])
            .status();
        assert!(told.expect("kill runs").success());
        let began = Instant::now();
        while self.0.try_wait().expect("a child").is_none() {
            assert!(began.elapsed() < PATIENCE, "it does not stop");
            std::thread::sleep(Duration::from_millis(20));
        }
        let mut said = String::new();
        self.0
            .stdout
            .take()
            .expect("piped")
            .read_to_string(&mut said)
            .expect("text");
        (self.0.wait().expect("it ended").code(), said)
    }
}

fn free_port() -> String {
    TcpListener::bind("127.0.0.1:0")
        .expect("a port")
        .local_addr()
        .expect("bound")
        .to_string()
}

#[test]
fn each_signal_that_means_stop_ends_it_with_0_and_only_json_was_said() {
    for signal in ["TERM", "INT", "HUP"] {
        let folder = tempfile::tempdir().expect("a folder");
        let (child, ..) = Running::start(folder.path(), &[]);
        let (code, said) = child.end(signal);
        assert_eq!(code, Some(0), "{signal}: {said}");
        let lines = parse_lines(&said);
        for message in ["serving", "stopping", "stopped"] {
            assert!(
                lines.iter().any(|line| line["message"] == message),
                "{message}: {said}"
            );
        }
    }
}

#[tokio::test]
async fn a_trace_arrives_whole_and_its_log_line_names_it() {
    let bind = async || {
        tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a port")
    };
    let (query, otlp, stop) = (bind().await, bind().await, CancellationToken::new());
    let (search, collector) = (
        query.local_addr().expect("bound"),
        otlp.local_addr().expect("bound"),
    );
    tokio::spawn(jaeger::serve(
        query,
        otlp,
        jaeger::Limits::default(),
        stop.clone(),
    ));

    let folder = tempfile::tempdir().expect("a folder");
    let collector = format!("http://{collector}");
    let settings = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.as_str()),
        ("OTEL_TRACES_SAMPLER_ARG", "1"),
    ];
    let (child, api, _) = Running::start(folder.path(), &settings);
    let client = reqwest::Client::builder()
        .no_proxy()
        .timeout(PATIENCE)
        .build()
        .expect("a client");
    let upload = client
        .post(format!("http://{api}/v1/images"))
        .header("content-type", "image/jpeg");
    let answer = send(upload.body(pictures::jpeg(1, 200))).await;
    assert_eq!(answer.status, 201);

    let trace_id = answer.header("x-trace-id").to_owned();
    let mut spans = Vec::new();
    until("the job is in the trace", async || {
        let found = client
            .get(format!("http://{search}/api/traces/{trace_id}"))
            .send()
            .await
            .expect("an answer");
        let found: serde_json::Value = found.json().await.unwrap_or_default();
        spans = found["data"][0]["spans"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        spans
            .iter()
            .any(|span| span["operationName"] == "process variants")
    })
    .await;
    let roots = spans
        .iter()
        .filter(|span| span["references"].as_array().is_none_or(Vec::is_empty));
    let roots: Vec<_> = roots.map(|span| &span["operationName"]).collect();
    assert_eq!(roots, ["POST /v1/images"]);
    for name in [
        "receive",
        "SELECT images",
        "permit wait",
        "PutObject",
        "INSERT images",
    ] {
        assert!(
            spans.iter().any(|span| span["operationName"] == name),
            "{name}: {spans:?}"
        );
    }

    let job = spans
        .iter()
        .find(|span| span["operationName"] == "process variants");
    let job = &job.expect("just seen")["spanID"];
    for name in ["decode", "transform", "encode"] {
        let steps = spans.iter().filter(|span| span["operationName"] == name);
        let parents: Vec<_> = steps.map(|span| &span["references"][0]["spanID"]).collect();
        assert_eq!(parents, [job; 3], "{name}, once for each stored preset");
    }

    let (code, said) = child.end("TERM");
    assert_eq!(code, Some(0));
    let lines = parse_lines(&said);
    let line = lines
        .iter()
        .find(|line| line["message"] == "request" && line["trace.id"] == trace_id.as_str());
    let line = line.unwrap_or_else(|| panic!("no line of the request: {said}"));
    assert_eq!(
        (
            &line["http.request.method"],
            &line["http.response.status_code"]
        ),
        (&"POST".into(), &201.into())
    );
    assert_eq!(
        (&line["url.path"], &line["service.name"]),
        (&"/v1/images".into(), &"chitram".into())
    );
    assert!(
        line["event.duration"].is_u64() && line["service.node.name"].is_string(),
        "{line}"
    );
    stop.cancel();
}
