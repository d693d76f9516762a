//! Prometheus' own tool, which knows best what Prometheus takes: its findings become ours.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

use super::codes;
use crate::exit::Refusal;
use crate::finding::Finding;

/// The longest that one run may take.
const DEADLINE: Duration = Duration::from_mins(5);
/// Lines of its output that a finding shows.
const LINES: usize = 40;

/// The program on PATH, else in the cache that `make backends` fills (`${XDG_CACHE_HOME:-~/.cache}/chitram/bin`).
pub(super) fn find() -> Option<PathBuf> {
    let variable = |name| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    let path = std::env::var_os("PATH").unwrap_or_default();
    let cache = variable("XDG_CACHE_HOME")
        .filter(|folder| folder.is_absolute())
        .or_else(|| Some(variable("HOME")?.join(".cache")));
    std::env::split_paths(&path)
        .chain(cache.map(|cache| cache.join("chitram/bin")))
        .map(|folder| folder.join("promtool"))
        .find(|file| file.is_file())
}

/// `promtool check rules`.
pub(super) async fn check(
    program: &Path,
    files: &[PathBuf],
    findings: &mut Vec<Finding>,
) -> Result<(), Refusal> {
    each(
        program,
        &["check", "rules"],
        codes::PROMTOOL_CHECK,
        files,
        findings,
    )
    .await
}

/// `promtool test rules`.
pub(super) async fn test(
    program: &Path,
    files: &[PathBuf],
    findings: &mut Vec<Finding>,
) -> Result<(), Refusal> {
    each(
        program,
        &["test", "rules"],
        codes::PROMTOOL_TEST,
        files,
        findings,
    )
    .await
}

/// A run for each file, so that a finding names it.
async fn each(
    program: &Path,
    command: &[&str],
    code: &'static str,
    files: &[PathBuf],
    findings: &mut Vec<Finding>,
) -> Result<(), Refusal> {
    for file in files {
        let mut run = Command::new(program);
        run.args(command)
            .arg(file)
            .stdin(Stdio::null())
            .kill_on_drop(true);
        let output = tokio::time::timeout(DEADLINE, run.output())
            .await
            .map_err(|_| {
                Refusal::unavailable(format!(
                    "{} {} {} took longer than {DEADLINE:?}",
                    program.display(),
                    command.join(" "),
                    file.display()
                ))
            })?
            .map_err(|error| {
                Refusal::unavailable(format!("can't run {}: {error}", program.display()))
            })?;
        if !output.status.success() {
            let said = [output.stderr, output.stdout].concat();
            let said = String::from_utf8_lossy(&said);
            let lines: Vec<&str> = said
                .lines()
                .map(str::trim_end)
                .filter(|line| !line.is_empty())
                .take(LINES)
                .collect();
            findings.push(Finding {
                code,
                file: file.display().to_string(),
                subject: "the file".to_owned(),
                query: None,
                sentence: format!("promtool {} says: {}", command.join(" "), lines.join("\n")),
            });
        }
    }
    Ok(())
}
