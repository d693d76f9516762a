//! Demos that are ended before their end, in each phase.

use std::path::Path;
use std::time::Instant;

use rustix::process::{Pid, Signal};
use serde_json::Value;
use stack::net;
use stack::state::State;

use crate::run::Run;
use crate::{ALONE, END, STEP, WHOLE, demo};

/// Interrupts a demo as soon as it says `step`.
async fn interrupt_at(step: &str) {
    let _alone = ALONE.lock().await;
    let files = tempfile::tempdir().unwrap();
    let mut run = demo(files.path(), &[]);
    run.until(step, STEP, |run| run.stderr().contains(step).then_some(()))
        .await;
    run.signal(Signal::INT);
    assert_eq!(run.exit_code(END).await, Some(130), "{}", run.stderr());
    run.assert_nothing_left().await;
}

#[tokio::test]
async fn ctrl_c_while_the_platform_starts_leaves_nothing() {
    interrupt_at("starting the platform").await;
}

#[tokio::test]
async fn ctrl_c_while_pictures_are_made_leaves_nothing() {
    interrupt_at("making pictures").await;
}

#[tokio::test]
async fn ctrl_c_while_pictures_are_seeded_leaves_nothing() {
    interrupt_at("seeding pictures").await;
}

#[tokio::test]
async fn ctrl_c_while_experiments_run_leaves_nothing() {
    interrupt_at("running the experiments").await;
}

/// A demo at the moment when its first fault is on the store's proxy; `None` when it ended before, since on a machine that
/// is too busy no baseline was steady enough to be broken.
async fn with_a_fault(files: &Path, dir: &Path) -> Option<Run> {
    let mut run = demo(files, &["--dir", dir.to_str().unwrap()]);
    let end = Instant::now() + WHOLE;
    while !is_faulty(dir).await {
        if let Some(status) = run.child.try_wait().unwrap() {
            assert_eq!(status.code(), Some(4), "{}", run.stderr());
            return None;
        }
        assert!(Instant::now() < end, "no fault: {}", run.stderr());
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    Some(run)
}

/// Whether the fault proxy's own API shows a toxic before the store.
async fn is_faulty(dir: &Path) -> bool {
    let toxics = async || {
        let state = State::read(&dir.join("stack.toml")).ok()??;
        let url = format!("{}/proxies/store/toxics", state.endpoints.toxiproxy?);
        let answer = net::http().ok()?.get(url).send().await.ok()?;
        serde_json::from_slice::<Vec<Value>>(&answer.bytes().await.ok()?).ok()
    };
    toxics().await.is_some_and(|toxics| !toxics.is_empty())
}

#[tokio::test]
async fn ctrl_c_during_a_fault_rolls_it_back_first() {
    const ATTEMPTS: usize = 3;
    let _alone = ALONE.lock().await;
    for _ in 0..ATTEMPTS {
        let (files, dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let Some(mut run) = with_a_fault(files.path(), dir.path()).await else {
            continue;
        };
        let journal = dir.path().join("chaos-journal.ndjson");
        assert!(journal.exists(), "a fault without an intent on the disk");
        run.signal(Signal::INT);
        assert_eq!(run.exit_code(END).await, Some(130), "{}", run.stderr());
        let said = "interrupted, its fault was rolled back";
        assert!(run.stderr().contains(said), "{}", run.stderr());
        assert!(!journal.exists(), "the journal still holds the fault");
        assert!(
            !dir.path().join("chaos.lock").exists(),
            "the run gave its lock back"
        );
        run.assert_nothing_left().await;
        return;
    }
    panic!("none of {ATTEMPTS} demos reached a fault: the machine is too busy for this test");
}

#[tokio::test]
async fn a_chaos_runner_that_is_killed_is_recovered_and_said() {
    let _alone = ALONE.lock().await;
    let (files, dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut run = demo(files.path(), &["--dir", dir.path().to_str().unwrap()]);
    let lock = dir.path().join("chaos.lock");
    let owner = |_: &Run| {
        let lock: Value = serde_json::from_str(&std::fs::read_to_string(&lock).ok()?).ok()?;
        i32::try_from(lock["pid"].as_i64()?).ok()
    };
    let pid = run.until("a chaos run", STEP, owner).await;
    rustix::process::kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
    assert_eq!(run.exit_code(END).await, Some(70), "{}", run.stderr());
    assert!(
        run.stderr().contains("rolling its fault back"),
        "{}",
        run.stderr()
    );
    run.assert_nothing_left().await;
}
