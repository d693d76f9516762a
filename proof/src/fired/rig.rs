//! What a run needs: a fresh system, an empty Prometheus with the scaled rules, an Alertmanager that notifies us, load.

mod cause;
mod servers;
mod system;

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use stack::process::Child;
use stack::server::Running;
use url::Url;

use super::bench::{Bench, Broken};
use super::causes::{Command, Run};
use super::command::said;
use super::placeholder::Values;
use super::webhook::{Labels, Webhook};
use crate::prometheus::Prometheus;

/// Between two looks at a condition.
const LOOK: Duration = Duration::from_millis(50);

/// Everything of one run.
pub(crate) struct Rig<'b, 'a> {
    bench: &'b Bench<'a>,
    run: &'b Run,
    dir: PathBuf,
    logs: PathBuf,
    values: Values,
    webhook: Option<Webhook>,
    system: Option<Child>,
    load: Option<Child>,
    background: Vec<Child>,
    alertmanager: Option<Running>,
    prometheus: Option<Running>,
    client: Option<Prometheus>,
}

impl<'b, 'a> Rig<'b, 'a> {
    /// The folders of a run; nothing is started.
    pub(crate) fn new(bench: &'b Bench<'a>, run: &'b Run) -> Result<Self, Broken> {
        let home = bench.home.join(&run.name);
        let (dir, logs) = (home.join("system"), home.join("logs"));
        for folder in [&dir, &logs] {
            let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
            made.map_err(|error| format!("{} can't be made: {error}", folder.display()))?;
        }
        let mut values = bench.values();
        values.set("dir", &dir.display().to_string());
        Ok(Self {
            bench,
            run,
            dir,
            logs,
            values,
            webhook: None,
            system: None,
            load: None,
            background: Vec::new(),
            alertmanager: None,
            prometheus: None,
            client: None,
        })
    }

    /// Starts all of it, up to the first notification of the watchdog.
    pub(crate) async fn start(&mut self) -> Result<(), Broken> {
        self.before().await?;
        self.start_system().await.map_err(|broken| match broken {
            Broken::Because(sentence) => Broken::NotStarted(sentence),
            other => other,
        })?;
        let (bench, values) = (self.bench, self.values()?);
        for (name, commands) in [
            ("prepare", &bench.causes.system.prepare),
            ("prepare-run", &self.run.prepare),
        ] {
            let runner = bench.runner(&values, &self.logs)?;
            bench.commands(name, commands, &values, &runner).await?;
        }
        self.start_servers().await?;
        self.start_load()?;
        self.first_scrapes().await?;
        self.load_rules().await?;
        self.first_beat().await
    }

    /// Looks until the condition holds; fails when the system ends first. `None` when it took too long.
    async fn alive_until<T>(
        &self,
        within: Duration,
        mut condition: impl AsyncFnMut() -> Option<T>,
    ) -> Result<Option<T>, Broken> {
        let end = Instant::now() + within;
        loop {
            if let Some(found) = condition().await {
                return Ok(Some(found));
            }
            self.check_alive()?;
            if Instant::now() >= end {
                return Ok(None);
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Fails when something ended that must go on.
    fn check_alive(&self) -> Result<(), Broken> {
        let must = [("the system", &self.system), ("the load", &self.load)];
        for (what, child) in must {
            if let Some(child) = child
                && let Some(status) = child.exited()
            {
                return Err(format!("{what} ended with {status}{}", said(child)).into());
            }
        }
        for child in &self.background {
            // A cause may have an end of its own.
            if let Some(status) = child.exited().filter(|status| !status.success()) {
                let said = said(child);
                return Err(
                    format!("the cause in the background ended with {status}{said}").into(),
                );
            }
        }
        Ok(())
    }

    /// What is known now: the system's own values may change with it.
    pub(crate) fn values(&self) -> Result<Values, String> {
        let mut values = self.values.clone();
        if let Some(file) = &self.bench.causes.system.values {
            let file = values.fill(file)?;
            let text = crate::files::read(Path::new(&file)).map_err(|refusal| refusal.sentence)?;
            values
                .set_file(&text)
                .map_err(|error| format!("{file}: {error}"))?;
        }
        Ok(values)
    }

    /// Whether any alert of this name fires, as far as was heard.
    pub(crate) fn fires(&self, name: &str) -> bool {
        let named = |labels: &Labels| labels.get("alertname").is_some_and(|own| own == name);
        let heard = self.webhook.iter().flat_map(Webhook::heard);
        heard
            .into_iter()
            .any(|(labels, heard)| named(&labels) && heard.fires())
    }

    /// Where notifications arrive.
    pub(crate) fn webhook(&self) -> Result<&Webhook, Broken> {
        self.webhook
            .as_ref()
            .ok_or_else(|| Broken::Because("the webhook does not run".to_owned()))
    }

    /// The run's Prometheus.
    pub(crate) fn prometheus(&self) -> Result<&Prometheus, Broken> {
        self.client
            .as_ref()
            .ok_or_else(|| Broken::Because("Prometheus does not run".to_owned()))
    }

    /// How long alerts may be active from the start, unscaled.
    pub(crate) fn settles_within(&self) -> Duration {
        self.bench.causes.system.settles_within.0
    }

    /// Where log lines are searched.
    pub(crate) fn logs(&self) -> Result<Url, String> {
        self.url("logs", self.bench.causes.system.logs.as_deref())
    }

    /// Where traces are searched.
    pub(crate) fn traces(&self) -> Result<Url, String> {
        self.url("traces", self.bench.causes.system.traces.as_deref())
    }

    fn url(&self, key: &str, text: Option<&str>) -> Result<Url, String> {
        let text = text.ok_or_else(|| format!("[system] names no `{key}`"))?;
        let text = self.values()?.fill(text)?;
        Url::parse(&text).map_err(|error| format!("{key}: {text}: {error}"))
    }

    /// Looks until the condition holds, the person wants to stop, or something ends that must go on. `None` when it took too
    /// long.
    pub(crate) async fn wait<T>(
        &self,
        within: Duration,
        condition: impl AsyncFnMut() -> Option<T>,
    ) -> Result<Option<T>, Broken> {
        self.bench
            .unless_stopped(self.alive_until(within, condition))
            .await?
    }

    /// Stops all of it, in order, and runs what comes after: every command, also when one fails. Returns a sentence for each that
    /// failed. What is still there of the folder is kept.
    pub(crate) async fn stop(mut self) -> Vec<String> {
        let hurry = &self.bench.interrupts.hurry;
        let own = [self.load.take(), self.system.take()];
        for child in self.background.drain(..).chain(own.into_iter().flatten()) {
            child.stop(hurry).await;
        }
        for running in [self.prometheus.take(), self.alertmanager.take()]
            .into_iter()
            .flatten()
        {
            running.child().stop(hurry).await;
        }
        let mut failed = Vec::new();
        for (number, command) in self.run.after.iter().enumerate() {
            if let Err(sentence) = self.after(number + 1, command).await {
                failed.push(format!("cleaning up failed: {sentence}"));
            }
        }
        failed
    }

    async fn after(&self, number: usize, command: &Command) -> Result<(), String> {
        let words = self.values.fill_all(command.words())?;
        let runner = self.bench.runner(&self.values, &self.logs)?;
        let name = format!("after-{number}");
        runner.run(&name, &words, command.within()).await
    }
}
