//! The verdicts, their precedence and the exit code of several.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::exit::Exit;

/// How an experiment ended. Ordered by precedence: when several hold, the greatest is the verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The promise held, and telemetry told the truth about the fault.
    Pass,
    /// The promise held, but no alert, trace or log named the fault.
    NotDetected,
    /// The promise broke.
    Deviated,
    /// Nothing can be said: the fault was not proven active, the generator under-delivered, something was starved, or the
    /// baseline was unstable.
    Inconclusive,
    /// Ended early: by a guardrail, or because the load generator died.
    Aborted,
    /// The service did not return to its baseline after the fault was lifted.
    NotRecovered,
    /// Data was lost or changed.
    InvariantBroken,
    /// The fault could not be removed.
    RollbackFailed,
}

impl Verdict {
    /// The word in files and on the screen.
    pub fn word(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::NotDetected => "not_detected",
            Self::Deviated => "deviated",
            Self::Inconclusive => "inconclusive",
            Self::Aborted => "aborted",
            Self::NotRecovered => "not_recovered",
            Self::InvariantBroken => "invariant_broken",
            Self::RollbackFailed => "rollback_failed",
        }
    }

    /// The exit code of a command whose worst unexpected verdict this is. A `pass` that nobody expected belongs to a
    /// positive control which failed to show its deviation: the figures deviate from what was expected of them.
    pub fn exit(self) -> Exit {
        match self {
            Self::Pass | Self::Deviated => Exit::Deviated,
            Self::NotDetected => Exit::NotDetected,
            Self::Inconclusive => Exit::Inconclusive,
            Self::Aborted => Exit::Aborted,
            Self::NotRecovered => Exit::NotRecovered,
            Self::InvariantBroken => Exit::InvariantBroken,
            Self::RollbackFailed => Exit::RollbackFailed,
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// Something that decides a verdict, and the sentence that says so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The verdict that it alone would give.
    pub verdict: Verdict,
    /// One sentence with figures.
    pub sentence: String,
}

impl Finding {
    /// A finding of this verdict.
    pub fn new(verdict: Verdict, sentence: impl Into<String>) -> Self {
        Self {
            verdict,
            sentence: sentence.into(),
        }
    }
}

/// The verdict of all findings together: the one that takes precedence, `pass` without any.
pub fn of(findings: &[Finding]) -> Verdict {
    findings
        .iter()
        .map(|finding| finding.verdict)
        .max()
        .unwrap_or(Verdict::Pass)
}

/// The exit code of several experiments, each with its verdict and the expected one.
pub fn exit_of(verdicts: impl IntoIterator<Item = (Verdict, Verdict)>) -> Exit {
    let unexpected = verdicts
        .into_iter()
        .filter(|(seen, expected)| seen != expected)
        .map(|(seen, _)| seen);
    unexpected.max().map_or(Exit::AsExpected, Verdict::exit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_verdict_that_takes_precedence_wins_and_none_is_a_pass() {
        use Verdict::*;
        let order = [
            RollbackFailed,
            InvariantBroken,
            NotRecovered,
            Aborted,
            Inconclusive,
            Deviated,
            NotDetected,
            Pass,
        ];
        for pair in order.windows(2) {
            let findings = [Finding::new(pair[1], "b"), Finding::new(pair[0], "a")];
            assert_eq!(of(&findings), pair[0]);
        }
        assert_eq!(of(&[]), Pass);
    }

    #[test]
    fn verdicts_as_expected_exit_0_even_when_a_deviation_was_expected() {
        use Verdict::*;
        assert_eq!(
            exit_of([(Pass, Pass), (Deviated, Deviated)]),
            Exit::AsExpected
        );
        assert_eq!(
            exit_of([(Deviated, Pass), (Deviated, Deviated)]),
            Exit::Deviated
        );
        assert_eq!(exit_of([(Pass, Deviated)]), Exit::Deviated);
        assert_eq!(
            exit_of([(Inconclusive, Pass), (Deviated, Pass)]),
            Exit::Inconclusive
        );
        assert_eq!(
            exit_of([(RollbackFailed, Pass), (NotRecovered, Pass)]),
            Exit::RollbackFailed
        );
    }
}
