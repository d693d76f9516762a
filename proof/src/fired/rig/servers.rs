//! Prometheus and Alertmanager of a run, empty and with scaled rules and routes.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use stack::server::{Launch, alertmanager, prometheus};
use url::Url;

use super::super::bench::Broken;
use super::super::clock;
use super::super::scale::length;
use super::super::scrapes::Scrapes;
use super::super::webhook::Webhook;
use super::Rig;
use crate::exit::Refusal;
use crate::http;
use crate::prometheus::{Prometheus, Series};

/// How long the first scrapes, and the first notification after them, may take.
const FIRST: Duration = Duration::from_mins(1);
/// Scrapes of each target before rules are evaluated. Scraping is much slower in scaled time than in production: a rule on what is
/// absent would fire before the first scrape.
const SCRAPES: f64 = 5.0;
/// Prometheus' defaults that are lengths of time, as its flags name them.
const FLAGS: [(&str, Duration); 4] = [
    ("query.lookback-delta", Duration::from_mins(5)),
    ("rules.alert.resend-delay", Duration::from_mins(1)),
    ("rules.alert.for-outage-tolerance", Duration::from_hours(1)),
    ("rules.alert.for-grace-period", Duration::from_mins(10)),
];

impl Rig<'_, '_> {
    pub(super) async fn start_servers(&mut self) -> Result<(), Broken> {
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

    pub(super) async fn first_scrapes(&self) -> Result<(), Broken> {
        let scrapes = Scrapes::of(&self.bench.causes.system, &self.values()?)?;
        let enough_of_all = async || {
            let found = self
                .prometheus()
                .ok()?
                .query("count_over_time(up[1h])", clock::now())
                .await
                .ok()?;
            let enough = |series: &Series| {
                series
                    .samples
                    .last()
                    .is_some_and(|(_, count)| *count >= SCRAPES)
            };
            (found.len() >= scrapes.targets() && found.iter().all(enough)).then_some(())
        };
        self.wait(FIRST, enough_of_all).await?.ok_or_else(|| {
            let sentence = format!("not every target was scraped {SCRAPES} times within {FIRST:?}");
            Broken::Because(sentence)
        })
    }

    pub(super) async fn load_rules(&self) -> Result<(), Broken> {
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

    pub(super) async fn first_beat(&self) -> Result<(), Broken> {
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
}

fn client(url: &str) -> Result<Prometheus, Refusal> {
    let http = http::client()
        .map_err(|error| Refusal::internal(format!("no HTTP client can be made: {error}")))?;
    let url = Url::parse(url).map_err(|error| Refusal::internal(format!("{url}: {error}")))?;
    Ok(Prometheus::new(http, url))
}
