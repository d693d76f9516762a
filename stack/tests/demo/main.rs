//! The main job, end to end: `chitram-stack demo` as a person runs it.
//!
//! A target of its own, with one test at a time: a demo measures, and beside other tests its verdict would be that the
//! machine is too busy (`inconclusive`). It takes minutes; Cargo runs it alone.
#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on fails where it stands"
)]

mod interrupts;
mod judged;
#[path = "../it/run.rs"]
mod run;
mod shipped;
mod whole;

use std::path::Path;
use std::time::Duration;

use tokio::sync::Mutex;

use crate::run::Run;

/// Held by each test while its demo runs.
static ALONE: Mutex<()> = Mutex::const_new(());

/// A whole demo at the shortest times, with one repetition of each experiment, on a busy machine.
const WHOLE: Duration = Duration::from_mins(15);
/// Any one step before the experiments.
const STEP: Duration = Duration::from_mins(5);
/// An ordered end: rollback, drain, stores.
const END: Duration = Duration::from_mins(2);

/// A demo whose report and results are below `files`, with these arguments besides.
fn demo(files: &Path, more: &[&str]) -> Run {
    let path = |name: &str| files.join(name).display().to_string();
    let (report, result) = (path("report.html"), path("result.json"));
    let args = [
        "demo",
        "--seconds",
        "12",
        "--report",
        &report,
        "--result",
        &result,
    ];
    Run::start(&[&args, more].concat(), &[])
}
