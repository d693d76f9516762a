//! How the process ends, and why: every error that reaches the user carries its exit code.

use thiserror::Error;

/// Exit codes of `chitram-load`, as its `--help` documents them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Code {
    /// Done; of a run: every threshold held.
    Ok = 0,
    /// A threshold failed.
    ThresholdFailed = 1,
    /// Nothing was proven: the generator was at its bound, there were too few workers or samples, or the run was stopped.
    Inconclusive = 2,
    /// Bad usage, plan or input folder (`EX_USAGE`).
    Usage = 64,
    /// The target does not answer, or has nothing to load (`EX_UNAVAILABLE`).
    Unavailable = 69,
    /// An internal error (`EX_SOFTWARE`).
    Internal = 70,
    /// Interrupted by SIGINT.
    Interrupted = 130,
}

impl From<Code> for std::process::ExitCode {
    fn from(code: Code) -> Self {
        Self::from(code as u8)
    }
}

/// What ends a command before its time: one sentence each.
#[derive(Debug, Error)]
pub enum Failure {
    /// The user can mend it in the command line, the plan or the folder.
    #[error("{0}")]
    Usage(String),
    /// The target does not do what it must.
    #[error("{0}")]
    Unavailable(String),
    /// Neither.
    #[error("{0}")]
    Internal(String),
    /// A signal came before there was anything to report.
    #[error("stopped before the load began")]
    StoppedEarly {
        /// By SIGINT, not by SIGTERM.
        interrupted: bool,
    },
}

impl Failure {
    /// The process's exit code.
    pub fn code(&self) -> Code {
        match self {
            Self::Usage(_) => Code::Usage,
            Self::Unavailable(_) => Code::Unavailable,
            Self::Internal(_) => Code::Internal,
            Self::StoppedEarly { interrupted: true } => Code::Interrupted,
            Self::StoppedEarly { interrupted: false } => Code::Inconclusive,
        }
    }
}
