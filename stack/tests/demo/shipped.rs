//! The shipped experiments against the real Toxiproxy, whoever keeps it: the verdicts are right, everything in it is as it
//! was found, and nobody ended it. A colleague uses the same server, and has a toxic on a proxy of his own.

use std::path::Path;
use std::process::Stdio;

use serde_json::{Value, json};
use stack::net;
use stack::process::Identity;
use stack::server::{self, Found, Launch, Source, toxiproxy};
use stack::state::State;

use crate::judged::{assert_judged, is_starved, list};
use crate::run::{PORTS, Run, programs};
use crate::{ALONE, END, STEP, WHOLE};

/// Whose Toxiproxy it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Whose {
    /// `chitram-stack up` found it on PATH and keeps it.
    Stacks,
    /// `CHITRAM_TOXIPROXY_URL` named it to the stack.
    Url,
    /// And `--toxiproxy` named it to the runner.
    Foreign,
}

const EXPERIMENTS: [&str; 3] = ["control.toml", "store-slow.toml", "store-blackhole.toml"];

/// What one run of the shipped experiments left and said.
struct Seen {
    result: Value,
    code: Option<i32>,
    said: String,
    before: Value,
    after: Value,
    restarts: u64,
    is_same_process: bool,
}

impl Seen {
    /// Whatever the machine let the experiments conclude.
    #[track_caller]
    fn assert_as_found(&self) {
        assert_eq!(self.after, self.before, "{}", self.said);
        assert_eq!(self.restarts, 0, "{}", self.said);
        assert!(self.is_same_process, "it was ended: {}", self.said);
        for experiment in list(&self.result["experiments"]) {
            assert_eq!(experiment["toxiproxy_restarts"], 0, "{experiment:#}");
            assert_ne!(experiment["verdict"], "rollback_failed", "{experiment:#}");
        }
    }

    /// A line of the table.
    fn row(&self) -> String {
        let verdicts = list(&self.result["experiments"]).iter().map(|experiment| {
            let reason = experiment["findings"][0]["sentence"]
                .as_str()
                .unwrap_or_default();
            let verdict = experiment["verdict"].as_str().unwrap_or("?");
            format!("{verdict:<13} {reason:.40}")
        });
        let verdicts: Vec<String> = verdicts.collect();
        let difference = if self.after == self.before {
            "none"
        } else {
            "DIFFERS"
        };
        format!(
            "{:>4}  {:>8}  {:>6}  {difference:<10}  {}",
            self.code.map_or("-".into(), |code| code.to_string()),
            self.restarts,
            if self.is_same_process {
                "same"
            } else {
                "ENDED"
            },
            verdicts.join(" | ")
        )
    }
}

/// The real server's program; `None` where it is missing, which is said.
fn program() -> Option<std::path::PathBuf> {
    let found = server::require(toxiproxy::find())?;
    match found.source {
        Source::Program(program) => Some(program),
        Source::Url(_) => server::find::on_path_or_cached("toxiproxy-server"),
    }
}

async fn shipped(whose: Whose) -> Option<Seen> {
    let program = program()?;
    let (folder, tools, files) = (
        tempfile::tempdir().unwrap(),
        tempfile::tempdir().unwrap(),
        tempfile::tempdir().unwrap(),
    );
    // Ahead of what PATH has, so that the stack finds this server; others that PATH has are taken as well.
    std::os::unix::fs::symlink(&program, tools.path().join("toxiproxy-server")).unwrap();
    let given = match whose {
        Whose::Stacks => None,
        Whose::Url | Whose::Foreign => {
            let found = Found {
                source: Source::Program(program),
                version: "2.12.0".to_owned(),
            };
            Some(
                toxiproxy::start(&found, &Launch::for_test().unwrap())
                    .await
                    .unwrap(),
            )
        }
    };
    let url = given
        .as_ref()
        .map(|given| given.url.clone())
        .unwrap_or_default();
    let path = format!(
        "{}:{}",
        tools.path().display(),
        std::env::var("PATH").unwrap()
    );
    let cache = tools.path().display().to_string();
    let environment = [
        ("PATH", path.as_str()),
        ("XDG_CACHE_HOME", cache.as_str()),
        ("CHITRAM_TOXIPROXY_URL", url.as_str()),
    ];
    let mut args = vec!["up", "--dir", folder.path().to_str().unwrap()];
    args.extend(PORTS.iter().flat_map(|flag| [*flag, "0"]));
    if whose != Whose::Stacks {
        args.push("--embedded");
    }
    let mut run = Run::start(&args, &environment);
    let ready = |run: &Run| {
        run.stdout()
            .contains("Ctrl-C stops everything")
            .then_some(())
    };
    run.until("the addresses", STEP, ready).await;
    let state = || {
        State::read(&folder.path().join("stack.toml"))
            .unwrap()
            .unwrap()
    };
    let api = state().endpoints.toxiproxy.unwrap();
    let process = || {
        let started_here = given.as_ref().and_then(|given| given.running.as_ref());
        if let Some(running) = started_here {
            return running.child().identity();
        }
        let processes = state().processes;
        let kept = processes.iter().find(|kept| kept.name == "toxiproxy");
        let kept = kept.expect("the stack keeps a Toxiproxy");
        Identity {
            pid: kept.pid,
            start_time: kept.start_time,
        }
    };
    let kept = process();

    let pictures = files.path().join("pictures");
    let target = state().endpoints.api.unwrap();
    load(&["pictures", pictures.to_str().unwrap()]).await;
    load(&["seed", pictures.to_str().unwrap(), "--target", &target]).await;
    colleague(&api).await;
    let before = proxies(&api).await;
    let (code, said) = chaos(
        folder.path(),
        files.path(),
        (whose == Whose::Foreign).then_some(&api),
    )
    .await;
    let after = proxies(&api).await;
    let restarts = state()
        .processes
        .iter()
        .filter(|process| process.name == "toxiproxy")
        .map(|process| process.restarts)
        .sum::<u32>();
    let is_same_process = kept.is_alive() && process() == kept;

    run.signal(rustix::process::Signal::INT);
    assert_eq!(run.exit_code(END).await, Some(0), "{}", run.stderr());
    run.assert_nothing_left().await;
    let result = std::fs::read_to_string(files.path().join("result.json"))
        .unwrap_or_else(|_| panic!("no result: {said}"));
    Some(Seen {
        result: serde_json::from_str(&result).unwrap(),
        code,
        said,
        before,
        after,
        restarts: u64::from(restarts),
        is_same_process,
    })
}

/// Somebody else's proxy, with a toxic.
async fn colleague(api: &str) {
    let upstream = api.trim_start_matches("http://");
    let proxy = json!({ "name": "colleague", "listen": "127.0.0.1:0", "upstream": upstream });
    let toxic = json!({ "name": "his", "type": "latency", "attributes": { "latency": 7 } });
    for (path, body) in [("proxies", proxy), ("proxies/colleague/toxics", toxic)] {
        let made = net::http()
            .unwrap()
            .post(format!("{api}/{path}"))
            .json(&body)
            .send()
            .await;
        assert!(made.unwrap().status().is_success(), "{path}");
    }
}

async fn proxies(api: &str) -> Value {
    let answer = net::http()
        .unwrap()
        .get(format!("{api}/proxies"))
        .send()
        .await
        .unwrap();
    serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap()
}

async fn load(args: &[&str]) {
    let mut command = tokio::process::Command::new(programs().join("chitram-load"));
    command.args(args).kill_on_drop(true);
    let ended = tokio::time::timeout(STEP, command.output())
        .await
        .unwrap()
        .unwrap();
    assert!(ended.status.success(), "{ended:?}");
}

async fn chaos(dir: &Path, files: &Path, toxiproxy: Option<&String>) -> (Option<i32>, String) {
    let experiments = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../chaos/experiments"));
    let mut command = tokio::process::Command::new(programs().join("chitram-chaos"));
    command
        .arg("run")
        .args(EXPERIMENTS.map(|name| experiments.join(name)));
    command
        .args(["--seconds", "12", "--repeat-inconclusive"])
        .arg("--dir")
        .arg(dir);
    command
        .arg("--result")
        .arg(files.join("result.json"))
        .arg("--report")
        .arg(files.join("report.html"));
    command.arg("--pictures").arg(files.join("pictures"));
    if let Some(url) = toxiproxy {
        command.arg("--toxiproxy").arg(url);
    }
    command.stdin(Stdio::null()).kill_on_drop(true);
    let ended = tokio::time::timeout(WHOLE, command.output())
        .await
        .expect("it hangs")
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (
        ended.status.code(),
        text(&ended.stdout) + &text(&ended.stderr),
    )
}

/// As often as `CHITRAM_SOAK` says (`make soak`), once without it. Each turn prints a line: whose Toxiproxy it is, the turn,
/// exit code, restarts, whether the server is the one it was, what differs in it, and each experiment's verdict.
async fn pass_and_leave_everything_as_found(whose: Whose) {
    let turns = std::env::var("CHITRAM_SOAK").map_or(1, |turns| turns.parse().unwrap());
    for turn in 1..=turns {
        let _alone = ALONE.lock().await;
        let Some(seen) = shipped(whose).await else {
            return;
        };
        println!("{:<8}  {turn:>4}  {}", format!("{whose:?}"), seen.row());
        seen.assert_as_found();
        for experiment in list(&seen.result["experiments"]) {
            let is_given_up = matches!(
                experiment["verdict"].as_str(),
                Some("aborted" | "not_recovered" | "inconclusive")
            );
            if !(is_given_up && is_starved(experiment)) {
                assert_judged(experiment);
            }
        }
    }
}

#[tokio::test]
async fn the_shipped_experiments_leave_a_toxiproxy_that_the_stack_found_as_it_was() {
    pass_and_leave_everything_as_found(Whose::Stacks).await;
}

#[tokio::test]
async fn the_shipped_experiments_leave_a_toxiproxy_given_by_its_url_as_it_was() {
    pass_and_leave_everything_as_found(Whose::Url).await;
}

#[tokio::test]
async fn the_shipped_experiments_leave_somebody_elses_toxiproxy_as_it_was() {
    pass_and_leave_everything_as_found(Whose::Foreign).await;
}
