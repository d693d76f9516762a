//! Commands of a causes file: run to their end or in the background, with their output in files.

use std::ffi::OsString;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Duration;

use stack::process::{Child, Launcher, Signal, Spec, spawn};
use stack::server::find;
use tokio_util::sync::CancellationToken;

/// How long a command may take to end when it is asked to, before SIGKILL.
const GRACE: Duration = Duration::from_secs(5);
/// Of a command's output this much is shown when it fails, in bytes.
const SHOWN: u64 = 2_000;

/// How commands are run.
#[derive(Clone, Debug)]
pub(crate) struct Runner {
    /// Makes children that cannot outlive us.
    pub(crate) launcher: Launcher,
    /// The folder of their output.
    pub(crate) logs: PathBuf,
    /// Their environment, besides ours.
    pub(crate) env: Vec<(String, String)>,
}

impl Runner {
    /// Starts a command; `name` names its log.
    pub(crate) fn start(&self, name: &str, words: &[String]) -> Result<Child, String> {
        let spec = self.spec(name, words)?;
        spawn(&self.launcher, &spec).map_err(|error| error.to_string())
    }

    /// Starts a program that stops others in order when it is asked to end.
    pub(crate) fn start_system(
        &self,
        words: &[String],
        env: &[(String, String)],
        grace: Duration,
    ) -> Result<Child, String> {
        let mut spec = self.spec("system", words)?;
        spec.env.extend(
            env.iter()
                .map(|(name, value)| (name.clone(), OsString::from(value))),
        );
        spec.death_signal = Signal::TERM;
        spec.grace = grace;
        spawn(&self.launcher, &spec).map_err(|error| error.to_string())
    }

    /// Runs a command to its end. The error is a sentence with what it said last.
    pub(crate) async fn run(
        &self,
        name: &str,
        words: &[String],
        within: Duration,
    ) -> Result<(), String> {
        let child = self.start(name, words)?;
        let command = words.join(" ");
        let Ok(status) = tokio::time::timeout(within, child.wait()).await else {
            child.stop(&CancellationToken::new()).await;
            return Err(format!(
                "`{command}` took longer than {within:?} and was ended"
            ));
        };
        if status.success() {
            return Ok(());
        }
        Err(format!("`{command}` ended with {status}{}", said(&child)))
    }

    fn spec(&self, name: &str, words: &[String]) -> Result<Spec, String> {
        let (program, arguments) = words.split_first().ok_or("an empty command")?;
        let path = if program.contains('/') {
            PathBuf::from(program)
        } else {
            find::on_path(program).ok_or_else(|| format!("{program} is not on PATH"))?
        };
        let log = self.logs.join(format!("{name}.log"));
        let mut spec = Spec::new(name, &path, &log).args(arguments);
        spec.env = self
            .env
            .iter()
            .map(|(name, value)| (name.clone(), OsString::from(value)))
            .collect();
        spec.grace = GRACE;
        Ok(spec)
    }
}

/// What a child said last, as the rest of a sentence.
pub(crate) fn said(child: &Child) -> String {
    let Some(log) = child.spec().log() else {
        return String::new();
    };
    let text = tail(log).unwrap_or_default();
    let text = text.trim();
    if text.is_empty() {
        return format!(" and said nothing (its output: {})", log.display());
    }
    format!(": {text}")
}

fn tail(file: &Path) -> std::io::Result<String> {
    let mut file = std::fs::File::open(file)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(SHOWN)))?;
    let mut bytes = Vec::new();
    file.take(SHOWN).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
