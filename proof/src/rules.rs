//! `chitram-proof rules`: whether alerts can be trusted, and the rules that follow from objectives.
//!
//! It reads what Prometheus and Alertmanager read, asks promtool where it is found, and adds what promtool does not look at:
//! labels and links by a scheme, a test that each alert fires and one that it is silent, the arithmetic of burn rates, and
//! names against declarations and a live server. It evaluates no rule itself.

mod absence;
mod budgets;
mod burn;
mod codes;
mod coverage;
mod declared;
mod expressions;
mod files;
mod generate;
mod inhibition;
mod labels;
mod live;
mod matching;
mod objectives;
mod order;
mod promtool;
mod routes;
pub(crate) mod tree;

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use serde::Serialize;
use url::Url;

use self::declared::Declared;
use self::files::Folder;
use self::objectives::Objectives;
use crate::cli;
use crate::exit::{Exit, Refusal};
use crate::finding::Finding;
use crate::http;
use crate::prometheus::Prometheus;
use crate::promql;
use crate::promql::types::Types;

/// Checks alerting and recording rules, or generates those of objectives.
///
/// With DIR: promtool's checks and tests if promtool is found, and checks of its own; docs/proof-findings-rules.md lists what
/// it can find. What could not be looked at is listed as not run, and fails under `CHITRAM_REQUIRE=all`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Folder with rule files, their promtool tests, objectives.toml and Alertmanager's configuration, at any depth
    #[arg(required_unless_present = "generate", conflicts_with_all = ["generate", "check"])]
    dir: Option<PathBuf>,
    /// Writes rules/objectives.yml beside this file of objectives
    #[arg(long, value_name = "FILE")]
    generate: Option<PathBuf>,
    /// With --generate: writes nothing, and fails if the file is not what would be written
    #[arg(long, requires = "generate")]
    check: bool,
    /// Looks in this Prometheus whether the series exist and the rules can be evaluated
    #[arg(long, value_name = "URL")]
    prometheus: Option<Url>,
    /// The moment at which the server is asked, for data that was recorded: Unix seconds or 2026-11-28T05:00:00Z. Now if left
    /// out
    #[arg(long, value_name = "MOMENT", requires = "prometheus", value_parser = cli::moment)]
    at: Option<f64>,
    /// Folder of boards as JSON: each `dashboard_url` must lead to one
    #[arg(long, value_name = "DIR")]
    dashboards: Option<PathBuf>,
    /// Folder of runbooks: each `runbook_url` must lead to one, and each must belong to an alert
    #[arg(long, value_name = "DIR")]
    runbooks: Option<PathBuf>,
    /// Metrics that programs declare, as JSON: rules may name no other
    #[arg(long, value_name = "FILE", num_args = 1..)]
    declared: Vec<PathBuf>,
    /// Folder with further promtool tests
    #[arg(long, value_name = "DIR")]
    tests: Option<PathBuf>,
    /// How often targets are scraped: a range must survive one scrape that fails
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = promql::duration)]
    scrape_interval: Duration,
    /// How often groups without an interval of their own are evaluated
    #[arg(long, value_name = "DURATION", default_value = "15s", value_parser = promql::duration)]
    evaluation_interval: Duration,
    /// How the findings are printed
    #[arg(long, value_enum, default_value = "text")]
    output: Output,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Output {
    /// For people
    Text,
    /// For programs
    Json,
}

/// How often things happen in the Prometheus that will evaluate the rules.
#[derive(Debug, Clone, Copy)]
struct Intervals {
    scrape: Duration,
    evaluation: Duration,
}

/// What was looked at and found.
#[derive(Debug, Default, Serialize)]
struct Report {
    alerts: usize,
    recordings: usize,
    findings: Vec<Finding>,
    /// Parts that could not be looked at, and why.
    not_run: Vec<String>,
    /// Parts that were not asked for, and the option that does.
    not_asked: Vec<String>,
}

/// Runs the command.
pub async fn run(arguments: &Arguments) -> Result<Exit, Refusal> {
    if let Some(file) = &arguments.generate {
        return generated(file, arguments.check);
    }
    let report = checked(arguments).await?;
    match arguments.output {
        Output::Text => print(&report),
        Output::Json => {
            let text = serde_json::to_string_pretty(&report)
                .map_err(|error| Refusal::internal(error.to_string()))?;
            println!("{text}");
        }
    }
    let all_required = std::env::var("CHITRAM_REQUIRE").is_ok_and(|value| value == "all");
    Ok(
        match (report.findings.is_empty(), report.not_run.is_empty()) {
            (false, _) => Exit::Findings,
            (true, false) if all_required => Exit::Unavailable,
            (true, _) => Exit::Proven,
        },
    )
}

fn generated(file: &Path, check: bool) -> Result<Exit, Refusal> {
    if !check {
        let path = generate::write(file)?;
        println!("wrote {}", path.display());
        return Ok(Exit::Proven);
    }
    match budgets::fresh(file, &Objectives::read(file)?) {
        None => Ok(Exit::Proven),
        Some(finding) => {
            println!(
                "{} ({}): {}",
                finding.file, finding.subject, finding.sentence
            );
            Ok(Exit::Findings)
        }
    }
}

async fn checked(arguments: &Arguments) -> Result<Report, Refusal> {
    let folders: Vec<&Path> = arguments
        .dir
        .iter()
        .chain(&arguments.tests)
        .map(PathBuf::as_path)
        .collect();
    let mut folder = Folder::read(&folders)?;
    let declared = match arguments.declared.as_slice() {
        [] => None,
        files => Some(Declared::read(files)?),
    };
    let mut report = Report {
        findings: std::mem::take(&mut folder.findings),
        ..Report::default()
    };
    report.alerts = folder
        .rules
        .iter()
        .filter(|rule| rule.alert().is_some())
        .count();
    report.recordings = folder.rules.len() - report.alerts;
    with_promtool(&folder, &mut report).await?;
    let types = declared
        .as_ref()
        .map(Declared::types)
        .cloned()
        .unwrap_or_default();
    by_themselves(&folder, arguments, &types, &mut report.findings)?;
    links(&folder, arguments, &mut report)?;
    names(&folder, arguments, declared.as_ref(), &mut report).await?;
    Ok(report)
}

async fn with_promtool(folder: &Folder, report: &mut Report) -> Result<(), Refusal> {
    let Some(program) = promtool::find() else {
        report.not_run.push(
            "promtool: not found on PATH or in the cache; `make backends` installs it".to_owned(),
        );
        return Ok(());
    };
    promtool::check(&program, &folder.rule_files, &mut report.findings).await?;
    promtool::test(&program, &folder.test_files, &mut report.findings).await
}

fn by_themselves(
    folder: &Folder,
    arguments: &Arguments,
    types: &Types,
    findings: &mut Vec<Finding>,
) -> Result<(), Refusal> {
    let intervals = Intervals {
        scrape: arguments.scrape_interval,
        evaluation: arguments.evaluation_interval,
    };
    for rule in &folder.rules {
        labels::check(rule, findings);
        expressions::check(rule, intervals, types, findings);
    }
    order::check(&folder.rules, findings);
    coverage::check(&folder.rules, &folder.tests, findings);
    absence::check(&folder.rules, findings);
    for (file, inhibition) in &folder.inhibitions {
        inhibition::check(file, inhibition, &folder.rules, findings);
    }
    for (file, routes) in &folder.routes {
        routes::check(file, routes, &folder.rules, findings);
    }
    if let Some(file) = &folder.objectives {
        let objectives = Objectives::read(file)?;
        findings.extend(budgets::fresh(file, &objectives));
        budgets::check(&folder.rules, &objectives, file, findings);
    }
    Ok(())
}

fn links(folder: &Folder, arguments: &Arguments, report: &mut Report) -> Result<(), Refusal> {
    match &arguments.runbooks {
        Some(runbooks) => labels::runbooks(runbooks, &folder.rules, &mut report.findings)?,
        None => report
            .not_asked
            .push("runbooks: give --runbooks DIR".to_owned()),
    }
    match &arguments.dashboards {
        Some(dashboards) => {
            let boards = labels::boards(dashboards)?;
            for rule in &folder.rules {
                labels::dashboard(rule, &boards, &mut report.findings);
            }
        }
        None => report
            .not_asked
            .push("boards: give --dashboards DIR".to_owned()),
    }
    Ok(())
}

async fn names(
    folder: &Folder,
    arguments: &Arguments,
    declared: Option<&Declared>,
    report: &mut Report,
) -> Result<(), Refusal> {
    match declared {
        None => report
            .not_asked
            .push("declared names: give --declared FILE...".to_owned()),
        Some(declared) => {
            for rule in &folder.rules {
                declared.check(rule, &mut report.findings);
            }
        }
    }
    let Some(url) = &arguments.prometheus else {
        report
            .not_asked
            .push("a live server: give --prometheus URL".to_owned());
        return Ok(());
    };
    let client = http::client().map_err(|error| Refusal::internal(error.to_string()))?;
    let prometheus = Prometheus::new(client, url.clone());
    let server = live::Server::new(&prometheus, arguments.at);
    live::check(&server, &folder.rules, declared, &mut report.findings).await
}

fn print(report: &Report) {
    for finding in &report.findings {
        println!(
            "{}: {}\n    {}: {}",
            finding.file, finding.subject, finding.code, finding.sentence
        );
        for line in finding.query.iter().flat_map(|query| query.lines()) {
            println!("        {line}");
        }
    }
    for part in &report.not_run {
        println!("not run: {part}");
    }
    for part in &report.not_asked {
        println!("not asked for: {part}");
    }
    println!(
        "{} alerts, {} recordings: {}",
        report.alerts,
        report.recordings,
        match report.findings.len() {
            0 => "no findings".to_owned(),
            1 => "1 finding".to_owned(),
            many => format!("{many} findings"),
        }
    );
}

#[cfg(test)]
mod testing {
    use std::collections::BTreeMap;

    use super::files::{Kind, Rule};
    use crate::promql;

    /// An alert that follows the scheme.
    pub(super) fn rule(alert: &str, expr: &str) -> Rule {
        let map = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
            pairs
                .iter()
                .map(|&(name, value)| (name.to_owned(), value.to_owned()))
                .collect()
        };
        Rule {
            file: "rules.yml".to_owned(),
            group: "group".to_owned(),
            interval: None,
            index: 0,
            hold: Some(std::time::Duration::from_mins(1)),
            kind: Kind::Alert(alert.to_owned()),
            text: expr.to_owned(),
            expr: Some(promql::parse(expr).unwrap()),
            labels: map(&[("severity", "ticket"), ("service", "x")]),
            annotations: map(&[
                ("summary", "It is down."),
                ("description", "It does not answer."),
                ("runbook_url", "docs/runbooks/it.md"),
                ("dashboard_url", "/d/known"),
            ]),
        }
    }

    /// A recording rule.
    pub(super) fn record(name: &str, expr: &str) -> Rule {
        Rule {
            kind: Kind::Record(name.to_owned()),
            labels: BTreeMap::new(),
            annotations: BTreeMap::new(),
            ..rule(name, expr)
        }
    }
}
