//! One experiment from beginning to end. [`run`] is the whole order of things, to be read from top to bottom.

mod telemetry;

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures::FutureExt as _;
use observability::metrics::Gauge;

use crate::clock::now_us;
use crate::context::Context;
use crate::definition::Experiment;
use crate::evidence::Evidence;
use crate::exit::Refusal;
use crate::injection::{InjectError, Injection};
use crate::invariants;
use crate::journal::Journal;
use crate::judge::{Judgement, judge};
use crate::lock::Lock;
use crate::observer::Observer;
use crate::phases::Phase;
use crate::session::{Session, Stop};
use crate::{alerts, evidence_traces, preflight, recover};
use telemetry::{look_before, watch_recovery};

/// A panic in the rollback is no reason not to try it once more.
const ROLLBACKS: u32 = 2;

/// How an experiment went.
pub struct Outcome {
    /// What was observed.
    pub evidence: Evidence,
    /// What that means. An interrupted experiment has one too, but it concludes nothing.
    pub judgement: Judgement,
    /// What was done and when: Unix microseconds.
    pub events: Vec<(i64, String)>,
    /// A signal ended it.
    pub interrupted: bool,
}

/// Runs one experiment. Whatever ends it, a fault that may be active is rolled back before this returns.
pub async fn run(
    experiment: &Experiment,
    context: &Context,
    number: usize,
) -> Result<Outcome, Refusal> {
    let _lock = Lock::take(&context.dir, &context.run_id)?;
    let journal = Journal::at(&context.dir);
    recover_stale(&journal, context).await?;
    context
        .progress
        .phase(&experiment.name, "preflight", Duration::ZERO);
    let mut injection = preflight::check(experiment, context, number).await?;
    let mut observer = Observer::prepare(experiment, context).await?;
    let gauge = gauge(experiment, context, injection.as_ref());
    let mut session = Session::start(experiment, context, context.attempt_id(number))?;

    observer.watch();
    let watched = guarded(async {
        session.warm_up().await?;
        session.baseline().await?;
        look_before(&mut session, &observer, context.require_all).await?;
        inject(&mut session, injection.as_mut(), &journal, gauge.as_ref()).await?;
        verify(&mut session, injection.as_ref()).await?;
        observe(&mut session, injection.as_mut()).await
    })
    .await;
    let undone = roll_back_surely(
        &mut session,
        injection.as_mut(),
        &journal,
        context,
        gauge.as_ref(),
    )
    .await;
    let recovered = match &watched {
        Ok(()) => guarded(watch_recovery(&mut session, experiment, &observer)).await,
        _ => Ok(()),
    };
    session.stop_load().await;
    session.evidence.observed.looks = observer.looks();
    session.evidence.observed.missing = observer.missing();

    let mut stopped = watched.and(undone).and(recovered);
    if let Err(Stop::Aborted(why)) = &stopped {
        session.note(why.clone());
        session.evidence.aborted.get_or_insert(why.clone());
    }
    if !matches!(stopped, Err(Stop::Interrupted | Stop::Refused(_))) {
        let afterwards = guarded(check_invariants(
            &mut session,
            experiment,
            context,
            &observer,
        ))
        .await;
        stopped = stopped.and(afterwards);
    }
    let Session {
        evidence,
        mut events,
        ..
    } = session;
    events.extend(alerts::events(experiment, &evidence));
    events.sort_by_key(|(at, _)| *at);
    match stopped {
        // A rollback that failed outweighs even a defect of this program: the person has to act.
        Err(Stop::Refused(refusal)) if !matches!(evidence.rollback, Some(Err(_))) => Err(refusal),
        _ => {
            let judgement = judge(experiment, &evidence, context.require_all);
            // Also when something else ended it just before: no further experiment is wanted.
            let interrupted = context.interrupt.is_raised();
            Ok(Outcome {
                evidence,
                judgement,
                events,
                interrupted,
            })
        }
    }
}

/// Undoes what a run that was killed left behind.
async fn recover_stale(journal: &Journal, context: &Context) -> Result<(), Refusal> {
    let sentences = recover::recover(
        journal,
        &context.http,
        &context.stack,
        &context.interrupt,
        &context.dir,
    )
    .await?;
    for sentence in sentences {
        context.progress.say(&sentence);
    }
    Ok(())
}

fn gauge(
    experiment: &Experiment,
    context: &Context,
    injection: Option<&Injection>,
) -> Option<Gauge> {
    let (fault, injection) = experiment.fault.as_ref().zip(injection)?;
    Some(
        context
            .metrics
            .fault(&experiment.name, fault.dependency(), injection.label()),
    )
}

fn set(gauge: Option<&Gauge>, value: f64) {
    if let Some(gauge) = gauge {
        gauge.set(value);
    }
}

/// A panic becomes a refusal, so that what follows, above all the rollback, still happens.
async fn guarded(steps: impl Future<Output = Result<(), Stop>>) -> Result<(), Stop> {
    AssertUnwindSafe(steps)
        .catch_unwind()
        .await
        .unwrap_or_else(|panic| {
            let what = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
            let what = what
                .or_else(|| panic.downcast_ref::<String>().cloned())
                .unwrap_or_default();
            Err(Stop::Refused(Refusal::internal(format!(
                "chitram-chaos has a defect, please report it: {what}"
            ))))
        })
}

/// Intent to the disk, then the fault. In a negative control only the moment is marked.
async fn inject(
    session: &mut Session<'_>,
    injection: Option<&mut Injection>,
    journal: &Journal,
    gauge: Option<&Gauge>,
) -> Result<(), Stop> {
    session.evidence.marks.injecting = Some(now_us());
    let Some(injection) = injection else {
        return Ok(());
    };
    session.show(Phase::Onset.word(), Duration::ZERO);
    set(gauge, 1.0);
    session.note("injecting the fault");
    injection
        .inject(journal)
        .await
        .map_err(|error| match error {
            InjectError::Refused(refusal) => Stop::Refused(refusal),
            InjectError::Unproven(why) => {
                session.evidence.injection = Some(Err(why));
                Stop::Inconclusive
            }
        })
}

/// Proves that the fault is active.
async fn verify(session: &mut Session<'_>, injection: Option<&Injection>) -> Result<(), Stop> {
    if let Some(injection) = injection {
        match session.during(injection.verify()).await? {
            Ok(felt) => session.note(format!("the fault is active: a probe felt {felt}")),
            Err(why) => {
                session.note(why.clone());
                session.evidence.injection = Some(Err(why));
                return Err(Stop::Inconclusive);
            }
        }
        session.evidence.injection = Some(Ok(()));
    }
    session.evidence.marks.verified = Some(now_us());
    Ok(())
}

/// Watches what happens, and that the fault is there all the time.
async fn observe(session: &mut Session<'_>, injection: Option<&mut Injection>) -> Result<(), Stop> {
    let Some(injection) = injection else {
        return session.observe().await;
    };
    let watch = injection.watch();
    let observed = tokio::select! {
        observed = session.observe() => observed.map(|()| None),
        lost = watch.until_lost() => Ok(Some(lost)),
    };
    let lost = match observed {
        Ok(None) => session.during(watch.last_look()).await.map(Result::err),
        other => other,
    };
    let all = watch.into_proxies();
    injection.know(all);
    match lost? {
        None => Ok(()),
        Some(why) => {
            session.note(why.clone());
            session.evidence.injection = Some(Err(why));
            Err(Stop::Inconclusive)
        }
    }
}

/// Takes the fault back, also after a defect of its own: it is tried once more, and nothing that follows is skipped.
async fn roll_back_surely(
    session: &mut Session<'_>,
    mut injection: Option<&mut Injection>,
    journal: &Journal,
    context: &Context,
    gauge: Option<&Gauge>,
) -> Result<(), Stop> {
    let mut outcome = Ok(());
    for _ in 0..ROLLBACKS {
        let rolled_back = guarded(Box::pin(async {
            let injection = injection.as_deref_mut();
            roll_back(session, injection, journal, context, gauge).await;
            Ok(())
        }));
        let Err(Stop::Refused(defect)) = rolled_back.await else {
            break;
        };
        session.note(defect.sentence.clone());
        let (why, dir) = (&defect.sentence, context.dir.display());
        let by_hand = format!("{why}. Type: chitram-chaos recover --dir {dir}");
        session.evidence.rollback.get_or_insert(Err(by_hand));
        outcome = Err(Stop::Refused(defect));
    }
    outcome
}

/// Takes the fault back if it may be there. Runs on every way out, and no signal ends it.
async fn roll_back(
    session: &mut Session<'_>,
    injection: Option<&mut Injection>,
    journal: &Journal,
    context: &Context,
    gauge: Option<&Gauge>,
) {
    let marks = &mut session.evidence.marks;
    marks.rolling_back = marks
        .rolling_back
        .or_else(|| marks.injecting.map(|_| now_us()));
    let Some(injection) = injection.filter(|injection| injection.is_begun()) else {
        return;
    };
    session.show(Phase::Rollback.word(), Duration::ZERO);
    session.note("rolling back");
    let (outcome, effort) = injection
        .roll_back(journal, &context.interrupt, &context.dir)
        .await;
    if let Some(sentence) = effort.sentence() {
        context.progress.say(&format!("rolling back: {sentence}"));
        session.note(sentence);
    }
    session.evidence.effort = effort;
    let is_gone = outcome.is_ok();
    session.evidence.rollback = Some(outcome);
    if is_gone {
        session.evidence.marks.lifted = Some(now_us());
        set(gauge, 0.0);
        let felt = if context.interrupt.is_raised() {
            None
        } else {
            Some(injection.feel_again().await)
        };
        session.note(format!(
            "the fault is gone{}",
            felt.map(|felt| format!(": a probe felt {felt}"))
                .unwrap_or_default()
        ));
    }
}

/// What must be true afterwards; and the traces, which by now have arrived.
async fn check_invariants(
    session: &mut Session<'_>,
    experiment: &Experiment,
    context: &Context,
    observer: &Observer,
) -> Result<(), Stop> {
    session.show("invariants", Duration::ZERO);
    let checks = async {
        // An experiment that stopped before it changed anything has nothing to check.
        if experiment.invariants.content && session.evidence.marks.injecting.is_some() {
            let target = context.target().map_err(Stop::Refused)?;
            session.evidence.content = Some(invariants::content(&context.http, target).await);
        }
        let evidence = &session.evidence;
        let (scrapes, clearing) = futures::join!(
            observer.scrapes(evidence),
            observer.clearing_scrapes(&evidence.marks)
        );
        session.evidence.observed.scrapes = scrapes;
        session.evidence.observed.clearing_scrapes = clearing;
        session.evidence.traces =
            Some(evidence_traces::fetch(experiment, &session.evidence, context).await);
        Ok(())
    };
    tokio::select! {
        outcome = checks => outcome,
        () = context.interrupt.raised() => Err(Stop::Interrupted),
    }
}
