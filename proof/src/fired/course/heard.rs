//! Which notifications are about which expectation.

use std::collections::BTreeMap;

use super::super::bench::Broken;
use super::super::causes::{Expected, Silent};
use super::super::clock;
use super::super::rig::Rig;
use super::super::scale::rules::name_and_labels;
use super::super::webhook::{Heard, Labels};

/// An alert that always fires is silent after so many of its longest gaps, and at least after so long, in seconds.
const GAPS: f64 = 3.0;
const LEAST_SILENCE: f64 = 2.0;

/// Whether an alert is an expected one.
pub(super) fn is(labels: &Labels, expected: &Expected) -> bool {
    labels.get("alertname") == Some(&expected.name)
        && expected
            .labels
            .iter()
            .all(|(label, value)| labels.get(label) == Some(value))
}

/// Everything that was heard of an expected alert.
pub(super) fn all<'h>(
    heard: &'h BTreeMap<Labels, Heard>,
    expected: &'h Expected,
) -> impl Iterator<Item = (&'h Labels, &'h Heard)> {
    heard.iter().filter(|(labels, _)| is(labels, expected))
}

pub(super) fn first(
    heard: &BTreeMap<Labels, Heard>,
    expected: &Expected,
    since: f64,
) -> Option<f64> {
    all(heard, expected)
        .filter_map(|(_, heard)| heard.fired_since(since))
        .reduce(f64::min)
}

pub(super) fn named<'h>(
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
pub(super) fn longest_gap(rig: &Rig<'_, '_>, silent: &Silent) -> Result<f64, Broken> {
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

pub(super) fn is_silent(heard: &BTreeMap<Labels, Heard>, silent: &Silent, gap: f64) -> bool {
    let bound = (gap * GAPS).max(LEAST_SILENCE);
    named(heard, silent).all(|heard| !heard.fires() || clock::now() - heard.last_firing > bound)
}

pub(super) fn heard_since(
    heard: &BTreeMap<Labels, Heard>,
    silent: &Silent,
    since: f64,
) -> Option<f64> {
    let beats = named(heard, silent)
        .filter(|heard| heard.fires())
        .map(|heard| heard.last_firing);
    beats.filter(|at| *at >= since).reduce(f64::min)
}

/// Name and labels, for a person.
pub(super) fn text(labels: &Labels) -> String {
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
pub(super) enum State {
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
pub(super) async fn state(rig: &Rig<'_, '_>, expected: &Expected) -> Result<Option<State>, Broken> {
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
