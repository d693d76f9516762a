//! What goes wrong, in one sentence each, and the exit code it leads to.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Exit codes of `chitram-stack`; `demo` also passes on those of `chitram-chaos run`.
pub mod exit {
    /// Done; for `demo`: every verdict was the expected one.
    pub const OK: u8 = 0;
    /// Bad usage or a bad value.
    pub const USAGE: u8 = 64;
    /// A port is in use, a server is missing or did not answer in time.
    pub const UNAVAILABLE: u8 = 69;
    /// Something that is our fault.
    pub const INTERNAL: u8 = 70;
    /// Another `chitram-stack` owns the folder.
    pub const OWNED: u8 = 73;
    /// Interrupted, and everything was stopped in order.
    pub const INTERRUPTED: u8 = 130;
}

/// One sentence that names the address or file and says what to do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The command line or the environment holds something that cannot be used.
    #[error("{0}")]
    Usage(String),
    /// Something that is needed is not there.
    #[error("{0}")]
    Unavailable(String),
    /// Somebody listens there already.
    #[error("{address} is in use: stop what listens there, or choose another port with {flag}")]
    PortInUse {
        /// The address that could not be bound.
        address: SocketAddr,
        /// The option that moves it.
        flag: &'static str,
    },
    /// The folder belongs to a running stack.
    #[error("{} belongs to the running chitram-stack with pid {pid}: stop it, or give --dir another folder", folder.display())]
    Owned {
        /// The stack's folder.
        folder: PathBuf,
        /// Its owner.
        pid: String,
    },
    /// A server was started and did not become ready.
    #[error("{name} {what} (waited {:.1} s); its log is {}", waited.as_secs_f64(), log.display())]
    NotReady {
        /// Which server.
        name: String,
        /// What was seen instead.
        what: String,
        /// How long it was given.
        waited: Duration,
        /// Where it says why.
        log: PathBuf,
    },
    /// One of our programs failed; it has said why itself.
    #[error("{what} ended with {status}")]
    Failed {
        /// The program and its command.
        what: String,
        /// How it ended.
        status: std::process::ExitStatus,
    },
    /// A file or system call failed.
    #[error("cannot {action}: {source}")]
    Io {
        /// What was tried, with the file's name.
        action: String,
        /// Why not.
        source: std::io::Error,
    },
    /// Ctrl-C, SIGTERM or SIGHUP.
    #[error("interrupted")]
    Interrupted,
}

impl Error {
    /// `cannot ACTION: why`.
    pub fn io(action: &str, source: std::io::Error) -> Self {
        Self::Io {
            action: action.to_owned(),
            source,
        }
    }

    /// `cannot VERB PATH: why`, for use with `map_err`.
    pub(crate) fn file(verb: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let action = format!("{verb} {}", path.display());
        move |source| Self::Io { action, source }
    }

    /// See [`exit`].
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) => exit::USAGE,
            Self::Unavailable(_) | Self::PortInUse { .. } | Self::NotReady { .. } => {
                exit::UNAVAILABLE
            }
            Self::Owned { .. } => exit::OWNED,
            Self::Failed { .. } | Self::Io { .. } => exit::INTERNAL,
            Self::Interrupted => exit::INTERRUPTED,
        }
    }
}
