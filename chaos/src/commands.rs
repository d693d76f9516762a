//! The commands behind the command line: each returns its exit code, or a refusal with one sentence.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use uuid::Uuid;

use crate::context::Context;
use crate::definition::{Experiment, parse};
use crate::exit::{Exit, Refusal};
use crate::http;
use crate::interrupt::Interrupt;
use crate::journal::Journal;
use crate::lifecycle::{self, Outcome};
use crate::lock::Lock;
use crate::metrics::Metrics;
use crate::progress::Progress;
use crate::results::{self, Done};
use crate::stack_file::{Endpoints, Stack};
use crate::verdict::Verdict;
use crate::{recover, reporting};

/// What `run` was asked for.
#[derive(Debug)]
pub struct Run {
    /// Experiment files, in order.
    pub files: Vec<PathBuf>,
    /// The stack's folder.
    pub dir: PathBuf,
    /// Addresses that take the place of the stack's.
    pub endpoints: Endpoints,
    /// Length of baseline and fault.
    pub seconds: Option<u64>,
    /// Where the report goes.
    pub report: Option<PathBuf>,
    /// Where `result.json` goes.
    pub result: Option<PathBuf>,
    /// Whether an inconclusive experiment is repeated once.
    pub repeat_inconclusive: bool,
    /// Whether what could not be measured concludes nothing.
    pub require_all: bool,
    /// Folder of plans.
    pub plans: Option<PathBuf>,
    /// Pictures to upload.
    pub pictures: Option<PathBuf>,
    /// The command line, for the report.
    pub command: String,
}

/// Runs experiments one after the other. The report and the results are written anew after each, so that an interruption
/// leaves those that were finished.
pub async fn run(options: Run) -> Result<Exit, Refusal> {
    let experiments = read_all(&options.files, options.seconds)?;
    let context = context(&options).await?;
    let mut done: Vec<Done> = Vec::new();
    let mut number = 0;
    for experiment in experiments {
        let finished = until_conclusive(
            experiment,
            &context,
            options.repeat_inconclusive,
            &mut number,
        )
        .await;
        let (attempt, ended) = match finished {
            Ok(attempt) => attempt,
            Err(refusal) => {
                context.progress.clear();
                print(&results::table(&done));
                return Err(refusal);
            }
        };
        let failed_rollback = attempt.verdict() == Verdict::RollbackFailed;
        // What was interrupted concludes nothing, unless there is something that a person must do.
        if !ended || failed_rollback {
            done.push(attempt);
        }
        write_files(&options, &context, &done)?;
        if failed_rollback || ended {
            context.progress.clear();
            print(&results::table(&done));
            return Ok(if failed_rollback {
                Exit::RollbackFailed
            } else {
                Exit::Interrupted
            });
        }
    }
    context.progress.clear();
    print(&results::table(&done));
    if let Some(report) = &options.report {
        print(&format!("\nreport: {}\n", report.display()));
    }
    Ok(results::exit_of(&done))
}

/// Runs one experiment, and once more with a doubled baseline if it was inconclusive. Says whether a signal ended it.
async fn until_conclusive(
    experiment: Experiment,
    context: &Context,
    repeat: bool,
    number: &mut usize,
) -> Result<(Done, bool), Refusal> {
    *number += 1;
    let outcome = lifecycle::run(&experiment, context, *number).await?;
    let verdict = outcome.judgement.verdict;
    let is_conclusive = verdict != Verdict::Inconclusive || experiment.expect_verdict == verdict;
    if is_conclusive || outcome.interrupted || !repeat {
        say(context, &experiment, &outcome);
        let interrupted = outcome.interrupted;
        return Ok((
            Done {
                experiment,
                outcome,
                repeated: None,
            },
            interrupted,
        ));
    }
    let why = outcome
        .judgement
        .findings
        .first()
        .map(|finding| finding.sentence.clone())
        .unwrap_or_default();
    context.progress.say(&format!(
        "{}: inconclusive ({why}); once more, with a doubled baseline",
        experiment.name
    ));
    let experiment = experiment.with_doubled_baseline();
    *number += 1;
    let outcome = lifecycle::run(&experiment, context, *number).await?;
    say(context, &experiment, &outcome);
    let interrupted = outcome.interrupted;
    Ok((
        Done {
            experiment,
            outcome,
            repeated: Some(why),
        },
        interrupted,
    ))
}

fn say(context: &Context, experiment: &Experiment, outcome: &Outcome) {
    let name = &experiment.name;
    let rollback_failed = outcome.judgement.verdict == Verdict::RollbackFailed;
    if outcome.interrupted && !rollback_failed {
        let undone = if outcome.evidence.rollback.is_some() {
            ", its fault was rolled back"
        } else {
            ""
        };
        return context
            .progress
            .say(&format!("{name}: interrupted{undone}"));
    }
    context
        .progress
        .say(&format!("{name}: {}", outcome.judgement.words()));
    for finding in &outcome.judgement.findings {
        context
            .progress
            .say(&format!("  {}: {}", finding.verdict, finding.sentence));
    }
}

fn read_all(files: &[PathBuf], seconds: Option<u64>) -> Result<Vec<Experiment>, Refusal> {
    let read = |file: &PathBuf| parse::read(file).map_err(|bad| Refusal::usage(bad.to_string()));
    let with_seconds = |experiment: Experiment| match seconds {
        Some(seconds) => experiment.with_seconds(seconds),
        None => experiment,
    };
    files
        .iter()
        .map(|file| read(file).map(with_seconds))
        .collect()
}

async fn context(options: &Run) -> Result<Context, Refusal> {
    let dir = &options.dir;
    std::fs::create_dir_all(dir)
        .map_err(|error| Refusal::internal(format!("{}: {error}", dir.display())))?;
    let mut stack = Stack::read(dir)?;
    let given = options.endpoints.clone();
    let endpoints = &mut stack.endpoints;
    endpoints.api = given.api.or(endpoints.api.take());
    endpoints.toxiproxy = given.toxiproxy.or(endpoints.toxiproxy.take());
    endpoints.jaeger = given.jaeger.or(endpoints.jaeger.take());
    let metrics = Metrics::serve(dir).await;
    Ok(Context {
        dir: dir.clone(),
        run_id: Uuid::now_v7().to_string(),
        stack,
        http: client()?,
        plans: options.plans.clone(),
        pictures: options.pictures.clone(),
        require_all: options.require_all,
        interrupt: listen()?,
        progress: Progress::new(),
        metrics: metrics
            .map_err(|error| Refusal::internal(format!("/metrics can't be served: {error}")))?,
    })
}

fn client() -> Result<reqwest::Client, Refusal> {
    http::client().map_err(|error| Refusal::internal(format!("no HTTP client: {error}")))
}

fn listen() -> Result<Interrupt, Refusal> {
    Interrupt::listen()
        .map_err(|error| Refusal::internal(format!("signals can't be handled: {error}")))
}

fn write_files(options: &Run, context: &Context, done: &[Done]) -> Result<(), Refusal> {
    if let Some(file) = &options.result {
        write(
            file,
            &results::json(&context.run_id, done, results::exit_of(done)),
        )?;
    }
    if let Some(file) = &options.report {
        write(
            file,
            &report::render(&reporting::report(done, context, &options.command)),
        )?;
    }
    Ok(())
}

/// Writes a file whole or not at all, and its folder when it is missing.
fn write(file: &Path, text: &str) -> Result<(), Refusal> {
    let failed = |error: std::io::Error| Refusal::internal(format!("{}: {error}", file.display()));
    if let Some(folder) = file
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
    {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    let mut unfinished = file.as_os_str().to_owned();
    unfinished.push(".tmp");
    std::fs::write(&unfinished, text).map_err(failed)?;
    std::fs::rename(&unfinished, file).map_err(failed)
}

/// Prints to stdout. A pipe that closed early does not change the exit code.
fn print(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes());
}

/// Prints the experiments of a folder.
pub fn list(folder: &Path) -> Result<Exit, Refusal> {
    let unreadable = |error: std::io::Error| {
        Refusal::usage(format!(
            "{}: {error}; name the folder with --experiments",
            folder.display()
        ))
    };
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .map_err(unreadable)?
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "toml")
        })
        .collect();
    files.sort();
    let mut rows = Vec::new();
    for file in &files {
        let experiment = parse::read(file).map_err(|bad| Refusal::usage(bad.to_string()))?;
        rows.push(format!(
            "{:20}  {}\n{:20}  {}\n",
            experiment.name,
            experiment.title,
            "",
            file.display()
        ));
    }
    print(&rows.concat());
    Ok(Exit::AsExpected)
}

/// Checks files and says what is wrong with all of them.
pub fn validate(files: &[PathBuf]) -> Result<Exit, Refusal> {
    let bad: Vec<String> = files
        .iter()
        .filter_map(|file| parse::read(file).err())
        .map(|bad| bad.to_string())
        .collect();
    if bad.is_empty() {
        Ok(Exit::AsExpected)
    } else {
        Err(Refusal::usage(bad.join("\n")))
    }
}

/// Undoes what a run that was killed left behind.
pub async fn recover(dir: &Path) -> Result<Exit, Refusal> {
    if !dir.is_dir() {
        return Err(Refusal::usage(format!(
            "{} is no folder: name the stack's folder with --dir",
            dir.display()
        )));
    }
    let _lock = Lock::take(dir, "recover")?;
    let journal = Journal::at(dir);
    let stack = Stack::read(dir)?;
    let sentences = recover::recover(&journal, &client()?, &stack, &listen()?, dir).await?;
    match sentences.as_slice() {
        [] => print("nothing to recover\n"),
        sentences => sentences
            .iter()
            .for_each(|sentence| print(&format!("{sentence}\n"))),
    }
    Ok(Exit::AsExpected)
}
