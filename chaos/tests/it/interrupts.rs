//! Signals: whatever is injected is rolled back, in every phase.

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Child;

use crate::platform::{Ended, Platform, end};

const SLOW: &str = "kind = \"latency\"\nlatency_ms = 300";
const PROMISE: &str = "[[expect]]\nkind = \"no_errors\"\nroutes = [\"content\"]\n";

fn signal(child: &Child, signal: Signal) {
    let pid = child
        .id()
        .and_then(|pid| Pid::from_raw(pid as i32))
        .expect("it runs");
    kill_process(pid, signal).expect("signalled");
}

/// Starts a run, waits until it says that this phase begins, signals it, and waits for its end.
async fn interrupted_in(platform: &Platform, phase: &str, with: Signal) -> Ended {
    let mut child = platform.start(&platform.experiment("slow", SLOW, PROMISE));
    let stderr = child.stderr.take().expect("a pipe");
    let mut lines = BufReader::new(stderr).lines();
    let mut said = String::new();
    loop {
        let line = lines
            .next_line()
            .await
            .expect("readable")
            .unwrap_or_else(|| panic!("ended before {phase}: {said}"));
        said += &line;
        if line.contains(&format!("slow: {phase}")) {
            break;
        }
    }
    signal(&child, with);
    // Read to the end, so that the pipe does not fill up.
    let rest = tokio::spawn(async move {
        let mut rest = String::new();
        while let Ok(Some(line)) = lines.next_line().await {
            rest += &line;
            rest.push('\n');
        }
        rest
    });
    let ended = end(child).await;
    Ended {
        stderr: rest.await.expect("read"),
        ..ended
    }
}

async fn check(phase: &str, with: Signal) {
    let platform = Platform::new().await;
    let ended = interrupted_in(&platform, phase, with).await;
    assert_eq!(ended.code, Some(130), "{ended:?}");
    assert!(ended.stderr.contains("interrupted"), "{}", ended.stderr);
    platform.assert_clean().await;
    assert_files_say_interrupted(&platform);
    let table = &ended.stdout;
    assert!(
        table.contains("interrupted") && table.contains("no verdict"),
        "{table}"
    );
}

/// Report and result exist, and nothing in them looks like a pass.
#[track_caller]
fn assert_files_say_interrupted(platform: &Platform) {
    let results = platform.results();
    for (key, value) in [
        ("interrupted", json!(true)),
        ("ended", json!("interrupted")),
        ("as_expected", json!(false)),
        ("exit_code", json!(130)),
        ("experiments", json!([])),
    ] {
        assert_eq!(results[key], value, "{key}: {results:#}");
    }
    let unfinished = &results["unfinished"][0];
    assert_eq!(
        (&unfinished["name"], &unfinished["state"]),
        (&json!("slow"), &json!("interrupted")),
        "{results:#}"
    );
    let report = platform.report();
    assert!(
        report.contains("Interrupted: no experiment was finished."),
        "{report}"
    );
    let headline = &report[report.find("<h1").expect("a headline")..];
    let headline = &headline[..headline.find("</h1>").expect("its end")];
    assert!(!headline.contains('✓'), "{headline}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupt_in_the_warm_up_leaves_nothing() {
    check("warm-up", Signal::INT).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupt_in_the_baseline_leaves_nothing() {
    check("baseline", Signal::INT).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupt_in_the_onset_rolls_back() {
    check("onset", Signal::INT).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupt_in_the_fault_rolls_back() {
    check("fault", Signal::INT).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_and_sighup_in_the_fault_roll_back_too() {
    tokio::join!(check("fault", Signal::TERM), check("fault", Signal::HUP));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupt_in_the_rollback_does_not_skip_it() {
    check("rollback", Signal::INT).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupt_in_the_recovery_leaves_nothing() {
    check("recovery", Signal::INT).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupt_in_the_fault_rolls_back_on_the_real_toxiproxy() {
    let Some(platform) = Platform::with_real_toxiproxy().await else {
        return;
    };
    let ended = interrupted_in(&platform, "fault", Signal::INT).await;
    assert_eq!(ended.code, Some(130), "{ended:?}");
    platform.assert_clean().await;
}
