//! The real Prometheus and Alertmanager of `chitram-stack up`: what they scrape, which alert reaches the webhook, what is
//! left of them.

mod servers;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal};
use serde_json::Value;
use stack::process::Identity;
use stack::server::{alertmanager, prometheus, require};
use stack::state::Process;
use stack::wait;
use tempfile::TempDir;

use crate::run::programs;
use crate::support::assert_gone;
use crate::up::{Up, get};

/// A scrape every 5 s, an evaluation every 5 s, a group's wait of 1 s; on a busy machine.
const SEEN: Duration = Duration::from_mins(2);

/// Rules that need no minute: whatever is down is told of after the next evaluation.
const RULES: &str = "
groups:
  - name: own
    rules:
      - alert: TargetDown
        expr: up == 0
        labels: {severity: page}
";
const ROUTES: &str = "
route:
  receiver: webhook
  group_by: [alertname, job]
  group_wait: 1s
  group_interval: 1s
receivers:
  - name: webhook
    webhook_configs:
      - url_file: webhook-url
";

/// Both servers, or the test says what it needs.
fn servers() -> Option<()> {
    require(alertmanager::find())?;
    require(prometheus::find()).map(drop)
}

async fn json(url: &str) -> Option<Value> {
    let (status, text) = get(url).await?;
    (status == 200).then(|| serde_json::from_str(&text).ok())?
}

/// A platform whose other parts are as they are found, with the alerts of `folder` if one is given.
async fn platform(alerts: Option<&Path>) -> Up {
    let mut extra = Vec::new();
    if let Some(alerts) = alerts {
        extra.extend(["--alerts", alerts.to_str().unwrap()]);
    }
    Up::start(tempfile::tempdir().unwrap(), &extra, &[]).await
}

/// The jobs whose last scrape went well, sorted; each once.
async fn healthy_jobs(prometheus: &str) -> Vec<String> {
    let targets = json(&format!("{prometheus}/api/v1/targets?state=active")).await;
    let Some(Value::Array(targets)) = targets.map(|mut all| all["data"]["activeTargets"].take())
    else {
        return Vec::new();
    };
    let healthy = targets.iter().filter(|target| target["health"] == "up");
    let mut jobs: Vec<String> = healthy
        .map(|target| target["labels"]["job"].as_str().unwrap().to_owned())
        .collect();
    jobs.sort();
    jobs
}

async fn until_jobs(up: &Up, prometheus: &str, expected: &[&str]) {
    let seen = async || (healthy_jobs(prometheus).await == expected).then_some(());
    if wait::until(SEEN, seen).await.is_none() {
        let jobs = healthy_jobs(prometheus).await;
        panic!("{jobs:?}, not {expected:?}\n{}", up.run.stderr());
    }
}

/// A program of the platform that is interrupted when the test ends.
struct Tool(Child);

impl Tool {
    fn start(name: &str, args: &[&str], log: &Path) -> Self {
        let log = std::fs::File::create(log).unwrap();
        let child = Command::new(programs().join(name))
            .args(args)
            .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn();
        Self(child.unwrap())
    }

    fn interrupt(&mut self) {
        // One that has ended and was waited for has no pid of its own any more.
        if self.0.try_wait().unwrap().is_none() {
            rustix::process::kill_process(Pid::from_child(&self.0), Signal::INT).unwrap();
        }
    }
}

impl Drop for Tool {
    fn drop(&mut self) {
        self.interrupt();
        let _ = self.0.wait();
    }
}

const OWN: [&str; 4] = ["alertmanager", "chitram", "chitram-stack", "prometheus"];

#[tokio::test]
async fn prometheus_scrapes_the_platform_and_what_registers_while_it_runs() {
    if servers().is_none() {
        return;
    }
    let up = platform(None).await;
    let endpoints = up.state().endpoints;
    let prometheus = endpoints.prometheus.unwrap();
    until_jobs(&up, &prometheus, &OWN).await;

    let files = tempfile::tempdir().unwrap();
    let api = endpoints.api.unwrap();
    let pictures = files.path().join("pictures");
    let (pictures, dir) = (
        pictures.to_str().unwrap(),
        up.folder.path().to_str().unwrap(),
    );
    let path = |name: &str| files.path().join(name).display().to_string();
    for args in [
        &[
            "pictures",
            pictures,
            "--count",
            "4",
            "--max-megapixels",
            "0.2",
        ][..],
        &["seed", pictures, "--target", &api],
    ] {
        let mut seeding = Tool::start("chitram-load", args, &files.path().join("seed.log"));
        let status = seeding.0.wait().unwrap();
        assert!(
            status.success(),
            "{}",
            std::fs::read_to_string(path("seed.log")).unwrap()
        );
    }
    // It starts the load itself, and both register.
    let args = [
        "run",
        "chaos/experiments/control.toml",
        "--dir",
        dir,
        "--seconds",
        "60",
        "--pictures",
        pictures,
        "--report",
        &path("report.html"),
        "--result",
        &path("result.json"),
    ];
    let mut chaos = Tool::start("chitram-chaos", &args, &files.path().join("chaos.log"));
    let with_tools = [
        "alertmanager",
        "chitram",
        "chitram-chaos",
        "chitram-load",
        "chitram-stack",
        "prometheus",
    ];
    until_jobs(&up, &prometheus, &with_tools).await;
    chaos.interrupt();
    until_jobs(&up, &prometheus, &OWN).await;
    drop(chaos);
    up.stop(Signal::INT).await;
}

#[tokio::test]
async fn a_stopped_service_is_told_to_the_webhook_and_told_again_when_it_is_back() {
    if servers().is_none() {
        return;
    }
    let alerts = tempfile::tempdir().unwrap();
    std::fs::create_dir(alerts.path().join("rules")).unwrap();
    std::fs::write(alerts.path().join("rules/own.yml"), RULES).unwrap();
    std::fs::write(alerts.path().join("alertmanager.yml"), ROUTES).unwrap();
    let up = platform(Some(alerts.path())).await;
    let endpoints = up.state().endpoints;
    let control = endpoints.control.unwrap();
    until_jobs(&up, &endpoints.prometheus.unwrap(), &OWN).await;
    assert_eq!(told(&control, "firing").await, None, "nothing is wrong yet");

    order(&control, "stop").await;
    let firing = async || told(&control, "firing").await;
    let alert = wait::until(SEEN, firing).await.unwrap();
    assert_eq!(alert["labels"]["alertname"], "TargetDown");
    order(&control, "start").await;
    let resolved = async || told(&control, "resolved").await;
    assert!(wait::until(SEEN, resolved).await.is_some());
    up.stop(Signal::INT).await;
}

async fn order(control: &str, order: &str) {
    let url = format!("{control}/processes/service/{order}");
    let answer = stack::net::http()
        .unwrap()
        .post(url)
        .timeout(SEEN)
        .send()
        .await;
    assert!(answer.unwrap().status().is_success());
}

/// The alert about the service with this status, if a notification held one.
async fn told(control: &str, status: &str) -> Option<Value> {
    let inbox = json(&format!("{control}/alerts")).await?;
    let notifications = inbox["notifications"].as_array()?;
    let alerts = notifications
        .iter()
        .filter_map(|notification| notification["payload"]["alerts"].as_array());
    let mut alerts = alerts.flatten();
    alerts
        .find(|alert| alert["status"] == status && alert["labels"]["job"] == "chitram")
        .cloned()
}

#[tokio::test]
async fn after_sigkill_of_the_stack_no_server_runs_on_and_their_data_goes_with_the_next_start() {
    if servers().is_none() {
        return;
    }
    let mut up = platform(None).await;
    let children: Vec<Identity> = up.state().processes.iter().map(Process::identity).collect();
    let data = up.folder.path().join("data");
    let of_servers = || {
        let entries = data.read_dir().into_iter().flatten();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names
            .filter(|name| {
                name.starts_with("chitram-prometheus-") || name.starts_with("chitram-alertmanager-")
            })
            .count()
    };
    assert_eq!(of_servers(), 2);
    up.run.signal(Signal::KILL);
    up.run.exit_code(SEEN).await;
    for child in children {
        assert_gone(child).await;
    }
    let next = Up::start(up.folder, &["--embedded"], &[]).await;
    assert_eq!(of_servers(), 0);
    assert!(next.state().endpoints.prometheus.is_none());
    assert!(
        !next.run.stdout().contains("not started"),
        "nobody looked for them"
    );
    next.stop(Signal::INT).await;
}

/// A folder with programs that are too old to be used, which hide newer ones when it is the first on PATH.
fn too_old() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for name in ["prometheus", "alertmanager"] {
        let program = folder.path().join(name);
        std::fs::write(&program, format!("#!/bin/sh\necho {name}, version 0.1.0\n")).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    folder
}

#[tokio::test]
async fn servers_that_are_missing_are_said_in_one_line_and_are_no_error() {
    let old = too_old();
    let mut path = old.path().as_os_str().to_owned();
    path.push(":");
    path.push(std::env::var_os("PATH").unwrap());
    let environment = [
        ("PATH", path.to_str().unwrap()),
        ("XDG_CACHE_HOME", old.path().to_str().unwrap()),
        ("CHITRAM_PROMETHEUS_URL", ""),
        ("CHITRAM_ALERTMANAGER_URL", ""),
    ];
    let up = Up::start(tempfile::tempdir().unwrap(), &[], &environment).await;
    let said = up.run.stdout();
    let line = said
        .lines()
        .find(|line| line.starts_with("not started: Alertmanager"));
    let line = line.unwrap_or_else(|| panic!("{said}"));
    assert!(line.contains("Prometheus"), "{line}");
    assert!(line.ends_with(" (`make backends` installs them)"), "{line}");
    let endpoints = up.state().endpoints;
    assert_eq!((endpoints.prometheus, endpoints.alertmanager), (None, None));
    up.stop(Signal::INT).await;
}

#[tokio::test]
async fn servers_that_are_left_out_are_not_started_and_not_called_missing() {
    let left_out = [
        "--without",
        "prometheus",
        "--without",
        "alertmanager",
        "--without",
        "elasticsearch",
    ];
    let up = Up::start(tempfile::tempdir().unwrap(), &left_out, &[]).await;
    let endpoints = up.state().endpoints;
    assert_eq!((endpoints.prometheus, endpoints.alertmanager), (None, None));
    assert_eq!(endpoints.elasticsearch, None);
    assert!(!up.run.stdout().contains("not started"));
    up.stop(Signal::INT).await;
}

#[tokio::test]
async fn servers_given_by_url_are_noted_and_not_started() {
    let environment = [
        ("CHITRAM_PROMETHEUS_URL", "http://127.0.0.1:1/"),
        ("CHITRAM_ALERTMANAGER_URL", "http://127.0.0.1:2"),
    ];
    let up = Up::start(tempfile::tempdir().unwrap(), &["--embedded"], &environment).await;
    let state = up.state();
    assert_eq!(
        state.endpoints.prometheus.as_deref(),
        Some("http://127.0.0.1:1")
    );
    assert_eq!(
        state.endpoints.alertmanager.as_deref(),
        Some("http://127.0.0.1:2")
    );
    assert_eq!(state.processes.len(), 1, "the service alone");
    up.stop(Signal::INT).await;
}
