//! What several modules here need.

use std::path::Path;

use stack::process::{Identity, Launcher};
use stack::wait;

use crate::run::{DEADLINE, chitram_stack};

/// Children by the binary under test.
pub(crate) fn launcher() -> Launcher {
    Launcher::Exec(chitram_stack())
}

/// Waits until the process is gone (a zombie is gone).
pub(crate) async fn assert_gone(identity: Identity) {
    let gone = wait::until(DEADLINE, async || (!identity.is_alive()).then_some(())).await;
    assert!(gone.is_some(), "process {} still runs", identity.pid);
}

/// Waits until a file holds a whole line, and returns it.
pub(crate) async fn first_line(file: &Path) -> String {
    let line = async || {
        let text = std::fs::read_to_string(file).ok()?;
        text.split_once('\n').map(|(line, _)| line.to_owned())
    };
    wait::until(DEADLINE, line)
        .await
        .unwrap_or_else(|| panic!("{} has no line", file.display()))
}
