//! Tries mutations: changes a copy of the files, runs the proof and the tools beside it, and compares what they find.

use std::collections::{BTreeSet, VecDeque};
use std::path::Path;
use std::process::{Command, Output};
use std::sync::Mutex;

use serde_json::Value;

use crate::recording::{Recording, Window};
use crate::report::{self, Found, Outcome};
use crate::sites::{self, Site};
use crate::table::{Change, Mutation, Needs};
use crate::tree::{self, Tree};

/// Places that are tried at the same time.
const WORKERS: usize = 2;
/// Exit codes of the proof: nothing found, something found.
const PROVEN: i32 = 0;
const FINDINGS: i32 = 1;
/// The file cannot be read as what it should be: whoever wrote it is told at once.
const REFUSED: i32 = 64;
/// Alertmanager's configuration.
const ROUTES: &str = "alerts/alertmanager.yml";

/// Tries each mutation at so many places.
pub(crate) fn try_all(
    mutations: &[&'static Mutation],
    sites: usize,
    recording: Option<&Recording>,
) -> Vec<Outcome> {
    let tasks: Vec<(usize, Site)> = mutations
        .iter()
        .enumerate()
        .flat_map(|(at, mutation)| {
            let sites = sites::chosen(mutation, sites);
            sites.into_iter().map(move |site| (at, site))
        })
        .collect();
    let tasks = Mutex::new(VecDeque::from(tasks));
    let found = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                let tree = Tree::new();
                loop {
                    let Some((at, site)) = tasks.lock().unwrap().pop_front() else {
                        return;
                    };
                    let tried = attempt(&tree, mutations[at], &site, recording);
                    report::tell(mutations[at], &site.place, &tried);
                    found
                        .lock()
                        .unwrap()
                        .push((at, site.place.clone(), site.file, tried));
                }
            });
        }
    });
    let found = found.into_inner().unwrap();
    let of = |at: usize| {
        let mine = found.iter().filter(move |(of, ..)| *of == at);
        mine.map(|(_, place, file, found)| (format!("{file}: {place}"), found.clone()))
    };
    mutations
        .iter()
        .enumerate()
        .map(|(at, mutation)| Outcome {
            mutation,
            sites: of(at).collect(),
        })
        .collect()
}

/// Without a mutation nothing may be found, by the proof and by the tools beside it, or a finding would say nothing about the
/// mutation.
pub(crate) fn control(tree: &Tree, recording: &Recording) {
    tools(tree);
    let nothing = BTreeSet::new();
    assert_eq!(boards(tree, None, recording.url()), nothing, "boards");
    for window in recording.windows() {
        let found = boards(tree, Some(window), recording.url());
        assert_eq!(found, nothing, "boards in the window {}", window.name);
        let found = rules(tree, Some(window), recording.url());
        assert_eq!(found, nothing, "rules in the window {}", window.name);
    }
}

/// The unchanged files pass promtool and amtool.
fn tools(tree: &Tree) {
    let passes = |tool, arguments: &[&str]| {
        let output = run(tree.path(), tool, arguments);
        let said = said(&output);
        assert!(output.status.success(), "{tool} {arguments:?}: {said}");
    };
    let (rules, tests) = (
        tree::files("alerts/rules", "yml"),
        tree::files("alerts/tests", "yml"),
    );
    assert!(!rules.is_empty() && !tests.is_empty(), "no rules, no tests");
    for file in &rules {
        passes("promtool", &["check", "rules", file]);
    }
    for file in &tests {
        passes("promtool", &["test", "rules", file]);
    }
    passes("amtool", &["check-config", ROUTES]);
}

fn attempt(tree: &Tree, mutation: &Mutation, site: &Site, recording: Option<&Recording>) -> Found {
    tree.write(&site.file, &site.text());
    let window = match (mutation.needs, recording) {
        (Needs::Window(name), Some(recording)) => Some(recording.window(name)),
        _ => None,
    };
    let url = recording.map_or("", Recording::url);
    let mut codes = match mutation.change {
        Change::Query(_) | Change::Panel(_) | Change::Board(_) | Change::DataSources(_) => {
            boards(tree, window, url)
        }
        _ => rules(tree, window, url),
    };
    // The tools beside it are asked only where all of it is tried: they take longer than the proof.
    let complete = recording.is_some();
    let promtool = match mutation.change {
        Change::Alert(_) | Change::AlertFields(_) | Change::Tests(_) if complete => {
            Some(promtool(tree, site))
        }
        _ => None,
    };
    if promtool == Some(true) {
        codes.insert("promtool-test".to_owned());
    }
    let amtool = match mutation.change {
        Change::Routes(_) if complete => {
            Some(!succeeds(tree.path(), "amtool", &["check-config", ROUTES]))
        }
        _ => None,
    };
    tree.restore(&site.file);
    Found {
        codes,
        promtool,
        amtool,
    }
}

fn declared() -> Vec<String> {
    let files = tree::files("docs/telemetry", "json");
    files
        .into_iter()
        .flat_map(|file| ["--declared".to_owned(), file])
        .collect()
}

/// The codes of what `chitram-proof boards` finds.
fn boards(tree: &Tree, window: Option<&Window>, url: &str) -> BTreeSet<String> {
    let mut command = command(tree);
    command.args(["boards", "dashboards", "--rules", "alerts/rules"]);
    command.args(["--expectations", "dashboards/expectations.toml"]);
    command.args(declared());
    match window {
        None => {
            command.arg("--static");
        }
        Some(window) => {
            command.args(["--prometheus", url]);
            command.args(["--from", &window.from.to_string()]);
            command.args(["--to", &window.to.to_string()]);
            for name in &window.under {
                command.args(["--under", name]);
            }
            if let Some(truth) = &window.truth {
                command.arg("--truth").arg(truth);
            }
        }
    }
    codes(command)
}

/// The codes of what `chitram-proof rules` finds by itself, without promtool.
fn rules(tree: &Tree, window: Option<&Window>, url: &str) -> BTreeSet<String> {
    let mut command = command(tree);
    command.args(["rules", "alerts", "--runbooks", "docs/runbooks"]);
    command.args(["--dashboards", "dashboards"]);
    command.args(declared());
    if let Some(window) = window {
        command.args(["--prometheus", url, "--at", &window.to.to_string()]);
    }
    command.env("PATH", "").env("XDG_CACHE_HOME", tree.path());
    codes(command)
}

fn command(tree: &Tree) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_chitram-proof"));
    command.current_dir(tree.path());
    command
}

fn codes(mut command: Command) -> BTreeSet<String> {
    let output = command.args(["--output", "json"]).output().unwrap();
    match output.status.code() {
        Some(PROVEN | FINDINGS) => {}
        Some(REFUSED) => return BTreeSet::from(["refused".to_owned()]),
        _ => panic!("{command:?}: {}", said(&output)),
    }
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let findings = report["findings"].as_array().unwrap();
    let code = |finding: &Value| finding["code"].as_str().unwrap().to_owned();
    findings.iter().map(code).collect()
}

fn said(output: &Output) -> String {
    let said = [output.stdout.as_slice(), &output.stderr].concat();
    String::from_utf8_lossy(&said).into_owned()
}

/// Whether promtool refuses the file, or a test that names one of its rules fails.
fn promtool(tree: &Tree, site: &Site) -> bool {
    if site.file.starts_with("alerts/rules/")
        && !succeeds(tree.path(), "promtool", &["check", "rules", &site.file])
    {
        return true;
    }
    let tests = tree::files("alerts/tests", "yml");
    let concerns = |file: &&String| {
        **file == site.file || {
            let text = tree::text(file);
            site.rules.iter().any(|rule| text.contains(rule.as_str()))
        }
    };
    tests
        .iter()
        .filter(concerns)
        .any(|file| !succeeds(tree.path(), "promtool", &["test", "rules", file]))
}

fn succeeds(folder: &Path, tool: &str, arguments: &[&str]) -> bool {
    run(folder, tool, arguments).status.success()
}

fn run(folder: &Path, tool: &str, arguments: &[&str]) -> Output {
    let program = stack::server::find::on_path_or_cached(tool)
        .unwrap_or_else(|| panic!("needs {tool}: make backends"));
    let mut command = Command::new(program);
    command
        .args(arguments)
        .current_dir(folder)
        .output()
        .unwrap()
}
