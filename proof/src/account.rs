//! `chitram-proof account`: whether the pipelines delivered what a program emitted.
//!
//! Everything is read first ([`gather`]), while the program's counters are watched; then it is judged, by the loss equations
//! ([`equation`]), signal by signal ([`exposition`], [`traces`], [`lines`]), and by what the signals say of each other
//! ([`join`]). What a program emits comes from its declarations, and which series, fields and attributes play which part from
//! a file of expectations: nothing here knows any program.

mod codes;
mod elasticsearch;
mod equation;
mod evidence;
mod expectations;
mod exposition;
mod gather;
mod jaeger;
mod join;
mod judgement;
mod lines;
mod output;
mod secrets;
mod traces;

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use url::Url;

use self::evidence::Evidence;
use self::judgement::Judgement;
use self::output::Output;
use crate::exit::{Exit, Refusal};
use crate::promql;

/// What helps where there is more than is judged: nothing is read that is older than the process, unless `--from` asks for it.
const LESS_TO_READ: &str =
    "leave out --from, or start the program anew just before the load that is to be judged";

/// Holds what a program emitted against what Jaeger and Elasticsearch have: to the unit, and by its declarations.
///
/// docs/proof-findings-account.md lists what it can find. What could not be measured is listed, and nothing is proven then.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("source").required(true).multiple(true))]
pub struct Arguments {
    /// What the program declares about itself, as JSON
    #[arg(long, value_name = "FILE")]
    declared: PathBuf,
    /// Which series, spans and fields play which part, as TOML
    #[arg(long, value_name = "FILE")]
    expectations: Option<PathBuf>,
    /// The program's own page of metrics
    #[arg(long, value_name = "URL", group = "source")]
    metrics: Option<Url>,
    /// That page, saved before a load: requests since then are compared with --truth
    #[arg(long, value_name = "FILE", requires = "metrics")]
    before: Option<PathBuf>,
    /// The page of metrics of what ships the lines: it tells how many are on their way
    #[arg(long, value_name = "URL", requires = "elasticsearch")]
    shipper: Option<Url>,
    /// Jaeger's query API
    #[arg(long, value_name = "URL", group = "source")]
    jaeger: Option<Url>,
    /// The service's name in spans and lines; left out: the program's declared name
    #[arg(long, value_name = "NAME")]
    service: Option<String>,
    /// Elasticsearch's API
    #[arg(long, value_name = "URL", group = "source", requires = "index")]
    elasticsearch: Option<Url>,
    /// The index or data stream with the lines
    #[arg(
        long,
        value_name = "NAME",
        requires = "elasticsearch",
        default_value = ""
    )]
    index: String,
    /// What a load generator counted
    #[arg(long, value_name = "FILE")]
    truth: Option<PathBuf>,
    /// The share of all requests that have a trace, between 0 and 1, if it is known
    #[arg(long, value_name = "SHARE", value_parser = share, requires = "jaeger")]
    sampled_share: Option<f64>,
    /// Texts that must be nowhere, one a line
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
    /// Also look at processes that ended since then (Unix seconds); left out: only at the one that runs, from its start
    #[arg(long, value_name = "SECONDS")]
    from: Option<f64>,
    /// The process, as spans and lines name it; left out: the newest
    #[arg(long, value_name = "ID")]
    instance: Option<String>,
    /// How long to wait until what is on its way has arrived
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = promql::duration)]
    settle: Duration,
    /// How the result is printed
    #[arg(long, value_enum, default_value = "text")]
    output: Output,
}

fn share(text: &str) -> Result<f64, String> {
    let share: Option<f64> = text.parse().ok();
    share
        .filter(|share| (0.0..=1.0).contains(share))
        .ok_or_else(|| format!("invalid share {text:?}: write a number from 0 to 1"))
}

/// Runs the command.
pub async fn run(arguments: &Arguments) -> Result<Exit, Refusal> {
    let evidence = gather::gather(arguments).await?;
    let judgement = judged(&evidence);
    let text = output::print(&judgement, arguments.output)
        .map_err(|error| Refusal::internal(error.to_string()))?;
    print!("{text}");
    Ok(
        match (
            judgement.findings.is_empty(),
            judgement.unmeasured.is_empty(),
        ) {
            (false, _) => Exit::Findings,
            (true, false) => Exit::Unavailable,
            (true, true) => Exit::Proven,
        },
    )
}

fn judged(evidence: &Evidence) -> Judgement {
    let mut judgement = Judgement::new();
    if let Some(pages) = &evidence.pages {
        exposition::judge(
            pages,
            &evidence.program,
            &evidence.expectations,
            &mut judgement,
        );
    }
    let lost = equation::judge(evidence, &mut judgement);
    equation::once(evidence, &mut judgement);
    if let Some(traces) = &evidence.traces {
        traces::judge(evidence, traces, lost.spans, &mut judgement);
    }
    if let Some(lines) = &evidence.lines {
        lines::judge(evidence, lines, &mut judgement);
    }
    join::judge(evidence, lost, &mut judgement);
    secrets::judge(evidence, &mut judgement);
    judgement.finish()
}
