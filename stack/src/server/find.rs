//! Where the real servers are on this machine.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// How long a program may take to print its version.
const ANSWER_DEADLINE: Duration = Duration::from_secs(10);
/// The version of what does not tell it.
const UNKNOWN: &str = "unknown";

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
        Self::given(url_variable).or_else(|| Some(Self::program(programs()?)))
    }

    /// Whether it runs already.
    pub fn is_given(&self) -> bool {
        matches!(self.source, Source::Url(_))
    }

    /// What the environment variable names.
    pub(super) fn given(url_variable: &str) -> Option<Self> {
        variable(url_variable).map(|url| Self {
            source: Source::Url(url),
            version: UNKNOWN.to_owned(),
        })
    }

    /// A program on PATH or in chitram's cache that is new enough; one that does not tell its version is not.
    pub(super) fn at_least(name: &str, least: Version) -> Option<Self> {
        let mut all = all(name);
        all.find(|found| found.is_at_least(least))
    }

    fn program(program: PathBuf) -> Self {
        let version = version(&program).unwrap_or_else(|| UNKNOWN.to_owned());
        Self {
            source: Source::Program(program),
            version,
        }
    }

    fn is_at_least(&self, least: Version) -> bool {
        major_and_minor(&self.version).is_some_and(|version| version >= least)
    }
}

/// Major and minor number.
pub(super) type Version = (u32, u32);

/// What is said of a program that is there but too old to be used.
pub(super) fn too_old(name: &str, least: Version) -> Option<String> {
    let old = all(name).find(|found| !found.is_at_least(least))?;
    let Source::Program(path) = &old.source else {
        return None;
    };
    let ((major, minor), path) = (least, path.display());
    Some(format!(
        "{path} is not used: its version is {}, and {major}.{minor} or newer is needed",
        old.version
    ))
}

/// The programs of this name, in the order in which they are preferred.
fn all(name: &str) -> impl Iterator<Item = Found> {
    [on_path(name), cached(name)]
        .into_iter()
        .flatten()
        .map(Found::program)
}

fn major_and_minor(version: &str) -> Option<Version> {
    let mut numbers = version.split(['.', '-', '+']).map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
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
    on_path(name).or_else(|| cached(name))
}

fn cached(name: &str) -> Option<PathBuf> {
    Some(cache()?.join("bin").join(name)).filter(|file| is_program(file))
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
    run(program, args).map(|output| text(&output.stdout))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn run(program: &Path, args: &[&str]) -> Option<Output> {
    let mut command = Command::new(program);
    command
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().ok()?;
    let end = Instant::now() + ANSWER_DEADLINE;
    while Instant::now() < end && child.try_wait().ok()?.is_none() {
        thread::sleep(Duration::from_millis(2));
    }
    let _ = child.kill(); // nothing happens to one that has ended
    let output = child.wait_with_output().ok()?;
    output.status.success().then_some(output)
}

/// The version that `scripts/backends` noted beside the cache's programs (built from source they do not know it), else
/// the first thing like a version in what `--version` prints.
fn version(program: &Path) -> Option<String> {
    noted_version(program).or_else(|| {
        let output = run(program, &["--version"])?;
        // Some tell it on standard error.
        version_in(&text(&output.stdout)).or_else(|| version_in(&text(&output.stderr)))
    })
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
    fn only_a_version_that_is_known_and_new_enough_is_taken() {
        let found = |version: &str| Found {
            source: Source::Url(String::new()),
            version: version.to_owned(),
        };
        for version in ["3.0.0", "3.11.3", "4.0-rc1", "10.2"] {
            assert!(found(version).is_at_least((3, 0)), "{version}");
        }
        for version in ["2.42.0+ds", "0.311.3", "3", UNKNOWN, ""] {
            assert!(!found(version).is_at_least((3, 0)), "{version}");
        }
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
