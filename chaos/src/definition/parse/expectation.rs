//! Refuses values of an expectation that make no sense.

use std::collections::BTreeSet;

use super::{Objection, check_between, check_share};
use crate::definition::{Expect, ExpectedAlert, Reading, ReadingPhase};

/// Longest text of an expression, of a name and of a label's value.
const MAX_QUERY: usize = 4096;
const MAX_NAME: usize = 256;
const MAX_LABELS: usize = 32;

/// Whether the values of an expectation make sense, and fit an experiment with or without a fault.
pub(super) fn check(expect: &Expect, has_fault: bool) -> Result<(), Objection> {
    let routes = expect.routes();
    let is_about_routes = !matches!(
        expect,
        Expect::Steady { .. } | Expect::Alert(_) | Expect::Promql(_)
    );
    if routes.is_empty() && is_about_routes {
        return Err((
            "routes",
            "is empty; name at least one route of the plan".into(),
        )
            .into());
    }
    let mut seen = BTreeSet::new();
    if let Some(twice) = routes.iter().find(|route| !seen.insert(route.as_str())) {
        return Err(("routes", format!("names {twice:?} twice")).into());
    }
    if !has_fault && expect.is_change() {
        return Err((
            "expect",
            "expects a change, but there is no `[fault]`".into(),
        )
            .into());
    }
    match expect {
        Expect::Attributed { min_share, .. } => check_share("min_share", Some(*min_share)),
        Expect::FailsFast { status, p95_ms, .. } => {
            check_between("status", u64::from(*status), 400, 599)?;
            check_between("p95_ms", *p95_ms, 1, 600_000)
        }
        Expect::SlowerPerCall {
            added_ms,
            tolerance_ms,
            ..
        } => {
            check_between("added_ms", *added_ms, 1, 600_000)?;
            if tolerance_ms >= added_ms {
                return Err((
                    "tolerance_ms",
                    format!(
                        "is {tolerance_ms}, not less than `added_ms`: it would hold without any change"
                    ),
                )
                    .into());
            }
            Ok(())
        }
        Expect::Alert(alert) => check_alert(alert, has_fault),
        Expect::Promql(reading) => check_reading(reading, has_fault),
        Expect::Steady { .. } | Expect::Unchanged { .. } | Expect::NoErrors { .. } => Ok(()),
    }
}

fn check_alert(expected: &ExpectedAlert, has_fault: bool) -> Result<(), Objection> {
    let alert = &expected.alert;
    let objection = |key, message: String| Objection {
        key,
        value: alert.clone(),
        message,
    };
    if !has_fault {
        let message = format!("expects {alert}, but there is no `[fault]` that it could name");
        return Err(objection("alert", message));
    }
    if alert.is_empty() || alert.len() > MAX_NAME {
        return Err(objection(
            "alert",
            format!("names no alert: use 1 to {MAX_NAME} bytes"),
        ));
    }
    let labels = &expected.labels;
    let is_too_long = |(name, value): (&String, &String)| name.len().max(value.len()) > MAX_NAME;
    if labels.len() > MAX_LABELS || labels.iter().any(is_too_long) {
        let message = format!("are too many: use {MAX_LABELS} of {MAX_NAME} bytes at most");
        return Err(objection("labels", message));
    }
    // The line of the alert, since `[recovery]` has a key `within_s` as well.
    let seconds = [Some(expected.within_s), expected.clears_within_s];
    match seconds
        .into_iter()
        .flatten()
        .find(|s| !(1..=3600).contains(s))
    {
        Some(seconds) => {
            let message = format!("{alert} is expected within {seconds} s; use 1 to 3600");
            Err(objection("alert", message))
        }
        None => Ok(()),
    }
}

fn check_reading(reading: &Reading, has_fault: bool) -> Result<(), Objection> {
    let objection = |key, message: String| Err((key, message).into());
    let query = reading.query.trim();
    if query.is_empty() || query.len() > MAX_QUERY {
        return objection(
            "query",
            format!("is no expression: use 1 to {MAX_QUERY} bytes of PromQL"),
        );
    }
    if !has_fault && reading.phase == ReadingPhase::Recovery {
        return objection(
            "phase",
            "is \"recovery\", but without a `[fault]` there is nothing to recover from".into(),
        );
    }
    let not_finite = |bound: Option<f64>| bound.is_some_and(|bound| !bound.is_finite());
    match (reading.min, reading.max) {
        (None, None) => objection(
            "query",
            "has neither `min` nor `max`: any result would do".into(),
        ),
        (min, _) if not_finite(min) => objection("min", "is not a finite number".into()),
        (_, max) if not_finite(max) => objection("max", "is not a finite number".into()),
        (Some(min), Some(max)) if min > max => objection(
            "min",
            format!("is {min}, more than `max`, which is {max}: no result would do"),
        ),
        _ => Ok(()),
    }
}
