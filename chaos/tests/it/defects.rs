//! A defect of the runner itself at the worst moment: the fault goes all the same, and the defect is said.

use std::path::Path;
use std::process::Stdio;

use chaos::context::Context;
use chaos::definition::parse;
use chaos::exit::Refusal;
use chaos::interrupt::Interrupt;
use chaos::lifecycle;
use chaos::metrics::Metrics;
use chaos::progress::Progress;
use chaos::stack_file::Stack;
use tokio::process::Command;

use crate::platform::{Misled, Platform, end};

const SLOW: &str = "kind = \"latency\"\nlatency_ms = 300";
const PROMISE: &str = "[[expect]]\nkind = \"no_errors\"\nroutes = [\"content\"]\n";
const DIR: &str = "DEFECTIVE_RUNNER_DIR";
const EXPERIMENT: &str = "DEFECTIVE_RUNNER_EXPERIMENT";

/// Not a test when the tests run: one of them starts it as a program, and then it has a folder.
#[test]
fn plays_a_runner_with_a_defect() {
    let (Ok(dir), Ok(experiment)) = (std::env::var(DIR), std::env::var(EXPERIMENT)) else {
        return;
    };
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let refusal = runtime
        .block_on(run(Path::new(&dir), Path::new(&experiment)))
        .expect_err("a defect");
    eprintln!("refused: {refusal}");
    std::process::exit(i32::from(refusal.exit as u8));
}

/// One experiment with an HTTP client that panics where it should follow a redirect.
async fn run(dir: &Path, experiment: &Path) -> Result<(), Refusal> {
    let http = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::custom(|_| {
            panic!("the client has a bug")
        }))
        .build()
        .expect("a client");
    let context = Context {
        dir: dir.to_owned(),
        run_id: "defective".into(),
        stack: Stack::read(dir)?,
        http,
        plans: None,
        pictures: None,
        require_all: false,
        interrupt: Interrupt::listen().expect("signals"),
        progress: Progress::new(),
        metrics: Metrics::serve(dir).await.expect("metrics"),
    };
    let experiment = parse::read(experiment).expect("an experiment");
    lifecycle::run(&experiment, &context, 1).await.map(|_| ())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_during_a_fault_leaves_no_fault_behind_and_is_said() {
    let mut platform = Platform::new().await;
    let misled = Misled::before(platform.api.clone()).await;
    platform.use_api(misled.url.clone());
    let file = platform.experiment("slow", SLOW, PROMISE);
    let tests = std::env::current_exe().expect("this program");
    let program = platform.installed(&tests, "defective-runner");
    let child = Command::new(program)
        .args([
            "--exact",
            "defects::plays_a_runner_with_a_defect",
            "--nocapture",
        ])
        .env(DIR, platform.dir())
        .env(EXPERIMENT, &file)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("started");
    let ended = end(child).await;
    assert!(
        misled.has_redirected(),
        "the fault was never read back: {ended:?}"
    );
    assert_eq!(ended.code, Some(70), "{ended:?}");
    let said = "refused: chitram-chaos has a defect, please report it: the client has a bug";
    assert!(ended.stderr.contains(said), "{}", ended.stderr);
    platform.assert_clean().await;
}
