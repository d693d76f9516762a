//! Where the real servers are on this machine.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// How long a program may take to print its version.
const ANSWER_DEADLINE: Duration = Duration::from_secs(10);

/// A server that the platform can use, and whether this machine has it.
#[derive(Debug, Clone)]
pub struct Backend {
    /// What people call it, e.g. `PostgreSQL`.
    pub name: &'static str,
    /// What it is used for.
    pub role: &'static str,
    /// The command that installs it.
    pub install: &'static str,
    /// Where it is, if it is.
    pub found: Option<Found>,
}

/// A server that this machine has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Where.
    pub source: Source,
    /// Its version as far as it tells, else `unknown`.
    pub version: String,
}

/// Where a server is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// It runs already, and the environment says where.
    Url(String),
    /// It can be started.
    Program(PathBuf),
}

impl Found {
    /// Looks for a URL in the environment variable, then for a program; `programs` are asked in their order.
    pub(super) fn look(
        url_variable: &str,
        programs: impl FnOnce() -> Option<PathBuf>,
    ) -> Option<Self> {
        if let Some(url) = variable(url_variable) {
            return Some(Self {
                source: Source::Url(url),
                version: "unknown".to_owned(),
            });
        }
        let program = programs()?;
        let version = version(&program).unwrap_or_else(|| "unknown".to_owned());
        Some(Self {
            source: Source::Program(program),
            version,
        })
    }
}

/// An environment variable that is set and not empty.
pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// A program on PATH.
pub fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|file| is_program(file))
}

/// A program on PATH or in chitram's cache.
pub fn on_path_or_cached(name: &str) -> Option<PathBuf> {
    on_path(name).or_else(|| Some(cache()?.join("bin").join(name)).filter(|file| is_program(file)))
}

/// Chitram's cache: `${XDG_CACHE_HOME:-~/.cache}/chitram`.
pub fn cache() -> Option<PathBuf> {
    let base = variable("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .filter(|base| base.is_absolute());
    Some(
        base.or_else(|| Some(PathBuf::from(variable("HOME")?).join(".cache")))?
            .join("chitram"),
    )
}

pub(super) fn is_program(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    file.metadata()
        .is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

/// Standard output of a short command that prints little; `None` when it fails or does not end in time.
pub(super) fn output(program: &Path, args: &[&str]) -> Option<String> {
    let mut command = Command::new(program);
    command
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let mut child = command.spawn().ok()?;
    let end = Instant::now() + ANSWER_DEADLINE;
    while Instant::now() < end && child.try_wait().ok()?.is_none() {
        thread::sleep(Duration::from_millis(2));
    }
    let _ = child.kill(); // nothing happens to one that has ended
    let output = child.wait_with_output().ok()?;
    output
        .status
        .success()
        .then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The version that `scripts/backends` noted beside the cache's programs (built from source they do not know it), else
/// the first thing like a version in what `--version` prints.
fn version(program: &Path) -> Option<String> {
    noted_version(program).or_else(|| version_by(program, "--version"))
}

/// The first thing like a version in what a program prints when it is given `flag`.
pub(super) fn version_by(program: &Path, flag: &str) -> Option<String> {
    version_in(&output(program, &[flag])?)
}

fn noted_version(program: &Path) -> Option<String> {
    let cache = program.parent()?.parent()?;
    let prefix = format!("{}-v", program.file_name()?.to_str()?);
    let mut notes = cache
        .read_dir()
        .ok()?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    notes.find_map(|note| {
        Some(
            note.strip_prefix(&prefix)?
                .strip_suffix(".installed")?
                .to_owned(),
        )
    })
}

fn version_in(text: &str) -> Option<String> {
    let words = text
        .split([' ', '\t', '\n', ','])
        .map(|word| word.trim_start_matches('v'));
    let mut versions = words.filter(|word| {
        word.contains('.') && word.starts_with(|first: char| first.is_ascii_digit())
    });
    versions.next().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_the_first_word_that_looks_like_one() {
        assert_eq!(
            version_in("postgres (PostgreSQL) 15.18 (Debian 15.18-0)").as_deref(),
            Some("15.18")
        );
        assert_eq!(
            version_in("toxiproxy-server version v2.12.0\n").as_deref(),
            Some("2.12.0")
        );
        assert_eq!(version_in("toxiproxy-server version git"), None);
    }

    #[test]
    fn a_noted_version_belongs_to_the_program_beside_it() {
        let cache = tempfile::tempdir().unwrap();
        let bin = cache.path().join("bin");
        std::fs::create_dir(&bin).unwrap();
        std::fs::write(cache.path().join("jaeger-v1.76.0.installed"), "").unwrap();
        assert_eq!(
            noted_version(&bin.join("jaeger")).as_deref(),
            Some("1.76.0")
        );
        assert_eq!(noted_version(&bin.join("versitygw")), None);
    }
}
