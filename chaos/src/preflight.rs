//! Everything that can be refused is refused here, while nothing has been touched.

use std::time::Duration;

use crate::context::Context;
use crate::definition::{Experiment, Fault};
use crate::exit::Refusal;
use crate::http;
use crate::injection::Injection;
use crate::journal::{Intent, PREFIX};
use crate::toxiproxy::{Definition, Error, Proxy, Toxiproxy};

const TARGET_DEADLINE: Duration = Duration::from_secs(5);
const MAX_LIST_BYTES: usize = 8 << 20;

/// Checks plan, target and proxy, and prepares the injection; `None` in a negative control. `number` is the experiment's
/// within this command: it makes the toxic's name unique.
pub async fn check(
    experiment: &Experiment,
    context: &Context,
    number: usize,
) -> Result<Option<Injection>, Refusal> {
    context.plan(&experiment.load.plan)?;
    target(context).await?;
    let Some(fault) = &experiment.fault else {
        return Ok(None);
    };
    let toxiproxy = context.toxiproxy()?;
    let (proxy, all) = proxy(&toxiproxy, fault).await?;
    let intent = Intent {
        name: format!("{PREFIX}{}", context.attempt_id(number)),
        experiment: experiment.name.clone(),
        toxiproxy: toxiproxy.base().clone(),
        toxic: crate::faults::Fault::new(&fault.effect, "").toxic.is_some(),
        proxy,
        all,
        making: Vec::new(),
        holder: context.stack.toxiproxy_holder(toxiproxy.base()),
    };
    let server = context.stack.own_toxiproxy(toxiproxy.base());
    Injection::prepare(toxiproxy, server, intent, fault)
        .await
        .map(Some)
}

async fn target(context: &Context) -> Result<(), Refusal> {
    let mut url = http::join(context.target()?, "v1/images");
    url.set_query(Some("limit=1"));
    let answer = http::get(&context.http, &url, TARGET_DEADLINE, MAX_LIST_BYTES).await;
    answer.map(|_| ()).map_err(|why| {
        Refusal::unavailable(format!("{why}: start the service (`chitram-stack up`)"))
    })
}

/// The proxy as it is, and all proxies for a server that must be restarted.
async fn proxy(toxiproxy: &Toxiproxy, fault: &Fault) -> Result<(Definition, Vec<Proxy>), Refusal> {
    let proxies = toxiproxy.list().await.map_err(|error| match error {
        Error::Refused(why) => Refusal::unavailable(why),
        other => Refusal::unavailable(format!("{other}: start Toxiproxy (`chitram-stack up`)")),
    })?;
    let Some(found) = proxies
        .iter()
        .find(|proxy| proxy.definition.name == fault.proxy)
    else {
        return Err(missing(toxiproxy, fault, &proxies));
    };
    if !found.toxics.is_empty() {
        let toxics: Vec<&str> = found
            .toxics
            .iter()
            .map(|toxic| toxic.name.as_str())
            .collect();
        return Err(Refusal::unavailable(format!(
            "proxy {} at {} carries toxics that are not ours ({}): an experiment would judge them too; remove them first",
            fault.proxy,
            toxiproxy.base(),
            toxics.join(", ")
        )));
    }
    Ok((found.definition.clone(), proxies))
}

fn missing(toxiproxy: &Toxiproxy, fault: &Fault, proxies: &[Proxy]) -> Refusal {
    let mut names: Vec<&str> = proxies
        .iter()
        .map(|proxy| proxy.definition.name.as_str())
        .collect();
    names.sort_unstable();
    let there = if names.is_empty() {
        "none".to_owned()
    } else {
        names.join(", ")
    };
    // SQLite is a file: there is nothing between the service and its catalog that could be broken.
    let hint = if fault.proxy == "catalog" {
        "; it needs PostgreSQL"
    } else {
        ""
    };
    Refusal::usage(format!(
        "proxy {} does not exist at {}: there are {there}{hint}",
        fault.proxy,
        toxiproxy.base()
    ))
}
