//! Prometheus and Alertmanager. Nothing stands in for them: they are there, or nothing evaluates the rules.

use std::time::Duration;

use super::part::{Part, nothing};
use super::{Context, Setup};
use crate::error::Error;
use crate::server::prometheus::{Settings, Target};
use crate::server::{Running, alertmanager, prometheus};
use crate::state::{Kind, Role, Server};

/// How often Prometheus scrapes and evaluates rules.
const INTERVAL: Duration = Duration::from_secs(5);

/// Alertmanager's base URL, if there is one. `webhook` is where it sends what it is told to.
pub(super) async fn start_alertmanager(
    context: &Context,
    setup: &Setup,
    webhook: &str,
) -> Result<Option<(Part, String)>, Error> {
    let Some(found) = setup.take.choose(alertmanager::find()) else {
        return Ok(None);
    };
    let launch = context.launch(setup.ports.alertmanager);
    let server = alertmanager::start(&found, &launch, &setup.alerts.routes, webhook).await?;
    context.note(
        real(Role::Alerts, "alertmanager", &found.version),
        |endpoints| endpoints.alertmanager = Some(server.url.clone()),
    )?;
    Ok(Some((part(context, server.running)?, server.url)))
}

/// Prometheus, if there is one: it scrapes the platform's programs, and those that register in the stack's folder.
pub(super) async fn start_prometheus(
    context: &Context,
    setup: &Setup,
    alertmanager: Option<String>,
) -> Result<Option<(Part, String)>, Error> {
    let Some(found) = setup.metrics.choose(prometheus::find()) else {
        return Ok(None);
    };
    let endpoints = context.folder.state().endpoints;
    let targets = [
        ("chitram", endpoints.admin),
        ("chitram-stack", endpoints.control),
        ("alertmanager", alertmanager.clone()),
    ];
    let target = |(job, url): (&str, Option<String>)| {
        url.map(|url| Target {
            job: job.to_owned(),
            url,
        })
    };
    let settings = Settings {
        interval: INTERVAL,
        targets: targets.into_iter().filter_map(target).collect(),
        registered: Some(context.folder.targets()),
        alertmanager,
        rules: setup.alerts.rules.clone(),
    };
    let launch = context.launch(setup.ports.prometheus);
    let server = prometheus::start(&found, &launch, &settings).await?;
    context.note(
        real(Role::Metrics, "prometheus", &found.version),
        |endpoints| endpoints.prometheus = Some(server.url.clone()),
    )?;
    Ok(Some((part(context, server.running)?, server.url)))
}

fn part(context: &Context, running: Option<Running>) -> Result<Part, Error> {
    running.map_or(Ok(Part::Given), |running| {
        Part::process(context, running, nothing)
    })
}

fn real(role: Role, name: &str, version: &str) -> Server {
    Server {
        role,
        name: name.to_owned(),
        kind: Kind::Real,
        version: version.to_owned(),
    }
}
