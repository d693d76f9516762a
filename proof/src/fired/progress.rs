//! What a long proof says while it runs, on standard error.

use jiff::Timestamp;

/// One line: the time of day in UTC, the run, what happens.
pub(crate) fn note(run: &str, what: &str) {
    let now = Timestamp::now();
    eprintln!("{} {run}: {what}", now.strftime("%H:%M:%S"));
}
