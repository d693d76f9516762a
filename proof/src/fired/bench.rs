//! What all runs share, and why one may end before it is judged.

use std::fs;
use std::path::{Path, PathBuf};

use stack::interrupt::Interrupts;
use stack::process::Launcher;
use stack::server::Found;

use super::causes::{Causes, Command};
use super::command::Runner;
use super::placeholder::Values;
use super::scale::Scaled;

/// What all runs share.
pub(crate) struct Bench<'a> {
    /// The causes file.
    pub(crate) causes: &'a Causes,
    /// Rules and routes.
    pub(crate) scaled: &'a Scaled,
    /// Makes children that cannot outlive us.
    pub(crate) launcher: Launcher,
    /// The folder below which each run has its own.
    pub(crate) home: PathBuf,
    /// The folder that `{shared}` names.
    pub(crate) shared: PathBuf,
    /// The folder that `{bin}` names.
    pub(crate) bin: PathBuf,
    /// Prometheus' program.
    pub(crate) prometheus: PathBuf,
    /// Alertmanager's program.
    pub(crate) alertmanager: Found,
    /// What the person has asked for.
    pub(crate) interrupts: Interrupts,
}

/// Why a run ended before it could be judged.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Broken {
    /// The person wants to stop.
    Interrupted,
    /// Something did not start or did not run: one sentence.
    Because(String),
    /// The system itself did not start: one sentence.
    NotStarted(String),
}

impl From<String> for Broken {
    fn from(sentence: String) -> Self {
        Self::Because(sentence)
    }
}

impl Bench<'_> {
    /// The values that are known without a system.
    pub(crate) fn values(&self) -> Values {
        let mut values = Values::default();
        values.set("bin", &self.bin.display().to_string());
        values.set("shared", &self.shared.display().to_string());
        values
    }

    /// Runs what is prepared once for all systems. It has no environment of a system.
    pub(crate) async fn prepare_once(&self) -> Result<(), Broken> {
        let logs = self.home.join("logs");
        fs::create_dir_all(&logs).map_err(|error| format!("{}: {error}", logs.display()))?;
        let runner = Runner {
            launcher: self.launcher.clone(),
            logs,
            env: Vec::new(),
        };
        let commands = &self.causes.system.prepare_once;
        self.commands("prepare-once", commands, &self.values(), &runner)
            .await
    }

    /// Runs commands one after the other with these values.
    pub(super) async fn commands(
        &self,
        what: &str,
        commands: &[Command],
        values: &Values,
        runner: &Runner,
    ) -> Result<(), Broken> {
        for (number, command) in commands.iter().enumerate() {
            let words = values.fill_all(command.words())?;
            let name = format!("{what}-{}", number + 1);
            self.unless_stopped(runner.run(&name, &words, command.within()))
                .await??;
        }
        Ok(())
    }

    pub(super) fn runner(&self, values: &Values, logs: &Path) -> Result<Runner, String> {
        let mut env = Vec::new();
        for (name, value) in &self.causes.system.env {
            env.push((name.clone(), values.fill(value)?));
        }
        Ok(Runner {
            launcher: self.launcher.clone(),
            logs: logs.to_owned(),
            env,
        })
    }

    /// Runs something until it is done or the person wants to stop; then it is dropped.
    pub(crate) async fn unless_stopped<T>(
        &self,
        work: impl Future<Output = T>,
    ) -> Result<T, Broken> {
        tokio::select! {
            biased;
            () = self.interrupts.stop.cancelled() => Err(Broken::Interrupted),
            done = work => Ok(done),
        }
    }
}
