//! Exit codes: the contract with scripts and with `chitram-stack demo`, documented in `docs/experiments.md` and `--help`.

/// How the command ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Every verdict is the expected one.
    AsExpected = 0,
    /// An experiment is inconclusive, after a repetition if one was asked for.
    Inconclusive = 4,
    /// A promise broke; or an experiment that was expected to end otherwise passed.
    Deviated = 10,
    /// The service did not return to its baseline after the fault was lifted.
    NotRecovered = 11,
    /// Data was lost or changed.
    InvariantBroken = 12,
    /// The promise held, but no telemetry named the fault.
    NotDetected = 13,
    /// A guardrail or the death of the load generator ended an experiment early.
    Aborted = 14,
    /// A fault could not be removed; the message says what to type.
    RollbackFailed = 15,
    /// Bad usage, or a bad experiment file.
    Usage = 64,
    /// An address does not answer, or what it serves is not fit for an experiment.
    Unavailable = 69,
    /// A defect of this program or of the machine under it, such as a full disk.
    Internal = 70,
    /// Another run holds the lock.
    Locked = 73,
    /// Ended by SIGINT, SIGTERM or SIGHUP, after rolling back.
    Interrupted = 130,
}

/// Why a command did not reach a verdict: one sentence for the user, and the exit code.
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

    /// An address does not answer, or not as needed.
    pub fn unavailable(sentence: impl Into<String>) -> Self {
        Self {
            exit: Exit::Unavailable,
            sentence: sentence.into(),
        }
    }

    /// Something that should work did not: files, threads, signals.
    pub fn internal(sentence: impl Into<String>) -> Self {
        Self {
            exit: Exit::Internal,
            sentence: sentence.into(),
        }
    }
}
