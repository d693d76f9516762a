//! Where log lines go: Elasticsearch, shipped there by rsyslog. There is no stand-in: without them the lines are in the
//! logs of `logs/` only.

use super::part::{Part, nothing};
use super::{Context, Take};
use crate::console;
use crate::error::Error;
use crate::server::rsyslog::Shipment;
use crate::server::rsyslog::refused::{Counts, follow};
use crate::server::{Source, elasticsearch, rsyslog};
use crate::state::{Kind, Role, Server};

/// The logs that hold one JSON object a line, and what they are called once they are rotated.
const SHIPPED: &str = "service.log*";

/// What was started, in the order of its start; nothing when no Elasticsearch is found.
pub(super) async fn start(context: &Context, take: Take, port: u16) -> Result<Vec<Part>, Error> {
    let Some(found) = take.choose(elasticsearch::find()) else {
        return Ok(Vec::new());
    };
    let real = elasticsearch::start(&found, &context.launch(port)).await?;
    let url = real.url;
    let mut parts = vec![real.running.map_or(Ok(Part::Given), |running| {
        Part::process(context, running, nothing)
    })?];
    elasticsearch::index::install(&url, elasticsearch::index::TEMPLATE).await?;
    note(context, &found.version, &url)?;
    parts.extend(ship(context, &url).await?);
    Ok(parts)
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

async fn ship(context: &Context, url: &str) -> Result<Vec<Part>, Error> {
    let backend = rsyslog::find();
    let Some(Source::Program(program)) = backend.found.map(|found| found.source) else {
        console::note(&format!(
            "log lines are not shipped to Elasticsearch: rsyslog is missing ({})",
            backend.install
        ));
        return Ok(Vec::new());
    };
    let shipment = Shipment {
        logs: context.folder.logs().join(SHIPPED),
        elasticsearch: url.to_owned(),
        state: context.folder.data().join("rsyslog"),
    };
    let started = rsyslog::start(&program, &shipment, &context.launch(0)).await?;
    let (refused, url, counts) = (started.files.refused, url.to_owned(), Counts::default());
    Ok(vec![
        Part::process(context, started.running, nothing)?,
        Part::task("the redelivery of refused log lines", |shutdown| {
            follow(refused, url, counts, shutdown)
        }),
    ])
}
