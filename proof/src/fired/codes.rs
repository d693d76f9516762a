//! What can be found: stable names, documented in `docs/fired.md`.

/// A rule, route or cause can't be read, or its time can't be scaled.
pub(crate) const NOT_SCALABLE: &str = "not-scalable";
/// A range holds too few samples once it is scaled.
pub(crate) const WINDOW_TOO_SHORT: &str = "window-too-short";
/// A number looks like a length of time and no annotation says whether it is one.
pub(crate) const TIME_LITERAL: &str = "time-literal";
/// An annotation lists a number that the expression does not hold.
pub(crate) const LITERAL_UNUSED: &str = "literal-unused";
/// promtool or amtool refuses a scaled file.
pub(crate) const TOOL_REFUSES: &str = "tool-refuses";
/// No run makes the alert fire, and nothing says why.
pub(crate) const ALERT_WITHOUT_RUN: &str = "alert-without-run";
/// A run expects, or an exception names, an alert that no rule has, or that is not one rule.
pub(crate) const ALERT_UNKNOWN: &str = "alert-unknown";
/// An alert is declared unprovable, and a run proves it.
pub(crate) const EXCEPTION_UNUSED: &str = "exception-unused";
/// A column of a run was neither proven nor declared not to apply.
pub(crate) const HOLE: &str = "hole";
/// An expected alert did not reach the webhook in time.
pub(crate) const NOT_FIRED: &str = "not-fired";
/// An expected alert did not clear in time after the fault was rolled back.
pub(crate) const NOT_CLEARED: &str = "not-cleared";
/// An alert fired, or was about to, before the cause was injected.
pub(crate) const FIRED_BEFORE: &str = "fired-before-cause";
/// An alert fired that the run does not expect.
pub(crate) const FIRED_BESIDE: &str = "fired-beside";
/// Notifications of an alert that always fires went on although they had to stop.
pub(crate) const NOT_SILENT: &str = "not-silent";
/// Evidence of a run was not found: a panel, a trace, a log line, a promise.
pub(crate) const NO_EVIDENCE: &str = "no-evidence";
/// A run could not be judged: something did not start, or did not run.
pub(crate) const INCONCLUSIVE: &str = "inconclusive";

/// All of them.
pub const ALL: [&str; 16] = [
    NOT_SCALABLE,
    WINDOW_TOO_SHORT,
    TIME_LITERAL,
    LITERAL_UNUSED,
    TOOL_REFUSES,
    ALERT_WITHOUT_RUN,
    ALERT_UNKNOWN,
    EXCEPTION_UNUSED,
    HOLE,
    NOT_FIRED,
    NOT_CLEARED,
    FIRED_BEFORE,
    FIRED_BESIDE,
    NOT_SILENT,
    NO_EVIDENCE,
    INCONCLUSIVE,
];
