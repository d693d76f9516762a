//! Exit codes: the contract with scripts and CI, documented in `--help`.

/// How the command ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Everything was proven.
    Proven = 0,
    /// There are findings; they were printed.
    Findings = 1,
    /// Bad usage, or a file that cannot be read as what it should be.
    Usage = 64,
    /// A server does not answer, so nothing was proven.
    Unavailable = 69,
    /// A defect of this program or of the machine under it, such as a full disk.
    Internal = 70,
    /// Ctrl-C, SIGTERM or SIGHUP; what was begun was rolled back.
    Interrupted = 130,
}

/// Why a command did not reach a result: one sentence for the user, and the exit code.
#[derive(Debug, thiserror::Error)]
#[error("{sentence}")]
pub struct Refusal {
    /// How the command ends.
    pub exit: Exit,
    /// Names the file, field or address, and says what to do.
    pub sentence: String,
}

impl Refusal {
    /// Bad usage or a bad file.
    pub fn usage(sentence: impl Into<String>) -> Self {
        Self {
            exit: Exit::Usage,
            sentence: sentence.into(),
        }
    }

    /// A server does not answer, or not as needed.
    pub fn unavailable(sentence: impl Into<String>) -> Self {
        Self {
            exit: Exit::Unavailable,
            sentence: sentence.into(),
        }
    }

    /// Something that should work did not.
    pub fn internal(sentence: impl Into<String>) -> Self {
        Self {
            exit: Exit::Internal,
            sentence: sentence.into(),
        }
    }
}
