//! How a command line is made into a child that dies with us.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;

use super::exec::signal_name;
use super::{Signal, Spec};
use crate::error::Error;
use crate::server::find;

/// What sets a child's death signal before its program starts.
#[derive(Debug, Clone)]
pub enum Launcher {
    /// `chitram-stack exec`, which also checks that the parent is still there.
    Exec(PathBuf),
    /// `setpriv --pdeathsig` of util-linux: for tests of crates that do not build `chitram-stack`.
    Setpriv(PathBuf),
}

impl Launcher {
    /// The `chitram-stack` that runs or lies beside this program; in tests (programs in Cargo's `deps`), `setpriv`,
    /// because what lies beside *them* may be older than the library.
    pub fn find() -> Result<Self, Error> {
        let own = std::env::current_exe()
            .map_err(|source| Error::io("find this program's own path", source))?;
        let in_deps = own.parent().is_some_and(|folder| folder.ends_with("deps"));
        let beside = own.with_file_name("chitram-stack");
        if !in_deps && beside.is_file() {
            return Ok(Self::Exec(beside));
        }
        setpriv().map(Self::Setpriv)
    }

    /// The command that starts `spec`, without its streams. A server that refuses root runs through `setpriv` whatever
    /// the launcher: the kernel clears the death signal when the user changes, so it is set after that.
    pub(crate) fn command(&self, spec: &Spec) -> Result<Command, Error> {
        let (program, launch) = match (self, spec.user) {
            (Self::Exec(stack), None) => (stack.clone(), exec_args(spec.death_signal)),
            (Self::Setpriv(setpriv), _) => (setpriv.clone(), setpriv_args(spec)),
            (Self::Exec(_), Some(_)) => (setpriv()?, setpriv_args(spec)),
        };
        let mut command = Command::new(program);
        command
            .args(launch)
            .arg("--")
            .arg(&spec.program)
            .args(&spec.args);
        Ok(command)
    }
}

fn setpriv() -> Result<PathBuf, Error> {
    find::on_path("setpriv").ok_or_else(|| {
        Error::Unavailable(
            "setpriv is not on PATH: install util-linux, which starts servers as another user"
                .to_owned(),
        )
    })
}

fn exec_args(signal: Signal) -> Vec<OsString> {
    let parent = std::process::id().to_string();
    ["exec", "--parent", &parent, "--signal", signal_name(signal)]
        .map(OsString::from)
        .to_vec()
}

fn setpriv_args(spec: &Spec) -> Vec<OsString> {
    let mut args = Vec::new();
    if let Some(user) = spec.user {
        args.push(format!("--reuid={}", user.uid).into());
        args.push(format!("--regid={}", user.gid).into());
        args.push("--clear-groups".into());
    }
    args.push(format!("--pdeathsig={}", signal_name(spec.death_signal)).into());
    args
}
