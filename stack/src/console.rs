//! What the stack says while it works: lines on standard error, so that standard output is for results only.

/// One line for the person. Nothing to see it with is no reason to stop.
pub(crate) fn note(line: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "{line}");
}
