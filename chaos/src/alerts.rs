//! What was seen of an expected alert, once a second from the warm-up to the end, and what that tells: when it fired after the
//! fault, when it cleared after the lift, or why nobody knows. Pure.

use std::collections::BTreeMap;

use crate::definition::ExpectedAlert;
use crate::evidence::Evidence;
use crate::phases::{Marks, Span};
use crate::prometheus::{Alert, AlertState, Dated, Health, MAX_SKEW_US, Rule};

const SECOND_US: i64 = 1_000_000;
/// For so long the state may be unknown: longer, and the alert could have come or gone unseen.
const MAX_GAP_US: i64 = 5 * SECOND_US;
/// A rule may be evaluated later than planned by so much, besides one interval of its group.
const LATE_US: i64 = 5 * SECOND_US;

/// One look at an alert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Look {
    /// When the answer was there, in Unix microseconds of this process's clock.
    pub at: i64,
    /// The alert, `None` while it is neither pending nor firing; or why its state is unknown.
    pub seen: Result<Option<Sighting>, String>,
}

/// An alert that is pending or firing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sighting {
    /// Pending or firing.
    pub state: AlertState,
    /// Unix microseconds at which its expression began to hold, on the server's clock.
    pub active_us: i64,
}

/// When an alert did what after the fault, in microseconds: of the verified injection, `cleared` of the lift.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Times {
    /// Its expression held (`activeAt`).
    pub active: Option<i64>,
    /// It was seen to fire.
    pub firing: Option<i64>,
    /// It was seen neither pending nor firing.
    pub cleared: Option<i64>,
}

/// Whether a rule can give alerts with these labels: a label of the rule that is no template must have the value.
pub fn can_match(rule: &Rule, expected: &ExpectedAlert) -> bool {
    rule.name == expected.alert
        && expected.labels.iter().all(|(name, value)| {
            let own = rule.labels.get(name);
            own.is_none_or(|own| own == value || own.contains("{{"))
        })
}

/// What an answer says of an alert.
pub fn sighting(
    expected: &ExpectedAlert,
    answer: &Dated<Vec<Rule>>,
) -> Result<Option<Sighting>, String> {
    let rules: Vec<&Rule> = answer
        .value
        .iter()
        .filter(|rule| can_match(rule, expected))
        .collect();
    if rules.is_empty() {
        return Err(format!(
            "the server has no rule {} any more",
            expected.alert
        ));
    }
    rules
        .iter()
        .try_for_each(|rule| is_evaluated(rule, answer.server_us))?;
    let is_meant = |alert: &&Alert| {
        let mut labels = expected.labels.iter();
        labels.all(|(name, value)| alert.labels.get(name) == Some(value))
    };
    let meant = rules.iter().flat_map(|rule| &rule.alerts).filter(is_meant);
    let strongest = meant.max_by_key(|alert| (alert.state, std::cmp::Reverse(alert.active_us)));
    Ok(strongest.map(|alert| Sighting {
        state: alert.state,
        active_us: alert.active_us,
    }))
}

/// A rule that is not evaluated has the alerts of its last evaluation.
fn is_evaluated(rule: &Rule, server_us: i64) -> Result<(), String> {
    let name = &rule.name;
    match &rule.health {
        Health::Ok => {}
        Health::Unknown => return Err(format!("rule {name} was not evaluated yet")),
        Health::Failing(why) => return Err(format!("rule {name} can't be evaluated: {why}")),
    }
    let age = server_us - rule.evaluated_us;
    if age as f64 > rule.interval_s * 1e6 + LATE_US as f64 {
        return Err(format!(
            "rule {name} was last evaluated {} s ago, and should be every {} s",
            age / SECOND_US,
            rule.interval_s
        ));
    }
    Ok(())
}

/// Whether the alert was active before the fault: then it can't tell of the fault.
pub fn active_before(looks: &[Look], marks: &Marks) -> Option<String> {
    let injecting = marks.injecting.unwrap_or(i64::MAX);
    let mut active = looks
        .iter()
        .filter(|look| look.at >= marks.baseline)
        .filter_map(|look| Some((look.at, look.seen.as_ref().ok()?.as_ref()?)));
    let (at, seen) = active.find(|(at, seen)| {
        *at < injecting || seen.active_us < injecting.saturating_sub(MAX_SKEW_US)
    })?;
    let state = match seen.state {
        AlertState::Pending => "pending",
        AlertState::Firing => "firing",
    };
    let seconds = (at.min(injecting) - seen.active_us).max(0) / SECOND_US;
    Some(format!(
        "it was active before the fault ({state}, for {seconds} s), so that it does not tell of the fault"
    ))
}

/// When it did what for this fault: nothing, where it was active before.
pub fn times(looks: &[Look], marks: &Marks) -> Times {
    let (Some(injecting), Some(verified)) = (marks.injecting, marks.verified) else {
        return Times::default();
    };
    if active_before(looks, marks).is_some() {
        return Times::default();
    }
    let known = || {
        let since = looks.iter().filter(move |look| look.at >= injecting);
        since.filter_map(|look| Some((look.at, look.seen.as_ref().ok()?)))
    };
    let active = known().find_map(|(_, seen)| Some(seen.as_ref()?.active_us));
    let firing = known()
        .find(|(_, seen)| seen.is_some_and(|seen| seen.state == AlertState::Firing))
        .map(|(at, _)| at);
    let cleared = marks.lifted.zip(firing).and_then(|(lifted, firing)| {
        let from = lifted.max(firing);
        let gone = known().find(|(at, seen)| *at >= from && seen.is_none());
        gone.map(|(at, _)| at - lifted)
    });
    Times {
        active: active.map(|at| (at - verified).max(0)),
        firing: firing.map(|at| (at - verified).max(0)),
        cleared,
    }
}

/// Whether it fired in time, or why nobody knows. `scrapes` says whether what its rule reads was scraped all the time.
pub fn detected(
    looks: &[Look],
    marks: &Marks,
    within_s: u64,
    scrapes: Result<(), String>,
) -> Option<Result<(bool, String), String>> {
    if let Some(why) = active_before(looks, marks) {
        return Some(Err(why));
    }
    let (injecting, verified) = (marks.injecting?, marks.verified?);
    let before = Span {
        from: injecting - 2 * MAX_GAP_US,
        to: injecting,
    };
    if let Err(why) = known(looks, before) {
        return Some(Err(format!(
            "nobody knows whether it was active before the fault: {why}"
        )));
    }
    let times = times(looks, marks);
    let within = within_s as i64 * SECOND_US;
    let active = times
        .active
        .map(|active| format!("active after {}, ", seconds(active)));
    let active = active.unwrap_or_default();
    if let Some(firing) = times.firing.filter(|firing| *firing <= within) {
        return Some(Ok((
            true,
            format!("{active}firing after {}", seconds(firing)),
        )));
    }
    let end = verified + within;
    // Ended early, by a guardrail or a signal.
    if marks.rolling_back.is_none_or(|at| at < end) {
        return None;
    }
    let not_fired = match times.firing {
        Some(firing) => format!("{active}firing only after {}", seconds(firing)),
        None if active.is_empty() => "it was not active".to_owned(),
        None => format!("{active}but it did not fire"),
    };
    let watched = Span {
        from: injecting,
        to: end,
    };
    Some(
        known(looks, watched)
            .and(scrapes)
            .map(|()| (false, not_fired)),
    )
}

/// Whether it cleared in time, or why nobody knows; `None` where the fault was not lifted. `scrapes` says whether what its rule
/// reads was scraped in [`clearing`]: an alert whose series have ended is gone, too.
pub fn cleared(
    looks: &[Look],
    marks: &Marks,
    within_s: u64,
    scrapes: Result<(), String>,
) -> Option<Result<(bool, String), String>> {
    let lifted = marks.lifted?;
    let times = times(looks, marks);
    if times.firing.is_none() {
        return Some(Err("it did not fire for this fault".into()));
    }
    let within = within_s as i64 * SECOND_US;
    if let Some(cleared) = times.cleared.filter(|cleared| *cleared <= within) {
        return Some(scrapes.map(|()| (true, format!("after {}", seconds(cleared)))));
    }
    let seen = match times.cleared {
        Some(cleared) => format!("only after {}", seconds(cleared)),
        None => format!("still active {within_s} s after the lift"),
    };
    let watched = Span {
        from: lifted,
        to: lifted + within,
    };
    Some(known(looks, watched).and(scrapes).map(|()| (false, seen)))
}

/// The stretch that tells whether an alert clears in time: from the lift until it has, or should have.
pub fn clearing(looks: &[Look], marks: &Marks, within_s: u64) -> Option<Span> {
    let from = marks.lifted?;
    let within = within_s as i64 * SECOND_US;
    let length = times(looks, marks).cleared.unwrap_or(within).min(within);
    Some(Span {
        from,
        to: from + length,
    })
}

/// Whether the state was known in all of the stretch, but for gaps in which nothing could come and go unseen.
fn known(looks: &[Look], span: Span) -> Result<(), String> {
    let mut from = span.from;
    let within = |at: i64| (span.from..=span.to).contains(&at);
    let known = looks
        .iter()
        .filter(|look| look.seen.is_ok() && within(look.at));
    for to in known.map(|look| look.at).chain([span.to]) {
        if to - from > MAX_GAP_US {
            let why = looks
                .iter()
                .filter(|look| (from..=to).contains(&look.at))
                .find_map(|look| look.seen.as_ref().err());
            let why = why.map(|why| format!(": {why}"));
            return Err(format!(
                "its state is unknown for {}{}",
                seconds(to - from),
                why.unwrap_or_default()
            ));
        }
        from = to;
    }
    Ok(())
}

/// `12.3 s`.
pub fn seconds(us: i64) -> String {
    format!("{:.1} s", us as f64 / 1e6)
}

/// What the expected alerts did, for the report's list of events.
pub fn events(
    experiment: &crate::definition::Experiment,
    evidence: &Evidence,
) -> Vec<(i64, String)> {
    let marks = &evidence.marks;
    let of = |(index, expected): (usize, &ExpectedAlert)| {
        let looks = evidence.observed.looks.get(&index);
        let times = times(looks.map_or(&[], Vec::as_slice), marks);
        let name = expected.selector();
        let firing = times
            .firing
            .zip(marks.verified)
            .map(|(after, from)| (from + after, format!("alert {name} fires")));
        let cleared = times
            .cleared
            .zip(marks.lifted)
            .map(|(after, from)| (from + after, format!("alert {name} has cleared")));
        firing.into_iter().chain(cleared)
    };
    experiment.expected_alerts().flat_map(of).collect()
}

/// Looks by the place of their expectation in the file.
pub type Looks = BTreeMap<usize, Vec<Look>>;

#[cfg(test)]
mod tests;
