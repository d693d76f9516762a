//! What a run needs: a fresh system, an empty Prometheus with the scaled rules, an Alertmanager that notifies us, load.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use stack::interrupt::Interrupts;
use stack::process::{Child, Launcher};
use stack::server::{Found, Launch, Running, alertmanager, answers_ok, prometheus};
use url::Url;

use super::causes::{Causes, Command, Run};
use super::clock;
use super::command::{Runner, said};
use super::placeholder::Values;
use super::scale::Scaled;
use super::scale::length;
use super::scrapes::Scrapes;
use super::webhook::{Labels, Webhook};
use crate::exit::Refusal;
use crate::http;
use crate::prometheus::Prometheus;

/// How long a system may take until it is ready.
const READY: Duration = Duration::from_mins(5);
/// How long the first scrapes, and the first notification after them, may take.
const FIRST: Duration = Duration::from_mins(1);
/// Scrapes of each target before rules are evaluated. Scraping is much slower in scaled time than in production: a rule on what is
/// absent would fire before the first scrape.
const SCRAPES: f64 = 5.0;
/// How long a system may take to stop.
const GRACE: Duration = Duration::from_mins(1);
/// Between two looks at a condition.
const LOOK: Duration = Duration::from_millis(50);
/// Prometheus' defaults that are lengths of time, as its flags name them.
const FLAGS: [(&str, Duration); 4] = [
    ("query.lookback-delta", Duration::from_mins(5)),
    ("rules.alert.resend-delay", Duration::from_mins(1)),
    ("rules.alert.for-outage-tolerance", Duration::from_hours(1)),
    ("rules.alert.for-grace-period", Duration::from_mins(10)),
];

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
    async fn commands(
        &self,
        what: &str,
        commands: &[Command],
        values: &Values,
        runner: &Runner,
    ) -> Result<(), Broken> {
        for (number, command) in commands.iter().enumerate() {
            let words = values.fill_all(command.words())?;
            let name = format!("{what}-{}", number + 1);
            let within = command.within().unwrap_or(FIRST);
            self.unless_stopped(runner.run(&name, &words, within))
                .await??;
        }
        Ok(())
    }

    fn runner(&self, values: &Values, logs: &Path) -> Result<Runner, Broken> {
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

    async fn before(&self) -> Result<(), Broken> {
        let (bench, values) = (self.bench, &self.values);
        let runner = bench.runner(values, &self.logs)?;
        bench
            .commands("before", &self.run.before, values, &runner)
            .await
    }

    async fn start_system(&mut self) -> Result<(), Broken> {
        let system = &self.bench.causes.system;
        let mut words = self.values.fill_all(&system.start)?;
        words.extend(self.values.fill_all(&self.run.arguments)?);
        let mut env = Vec::new();
        for (name, value) in &self.run.env {
            env.push((name.clone(), self.values.fill(value)?));
        }
        let runner = self.bench.runner(&self.values, &self.logs)?;
        self.system = Some(runner.start_system(&words, &env, GRACE)?);
        let ready = async || {
            let values = self.values().ok()?;
            for url in system.ready.iter().chain(&self.run.ready) {
                // What is not known yet is not ready.
                let url = values.fill(url).ok()?;
                if !answers_ok(&url).await {
                    return None;
                }
            }
            Some(())
        };
        let waited = self
            .bench
            .unless_stopped(self.alive_until(READY, ready))
            .await??;
        waited.ok_or_else(|| {
            let said = self.system.as_ref().map(said).unwrap_or_default();
            Broken::Because(format!("the system was not ready within {READY:?}{said}"))
        })
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
        let others = self
            .background
            .iter()
            .map(|child| ("the cause in the background", child));
        let all = self.system.iter().map(|child| ("the system", child));
        let all = all
            .chain(self.load.iter().map(|child| ("the load", child)))
            .chain(others);
        for (what, child) in all {
            // A cause may have an end of its own.
            let fine = what == "the cause in the background";
            match child.exited() {
                Some(status) if !(fine && status.success()) => {
                    return Err(format!("{what} ended with {status}{}", said(child)).into());
                }
                _ => {}
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

    async fn start_servers(&mut self) -> Result<(), Broken> {
        let webhook = Webhook::start().await.map_err(|refusal| refusal.sentence)?;
        let data = self.dir.with_file_name("servers");
        fs::create_dir_all(&data).map_err(|error| format!("{}: {error}", data.display()))?;
        let launch = Launch {
            launcher: self.bench.launcher.clone(),
            logs: Some(self.logs.clone()),
            data: Some(data),
            port: 0,
        };
        let failed = |error: stack::error::Error| Broken::Because(error.to_string());
        let routes = self.bench.scaled.routes.text_to(&webhook.url);
        let alerts = alertmanager::start(&self.bench.alertmanager, &launch, &routes, &webhook.url);
        let alerts = self.bench.unless_stopped(alerts).await?.map_err(failed)?;
        let scrapes = Scrapes::of(&self.bench.causes.system, &self.values()?)?;
        let mut known = self.values.clone();
        known.set("alertmanager.url", &alerts.url);
        let host = known.fill("{alertmanager.url.host}")?;
        let configuration = |port| Ok(scrapes.configuration(port, &host));
        let arguments = self.arguments();
        let metrics = prometheus::start_configured(
            &self.bench.prometheus,
            &launch,
            &configuration,
            &[],
            &arguments,
        );
        let metrics = self.bench.unless_stopped(metrics).await?.map_err(failed)?;
        self.values = known;
        self.values.set("prometheus.url", &metrics.url);
        self.values.set("webhook.url", &webhook.url);
        for (name, running) in [
            ("alertmanager", &alerts.running),
            ("prometheus", &metrics.running),
        ] {
            let Some(running) = running else { continue };
            let pid = running.child().identity().pid;
            self.values.set(&format!("{name}.pid"), &pid.to_string());
            if let Some(folder) = running.folders().first() {
                self.values
                    .set(&format!("{name}.dir"), &folder.display().to_string());
            }
        }
        self.client = Some(client(&metrics.url).map_err(|refusal| refusal.sentence)?);
        (self.alertmanager, self.prometheus) = (alerts.running, metrics.running);
        self.webhook = Some(webhook);
        Ok(())
    }

    fn arguments(&self) -> Vec<String> {
        let scale = self.bench.scaled.scale;
        let flag = |(name, default): &(&str, Duration)| {
            format!("--{name}={}", length::text(scale.length(*default)))
        };
        let flags = FLAGS.iter().map(flag);
        flags.chain(["--web.enable-lifecycle".to_owned()]).collect()
    }

    fn start_load(&mut self) -> Result<(), Broken> {
        let words = self
            .run
            .load
            .as_ref()
            .unwrap_or(&self.bench.causes.system.load);
        if words.is_empty() {
            return Ok(());
        }
        let values = self.values()?;
        let runner = self.bench.runner(&values, &self.logs)?;
        self.load = Some(runner.start("load", &values.fill_all(words)?)?);
        Ok(())
    }

    async fn first_scrapes(&self) -> Result<(), Broken> {
        let scrapes = Scrapes::of(&self.bench.causes.system, &self.values()?)?;
        let scraped = async || {
            let found = self
                .prometheus()
                .ok()?
                .query("count_over_time(up[1h])", clock::now())
                .await
                .ok()?;
            let enough = |series: &crate::prometheus::Series| {
                series
                    .samples
                    .last()
                    .is_some_and(|(_, count)| *count >= SCRAPES)
            };
            (found.len() >= scrapes.targets() && found.iter().all(enough)).then_some(())
        };
        self.wait(FIRST, scraped).await?.ok_or_else(|| {
            let sentence = format!("not every target was scraped {SCRAPES} times within {FIRST:?}");
            Broken::Because(sentence)
        })
    }

    async fn load_rules(&self) -> Result<(), Broken> {
        let folder = PathBuf::from(self.values.fill("{prometheus.dir}/rules")?);
        for (name, text) in &self.bench.scaled.rules.files {
            let path = folder.join(name);
            fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))?;
        }
        let url = self.values.fill("{prometheus.url}/-/reload")?;
        let url = Url::parse(&url).map_err(|error| error.to_string())?;
        let client = http::client().map_err(|error| error.to_string())?;
        match http::read(client.post(url.clone()), &url).await? {
            (200, _) => Ok(()),
            (status, body) => {
                let said = String::from_utf8_lossy(&body).into_owned();
                Err(Broken::Because(format!(
                    "Prometheus does not take the rules: {status} {said}"
                )))
            }
        }
    }

    async fn first_beat(&self) -> Result<(), Broken> {
        let Some(watchdog) = &self.bench.causes.watchdog else {
            return Ok(());
        };
        let heard = async || self.fires(watchdog).then_some(());
        self.wait(FIRST, heard).await?.ok_or_else(|| {
            Broken::Because(format!(
                "no notification of {watchdog} came within {FIRST:?}: nothing would be seen"
            ))
        })
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

    /// Injects the cause.
    pub(crate) async fn inject(&mut self) -> Result<(), Broken> {
        for (number, command) in self.run.inject.iter().enumerate() {
            let values = self.values()?;
            let runner = self.bench.runner(&values, &self.logs)?;
            let (name, words) = (
                format!("inject-{}", number + 1),
                values.fill_all(command.words())?,
            );
            match command.within() {
                Some(within) => {
                    self.bench
                        .unless_stopped(runner.run(&name, &words, within))
                        .await??
                }
                None => self.background.push(runner.start(&name, &words)?),
            }
        }
        Ok(())
    }

    /// Rolls the cause back, whatever happened: every command is run, also when one fails. A second wish to stop ends it.
    pub(crate) async fn restore(&mut self) -> Result<(), Broken> {
        let hurry = &self.bench.interrupts.hurry;
        for child in self.background.drain(..) {
            child.stop(hurry).await;
        }
        let values = match self.values() {
            Ok(values) => values,
            // The system's file is gone: what does not need it is still rolled back.
            Err(_) => self.values.clone(),
        };
        let runner = self.bench.runner(&values, &self.logs)?;
        let mut failed = None;
        for (number, command) in self.run.restore.iter().enumerate() {
            let name = format!("restore-{}", number + 1);
            let within = command.within().unwrap_or(FIRST);
            let done = async {
                runner
                    .run(&name, &values.fill_all(command.words())?, within)
                    .await
            };
            let done = tokio::select! {
                biased;
                () = hurry.cancelled() => return Err(Broken::Interrupted),
                done = done => done,
            };
            if let Err(sentence) = done {
                failed.get_or_insert(format!("rolling back failed: {sentence}"));
            }
        }
        failed.map_or(Ok(()), |sentence| Err(Broken::Because(sentence)))
    }

    /// Stops all of it, in order, and runs what comes after. What is still there of the folder is kept.
    pub(crate) async fn stop(mut self) -> Result<(), Broken> {
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
        let runner = self.bench.runner(&self.values, &self.logs)?;
        for (number, command) in self.run.after.iter().enumerate() {
            let words = self.values.fill_all(command.words())?;
            let name = format!("after-{}", number + 1);
            runner
                .run(&name, &words, command.within().unwrap_or(FIRST))
                .await?;
        }
        Ok(())
    }
}

fn client(url: &str) -> Result<Prometheus, Refusal> {
    let http = http::client()
        .map_err(|error| Refusal::internal(format!("no HTTP client can be made: {error}")))?;
    let url = Url::parse(url).map_err(|error| Refusal::internal(format!("{url}: {error}")))?;
    Ok(Prometheus::new(http, url))
}
