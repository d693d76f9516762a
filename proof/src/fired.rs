//! `chitram-proof fired`: each alert seen to fire for its cause and to clear, with time scaled.
//!
//! The way of the data: [`scale`] makes scaled rules and routes; [`causes`] says what is broken; [`coverage`] compares both;
//! [`rig`] starts on the [`mod@bench`] the system, Prometheus, Alertmanager and load for a run, with [`command`], [`scrapes`] and [`webhook`];
//! [`course`] leads through the run and judges it, [`evidence`] looks at panels, logs, traces and promises; [`report`] holds
//! the result, [`output`] and [`document`] print it. Nothing here knows the system: all of that is in the causes file.

mod bench;
mod causes;
mod clock;
pub mod codes;
mod command;
mod course;
mod coverage;
mod document;
mod evidence;
mod home;
mod output;
mod placeholder;
mod progress;
mod report;
mod rig;
mod scale;
mod scrapes;
mod servers;
mod tool;
mod webhook;

use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::Args;
use futures::stream::{self, StreamExt as _};
use stack::interrupt::Interrupts;
use stack::process::Launcher;
use stack::server::Source;

use self::bench::{Bench, Broken};
use self::causes::{Causes, Run};
use self::home::Home;
use self::report::{Report, RunReport, VERSION, Verdict};
use self::scale::Scaled;
use self::scale::length::Scale;
use self::scale::rules::name_and_labels;
use self::servers::Servers;
use crate::boards::folder::{self, Folder};
use crate::exit::{Exit, Refusal};

/// Makes each alert fire for its cause, with time scaled, and sees it arrive and clear.
///
/// For each run of the causes file a fresh system is started, with an empty Prometheus and an Alertmanager that notifies this
/// program. docs/fired.md describes the file, and lists what can be found.
#[derive(Debug, Args)]
pub struct Arguments {
    /// How each alert is made to fire (TOML)
    #[arg(long, value_name = "FILE", required_unless_present = "write")]
    causes: Option<PathBuf>,
    /// Folder with rules/*.yml and alertmanager.yml
    #[arg(long, value_name = "DIR")]
    alerts: PathBuf,
    /// By how much time is scaled: at 60, minutes become seconds
    #[arg(long, value_name = "NUMBER", default_value = "60", value_parser = Scale::parse)]
    scale: Scale,
    /// Writes the scaled rules and routes into this folder, and does nothing else
    #[arg(long, value_name = "DIR", conflicts_with_all = ["causes", "document"])]
    write: Option<PathBuf>,
    /// The folder that {bin} names in the causes file; if left out, that of this program
    #[arg(long, value_name = "DIR")]
    bin: Option<PathBuf>,
    /// Only these runs
    #[arg(long, value_name = "NAME", num_args = 1.., conflicts_with = "core")]
    only: Vec<String>,
    /// Only the runs with `core = true`
    #[arg(long)]
    core: bool,
    /// Folder of boards, whose panels must show the causes
    #[arg(long, value_name = "DIR")]
    dashboards: Option<PathBuf>,
    /// Runs at the same time
    #[arg(long, value_name = "NUMBER", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=8))]
    jobs: u8,
    /// Writes the matrix of causes and what showed them into this Markdown file
    #[arg(long, value_name = "FILE")]
    document: Option<PathBuf>,
    /// How the result is printed
    #[arg(long, value_enum, default_value = "text")]
    output: Output,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Output {
    /// For people
    Text,
    /// For programs
    Json,
    /// The page that --document writes
    Markdown,
}

/// Runs the command and prints its result.
pub async fn run(arguments: &Arguments) -> Result<Exit, Refusal> {
    let scaled = Scaled::read(&arguments.alerts, arguments.scale)?;
    if let Some(dir) = &arguments.write {
        return written(&scaled, dir);
    }
    let (report, interrupted) = prove(arguments, &scaled).await?;
    let page = document::markdown(&report);
    if let Some(file) = &arguments.document {
        std::fs::write(file, &page).map_err(|error| {
            Refusal::usage(format!("{} cannot be written: {error}", file.display()))
        })?;
    }
    match arguments.output {
        Output::Text => print!("{}", output::text(&report)),
        Output::Markdown => print!("{page}"),
        Output::Json => {
            let text = serde_json::to_string_pretty(&report)
                .map_err(|error| Refusal::internal(error.to_string()))?;
            println!("{text}");
        }
    }
    Ok(if interrupted {
        Exit::Interrupted
    } else {
        exit(&report)
    })
}

fn written(scaled: &Scaled, dir: &Path) -> Result<Exit, Refusal> {
    scaled.write(dir)?;
    let findings = scaled.findings();
    for finding in &findings {
        println!(
            "{}  {} ({}): {}",
            finding.code, finding.subject, finding.file, finding.sentence
        );
    }
    Ok(if findings.is_empty() {
        Exit::Proven
    } else {
        Exit::Findings
    })
}

fn exit(report: &Report) -> Exit {
    let all_required = std::env::var("CHITRAM_REQUIRE").is_ok_and(|value| value == "all");
    let started = report.runs.iter().any(|run| !run.not_started);
    if !report.runs.is_empty() && !started {
        Exit::Unavailable
    } else if report.all_findings().next().is_some() {
        Exit::Findings
    } else if all_required && !report.not_run.is_empty() {
        Exit::Unavailable
    } else {
        Exit::Proven
    }
}

/// The report, and whether the person ended it.
async fn prove(arguments: &Arguments, scaled: &Scaled) -> Result<(Report, bool), Refusal> {
    let (began, began_at) = (Instant::now(), clock::now());
    let file = arguments
        .causes
        .as_deref()
        .ok_or_else(|| Refusal::usage("--causes is missing"))?;
    let causes = Causes::read(file)?;
    let boards = arguments
        .dashboards
        .as_deref()
        .map(folder::read)
        .transpose()?;
    let chosen = chosen(arguments, &causes)?;
    let (mut findings, not_run) = scaled.check().await?;
    findings.extend(scaled.findings());
    let usable = !findings
        .iter()
        .any(|finding| [codes::NOT_SCALABLE, codes::TOOL_REFUSES].contains(&finding.code));
    let name = file.display().to_string();
    findings.extend(coverage::check(
        &causes,
        &name,
        &scaled.rules.alerts,
        boards.as_ref(),
    ));
    let servers = Servers::find()?;
    let mut report = Report {
        version: VERSION,
        began_at,
        took_seconds: 0.0,
        scale: arguments.scale.by(),
        servers: servers.versions(),
        runs: Vec::new(),
        not_asked: not_asked(&causes, &chosen),
        unproven: unproven(&causes),
        findings,
        not_run,
    };
    let mut interrupted = false;
    if usable {
        let home = Home::new()?;
        let bench = bench(arguments, &causes, scaled, &servers, &home)?;
        (report.runs, interrupted) =
            all(&bench, &chosen, arguments.jobs, boards.as_ref(), &name).await?;
        home.keep_unless(report.runs.iter().all(|run| run.verdict == Verdict::Proven));
    } else {
        report
            .not_run
            .push("the runs: the scaled files can't be used".to_owned());
    }
    report.took_seconds = began.elapsed().as_secs_f64();
    Ok((report, interrupted))
}

fn chosen<'c>(arguments: &Arguments, causes: &'c Causes) -> Result<Vec<&'c Run>, Refusal> {
    let known = |name: &&String| causes.runs.iter().all(|run| run.name != **name);
    if let Some(name) = arguments.only.iter().find(known) {
        return Err(Refusal::usage(format!(
            "--only {name}: the causes file has no such run"
        )));
    }
    let wanted = |run: &&Run| {
        (arguments.only.is_empty() || arguments.only.contains(&run.name))
            && (!arguments.core || run.core)
    };
    let chosen: Vec<&Run> = causes.runs.iter().filter(wanted).collect();
    if chosen.is_empty() {
        return Err(Refusal::usage(
            "no run is chosen: the causes file has none, or none with `core = true`",
        ));
    }
    Ok(chosen)
}

fn not_asked(causes: &Causes, chosen: &[&Run]) -> Vec<String> {
    let left = causes
        .runs
        .iter()
        .filter(|run| chosen.iter().all(|chosen| chosen.name != run.name));
    left.map(|run| run.name.clone()).collect()
}

fn unproven(causes: &Causes) -> Vec<(String, String)> {
    let all = causes.unproven.iter();
    all.map(|one| (name_and_labels(&one.alert, &one.labels), one.reason.clone()))
        .collect()
}

fn bench<'a>(
    arguments: &Arguments,
    causes: &'a Causes,
    scaled: &'a Scaled,
    servers: &Servers,
    home: &Home,
) -> Result<Bench<'a>, Refusal> {
    let failed = |error: stack::error::Error| Refusal::unavailable(error.to_string());
    let bin = match &arguments.bin {
        Some(bin) => bin.clone(),
        None => std::env::current_exe()
            .ok()
            .and_then(|program| Some(program.parent()?.to_owned()))
            .ok_or_else(|| {
                Refusal::internal("this program's own folder is not known; give --bin")
            })?,
    };
    let Source::Program(prometheus) = servers.prometheus.source.clone() else {
        return Err(Refusal::internal("Prometheus is not a program"));
    };
    Ok(Bench {
        causes,
        scaled,
        launcher: Launcher::find().map_err(failed)?,
        home: home.path().to_owned(),
        shared: home.shared()?,
        bin,
        prometheus,
        alertmanager: servers.alertmanager.clone(),
        interrupts: Interrupts::listen().map_err(failed)?,
    })
}

/// Every chosen run, in the order of the file. Once the person wants to stop, none begins.
async fn all(
    bench: &Bench<'_>,
    chosen: &[&Run],
    jobs: u8,
    boards: Option<&Folder>,
    file: &str,
) -> Result<(Vec<RunReport>, bool), Refusal> {
    let prepared = bench.prepare_once().await;
    match prepared {
        Ok(()) => {}
        Err(Broken::Interrupted) => return Ok((Vec::new(), true)),
        Err(Broken::Because(sentence) | Broken::NotStarted(sentence)) => {
            return Err(Refusal::unavailable(format!(
                "{file}: prepare_once: {sentence}"
            )));
        }
    }
    let runs = stream::iter(chosen).map(|run| async move {
        if bench.interrupts.stop.is_cancelled() {
            return None;
        }
        let (report, interrupted) = course::run(bench, run, boards, file).await;
        if report.verdict == Verdict::Proven {
            // What is left of it says nothing; a folder that can't be removed goes with the others.
            let _ = std::fs::remove_dir_all(bench.home.join(&run.name));
        }
        Some((report, interrupted))
    });
    let ended: Vec<_> = runs.buffered(jobs.into()).collect().await;
    let interrupted = ended
        .iter()
        .any(|ended| ended.as_ref().is_none_or(|(_, interrupted)| *interrupted));
    Ok((
        ended
            .into_iter()
            .flatten()
            .map(|(report, _)| report)
            .collect(),
        interrupted,
    ))
}
