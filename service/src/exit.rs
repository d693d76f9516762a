//! How the process ends when it can't go on: one line, and an exit code by which scripts tell what to mend.

use std::fmt::{self, Display};
use std::process::ExitCode;

/// A failure with its exit code. The codes are those of `sysexits.h`.
#[derive(Debug)]
pub struct Failure {
    code: u8,
    message: String,
}

impl Failure {
    /// Bad usage or configuration.
    pub const USAGE: u8 = 64;
    /// A port or a dependency that the start needs can't be had.
    pub const UNAVAILABLE: u8 = 69;
    /// A defect, or the machine failed.
    pub const INTERNAL: u8 = 70;

    /// Something that the user has to mend in what they gave.
    pub fn usage(reason: impl Display) -> Self {
        Self {
            code: Self::USAGE,
            message: reason.to_string(),
        }
    }

    /// Something around the process has to be mended.
    pub fn unavailable(reason: impl Display) -> Self {
        Self {
            code: Self::UNAVAILABLE,
            message: reason.to_string(),
        }
    }

    /// Something that should not happen.
    pub fn internal(reason: impl Display) -> Self {
        Self {
            code: Self::INTERNAL,
            message: reason.to_string(),
        }
    }

    /// The code for the operating system.
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.code)
    }
}

impl Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}
