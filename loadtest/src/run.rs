//! One run, from the plan to the result, in one visible order: set up, launch, send, stop, judge.

mod answer;
mod attack;
mod event_file;
mod exposition;
mod judge;
mod limits;
mod line;
mod pace;
mod progress;
mod recorder;
mod request;
mod setup;
mod stop;
mod trace;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use observability::Registry;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use self::attack::Work;
use self::event_file::{EventFile, EventQueue};
use self::exposition::Exposition;
pub(crate) use self::exposition::declarations;
use self::judge::{Bounds, Ending};
use self::line::Line;
use self::pace::Pace;
use self::progress::Progress;
use self::recorder::{Recorder, Shape};
use self::trace::Tracing;
use crate::events::{self, End, Event, RunStarted, monotonic_us};
use crate::exit::Failure;
use crate::plan::Plan;
use crate::result::{self, MEASURE, Run, RunResult, Totals};

pub use self::progress::Mode as ProgressMode;
pub use self::stop::Stop;

/// Goose must have launched every worker by then: it starts 2,000 a second, on a machine that can.
const LAUNCH_WITHIN: Duration = Duration::from_secs(30);
const LAUNCH_EACH: Duration = Duration::from_millis(2);
/// Between the last worker's arrival and the first request: goose has begun its counts by then.
const LEAD: Duration = Duration::from_millis(250);
/// What a request may take beyond its timeout before a stopped run no longer waits for it.
const DRAIN_SLACK: Duration = Duration::from_secs(1);
/// Goose must have ended by then; the result does not depend on it.
const GOOSE_ENDS_WITHIN: Duration = Duration::from_secs(10);
const WATCH_EVERY: Duration = Duration::from_millis(200);

/// What to run, and where to tell about it.
#[derive(Clone, Debug)]
pub struct Options {
    /// With the overrides of the command line.
    pub plan: Plan,
    /// The service's address.
    pub target: String,
    /// Baggage of every request.
    pub run_id: String,
    /// Baggage of every request, if any.
    pub experiment_id: Option<String>,
    /// Where pictures to upload are; made when `None`.
    pub pictures: Option<PathBuf>,
    /// NDJSON goes there.
    pub events: Option<PathBuf>,
    /// Whether the events hold each request.
    pub requests: bool,
    /// A `file_sd` folder of Prometheus: with it the run serves `/metrics`.
    pub targets_dir: Option<PathBuf>,
    /// What is shown on stderr.
    pub progress: ProgressMode,
}

/// When the first request was due, and how many goose counted.
struct Driven {
    started_at_us: i64,
    goose_requests: Option<u64>,
}

/// Runs until the plan's time is over or `stop` is requested.
pub async fn run(
    options: &Options,
    registry: &Registry,
    stop: &Stop,
) -> Result<RunResult, Failure> {
    let plan = &options.plan;
    let tracing = Tracing::new(&options.run_id, options.experiment_id.as_deref())?;
    let set_up = setup::set_up(
        plan,
        &options.target,
        &options.run_id,
        options.pictures.as_deref(),
    );
    let requests = tokio::select! {
        requests = set_up => requests?,
        () = stop.requested() => return Err(Failure::StoppedEarly { interrupted: stop.is_interrupted() }),
    };
    let (exposition, _registration) = match &options.targets_dir {
        Some(folder) => Exposition::start(folder, registry, plan)
            .await
            .map(|(e, r)| (Some(e), Some(r)))?,
        None => (None, None),
    };
    let event_file = EventFile::create(options.events.as_deref())?;
    let pictures = requests.images.len();
    let pace = Arc::new(Pace::new());
    limits::raise_open_files(plan.workers());
    let work = Arc::new(Work {
        line: Line::new(
            plan.schedule(),
            plan.timeout,
            plan.is_capped(),
            Arc::clone(&pace),
        ),
        recorder: Recorder::new(shape(options), pace, event_file.queue()),
        requests,
        tracing,
        exposition,
        done: CancellationToken::new(),
    });
    let driven = drive(&work, options, stop, &event_file.queue()).await?;
    let measured = work.recorder.finish();
    let end = End {
        stopped: stop.is_requested() && !stop.is_interrupted(),
        aborted: stop.is_interrupted(),
    };
    let events_lost = event_file.close(end);
    let ending = if end.stopped || end.aborted {
        Ending::Early {
            planned: plan.schedule().slots(),
        }
    } else {
        Ending::Planned
    };
    let bounds = Bounds {
        workers: plan.workers(),
        workers_needed: plan.workers_needed(),
    };
    let (thresholds, conclusion, mut reasons) =
        judge::judge(&measured, &plan.thresholds, bounds, ending);
    let phases = measured.phases;
    if events_lost > 0 {
        reasons.push(format!(
            "the events file is incomplete: {events_lost} events were lost"
        ));
    }
    let totals = phases
        .iter()
        .find(|phase| phase.name == MEASURE)
        .map_or(Totals::default(), |phase| phase.totals);
    Ok(RunResult {
        version: result::VERSION,
        run: describe(options, &driven, pictures),
        totals,
        phases,
        thresholds,
        conclusion,
        reasons,
        stopped: end.stopped,
        aborted: end.aborted,
        events_lost,
    })
}

/// Writes `result` so that a reader sees either nothing or all of it.
pub fn write_result(path: &Path, result: &RunResult) -> Result<(), Failure> {
    let refuse =
        |error: std::io::Error| Failure::Internal(format!("--result {}: {error}", path.display()));
    let beside = path.with_added_extension("new");
    let json = serde_json::to_vec_pretty(result).map_err(|error| refuse(error.into()))?;
    let mut file = std::fs::File::create(&beside).map_err(refuse)?;
    file.write_all(&json)
        .and_then(|()| file.sync_all())
        .map_err(refuse)?;
    std::fs::rename(&beside, path).map_err(refuse)
}

fn shape(options: &Options) -> Shape {
    let plan = &options.plan;
    Shape {
        schedule: plan.schedule(),
        warmup: plan.warmup,
        timeout: plan.timeout,
        routes: plan.routes.iter().map(|route| route.kind.name()).collect(),
        requests: options.requests,
    }
}

/// Goose and the course of the run beside each other; then goose is sent home.
async fn drive(
    work: &Arc<Work>,
    options: &Options,
    stop: &Stop,
    events: &EventQueue,
) -> Result<Driven, Failure> {
    let attack = attack::attack(Arc::clone(work), options.plan.workers());
    tokio::pin!(attack);
    let watched = Arc::clone(work);
    let watch = tokio::spawn(async move { watched.line.pace().watch().await });
    let started_at_us = tokio::select! {
        started = course(work, options, stop, events) => started?,
        ended = &mut attack => {
            let why = ended.map_or_else(|why| why, |_| "goose ended before the schedule did".to_owned());
            return Err(Failure::Internal(why));
        }
    };
    watch.abort();
    work.done.cancel();
    let goose_requests = tokio::select! {
        counted = &mut attack => counted.ok(),
        never = attack::stop() => match never {},
        () = sleep(GOOSE_ENDS_WITHIN) => None,
        () = stop.hurry() => None,
    };
    Ok(Driven {
        started_at_us,
        goose_requests,
    })
}

/// From the launch of the workers to the last answer. Returns the Unix time in microseconds of due time 0.
async fn course(
    work: &Arc<Work>,
    options: &Options,
    stop: &Stop,
    events: &EventQueue,
) -> Result<i64, Failure> {
    let plan = &options.plan;
    let workers = plan.workers();
    let within = LAUNCH_WITHIN + LAUNCH_EACH * workers as u32;
    tokio::select! {
        launched = timeout(within, work.line.all_joined(workers)) => launched.map_err(|_| {
            Failure::Internal(format!("goose did not launch {workers} workers within {} s", within.as_secs()))
        })?,
        () = stop.requested() => return Err(Failure::StoppedEarly { interrupted: stop.is_interrupted() }),
    }
    let start = Instant::now() + LEAD;
    let started_at_us = unix_us(SystemTime::now() + LEAD);
    let started_monotonic_us = monotonic_us() + LEAD.as_micros() as i64;
    work.recorder.start(started_at_us);
    let announcement = announce(options, started_at_us, started_monotonic_us);
    events.put(Event::Run(announcement));
    if let Some(exposition) = &work.exposition {
        exposition.set_active(true);
    }
    let mut progress = Progress::new(options.progress, plan);
    work.line.start(start);
    let announcing = Arc::clone(work);
    std::thread::Builder::new()
        .name("schedule".to_owned())
        .spawn(move || announcing.line.announce())
        .map_err(|error| Failure::Internal(format!("no thread for the schedule: {error}")))?;
    tokio::select! {
        () = work.recorder.all_recorded(plan.schedule().slots()) => {}
        never = watch(work, start, &mut progress) => match never {},
        () = stop.requested() => {
            let taken = work.line.close();
            progress.say("stopping: waiting for the requests in flight");
            tokio::select! {
                () = work.recorder.all_recorded(taken) => {}
                () = sleep(plan.timeout + DRAIN_SLACK) => {}
                () = stop.hurry() => {}
            }
        }
    }
    if let Some(exposition) = &work.exposition {
        exposition.set_active(false);
    }
    progress.finish();
    Ok(started_at_us)
}

/// Shows progress and keeps note of the event loop's lag until it is dropped.
async fn watch(work: &Work, start: Instant, progress: &mut Progress) -> std::convert::Infallible {
    loop {
        sleep(WATCH_EVERY).await;
        let elapsed = start.elapsed();
        let pace = work.line.pace();
        work.recorder
            .record_loop_lag(elapsed, pace.take_longest_stall());
        if let Some(exposition) = &work.exposition {
            exposition.set_pressure(work.line.in_flight(), pace.busy_share());
        }
        progress.update(elapsed, work.recorder.live());
    }
}

fn announce(options: &Options, started_at_us: i64, started_monotonic_us: i64) -> RunStarted {
    RunStarted {
        version: events::VERSION,
        run_id: options.run_id.clone(),
        experiment_id: options.experiment_id.clone(),
        plan: options.plan.name.clone(),
        target: options.target.clone(),
        started_at_us,
        started_monotonic_us: Some(started_monotonic_us),
        rate: options.plan.rate,
        warmup_seconds: options.plan.warmup.as_secs_f64(),
        pid: std::process::id(),
    }
}

fn describe(options: &Options, driven: &Driven, pictures: usize) -> Run {
    let plan = &options.plan;
    Run {
        run_id: options.run_id.clone(),
        experiment_id: options.experiment_id.clone(),
        plan: plan.name.clone(),
        target: options.target.clone(),
        seed: plan.seed,
        started_at_us: driven.started_at_us,
        rate: plan.rate,
        warmup_seconds: plan.warmup.as_secs_f64(),
        measure_seconds: plan.measure.as_secs_f64(),
        timeout_ms: plan.timeout.as_millis() as u64,
        workers: plan.workers(),
        pictures,
        generator: concat!("chitram-load ", env!("CARGO_PKG_VERSION")).to_owned(),
        goose_requests: driven.goose_requests,
    }
}

fn unix_us(time: SystemTime) -> i64 {
    time.duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_micros() as i64)
}
