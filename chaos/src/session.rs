//! One experiment while it runs: follows the load generator's events, samples CPU use, shows progress, and keeps the
//! evidence. Knows nothing of faults and nothing of verdicts.

mod machine;

use std::collections::BTreeSet;
use std::time::Duration;

use loadtest::events::{Event, RunStarted, Window};

use crate::clock::{Clock, monotonic_us, now_us, wall_us};
use crate::context::Context;
use crate::definition::Experiment;
use crate::evidence::{Arrivals, Evidence};
use crate::exit::Refusal;
use crate::figures::percent;
use crate::load::due::{self, NoTime};
use crate::load::tail::Tail;
use crate::load::{Generator, Order};
use crate::phases::{Marks, Phase, Span};
use crate::progress::Live;
use crate::windows::{self, cut};
use machine::Machine;

const TICK: Duration = Duration::from_millis(100);
const USAGE_INTERVAL_US: i64 = 1_000_000;
/// How long the generator may take until its first request is due: it makes the bodies of its uploads before.
const START_DEADLINE: Duration = Duration::from_mins(1);
/// How long after its due time a request's outcome is waited for before a phase is judged without it.
const LATE: Duration = Duration::from_secs(3);
/// Requests of one experiment at most: beyond, their evidence would not fit into memory.
const MAX_SAMPLES: usize = 2_000_000;
/// So long after the last moment for an alert to clear it is still looked at.
const AFTER_CLEARING: Duration = Duration::from_secs(3);
/// The generator is asked for so much more than the phases need, for all the waiting between them.
const SPARE_S: u64 = 120;

/// Why the observation ended early.
#[derive(Debug)]
pub enum Stop {
    /// A signal.
    Interrupted,
    /// Something that makes a verdict impossible is in the evidence: an unstable baseline, an unproven fault.
    Inconclusive,
    /// A guardrail, or the generator's death.
    Aborted(String),
    /// A failure of this program or its machine.
    Refused(Refusal),
}

/// A running experiment.
pub struct Session<'a> {
    context: &'a Context,
    experiment: &'a Experiment,
    generator: Generator,
    tail: Tail,
    run: Option<RunStarted>,
    /// Added to the generator's times to put them on this process's clock.
    shift_us: i64,
    machine: Machine,
    /// Seconds of due time whose requests all have an outcome, and the first that has not.
    complete: BTreeSet<u64>,
    next_second: u64,
    watching_generator: bool,
    guarded: bool,
    /// All that was seen.
    pub evidence: Evidence,
    /// What was done and when, for the report: on this process's [`Clock`].
    pub events: Vec<(i64, String)>,
}

impl<'a> Session<'a> {
    /// Starts the load. `attempt_id` is its `run.id`.
    pub fn start(
        experiment: &'a Experiment,
        context: &'a Context,
        attempt_id: String,
    ) -> Result<Self, Refusal> {
        let events = context.dir.join("chaos-load.ndjson");
        let tail = Tail::new(&events)?;
        let phases = &experiment.phases;
        let order = Order {
            plan: context.plan(&experiment.load.plan)?,
            target: context.target()?.to_string(),
            events,
            warm_up_s: phases.warm_up_s,
            seconds: phases.baseline_s * 2
                + phases.fault_s
                + experiment.recovery.within_s
                + experiment.longest_clearing_s().unwrap_or(0)
                + SPARE_S,
            run_id: attempt_id,
            experiment: experiment.name.clone(),
            pictures: context.pictures.clone(),
            targets: context.dir.join("targets"),
        };
        Ok(Self {
            context,
            experiment,
            generator: Generator::start(&order)?,
            tail,
            run: None,
            shift_us: 0,
            machine: Machine::new(context),
            complete: BTreeSet::new(),
            next_second: 0,
            watching_generator: true,
            guarded: false,
            evidence: Evidence::default(),
            events: Vec::new(),
        })
    }

    /// Writes down what was done just now.
    pub fn note(&mut self, what: impl Into<String>) {
        self.events.push((now_us(), what.into()));
    }

    /// Shows that a phase begins.
    pub fn show(&self, phase: &str, expected: Duration) {
        self.context
            .progress
            .phase(&self.experiment.name, phase, expected);
    }

    /// Waits for the first request and until the warm-up is over.
    pub async fn warm_up(&mut self) -> Result<(), Stop> {
        let phases = &self.experiment.phases;
        self.show(Phase::WarmUp.word(), Duration::from_secs(phases.warm_up_s));
        let late = now_us() + START_DEADLINE.as_micros() as i64;
        self.until(late, |session| session.run.is_some()).await?;
        let Some(run) = &self.run else {
            return Err(Stop::Aborted(format!(
                "the load generator sent nothing within {} s",
                START_DEADLINE.as_secs()
            )));
        };
        let started = run.started_at_us;
        let baseline = started + phases.warm_up_s as i64 * 1_000_000;
        let baseline_end = baseline + phases.baseline_s as i64 * 1_000_000;
        let marks = &mut self.evidence.marks;
        (marks.started, marks.baseline, marks.baseline_end) = (started, baseline, baseline_end);
        self.events.push((
            started,
            format!(
                "load begins: {:.0} requests/s of plan {}",
                run.rate, run.plan
            ),
        ));
        self.until(baseline, |_| false).await
    }

    /// Watches the steady state, which must hold.
    pub async fn baseline(&mut self) -> Result<(), Stop> {
        let span = self.evidence.marks.baseline_span();
        self.show(
            Phase::Baseline.word(),
            Duration::from_secs(self.experiment.phases.baseline_s),
        );
        self.until(span.to, |_| false).await?;
        self.until_known(span.to).await?;
        self.sort();
        let baseline = windows::baseline(&self.evidence.samples, span);
        let outcome = match &baseline {
            Ok(baseline) => {
                let (n, width, band) = (
                    baseline.windows.len(),
                    baseline.window_s,
                    baseline.band.sentence(),
                );
                self.note(format!(
                    "the baseline is stable: {n} windows of {width} s, band {band}"
                ));
                Ok(())
            }
            Err(why) => {
                self.note(why.clone());
                Err(Stop::Inconclusive)
            }
        };
        self.evidence.baseline = Some(baseline);
        self.guarded = true;
        outcome
    }

    /// Watches for as long as the fault is to be judged.
    pub async fn observe(&mut self) -> Result<(), Stop> {
        let length = self.experiment.observation();
        let verified = self.evidence.marks.verified.unwrap_or_else(now_us);
        let phase = if self.experiment.fault.is_some() {
            "fault"
        } else {
            "observation"
        };
        self.show(phase, length);
        self.until(verified + length.as_micros() as i64, |_| false)
            .await
    }

    /// Watches until service is as before, or until it is too late for that.
    pub async fn recovery(&mut self) -> Result<(), Stop> {
        let (Some(lifted), Some(baseline)) =
            (self.evidence.marks.lifted, self.evidence.steady().cloned())
        else {
            return Ok(());
        };
        let within_s = self.experiment.recovery.within_s;
        let limit = windows::recovery_limit_us(&baseline, within_s);
        self.show(
            Phase::Recovery.word(),
            Duration::from_micros(limit.unsigned_abs()),
        );
        // The outage is over, and so is the reason to give up early.
        self.guarded = false;
        let mut judged_until = 0;
        let mut proven = false;
        let mut is_proven = |session: &mut Self| {
            let known = session.known_until();
            if known > judged_until {
                judged_until = known;
                session.sort();
                let samples = &session.evidence.samples;
                proven = windows::recovered(samples, &baseline, lifted, within_s, known).is_some();
            }
            proven
        };
        self.until(lifted + limit, &mut is_proven).await?;
        self.until(lifted + limit + LATE.as_micros() as i64, |session| {
            is_proven(session) || session.known_until() >= lifted + limit
        })
        .await?;
        self.evidence.recovery_watched = true;
        Ok(())
    }

    /// What is run.
    pub fn experiment(&self) -> &'a Experiment {
        self.experiment
    }

    /// Watches until alerts have cleared, or until it is too late for that.
    pub async fn clearing(
        &mut self,
        within_s: u64,
        is_clear: impl Fn(&Marks) -> bool,
    ) -> Result<(), Stop> {
        let Some(lifted) = self.evidence.marks.lifted else {
            return Ok(());
        };
        // A look after the last moment shows whether it was kept.
        let limit = Duration::from_secs(within_s) + AFTER_CLEARING;
        self.show("alerts clearing", limit);
        self.until(lifted + limit.as_micros() as i64, |session| {
            is_clear(&session.evidence.marks)
        })
        .await
    }

    /// Ends the load and takes in what it still had to say.
    pub async fn stop_load(&mut self) {
        self.watching_generator = false;
        let quick = self.context.interrupt.is_raised();
        let ended = now_us();
        self.generator.stop(quick).await;
        if let Err(Stop::Aborted(why)) = self.take_in() {
            self.evidence.aborted.get_or_insert(why);
        }
        self.sort();
        if self.run.is_some() {
            self.evidence.marks.ended.get_or_insert(ended);
        }
    }

    /// Waits until this moment, or until `done`, taking in what happens meanwhile.
    async fn until(
        &mut self,
        moment: i64,
        mut done: impl FnMut(&mut Self) -> bool,
    ) -> Result<(), Stop> {
        loop {
            self.tick()?;
            if now_us() >= moment || done(self) {
                return Ok(());
            }
            tokio::select! {
                () = self.context.interrupt.raised() => return Err(Stop::Interrupted),
                () = tokio::time::sleep(TICK) => {}
            }
        }
    }

    /// Does something that is not the session's, while the load goes on: signals, guardrails and the generator's death end
    /// the waiting for it.
    pub async fn during<T>(&mut self, what: impl Future<Output = T>) -> Result<T, Stop> {
        let mut what = std::pin::pin!(what);
        loop {
            tokio::select! {
                done = &mut what => return Ok(done),
                () = self.context.interrupt.raised() => return Err(Stop::Interrupted),
                () = tokio::time::sleep(TICK) => self.tick()?,
            }
        }
    }

    /// Waits a bounded time until every request due before this moment has an outcome.
    async fn until_known(&mut self, moment: i64) -> Result<(), Stop> {
        self.until(moment + LATE.as_micros() as i64, |session| {
            session.known_until() >= moment
        })
        .await
    }

    /// Takes in what happened. Called often, at least ten times a second.
    fn tick(&mut self) -> Result<(), Stop> {
        self.take_in()?;
        if let Some(ended) = self.generator.ended().filter(|_| self.watching_generator) {
            return Err(Stop::Aborted(format!(
                "the load generator died ({})",
                ended.words()
            )));
        }
        let now = now_us();
        if self
            .evidence
            .usage
            .last()
            .is_none_or(|reading| now - reading.at >= USAGE_INTERVAL_US)
        {
            self.evidence.usage.push(self.machine.read(now));
        }
        self.context
            .progress
            .update(Live::of(&self.evidence.samples));
        self.guardrail()
    }

    fn take_in(&mut self) -> Result<(), Stop> {
        let damaged = |error: NoTime| Stop::Aborted(error.to_string());
        for event in self.tail.read().map_err(Stop::Aborted)? {
            match event {
                Event::Run(mut run) => {
                    let (clock, monotonic) = (Clock::own(), monotonic_us());
                    let shift = due::shift_us(&run, clock, monotonic, wall_us());
                    self.shift_us = shift.map_err(damaged)?;
                    run.started_at_us = run.started_at_us.saturating_add(self.shift_us);
                    due::start_us(&run).map_err(damaged)?;
                    self.machine.add("the load generator", run.pid);
                    self.run = Some(run);
                }
                Event::Window(window) => self.second_is_complete(&window).map_err(damaged)?,
                Event::Request(mut sample) => {
                    sample.due_us = sample.due_us.saturating_add(self.shift_us);
                    self.evidence.samples.push(sample);
                }
                Event::End(_) => {}
            }
        }
        if self.evidence.samples.len() > MAX_SAMPLES {
            return Err(Stop::Aborted(format!(
                "more than {MAX_SAMPLES} requests: lower the plan's rate, or the phases"
            )));
        }
        Ok(())
    }

    fn second_is_complete(&mut self, window: &Window) -> Result<(), NoTime> {
        let Some(run) = &self.run else { return Ok(()) };
        let from = due::second_us(run, window.second)?;
        self.evidence.seconds.push(Arrivals {
            from,
            due: window.due,
            lost: window.not_sent.lost(),
            at_bound: window.generator.at_bound,
        });
        self.complete.insert(window.second);
        while self.complete.remove(&self.next_second) {
            self.next_second += 1;
        }
        Ok(())
    }

    /// Every request due before this moment has an outcome.
    fn known_until(&self) -> i64 {
        self.run.as_ref().map_or(0, |run| {
            run.started_at_us + self.next_second as i64 * 1_000_000
        })
    }

    /// Gives up when the latest complete window has more errors than the experiment allows.
    fn guardrail(&mut self) -> Result<(), Stop> {
        let (Some(most), true) = (self.experiment.guardrails.error_ratio, self.guarded) else {
            return Ok(());
        };
        let width = self
            .evidence
            .steady()
            .map_or(2, |baseline| baseline.window_s);
        let to = self.known_until();
        let span = Span {
            from: to - width * 1_000_000,
            to,
        };
        if span.from < self.evidence.marks.baseline_end {
            return Ok(());
        }
        self.sort();
        match cut(&self.evidence.samples, span, width).first() {
            Some(window) if window.error_ratio() > most => Err(Stop::Aborted(format!(
                "the guardrail gave up: {} of the requests of {width} s failed, more than {}",
                percent(window.error_ratio()),
                percent(most)
            ))),
            _ => Ok(()),
        }
    }

    fn sort(&mut self) {
        if !self
            .evidence
            .samples
            .is_sorted_by_key(|sample| sample.due_us)
        {
            self.evidence.samples.sort_by_key(|sample| sample.due_us);
        }
    }
}
