//! The commands behind the command line: each returns its exit code, or a refusal with one sentence.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use uuid::Uuid;

use crate::context::Context;
use crate::definition::parse::BadFile;
use crate::definition::{Experiment, parse};
use crate::exit::{Exit, Refusal};
use crate::http;
use crate::interrupt::Interrupt;
use crate::journal::Journal;
use crate::lifecycle::{self, Outcome};
use crate::lock::Lock;
use crate::metrics::{self, Metrics};
use crate::progress::Progress;
use crate::results::{self, Course, Done, Stopped};
use crate::stack_file::{Endpoints, Stack};
use crate::verdict::Verdict;
use crate::{plans, recover, reporting};

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
    /// Whether also what experiments call optional must be measured.
    pub require_all: bool,
    /// Folder of plans.
    pub plans: Option<PathBuf>,
    /// Pictures to upload.
    pub pictures: Option<PathBuf>,
    /// The command line, for the report.
    pub command: String,
}

/// Runs experiments one after the other. The report and the results are written before the first, anew after each, and once
/// more when the command ends before its last one: whatever ends it, they say so.
pub async fn run(options: Run) -> Result<Exit, Refusal> {
    // First of all, so that no moment is left in which a signal ends the process without a word.
    let interrupt = listen()?;
    let experiments = read_all(&options)?;
    let context = context(&options, interrupt).await?;
    let title = |experiment: &Experiment| (experiment.name.clone(), experiment.title.clone());
    let mut course = Course {
        to_come: experiments.iter().map(title).collect(),
        ..Course::default()
    };
    // What an earlier command left there is not taken for this one's, and what can't be written is known before anything is
    // done.
    write_files(&options, &context, &course)?;
    let mut number = 0;
    for experiment in experiments {
        if context.interrupt.is_raised() {
            course.stopped = Some(Stopped::interrupted(None, ""));
            break;
        }
        let named = course.to_come.remove(0);
        let repeat = options.repeat_inconclusive;
        let finished = until_conclusive(experiment, &context, repeat, &mut number).await;
        take(&mut course, named, finished, &context);
        if course.stopped.is_some() {
            break;
        }
        // Where nothing can be written, no further experiment is worth its time.
        if !course.to_come.is_empty()
            && let Err(refusal) = write_files(&options, &context, &course)
        {
            course.stopped = Some(Stopped::unwritten(refusal));
            break;
        }
    }
    conclude(&options, &context, &course)
}

/// Adds what became of an experiment; what ends the command is noted as that.
fn take(
    course: &mut Course,
    named: (String, String),
    finished: Result<(Done, bool), Refusal>,
    context: &Context,
) {
    match finished {
        // What a person must do outweighs that the rest was not done.
        Ok((done, interrupted)) if done.verdict() == Verdict::RollbackFailed => {
            course.done.push(done);
            course.stopped = Some(Stopped {
                experiment: None,
                interrupted,
                why: String::new(),
                exit: Exit::RollbackFailed,
            });
        }
        Ok((done, true)) => {
            let was_injected = done.outcome.evidence.rollback.is_some();
            let why = if was_injected {
                "its fault was rolled back"
            } else {
                ""
            };
            course.stopped = Some(Stopped::interrupted(Some(named), why));
        }
        Ok((done, false)) => course.done.push(done),
        Err(refusal) if context.interrupt.is_raised() => {
            course.stopped = Some(Stopped::interrupted(Some(named), &refusal.sentence));
        }
        Err(refusal) => {
            course.stopped = Some(Stopped {
                experiment: Some(named),
                interrupted: false,
                why: refusal.sentence,
                exit: refusal.exit,
            });
        }
    }
}

/// Writes and prints how it ended. A refusal is printed by whoever prints all of them.
fn conclude(options: &Run, context: &Context, course: &Course) -> Result<Exit, Refusal> {
    let written = write_files(options, context, course);
    context.progress.clear();
    print(&results::table(course));
    match (&options.report, &written) {
        (Some(report), Ok(())) => print(&format!("\nreport: {}\n", report.display())),
        (_, Err(refusal)) if course.stopped.is_some() => context.progress.say(&refusal.sentence),
        _ => {}
    }
    match &course.stopped {
        // It is in no row of the table.
        Some(stopped)
            if stopped.exit == Exit::Internal
                && written.is_ok()
                && stopped.experiment.is_none() =>
        {
            Err(Refusal::internal(stopped.why.clone()))
        }
        Some(stopped) if !stopped.interrupted && stopped.experiment.is_some() => Err(Refusal {
            exit: stopped.exit,
            sentence: stopped.why.clone(),
        }),
        Some(stopped) => Ok(stopped.exit),
        None => written.map(|()| course.exit().unwrap_or(Exit::Internal)),
    }
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

/// Reads the files and checks them against their plans, before anything starts.
fn read_all(options: &Run) -> Result<Vec<Experiment>, Refusal> {
    let plans = options.plans.as_deref();
    let read = |file: &PathBuf| {
        read_whole(file, options.seconds, plans).map_err(|bad| Refusal::usage(bad.to_string()))
    };
    options.files.iter().map(read).collect()
}

/// One experiment with its phases' length, as far as its file and its plan can tell that it makes sense.
fn read_whole(
    file: &Path,
    seconds: Option<u64>,
    plans: Option<&Path>,
) -> Result<Experiment, BadFile> {
    let experiment = parse::read(file)?;
    let experiment = match seconds {
        Some(seconds) => experiment.with_seconds(seconds),
        None => experiment,
    };
    let plan = plans::load(plans, &experiment.load.plan)
        .map_err(|why| parse::refuse(file, ("plan", why).into()))?;
    parse::check_against(file, &experiment, &plan)?;
    Ok(experiment)
}

async fn context(options: &Run, interrupt: Interrupt) -> Result<Context, Refusal> {
    let dir = &options.dir;
    std::fs::create_dir_all(dir)
        .map_err(|error| Refusal::internal(format!("{}: {error}", dir.display())))?;
    let mut stack = Stack::read(dir)?;
    let given = options.endpoints.clone();
    let endpoints = &mut stack.endpoints;
    endpoints.api = given.api.or(endpoints.api.take());
    endpoints.toxiproxy = given.toxiproxy.or(endpoints.toxiproxy.take());
    endpoints.jaeger = given.jaeger.or(endpoints.jaeger.take());
    endpoints.prometheus = given.prometheus.or(endpoints.prometheus.take());
    let metrics = Metrics::serve(dir).await;
    Ok(Context {
        dir: dir.clone(),
        run_id: Uuid::now_v7().to_string(),
        stack,
        http: client()?,
        plans: options.plans.clone(),
        pictures: options.pictures.clone(),
        require_all: options.require_all,
        interrupt,
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

fn write_files(options: &Run, context: &Context, course: &Course) -> Result<(), Refusal> {
    if let Some(file) = &options.result {
        write(file, &results::json(&context.run_id, course))?;
    }
    if let Some(file) = &options.report {
        write(
            file,
            &report::render(&reporting::report(course, context, &options.command)),
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

/// Prints what this program says about itself.
pub fn telemetry() -> Result<Exit, Refusal> {
    print(&format!("{:#}\n", metrics::declarations().to_json()));
    Ok(Exit::AsExpected)
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

/// Checks files, and these against their plans, and says what is wrong with all of them.
pub fn validate(files: &[PathBuf], plans: Option<&Path>) -> Result<Exit, Refusal> {
    let bad: Vec<String> = files
        .iter()
        .filter_map(|file| read_whole(file, None, plans).err())
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
