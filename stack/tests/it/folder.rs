//! One owner a folder; what a dead owner left is cleared.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use stack::folder::Folder;
use stack::net::loopback;
use stack::process::{Identity, Spec, spawn};
use stack::state::{Process, Proxy, State};

use crate::support::launcher;

#[tokio::test]
async fn a_claimed_folder_is_private_and_names_its_owner() {
    let parent = tempfile::tempdir().unwrap();
    let folder = Folder::claim(&parent.path().join("new/.chitram"))
        .await
        .unwrap();
    assert_eq!(
        fs::metadata(folder.path()).unwrap().permissions().mode() & 0o777,
        0o700
    );
    let state = State::read(&folder.path().join("stack.toml"))
        .unwrap()
        .unwrap();
    assert_eq!(state.owner, Identity::own());
}

#[tokio::test]
async fn a_second_owner_is_refused_with_the_pid_of_the_first() {
    let parent = tempfile::tempdir().unwrap();
    let first = Folder::claim(parent.path()).await.unwrap();
    let error = Folder::claim(parent.path()).await.unwrap_err();
    assert!(
        error
            .to_string()
            .contains(&format!("chitram-stack with pid {}", std::process::id())),
        "{error}"
    );
    assert_eq!(error.exit_code(), 73);
    drop(first);
    Folder::claim(parent.path()).await.unwrap();
}

#[tokio::test]
async fn a_folder_that_many_share_is_refused_and_left_as_it_is() {
    let shared = tempfile::tempdir().unwrap();
    fs::set_permissions(shared.path(), fs::Permissions::from_mode(0o1777)).unwrap();
    let error = Folder::claim(shared.path()).await.unwrap_err();
    assert_eq!(error.exit_code(), 64);
    assert_eq!(
        fs::metadata(shared.path()).unwrap().permissions().mode() & 0o7777,
        0o1777
    );
}

#[tokio::test]
async fn what_a_dead_owner_left_running_is_stopped_and_its_file_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let leftover = spawn(
        &launcher(),
        &Spec::new("service", Path::new("/bin/sleep"), &log).args(["600"]),
    )
    .unwrap();
    write_stale(folder.path(), leftover.identity());
    fs::create_dir(folder.path().join("data")).unwrap();
    fs::write(folder.path().join("data/old"), "").unwrap();

    let claimed = Folder::claim(folder.path()).await.unwrap();
    assert!(!leftover.identity().is_alive());
    assert!(!folder.path().join("data/old").exists());
    assert_eq!(claimed.state().owner, Identity::own());
    assert!(
        claimed.stale().unwrap().proxies.contains_key("store"),
        "what it said is kept for whoever cleans up"
    );
}

#[tokio::test]
async fn a_stranger_with_a_reused_pid_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let stranger = spawn(
        &launcher(),
        &Spec::new("sleep", Path::new("/bin/sleep"), &log).args(["600"]),
    )
    .unwrap();
    let Identity { pid, start_time } = stranger.identity();
    write_stale(
        folder.path(),
        Identity {
            pid,
            start_time: start_time + 1,
        },
    );
    let _claimed = Folder::claim(folder.path()).await.unwrap();
    assert!(stranger.exited().is_none());
}

#[tokio::test]
async fn nothing_but_logs_and_the_lock_file_is_left() {
    let parent = tempfile::tempdir().unwrap();
    let folder = Folder::claim(parent.path()).await.unwrap();
    fs::write(folder.data().join("objects"), "").unwrap();
    drop(folder);
    let mut left: Vec<_> = fs::read_dir(parent.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    left.sort();
    assert_eq!(left, ["logs", "stack.lock"]);
}

fn write_stale(folder: &Path, leftover: Identity) {
    let mut stale = State::empty();
    stale.owner = Identity {
        pid: leftover.pid,
        start_time: 0,
    };
    stale.proxies.insert(
        "store".to_owned(),
        Proxy {
            listen: loopback(1),
            upstream: loopback(2),
        },
    );
    let Identity { pid, start_time } = leftover;
    let log = PathBuf::from("service.log");
    stale.processes.push(Process {
        name: "service".to_owned(),
        pid,
        start_time,
        log,
        restarts: 0,
    });
    stale.write(&folder.join("stack.toml")).unwrap();
}
