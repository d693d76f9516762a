//! `chitram-proof fired` with the real Prometheus and Alertmanager, and a system that is a page of metrics in a file.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{LazyLock, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;
use stack::server::{alertmanager, prometheus, require};

use crate::fired_system::{CAUSES, Pages, ROUTES, RULES};

/// The folder of a proof: rules, routes, causes, pages.
struct Proof {
    folder: tempfile::TempDir,
    pages: Pages,
}

impl Proof {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let pages = Pages::serve(folder.path());
        let proof = Self { folder, pages };
        proof.write("alerts/rules/page.yml", RULES);
        proof.write("alerts/alertmanager.yml", ROUTES);
        let causes = CAUSES
            .replace("PORT", &proof.pages.port.to_string())
            .replace("FOLDER", &proof.folder.path().display().to_string());
        proof.write("causes.toml", &causes);
        proof
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_chitram-proof"));
        command
            .current_dir(self.folder.path())
            .args(["fired", "--alerts", "alerts"])
            .args(arguments)
            // What is kept of runs that are not proven goes with the test.
            .env("TMPDIR", self.folder.path());
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    fn prove(&self, names: &[&str]) -> (Value, i32) {
        let mut arguments = vec![
            "--causes",
            "causes.toml",
            "--output",
            "json",
            "--jobs",
            "2",
            "--only",
        ];
        arguments.extend(names);
        let output = self.run(&arguments);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let report = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{text}{said}"));
        (report, output.status.code().unwrap())
    }
}

/// Whether the servers are here.
fn servers() -> bool {
    require(prometheus::find()).is_some()
        && require(alertmanager::find()).is_some()
        && require(prometheus::find_promtool()).is_some()
        && require(alertmanager::find_amtool()).is_some()
}

/// All runs, made once: each test looks at its own.
fn of(name: &str) -> Option<Value> {
    static RUNS: LazyLock<Mutex<Option<Value>>> = LazyLock::new(|| {
        let all = [
            "clears",
            "never-fires",
            "never-clears",
            "before",
            "pending-before",
            "beside",
            "consequence",
            "load-died",
            "command-fails",
            "not-started",
            "silence",
            "not-silent",
            "promise-broken",
            "quiet",
            "not-quiet",
        ];
        Mutex::new(servers().then(|| Proof::new().prove(&all).0))
    });
    let runs = RUNS.lock().unwrap();
    let report = runs.as_ref()?;
    let mut all = report["runs"].as_array().unwrap().iter();
    Some(all.find(|run| run["name"] == name).unwrap().clone())
}

fn codes(run: &Value) -> Vec<&str> {
    let findings = run["findings"].as_array().unwrap();
    findings
        .iter()
        .map(|finding| finding["code"].as_str().unwrap())
        .collect()
}

/// Asserts verdict and codes of a run.
fn judged(name: &str, verdict: &str, expected: &[&str], said: &str) {
    let Some(run) = of(name) else { return };
    let (mut verdict, mut expected) = (verdict, expected.to_vec());
    // What failed on a machine that is short of CPU is told, and said to be inconclusive.
    let starved = run["findings"]
        .to_string()
        .contains("work waited for a CPU");
    if verdict == "failed" && starved {
        verdict = "inconclusive";
        expected.push("inconclusive");
    }
    assert_eq!(
        (run["verdict"].as_str().unwrap(), codes(&run)),
        (verdict, expected),
        "{run:#}"
    );
    assert!(run["findings"].to_string().contains(said), "{run:#}");
}

#[test]
fn an_alert_that_fires_for_its_cause_and_clears_is_proven_with_its_times() {
    let Some(run) = of("clears") else { return };
    assert_eq!(
        (run["verdict"].as_str(), codes(&run)),
        (Some("proven"), vec![]),
        "{run:#}"
    );
    let alert = &run["alerts"][0];
    // `for: 1m` is a second; the end of the injection may be noticed late.
    let detected = alert["detected_after"].as_f64().unwrap();
    assert!(detected > 0.5, "{run:#}");
    assert!(alert["cleared_after"].as_f64().unwrap() > 0.0);
    assert_eq!(alert["receiver"], "pages");
    assert_eq!(run["evidence"][0]["seen"], "1", "{run:#}");
}

#[test]
fn an_alert_that_never_fires_is_told_with_what_prometheus_says() {
    judged(
        "never-fires",
        "failed",
        &["not-fired"],
        "its expression has no result",
    );
}

#[test]
fn an_alert_that_never_clears_is_told() {
    judged("never-clears", "failed", &["not-cleared"], "did not clear");
}

#[test]
fn an_alert_that_fires_before_its_cause_proves_nothing() {
    judged(
        "before",
        "failed",
        &["fired-before-cause", "not-fired", "fired-before-cause"],
        "in the control time",
    );
}

#[test]
fn an_alert_that_is_about_to_fire_before_its_cause_proves_nothing() {
    judged(
        "pending-before",
        "failed",
        &["fired-before-cause", "not-fired"],
        "was pending before the cause",
    );
}

#[test]
fn an_alert_that_fires_beside_is_told() {
    judged("beside", "failed", &["fired-beside"], "Beside");
}

#[test]
fn a_consequence_that_may_fire_is_no_fault_and_is_listed() {
    judged("consequence", "proven", &[], "");
    let Some(run) = of("consequence") else { return };
    assert!(
        run["consequences"][0]
            .as_str()
            .unwrap()
            .starts_with("Beside{"),
        "{run:#}"
    );
}

#[test]
fn a_load_that_died_makes_the_run_inconclusive() {
    judged(
        "load-died",
        "inconclusive",
        &["inconclusive"],
        "the load ended with exit status: 3",
    );
}

#[test]
fn commands_that_fail_make_the_run_inconclusive_with_what_each_said_and_none_after_them_is_left_out()
 {
    let three = ["inconclusive"; 3];
    for said in ["no such fault", "{nowhere}", "it stays"] {
        judged("command-fails", "inconclusive", &three, said);
    }
    let Some(run) = of("command-fails") else {
        return;
    };
    assert!(run["alerts"].as_array().unwrap().is_empty());
}

#[test]
fn a_system_that_does_not_start_is_told_apart() {
    judged(
        "not-started",
        "inconclusive",
        &["inconclusive"],
        "the port is taken",
    );
    let Some(run) = of("not-started") else { return };
    assert_eq!(run["not_started"], true);
}

#[test]
fn a_watchdog_that_falls_silent_is_noticed_and_heard_again() {
    let Some(run) = of("silence") else { return };
    assert_eq!(run["verdict"], "proven", "{run:#}");
    assert!(run["silent"][0]["noticed_after"].as_f64().unwrap() > 0.0);
    assert!(run["silent"][0]["heard_after"].as_f64().is_some());
}

#[test]
fn a_watchdog_that_goes_on_is_told() {
    judged(
        "not-silent",
        "failed",
        &["not-silent"],
        "did not fall silent",
    );
}

#[test]
fn a_promise_that_is_broken_is_told() {
    judged("promise-broken", "failed", &["no-evidence"], "not kept");
}

#[test]
fn a_control_run_is_proven_when_nothing_fires_and_not_otherwise() {
    judged("quiet", "proven", &[], "");
    judged("not-quiet", "failed", &["fired-before-cause"], "Broken");
}

#[test]
fn an_interrupted_run_is_rolled_back_and_leaves_nothing() {
    if !servers() {
        return;
    }
    let proof = Proof::new();
    let arguments = ["--causes", "causes.toml", "--only", "interrupted"];
    let mut command = proof.command(&arguments);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = Ended(command.spawn().unwrap());
    let marker = |name: &str| proof.folder.path().join(name);
    assert!(appears(&marker("injected")), "the cause was never injected");
    let pid = rustix::process::Pid::from_child(&child.0);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    assert_eq!(child.0.wait().unwrap().code(), Some(130));
    assert!(marker("restored").is_file() && marker("ended").is_file());
    let system = std::fs::read_to_string(marker("system.pid")).unwrap();
    assert!(
        !Path::new("/proc").join(system.trim()).exists(),
        "the system still runs"
    );
}

/// A child that does not outlive its test; what it started ends with it.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        // It has ended already where the test went well.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn appears(file: &Path) -> bool {
    let end = Instant::now() + Duration::from_secs(90);
    while !file.exists() && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(20));
    }
    file.exists()
}

#[test]
fn nothing_that_starts_is_69_and_a_finding_is_1_with_the_page_written() {
    if !servers() {
        return;
    }
    let proof = Proof::new();
    let document = [
        "--causes",
        "causes.toml",
        "--document",
        "proof.md",
        "--only",
    ];
    let output = proof.run(&[&document[..], &["not-started"]].concat());
    assert_eq!(
        output.status.code(),
        Some(69),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let page = std::fs::read_to_string(proof.folder.path().join("proof.md")).unwrap();
    assert!(
        page.contains("| `not-started` |") && page.contains("| inconclusive |"),
        "{page}"
    );
    assert!(
        page.contains("Runs that were not asked for: clears"),
        "{page}"
    );
    // No rule fires `Lonely`, and nothing says why; a run shows neither a panel nor why not.
    assert!(page.contains("`alert-without-run` Lonely"), "{page}");
    assert!(
        page.contains("`hole` run not-started: no panel is shown"),
        "{page}"
    );
}

#[test]
fn scaled_files_are_written_for_others_and_what_can_not_be_scaled_is_a_finding() {
    let proof = Proof::new();
    let output = proof.run(&["--write", "scaled", "--scale", "10"]);
    assert_eq!(
        output.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&output.stdout)
    );
    let read = |name: &str| std::fs::read_to_string(proof.folder.path().join(name)).unwrap();
    assert!(read("scaled/rules/page.yml").contains("max_over_time(broken[30s])"));
    assert!(read("scaled/alertmanager.yml").contains("\"url_file\": \"webhook-url\""));
    proof.write(
        "alerts/rules/more.yml",
        "groups: [{name: g, rules: [{record: a, expr: 'x @ 5'}]}]",
    );
    let output = proof.run(&["--write", "scaled"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stdout).contains("not-scalable  g: record a"));
}

#[test]
fn what_can_not_be_meant_is_refused_with_64() {
    let proof = Proof::new();
    for (arguments, said) in [
        (&["--scale", "0", "--write", "x"][..], "invalid scale"),
        (&[], "--causes"),
        (&["--causes", "nowhere.toml"], "nowhere.toml cannot be read"),
        (
            &["--causes", "causes.toml", "--only", "nobody"],
            "no such run",
        ),
        (&["--causes", "causes.toml", "--core"], "core = true"),
    ] {
        let output = proof.run(arguments);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(64), "{text}");
        assert!(text.contains(said), "{text}");
    }
}

#[test]
fn the_rules_of_this_project_can_be_scaled_as_they_are() {
    let proof = Proof::new();
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_chitram-proof"));
    command
        .current_dir(repository)
        .args(["fired", "--alerts", "alerts", "--write"]);
    let output = command
        .arg(proof.folder.path().join("scaled"))
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!((output.status.code(), text.as_str()), (Some(0), ""));
}

#[test]
fn every_code_of_fired_is_documented_and_no_other() {
    let page = include_str!("../../../docs/fired.md");
    let mut documented: Vec<&str> = page
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once("` |"))
        .map(|(code, _)| code)
        .filter(|code| {
            proof::fired::codes::ALL.contains(code) || code.contains('-') && !code.starts_with('-')
        })
        .collect();
    let mut known = proof::fired::codes::ALL.to_vec();
    documented.sort_unstable();
    known.sort_unstable();
    assert_eq!(documented, known);
}
