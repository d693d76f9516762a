//! The servers' own tools, which know best what the servers take.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

use crate::exit::Refusal;

/// The longest that one check may take.
const DEADLINE: Duration = Duration::from_mins(2);
/// Lines of a tool's output that are shown.
const LINES: usize = 20;

/// Runs `program arguments file`. What it says if it refuses the file.
pub(crate) async fn check(
    program: &Path,
    arguments: &[&str],
    file: &Path,
) -> Result<Result<(), String>, Refusal> {
    let mut run = Command::new(program);
    run.args(arguments)
        .arg(file)
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let name = program.display();
    let output = tokio::time::timeout(DEADLINE, run.output())
        .await
        .map_err(|_| Refusal::unavailable(format!("{name} took longer than {DEADLINE:?}")))?
        .map_err(|error| Refusal::unavailable(format!("{name} can't be run: {error}")))?;
    if output.status.success() {
        return Ok(Ok(()));
    }
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    let lines: Vec<&str> = said
        .lines()
        .filter(|line| !line.trim().is_empty())
        .take(LINES)
        .collect();
    Ok(Err(lines.join("\n")))
}
