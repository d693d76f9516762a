//! The course of one run: control time, cause, alerts, evidence, roll-back, clearing.

mod heard;
mod judge;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use self::heard::{first, is_silent, longest_gap, state};
use super::bench::{Bench, Broken};
use super::causes::Run;
use super::clock;
use super::codes;
use super::evidence::{self, Moments};
use super::progress;
use super::report::{RunReport, Seen};
use super::rig::Rig;
use super::scale::length::Scale;
use super::scale::rules::name_and_labels;
use crate::boards::folder::Folder;

/// Under a cause at least so long, in scaled time, so that panels have points.
const LEAST_UNDER: Duration = Duration::from_secs(5);

/// Runs one cause from an empty folder to an empty folder.
pub(crate) async fn run(
    bench: &Bench<'_>,
    run: &Run,
    boards: Option<&Folder>,
    file: &str,
) -> (RunReport, bool) {
    let (began, waited) = (Instant::now(), clock::waited_for_cpu());
    let mut report = RunReport::new(run);
    let mut course = Course {
        run,
        boards,
        file,
        scale: bench.scaled.scale,
        watchdog: bench.causes.watchdog.as_deref(),
        report: &mut report,
    };
    let ended = course.whole(bench).await;
    let interrupted = ended == Err(Broken::Interrupted);
    match ended {
        Ok(()) => {}
        Err(Broken::Interrupted) => report.finding(file, codes::INCONCLUSIVE, "it was interrupted"),
        Err(Broken::Because(sentence)) => report.finding(file, codes::INCONCLUSIVE, sentence),
        Err(Broken::NotStarted(sentence)) => {
            report.not_started = true;
            report.finding(file, codes::INCONCLUSIVE, sentence);
        }
    }
    report.took_seconds = began.elapsed().as_secs_f64();
    let waited = clock::waited_for_cpu().zip(waited);
    report.waited_for_cpu = waited.map(|(now, before)| (now - before) / report.took_seconds);
    report.excuse_starved(file);
    report.verdict = report.judged();
    progress::note(&run.name, report.verdict.name());
    (report, interrupted)
}

struct Course<'c> {
    run: &'c Run,
    boards: Option<&'c Folder>,
    file: &'c str,
    scale: Scale,
    watchdog: Option<&'c str>,
    report: &'c mut RunReport,
}

/// Where an expectation stands while the cause is there.
type Times = BTreeMap<usize, f64>;

impl Course<'_> {
    async fn whole(&mut self, bench: &Bench<'_>) -> Result<(), Broken> {
        let mut rig = Rig::new(bench, self.run)?;
        progress::note(&self.run.name, "starts");
        let ended = match rig.start().await {
            Ok(()) => self.with(&mut rig).await,
            Err(broken) => Err(broken),
        };
        // A command that failed may have left something: it is told whatever else was wrong.
        for sentence in rig.stop().await {
            self.report
                .finding(self.file, codes::INCONCLUSIVE, sentence);
        }
        ended
    }

    async fn with(&mut self, rig: &mut Rig<'_, '_>) -> Result<(), Broken> {
        let within = self.scale.length(rig.settles_within());
        self.settle(rig, within).await?;
        let control = self.control(rig).await?;
        if self.run.inject.is_empty() {
            self.beside(rig, control, clock::now())?;
            return Ok(());
        }
        progress::note(&self.run.name, "injects the cause");
        let injecting = clock::now();
        let injected = rig.inject().await;
        let moments = Moments {
            control,
            injecting,
            injected: clock::now(),
        };
        let under = match injected {
            Ok(()) => self.under(rig, moments).await,
            Err(broken) => Err(broken),
        };
        progress::note(&self.run.name, "rolls the cause back");
        let restored = rig.restore().await;
        if under.is_err()
            && let Err(Broken::Because(sentence)) = &restored
        {
            self.report
                .finding(self.file, codes::INCONCLUSIVE, sentence.as_str());
        }
        under?;
        restored?;
        self.cleared(rig, moments, clock::now()).await?;
        self.beside(rig, control, injecting)
    }

    /// Waits until nothing is active any more but the watchdog: what a start brings with it says nothing about the cause.
    async fn settle(&self, rig: &Rig<'_, '_>, within: Duration) -> Result<(), Broken> {
        let quiet = async || {
            let active = rig
                .prometheus()
                .ok()?
                .query("ALERTS", clock::now())
                .await
                .ok()?;
            let heard = rig.webhook().ok()?.heard();
            let all = active.iter().map(|series| &series.labels);
            let firing = heard
                .iter()
                .filter(|(_, heard)| heard.fires())
                .map(|(labels, _)| labels);
            let mut names = all
                .chain(firing)
                .filter_map(|labels| labels.get("alertname"));
            names
                .all(|name| Some(name.as_str()) == self.watchdog)
                .then_some(())
        };
        // What stays active is found in the control time.
        rig.wait(within, quiet).await.map(drop)
    }

    /// Waits while nothing but the watchdog may fire. Returns when it began.
    async fn control(&mut self, rig: &Rig<'_, '_>) -> Result<f64, Broken> {
        let began = clock::now();
        // Without a cause, this is all there is.
        let only = self.run.lasts.filter(|_| self.run.inject.is_empty());
        let length = self.scale.length(only.unwrap_or(self.run.control).0);
        progress::note(
            &self.run.name,
            &format!("control: nothing may fire for {length:?}"),
        );
        rig.wait(length, async || None::<()>).await?;
        self.report.control_seconds = Some(clock::now() - began);
        for expected in &self.run.alerts {
            // One that is about to fire would not fire for the cause.
            if let Some(state) = state(rig, expected).await? {
                let alert = name_and_labels(&expected.name, &expected.labels);
                let sentence = format!("{alert} was {state} before the cause was injected");
                self.report
                    .finding(self.file, codes::FIRED_BEFORE, sentence);
            }
        }
        Ok(began)
    }

    /// Waits for the alerts, and gathers the evidence while the cause is there.
    async fn under(&mut self, rig: &Rig<'_, '_>, moments: Moments) -> Result<(), Broken> {
        let (mut seen, mut silent) = (Times::new(), Times::new());
        let alerts = self.run.alerts.iter().map(|alert| alert.within);
        let silences = self.run.silent.iter().map(|silent| silent.within);
        let longest = alerts.chain(silences).chain(self.run.lasts);
        let longest = longest.map(|within| self.scale.length(within.0)).max();
        // What is silent was heard in the control time.
        let gaps: Vec<f64> = self
            .run
            .silent
            .iter()
            .map(|silent| longest_gap(rig, silent))
            .collect::<Result<_, _>>()?;
        let (run, name) = (self.run, &self.run.name);
        rig.wait(longest.unwrap_or_default(), async || {
            let heard = rig.webhook().ok()?.heard();
            for (index, expected) in run.alerts.iter().enumerate() {
                if let Some(at) = first(&heard, expected, moments.injecting)
                    && seen.insert(index, at).is_none()
                {
                    let after = at - moments.injected;
                    progress::note(name, &format!("{} fired after {after:.1} s", expected.name));
                }
            }
            for (index, expected) in run.silent.iter().enumerate() {
                let gap = gaps.get(index).copied().unwrap_or_default();
                if !silent.contains_key(&index) && is_silent(&heard, expected, gap) {
                    silent.insert(index, clock::now());
                    progress::note(name, &format!("{} is silent", expected.alert));
                }
            }
            // Where nothing is expected, the cause lasts.
            (!run.is_control()
                && seen.len() == run.alerts.len()
                && silent.len() == run.silent.len())
            .then_some(())
        })
        .await?;
        self.note_alerts(rig, &seen, moments).await?;
        self.note_silence(&silent, moments);
        let passed = Duration::from_secs_f64((clock::now() - moments.injected).max(0.0));
        rig.wait(LEAST_UNDER.saturating_sub(passed), async || None::<()>)
            .await?;
        let found = evidence::gather(rig, self.run, self.boards, self.scale, moments).await?;
        for evidence in &found {
            if let Seen::NotSeen(why) = &evidence.seen {
                let sentence = format!("{} `{}`: {why}", evidence.column, evidence.what);
                self.report.finding(self.file, codes::NO_EVIDENCE, sentence);
            }
        }
        self.report.evidence = found;
        Ok(())
    }
}
