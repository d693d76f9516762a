//! The steps in which metrics and alerts are asked.

use crate::clock::now_us;
use crate::definition::{Experiment, ReadingPhase};
use crate::judge;
use crate::observer::Observer;
use crate::phases::{Phase, Span};
use crate::session::{Session, Stop};

/// What metrics and alerts say before the fault. Where that makes a verdict impossible, nothing is injected.
pub(super) async fn look_before(
    session: &mut Session<'_>,
    observer: &Observer,
    require_all: bool,
) -> Result<(), Stop> {
    read(session, observer, ReadingPhase::Baseline).await?;
    session.evidence.observed.looks = observer.looks();
    let experiment = session.experiment();
    let unsteady = judge::unsteady(experiment, &session.evidence, require_all);
    session.evidence.unsteady.clone_from(&unsteady);
    match unsteady {
        None => Ok(()),
        Some(why) => {
            session.note(why);
            Err(Stop::Inconclusive)
        }
    }
}

/// What metrics said at the end of the fault, whether service returns, whether alerts clear, and what metrics say then.
pub(super) async fn watch_recovery(
    session: &mut Session<'_>,
    experiment: &Experiment,
    observer: &Observer,
) -> Result<(), Stop> {
    read(session, observer, ReadingPhase::Fault).await?;
    if experiment.fault.is_none() {
        return Ok(());
    }
    session.recovery().await?;
    if let Some(within_s) = experiment.longest_clearing_s() {
        session
            .clearing(within_s, |marks| observer.is_clear(marks))
            .await?;
    }
    read(session, observer, ReadingPhase::Recovery).await
}

/// Takes in the results that are expected of a phase which has ended.
async fn read(
    session: &mut Session<'_>,
    observer: &Observer,
    phase: ReadingPhase,
) -> Result<(), Stop> {
    let marks = &session.evidence.marks;
    let span = match phase {
        ReadingPhase::Baseline => Some(marks.baseline_span()),
        ReadingPhase::Fault => session.evidence.span(Phase::Fault),
        ReadingPhase::Recovery => marks.lifted.map(|from| Span { from, to: now_us() }),
    };
    if let Some(span) = span {
        let readings = session.during(observer.read(phase, span)).await?;
        session.evidence.observed.readings.extend(readings);
    }
    Ok(())
}
