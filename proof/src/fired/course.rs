//! The course of one run: control time, cause, alerts, evidence, roll-back, clearing.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::causes::{Expected, Run, Silent};
use super::clock;
use super::codes;
use super::evidence::{self, Moments};
use super::progress;
use super::report::{AlertSeen, RunReport, SilentSeen};
use super::rig::{Bench, Broken, Rig};
use super::scale::length::Scale;
use super::scale::rules::name_and_labels;
use super::webhook::{Heard, Labels};
use crate::boards::folder::Folder;

/// Under a cause at least so long, in scaled time, so that panels have points.
const LEAST_UNDER: Duration = Duration::from_secs(5);
/// An alert that always fires is silent after so many of its longest gaps, and at least after so long.
const GAPS: f64 = 3.0;
const LEAST_SILENCE: f64 = 2.0;

/// Runs one cause from an empty folder to an empty folder.
pub(crate) async fn run(
    bench: &Bench<'_>,
    run: &Run,
    boards: Option<&Folder>,
    file: &str,
) -> (RunReport, bool) {
    let began = Instant::now();
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
    report.verdict = report.judged();
    report.took_seconds = began.elapsed().as_secs_f64();
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
type Seen = BTreeMap<usize, f64>;

impl Course<'_> {
    async fn whole(&mut self, bench: &Bench<'_>) -> Result<(), Broken> {
        let mut rig = Rig::new(bench, self.run)?;
        progress::note(&self.run.name, "starts");
        let ended = match rig.start().await {
            Ok(()) => self.with(&mut rig).await,
            Err(broken) => Err(broken),
        };
        let stopped = rig.stop().await;
        ended.and(stopped)
    }

    async fn with(&mut self, rig: &mut Rig<'_, '_>) -> Result<(), Broken> {
        let within = self.scale.length(rig.settles_within());
        self.settle(rig, within).await?;
        let control = self.control(rig).await?;
        if self.run.is_control() && self.run.inject.is_empty() {
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
        let length = self.run.lasts.unwrap_or(self.run.control);
        let length = self.scale.length(length.0);
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
        let (mut seen, mut silent) = (Seen::new(), Seen::new());
        let longest = self
            .run
            .alerts
            .iter()
            .map(|alert| alert.within)
            .chain(self.run.silent.iter().map(|silent| silent.within));
        let longest = longest
            .map(|within| self.scale.length(within.0))
            .max()
            .unwrap_or_default();
        // What is silent was heard in the control time.
        let gaps: Vec<f64> = self
            .run
            .silent
            .iter()
            .map(|silent| longest_gap(rig, silent))
            .collect::<Result<_, _>>()?;
        let (run, name) = (self.run, &self.run.name);
        rig.wait(longest, async || {
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
            (seen.len() == run.alerts.len() && silent.len() == run.silent.len()).then_some(())
        })
        .await?;
        self.note_alerts(rig, &seen, moments).await?;
        self.note_silence(&silent, moments);
        let passed = Duration::from_secs_f64((clock::now() - moments.injected).max(0.0));
        rig.wait(LEAST_UNDER.saturating_sub(passed), async || None::<()>)
            .await?;
        let found = evidence::gather(rig, self.run, self.boards, self.scale, moments).await?;
        for evidence in &found {
            if let Err(why) = &evidence.seen {
                let sentence = format!("{} `{}`: {why}", evidence.column, evidence.what);
                self.report.finding(self.file, codes::NO_EVIDENCE, sentence);
            }
        }
        self.report.evidence = found;
        Ok(())
    }

    async fn note_alerts(
        &mut self,
        rig: &Rig<'_, '_>,
        seen: &Seen,
        moments: Moments,
    ) -> Result<(), Broken> {
        let heard = rig.webhook()?.heard();
        for (index, expected) in self.run.alerts.iter().enumerate() {
            let alert = name_and_labels(&expected.name, &expected.labels);
            let within = self.scale.length(expected.within.0).as_secs_f64();
            // An injection may take longer than the alert: then it was seen at once.
            let after = seen.get(&index).map(|at| (at - moments.injected).max(0.0));
            let late = after.is_some_and(|after| after > within);
            if after.is_none() || late {
                let now = match state(rig, expected).await? {
                    Some(State::Firing) if !late => "it fires in Prometheus, and Alertmanager holds it back (inhibited, or grouped)".to_owned(),
                    Some(state) => format!("it is {state}"),
                    None => "its expression has no result".to_owned(),
                };
                let took = after.map_or_else(
                    || "was not seen".to_owned(),
                    |after| format!("was seen after {after:.1} s"),
                );
                let sentence =
                    format!("{alert} {took}, and had to be within {within:.1} s (scaled): {now}");
                self.report.finding(self.file, codes::NOT_FIRED, sentence);
            }
            let receiver = all(&heard, expected)
                .map(|(_, heard)| heard.receiver.clone())
                .next();
            self.report.alerts.push(AlertSeen {
                alert,
                detected_after: after,
                within,
                cleared_after: None,
                receiver: receiver.unwrap_or_default(),
            });
        }
        Ok(())
    }

    fn note_silence(&mut self, silent: &Seen, moments: Moments) {
        for (index, expected) in self.run.silent.iter().enumerate() {
            let after = silent.get(&index).map(|at| at - moments.injected);
            let within = self.scale.length(expected.within.0).as_secs_f64();
            if after.is_none_or(|after| after > within) {
                let sentence = format!(
                    "{} did not fall silent within {within:.1} s (scaled)",
                    expected.alert
                );
                self.report.finding(self.file, codes::NOT_SILENT, sentence);
            }
            self.report.silent.push(SilentSeen {
                alert: expected.alert.clone(),
                noticed_after: after,
                heard_after: None,
            });
        }
    }

    /// Waits until each alert that fired is resolved, and what was silent is heard.
    async fn cleared(
        &mut self,
        rig: &Rig<'_, '_>,
        moments: Moments,
        restored: f64,
    ) -> Result<(), Broken> {
        let bounds = self.run.alerts.iter().map(|alert| alert.clears_within);
        let bounds = bounds.chain(self.run.silent.iter().map(|silent| silent.clears_within));
        let longest = bounds
            .map(|within| self.scale.length(within.0))
            .max()
            .unwrap_or_default();
        let run = self.run;
        rig.wait(longest, async || {
            let heard = rig.webhook().ok()?.heard();
            let cleared = run
                .alerts
                .iter()
                .all(|expected| all(&heard, expected).all(|(_, heard)| !heard.fires()));
            let back = run
                .silent
                .iter()
                .all(|expected| heard_since(&heard, expected, restored).is_some());
            (cleared && back).then_some(())
        })
        .await?;
        let heard = rig.webhook()?.heard();
        for (index, expected) in self.run.alerts.iter().enumerate() {
            let fired: Vec<&Heard> = all(&heard, expected)
                .map(|(_, heard)| heard)
                .filter(|heard| heard.fired_since(moments.injecting).is_some())
                .collect();
            let last = fired
                .iter()
                .map(|heard| heard.cleared())
                .collect::<Option<Vec<f64>>>();
            let after = last
                .and_then(|all| all.into_iter().reduce(f64::max))
                .map(|at| (at - restored).max(0.0));
            let within = self.scale.length(expected.clears_within.0).as_secs_f64();
            if !fired.is_empty() && after.is_none_or(|after| after > within) {
                let alert = name_and_labels(&expected.name, &expected.labels);
                let sentence =
                    format!("{alert} did not clear within {within:.1} s (scaled) of the roll-back");
                self.report.finding(self.file, codes::NOT_CLEARED, sentence);
            }
            if let Some(seen) = self.report.alerts.get_mut(index) {
                seen.cleared_after = after;
            }
        }
        for (index, expected) in self.run.silent.iter().enumerate() {
            let after = heard_since(&heard, expected, restored).map(|at| at - restored);
            let within = self.scale.length(expected.clears_within.0).as_secs_f64();
            if after.is_none_or(|after| after > within) {
                let sentence = format!(
                    "{} was not heard again within {within:.1} s (scaled) of the roll-back",
                    expected.alert
                );
                self.report.finding(self.file, codes::NOT_CLEARED, sentence);
            }
            if let Some(seen) = self.report.silent.get_mut(index) {
                seen.heard_after = after;
            }
        }
        Ok(())
    }

    /// Everything else that fired.
    fn beside(&mut self, rig: &Rig<'_, '_>, control: f64, injecting: f64) -> Result<(), Broken> {
        let webhook = rig.webhook()?;
        for (labels, heard) in webhook.heard() {
            let name = labels.get("alertname").map_or("", String::as_str);
            if self.watchdog == Some(name) {
                continue;
            }
            let alert = text(&labels);
            if heard.fired_in(control, injecting) {
                let sentence = format!(
                    "{alert} fired in the control time, which began {:.1} s before the cause",
                    injecting - control
                );
                self.report
                    .finding(self.file, codes::FIRED_BEFORE, sentence);
            }
            if heard.fired_since(injecting).is_none()
                || self.run.alerts.iter().any(|expected| is(&labels, expected))
            {
                continue;
            }
            if self.run.may_fire.iter().any(|may| may == name) {
                self.report.consequences.push(alert);
            } else {
                let sentence = format!(
                    "{alert} fired as well; if it is a consequence of the cause, list {name} in may_fire"
                );
                self.report
                    .finding(self.file, codes::FIRED_BESIDE, sentence);
            }
        }
        if webhook.lost() > 0 {
            let sentence = format!(
                "{} notifications or changes were not understood or not kept",
                webhook.lost()
            );
            self.report
                .finding(self.file, codes::INCONCLUSIVE, sentence);
        }
        Ok(())
    }
}

/// Whether an alert is an expected one.
fn is(labels: &Labels, expected: &Expected) -> bool {
    labels.get("alertname") == Some(&expected.name)
        && expected
            .labels
            .iter()
            .all(|(label, value)| labels.get(label) == Some(value))
}

/// Everything that was heard of an expected alert.
fn all<'h>(
    heard: &'h BTreeMap<Labels, Heard>,
    expected: &'h Expected,
) -> impl Iterator<Item = (&'h Labels, &'h Heard)> {
    heard.iter().filter(|(labels, _)| is(labels, expected))
}

fn first(heard: &BTreeMap<Labels, Heard>, expected: &Expected, since: f64) -> Option<f64> {
    all(heard, expected)
        .filter_map(|(_, heard)| heard.fired_since(since))
        .reduce(f64::min)
}

fn named<'h>(
    heard: &'h BTreeMap<Labels, Heard>,
    silent: &'h Silent,
) -> impl Iterator<Item = &'h Heard> {
    let named = |labels: &Labels| labels.get("alertname") == Some(&silent.alert);
    heard
        .iter()
        .filter(move |(labels, _)| named(labels))
        .map(|(_, heard)| heard)
}

/// The longest silence of an alert that always fires.
fn longest_gap(rig: &Rig<'_, '_>, silent: &Silent) -> Result<f64, Broken> {
    let heard = rig.webhook()?.heard();
    let gap = named(&heard, silent)
        .map(|heard| heard.longest_gap)
        .reduce(f64::max);
    gap.ok_or_else(|| {
        Broken::Because(format!(
            "{} was never heard, so its silence says nothing",
            silent.alert
        ))
    })
}

fn is_silent(heard: &BTreeMap<Labels, Heard>, silent: &Silent, gap: f64) -> bool {
    let bound = (gap * GAPS).max(LEAST_SILENCE);
    named(heard, silent).all(|heard| !heard.fires() || clock::now() - heard.last_firing > bound)
}

fn heard_since(heard: &BTreeMap<Labels, Heard>, silent: &Silent, since: f64) -> Option<f64> {
    let beats = named(heard, silent)
        .filter(|heard| heard.fires())
        .map(|heard| heard.last_firing);
    beats.filter(|at| *at >= since).reduce(f64::min)
}

/// Name and labels, for a person.
fn text(labels: &Labels) -> String {
    let name = labels.get("alertname").cloned().unwrap_or_default();
    let others: Labels = labels
        .iter()
        .filter(|(label, _)| *label != "alertname")
        .map(|(label, value)| (label.clone(), value.clone()))
        .collect();
    name_and_labels(&name, &others)
}

/// What Prometheus says of an alert that is not inactive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Pending,
    Firing,
}

impl std::fmt::Display for State {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        to.write_str(match self {
            Self::Pending => "pending",
            Self::Firing => "firing",
        })
    }
}

/// The state of an expected alert in Prometheus.
async fn state(rig: &Rig<'_, '_>, expected: &Expected) -> Result<Option<State>, Broken> {
    let found = rig.prometheus()?.query("ALERTS", clock::now()).await;
    // A cause may have stopped Prometheus.
    let found = found.unwrap_or_default();
    let mut states = found
        .iter()
        .filter(|series| is(&series.labels, expected))
        .map(
            |series| match series.labels.get("alertstate").map(String::as_str) {
                Some("firing") => State::Firing,
                _ => State::Pending,
            },
        );
    let first = states.next();
    Ok(if states.any(|state| state == State::Firing) {
        Some(State::Firing)
    } else {
        first
    })
}
