//! Where log lines go: Elasticsearch, shipped there by rsyslog. There is no stand-in: without them the lines are in the
//! files of `logs/` only.

use std::sync::Arc;

use super::part::{Part, nothing};
use super::{Context, Optional, Setup};
use crate::console;
use crate::error::Error;
use crate::server::elasticsearch::{self, Elasticsearch, index};
use crate::server::rsyslog::refused::{Counts, follow};
use crate::server::rsyslog::{self, Rsyslog, Shipment, statistics};
use crate::server::{Running, Source};
use crate::state::{Kind, Role, Server};

/// The log that holds one JSON object a line, and what it is called once it is rotated.
const SHIPPED: &str = "service.log*";

/// The servers, running and not supervised yet. Dropping it stops them.
pub(super) struct Logs {
    /// First, because fields are dropped in their order: it ends before what it sends to.
    shipper: Option<Rsyslog>,
    elasticsearch: Option<Running>,
    url: String,
}

/// Starts both and waits until lines are shipped; `None` without Elasticsearch.
pub(super) async fn start(context: &Context, setup: &Setup) -> Result<Option<Logs>, Error> {
    let Some(found) = setup.choose(Optional::Elasticsearch, elasticsearch::find()) else {
        return Ok(None);
    };
    let Elasticsearch { url, running } =
        elasticsearch::start(&found, &context.launch(setup.ports.elasticsearch)).await?;
    index::install(&url, index::TEMPLATE).await?;
    let shipper = ship(context, &url).await?;
    note(context, &found.version, &url)?;
    Ok(Some(Logs {
        shipper,
        elasticsearch: running,
        url,
    }))
}

async fn ship(context: &Context, url: &str) -> Result<Option<Rsyslog>, Error> {
    let backend = rsyslog::find();
    let Some(Source::Program(program)) = backend.found.map(|found| found.source) else {
        console::note(&format!(
            "log lines are not shipped to Elasticsearch: rsyslog is missing ({})",
            backend.install
        ));
        return Ok(None);
    };
    let shipment = Shipment {
        logs: context.folder.logs().join(SHIPPED),
        elasticsearch: url.to_owned(),
        state: context.folder.data().join("rsyslog"),
    };
    let started = rsyslog::start(&program, &shipment, &context.launch(0)).await?;
    Ok(Some(started))
}

fn note(context: &Context, version: &str, url: &str) -> Result<(), Error> {
    let server = Server {
        role: Role::Logs,
        name: "elasticsearch".to_owned(),
        kind: Kind::Real,
        version: version.to_owned(),
    };
    context.note(server, |endpoints| {
        endpoints.elasticsearch = Some(url.to_owned());
    })
}

impl Logs {
    /// From now on they are supervised. In the order of their start.
    pub(super) fn into_parts(self, context: &Context) -> Result<Vec<Part>, Error> {
        let mut parts = Vec::new();
        if let Some(running) = self.elasticsearch {
            parts.push(Part::process(context, running, nothing)?);
        }
        if let Some(Rsyslog { running, files }) = self.shipper {
            parts.push(Part::process(context, running, nothing)?);
            let (url, counts) = (self.url, Counts::default());
            let (written, redelivered) = (files.statistics.clone(), counts.clone());
            context.control.collect(Arc::new(move || {
                statistics::render(&written, redelivered.get())
            }));
            parts.push(Part::task(
                "the watch over the statistics of log shipping",
                |shutdown| async {
                    statistics::keep_short(files.statistics, shutdown).await;
                    Ok(())
                },
            ));
            parts.push(Part::task(
                "the redelivery of refused log lines",
                |shutdown| follow(files.refused, url, counts, shutdown),
            ));
        }
        Ok(parts)
    }
}
