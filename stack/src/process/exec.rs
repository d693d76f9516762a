//! `chitram-stack exec`: the step between fork and program that ties a child's life to its parent's.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::Command;

use rustix::process::{Pid, Signal};

/// The program could not be run.
pub const CANNOT_RUN: u8 = 126;
/// There is no such program.
pub const NOT_FOUND: u8 = 127;
/// The parent was gone before the death signal was set.
pub const PARENT_GONE: u8 = 125;

/// Asks the kernel for `signal` at the death of the parent, checks that the parent still is `parent`, and becomes the
/// program. Returns only when that failed: an exit code and a sentence.
pub fn exec(parent: u32, signal: Signal, program: &OsString, args: &[OsString]) -> (u8, String) {
    if let Err(error) = rustix::process::set_parent_process_death_signal(Some(signal)) {
        return (
            CANNOT_RUN,
            format!("the death signal cannot be set: {error}"),
        );
    }
    // The parent may have died before the line above: then nobody would ever signal us.
    if rustix::process::getppid().map(Pid::as_raw_pid) != i32::try_from(parent).ok() {
        return (
            PARENT_GONE,
            format!(
                "the parent {parent} is gone, {} is not started",
                program.display()
            ),
        );
    }
    let error = Command::new(program).args(args).exec();
    let code = if error.kind() == std::io::ErrorKind::NotFound {
        NOT_FOUND
    } else {
        CANNOT_RUN
    };
    (
        code,
        format!("{} cannot be run: {error}", program.display()),
    )
}

/// A signal by its name, with or without `SIG`.
pub fn parse_signal(name: &str) -> Result<Signal, String> {
    match name.trim_start_matches("SIG") {
        "TERM" => Ok(Signal::TERM),
        "INT" => Ok(Signal::INT),
        "KILL" => Ok(Signal::KILL),
        _ => Err("expected TERM, INT or KILL".to_owned()),
    }
}

/// The name that [`parse_signal`] and `setpriv` understand.
pub(crate) fn signal_name(signal: Signal) -> &'static str {
    match signal {
        Signal::TERM => "TERM",
        Signal::INT => "INT",
        _ => "KILL",
    }
}
