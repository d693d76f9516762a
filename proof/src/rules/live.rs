//! Rules against a live Prometheus: series that exist, expressions that can be evaluated.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use super::codes;
use super::declared::Declared;
use super::files::{Kind, Rule};
use super::tree::{Selection, selections};
use crate::exit::Refusal;
use crate::finding::Finding;
use crate::prometheus::{Failure, Labels, Prometheus};

/// How far back a series counts as existing, in seconds.
const LOOK_BACK: f64 = 3600.0;

/// Checks every rule. `declared` excuses outcomes that did not happen yet: their series need not exist.
pub(super) async fn check(
    server: &Server<'_>,
    rules: &[Rule],
    declared: Option<&Declared>,
    findings: &mut Vec<Finding>,
) -> Result<(), Refusal> {
    let mut known = BTreeMap::new();
    for rule in rules {
        for selection in rule.expr.iter().flat_map(selections) {
            let text = selection.text();
            if !known.contains_key(&text) {
                known.insert(text.clone(), server.series(&text).await?);
            }
            let excused = declared.is_some_and(|declared| declared.expects(&selection));
            exists(server, rule, &selection, &known[&text], excused, findings).await?;
        }
        evaluates(server, rule, findings).await?;
    }
    Ok(())
}

/// A server and the moment at which it is asked.
pub(super) struct Server<'p> {
    prometheus: &'p Prometheus,
    /// Unix seconds.
    now: f64,
}

impl<'p> Server<'p> {
    /// Asks at this moment (Unix seconds), or now.
    pub(super) fn new(prometheus: &'p Prometheus, at: Option<f64>) -> Self {
        let now = || {
            SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .unwrap_or_default()
                .as_secs_f64()
        };
        Self {
            prometheus,
            now: at.unwrap_or_else(now),
        }
    }

    /// Series of the last hour; none where the server refuses the selector, which evaluation tells.
    async fn series(&self, selector: &str) -> Result<Vec<Labels>, Refusal> {
        let found = self
            .prometheus
            .series(selector, self.now - LOOK_BACK, self.now)
            .await;
        match found {
            Ok(series) => Ok(series),
            Err(Failure::Refused(_)) => Ok(Vec::new()),
            Err(Failure::Unavailable(sentence)) => Err(Refusal::unavailable(sentence)),
        }
    }
}

async fn exists(
    server: &Server<'_>,
    rule: &Rule,
    selection: &Selection<'_>,
    found: &[Labels],
    excused: bool,
    findings: &mut Vec<Finding>,
) -> Result<(), Refusal> {
    let (name, text) = (selection.name(), selection.text());
    let absence = selection
        .function()
        .is_some_and(|function| function.starts_with("absent"));
    let mut instances: Vec<&String> = found
        .iter()
        .filter_map(|labels| labels.get("instance"))
        .collect();
    instances.sort();
    instances.dedup();
    if absence && instances.len() > 1 && name != "up" && selection.matcher("instance").is_none() {
        findings.push(rule.finding(
            codes::ABSENT_OVER_SEVERAL_INSTANCES,
            format!(
                "absent({text}) says nothing while one of {} instances still has it",
                instances.len()
            ),
        ));
    }
    if !found.is_empty() || excused || name == "ALERTS" {
        return Ok(());
    }
    findings.push(
        if name.is_empty() || server.series(name).await?.is_empty() {
            let sentence = format!(
                "no series of {name} in the last hour: it was renamed, or nothing exposes it"
            );
            rule.finding(codes::UNKNOWN_METRIC, sentence)
        } else {
            let sentence = format!("{name} exists, but no series matches {text} in the last hour");
            rule.finding(codes::VALUE_WITHOUT_SERIES, sentence)
        },
    );
    Ok(())
}

async fn evaluates(
    server: &Server<'_>,
    rule: &Rule,
    findings: &mut Vec<Finding>,
) -> Result<(), Refusal> {
    match server.prometheus.query(&rule.text, server.now).await {
        Err(Failure::Unavailable(sentence)) => Err(Refusal::unavailable(sentence)),
        Err(Failure::Refused(reason)) => {
            findings.push(rule.finding(
                codes::QUERY_ERROR,
                format!("Prometheus can't evaluate it: {reason}"),
            ));
            Ok(())
        }
        Ok(result) => {
            if matches!(rule.kind, Kind::Record(_)) && result.is_empty() {
                findings.push(rule.finding(codes::RECORDS_NOTHING, "its result is empty now"));
            }
            Ok(())
        }
    }
}
