//! Other people's programs that tests hold our results against.

use std::{io::Write, process::Command};

/// Whether the programs are there; `version` is what makes each of them print its version and end. Where they are not, the
/// test says so and returns; with `CHITRAM_REQUIRE=all` it fails.
pub(crate) fn require(programs: &[&str], version: &str) -> bool {
    let starts = |program: &&str| Command::new(program).arg(version).output().is_ok();
    let Some(missing) = programs.iter().find(|program| !starts(program)) else {
        return true;
    };
    assert!(
        std::env::var_os("CHITRAM_REQUIRE").is_none_or(|all| all != "all"),
        "needs {missing}: scripts/backends"
    );
    // Not `eprintln!`, which the test harness keeps to itself.
    let _ = writeln!(
        std::io::stderr(),
        "not run: needs {missing} (scripts/backends)"
    );
    false
}
