//! Children die with their parent, stop in order, and are restarted when nobody stopped them.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal};
use stack::process::{Identity, Launcher, Order, Spec, spawn, supervise};
use stack::wait;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::run::{DEADLINE, chitram_stack};
use crate::support::{assert_gone, first_line, launcher};

/// A shell script that logs to `script.log` in the folder.
fn script(folder: &TempDir, script: &str) -> Spec {
    Spec::new(
        "script",
        Path::new("/bin/sh"),
        &folder.path().join("script.log"),
    )
    .args(["-c", script])
}

/// The pid that the script prints as its first line.
async fn printed_pid(spec: &Spec) -> Identity {
    let pid = first_line(spec.log().unwrap()).await.parse().unwrap();
    Identity::of(pid).unwrap()
}

fn kill(identity: Identity, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(identity.pid).unwrap()).unwrap();
    rustix::process::kill_process(pid, signal).unwrap();
}

#[tokio::test]
async fn a_child_dies_when_its_parent_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("pid");
    let stack = chitram_stack();
    let line = format!(
        "{} exec --parent $$ -- sleep 600 & echo $! > {}; wait",
        stack.display(),
        log.display()
    );
    let mut parent = Command::new("sh")
        .args(["-c", &line])
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    let child = Identity::of(first_line(&log).await.parse().unwrap()).unwrap();
    // Only once it is `sleep` has the death signal been set.
    let name = format!("/proc/{}/comm", child.pid);
    let runs = async || {
        std::fs::read_to_string(&name)
            .is_ok_and(|comm| comm == "sleep\n")
            .then_some(())
    };
    wait::until(DEADLINE, runs).await.unwrap();
    parent.kill().unwrap();
    parent.wait().unwrap();
    assert_gone(child).await;
}

#[tokio::test]
async fn a_child_outlives_the_thread_that_asked_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let spec = script(&folder, "echo $$; exec sleep 600");
    let asked = spec.clone();
    let child = std::thread::spawn(move || spawn(&launcher(), &asked).unwrap())
        .join()
        .unwrap();
    let identity = printed_pid(&spec).await;
    // Had the signal followed the asking thread, it would have come before the line was printed.
    assert!(identity.is_alive());
    assert!(child.exited().is_none());
}

#[test]
fn exec_refuses_to_run_when_the_parent_is_not_the_one_named() {
    let output = Command::new(chitram_stack())
        .args(["exec", "--parent", "1", "--", "true"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(125));
    assert_eq!(
        String::from_utf8_lossy(&output.stderr),
        "chitram-stack exec: the parent 1 is gone, true is not started\n"
    );
}

#[test]
fn exec_says_what_it_cannot_run() {
    let parent = std::process::id().to_string();
    let output = Command::new(chitram_stack())
        .args(["exec", "--parent", &parent, "--", "/no/such"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(127));
    assert!(String::from_utf8_lossy(&output.stderr).contains("/no/such cannot be run"));
}

#[tokio::test]
async fn a_missing_program_is_an_error_of_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let spec = Spec::new(
        "ghost",
        &folder.path().join("ghost"),
        &folder.path().join("log"),
    );
    let error = spawn(&launcher(), &spec).unwrap_err();
    assert!(
        error
            .to_string()
            .ends_with("ghost does not exist, so ghost cannot start"),
        "{error}"
    );
}

#[tokio::test]
async fn stopping_gives_a_program_time_to_end_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    let spec = script(
        &folder,
        "trap 'exit 7' TERM; echo $$; while :; do sleep 0.05; done",
    );
    let child = spawn(&launcher(), &spec).unwrap();
    printed_pid(&spec).await;
    assert_eq!(child.stop(&CancellationToken::new()).await.code(), Some(7));
}

#[tokio::test]
async fn a_program_that_ignores_the_stop_is_killed_after_its_grace() {
    let folder = tempfile::tempdir().unwrap();
    let mut spec = script(
        &folder,
        "trap '' TERM; echo $$; while :; do sleep 0.05; done",
    );
    spec.grace = Duration::from_millis(100);
    let child = spawn(&launcher(), &spec).unwrap();
    let identity = printed_pid(&spec).await;
    let status = child.stop(&CancellationToken::new()).await;
    assert_eq!(
        std::os::unix::process::ExitStatusExt::signal(&status),
        Some(9)
    );
    assert!(!identity.is_alive());
}

#[tokio::test]
async fn hurry_cuts_a_long_grace_short() {
    let folder = tempfile::tempdir().unwrap();
    let mut spec = script(
        &folder,
        "trap '' TERM; echo $$; while :; do sleep 0.05; done",
    );
    spec.grace = Duration::from_hours(1);
    spec.hurried_grace = Duration::from_millis(100);
    let child = spawn(&launcher(), &spec).unwrap();
    printed_pid(&spec).await;
    let hurry = CancellationToken::new();
    hurry.cancel();
    tokio::time::timeout(DEADLINE, child.stop(&hurry))
        .await
        .unwrap();
}

#[tokio::test]
async fn what_a_child_started_in_its_group_ends_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let spec = script(
        &folder,
        // Not Ctrl-C's signal: a shell can't catch that one where whoever started the tests has it ignored.
        "trap '' TERM; sleep 600 & trap 'exit 0' USR1; echo $!; while :; do sleep 0.05; done",
    );
    let child = spawn(&launcher(), &spec).unwrap();
    let grandchild = printed_pid(&spec).await;
    child.signal(Signal::USR1);
    child.wait().await;
    assert_gone(grandchild).await;
}

#[tokio::test]
async fn dropping_the_handle_stops_the_child() {
    let folder = tempfile::tempdir().unwrap();
    let spec = script(&folder, "echo $$; exec sleep 600");
    let child = spawn(&launcher(), &spec).unwrap();
    let identity = printed_pid(&spec).await;
    drop(child);
    assert!(!identity.is_alive());
}

#[tokio::test]
async fn setpriv_ties_a_child_to_its_parent_where_the_binary_is_not_built() {
    let folder = tempfile::tempdir().unwrap();
    let spec = script(&folder, "echo $$; exec sleep 600");
    let launcher = Launcher::find().unwrap();
    assert!(
        matches!(launcher, Launcher::Setpriv(_)),
        "tests run from Cargo's deps: {launcher:?}"
    );
    let child = spawn(&launcher, &spec).unwrap();
    assert_eq!(printed_pid(&spec).await, child.identity());
}

#[tokio::test]
async fn what_was_not_stopped_by_us_is_restarted_and_counted() {
    let folder = tempfile::tempdir().unwrap();
    let child = spawn(&launcher(), &script(&folder, "exec sleep 600")).unwrap();
    let first = child.identity();
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let supervised = supervise(
        launcher(),
        child,
        Box::new(move |status| {
            tell.send(status).unwrap();
            Box::pin(std::future::ready(()))
        }),
    );
    kill(first, Signal::KILL);
    let status = tokio::time::timeout(DEADLINE, told.recv())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(status.restarts, 1);
    assert_ne!(status.identity, first);
    assert_eq!(supervised.status(), status);
    assert!(status.identity.is_alive());

    supervised.stop(&CancellationToken::new()).await;
    assert!(!status.identity.is_alive());
    assert!(told.try_recv().is_err(), "a stopped child is not restarted");
}

#[tokio::test]
async fn a_stop_of_everything_overtakes_an_order_that_waits_for_a_program() {
    let folder = tempfile::tempdir().unwrap();
    let mut spec = script(
        &folder,
        "trap 'echo asked' TERM; echo $$; while :; do sleep 0.05; done",
    );
    spec.grace = Duration::from_hours(1);
    spec.hurried_grace = Duration::from_millis(100);
    let child = spawn(&launcher(), &spec).unwrap();
    let identity = printed_pid(&spec).await;
    let supervised = supervise(
        launcher(),
        child,
        Box::new(|_| Box::pin(std::future::ready(()))),
    );
    let remote = supervised.remote();
    let order = tokio::spawn(async move { remote.order(Order::Stop).await });
    let asked = async || {
        let said = std::fs::read_to_string(spec.log().unwrap()).unwrap();
        said.contains("asked").then_some(())
    };
    wait::until(DEADLINE, asked).await.unwrap();

    let hurry = CancellationToken::new();
    hurry.cancel();
    tokio::time::timeout(DEADLINE, supervised.stop(&hurry))
        .await
        .unwrap();
    assert!(!identity.is_alive());
    let refused = order.await.unwrap().unwrap_err();
    assert_eq!(
        refused.to_string(),
        "script takes no orders any more: the stack is stopping"
    );
}

#[tokio::test]
async fn a_child_that_cannot_run_is_restarted_with_pauses_and_can_still_be_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let child = spawn(&launcher(), &script(&folder, "exit 1")).unwrap();
    let began = std::time::Instant::now();
    let supervised = supervise(
        launcher(),
        child,
        Box::new(|_| Box::pin(std::future::ready(()))),
    );
    let third = async || (supervised.status().restarts >= 3).then_some(());
    wait::until(DEADLINE, third).await.unwrap();
    // 100, 200 and 400 ms.
    assert!(
        began.elapsed() >= Duration::from_millis(700),
        "{:?}",
        began.elapsed()
    );
    tokio::time::timeout(DEADLINE, supervised.stop(&CancellationToken::new()))
        .await
        .unwrap();
}
