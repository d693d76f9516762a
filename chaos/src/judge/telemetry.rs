//! What an experiment expects of metrics and alerts.

use report::model::{Class, Expectation, Source};

use super::expectations::{NOT_REACHED, Seen, row};
use crate::alerts::{self, Look, Times, seconds};
use crate::definition::{ExpectedAlert, Experiment, Reading, ReadingPhase};
use crate::evidence::Evidence;
use crate::observer::Scrapes;
use crate::prometheus::Value;

/// Series that are shown of a result.
const SHOWN: usize = 3;

pub(super) fn rows(experiment: &Experiment, evidence: &Evidence) -> Vec<Expectation> {
    let alerts = experiment
        .expected_alerts()
        .flat_map(|(index, expected)| alert_rows(index, expected, evidence));
    let readings = experiment
        .expected_readings()
        .map(|(index, reading)| reading_row(index, reading, evidence));
    alerts.chain(readings).collect()
}

fn alert_rows(index: usize, expected: &ExpectedAlert, evidence: &Evidence) -> Vec<Expectation> {
    let (observed, marks) = (&evidence.observed, &evidence.marks);
    let judged = |judge: &dyn Fn(&[Look]) -> Option<Seen>| -> Seen {
        if let Some(why) = &observed.missing {
            return Err(why.clone());
        }
        let looks = observed.looks.get(&index).ok_or(NOT_REACHED)?;
        judge(looks).unwrap_or_else(|| Err(NOT_REACHED.into()))
    };
    let detection = |sentence: String, seen: Seen| {
        let mut row = row(sentence, Class::Detection, Source::Alerts, seen);
        row.required = !expected.optional;
        row
    };
    let (name, within_s) = (expected.selector(), expected.within_s);
    let scraped = |of: &Scrapes| {
        let unknown = || Err("nobody knows whether scrapes failed meanwhile".into());
        of.get(&index).cloned().unwrap_or_else(unknown)
    };
    let fires =
        judged(&|looks| alerts::detected(looks, marks, within_s, scraped(&observed.scrapes)));
    let mut rows = vec![detection(
        format!("alert {name} fires within {within_s} s of the injection"),
        fires,
    )];
    if let Some(within_s) = expected.clears_within_s {
        rows.push(detection(
            format!("alert {name} clears within {within_s} s of the lift"),
            judged(&|looks| {
                alerts::cleared(looks, marks, within_s, scraped(&observed.clearing_scrapes))
            }),
        ));
    }
    rows
}

fn reading_row(index: usize, reading: &Reading, evidence: &Evidence) -> Expectation {
    let observed = &evidence.observed;
    let judged = || {
        if let Some(why) = &observed.missing {
            return Err(why.clone());
        }
        let values = observed.readings.get(&index).ok_or(NOT_REACHED)?;
        judge_values(values.as_ref().map_err(Clone::clone)?, reading)
    };
    let expected = format!(
        "{} {} at the end of the {}",
        reading.query.trim(),
        reading.bounds().sentence(),
        reading.phase.word()
    );
    let mut row = row(expected, Class::Promise, Source::Metrics, judged());
    row.required = !reading.optional;
    row
}

/// Each value must be within the bounds; what is no number says nothing.
fn judge_values(values: &[Value], reading: &Reading) -> Seen {
    if values.is_empty() {
        return Err("the expression has no result".into());
    }
    let bounds = reading.bounds();
    let mut outside = Vec::new();
    for value in values {
        match value.value {
            Some(number) if number.is_finite() => {
                if !bounds.hold(number) {
                    outside.push(value);
                }
            }
            Some(number) => return Err(format!("{} is {number}, which is no figure", name(value))),
            None => return Err(format!("{} is a native histogram", name(value))),
        }
    }
    let held = outside.is_empty();
    let shown: Vec<&Value> = if held {
        values.iter().collect()
    } else {
        outside
    };
    let mut words: Vec<String> = shown
        .iter()
        .take(SHOWN)
        .map(|value| format!("{} ({})", value.value.unwrap_or_default(), name(value)))
        .collect();
    if shown.len() > SHOWN {
        words.push(format!("and {} more", shown.len() - SHOWN));
    }
    let of = format!("{} of {} out of bounds: ", shown.len(), values.len());
    let prefix = if held || values.len() == 1 { "" } else { &of };
    Ok((held, format!("{prefix}{}", words.join(", "))))
}

/// The labels of a value's series.
fn name(value: &Value) -> String {
    let labels = value
        .labels
        .iter()
        .map(|(name, value)| format!("{name}={value:?}"));
    let labels: Vec<String> = labels.collect();
    if labels.is_empty() {
        "no labels".to_owned()
    } else {
        labels.join(", ")
    }
}

/// Why nothing can be concluded from a fault that would be injected now: an alert that must name it is active already, or the
/// steady state is not what the experiment says.
pub fn unsteady(experiment: &Experiment, evidence: &Evidence, require_all: bool) -> Option<String> {
    let readings = experiment
        .expected_readings()
        .filter(|(_, reading)| reading.phase == ReadingPhase::Baseline)
        .find_map(|(index, reading)| {
            let values = evidence.observed.readings.get(&index)?.as_ref().ok()?;
            match judge_values(values, reading) {
                Ok((false, seen)) => Some(format!(
                    "in the baseline, {} is not {}: {seen}",
                    reading.query.trim(),
                    reading.bounds().sentence()
                )),
                _ => None,
            }
        });
    readings.or_else(|| {
        experiment
            .expected_alerts()
            .filter(|(_, expected)| require_all || !expected.optional)
            .find_map(|(index, expected)| {
                let looks = evidence.observed.looks.get(&index)?;
                let why = alerts::active_before(looks, &evidence.marks)?;
                Some(format!("alert {}: {why}", expected.selector()))
            })
    })
}

/// The expected alerts that were looked at, with what they did.
pub fn alerts<'a>(
    experiment: &'a Experiment,
    evidence: &'a Evidence,
) -> impl Iterator<Item = (&'a ExpectedAlert, Times)> {
    experiment
        .expected_alerts()
        .filter_map(|(index, expected)| {
            let looks = evidence.observed.looks.get(&index)?;
            Some((expected, alerts::times(looks, &evidence.marks)))
        })
}

/// `time to detect: 65.3 s (StoreFailing)`.
pub(super) fn times_to_detect(experiment: &Experiment, evidence: &Evidence) -> Vec<String> {
    let of = |(expected, times): (&ExpectedAlert, Times)| {
        let firing = seconds(times.firing?);
        let name = expected.selector();
        Some(format!(
            "time to detect: {firing} from the verified injection to the firing alert {name}"
        ))
    };
    alerts(experiment, evidence).filter_map(of).collect()
}
