//! Rules out of objectives: recorded ratios over each window, the budget that is left, and the alerts on burn rates.
//!
//! Ratios are sums of rates divided by sums of rates, never averages of ratios. Only the shortest window reads raw counters;
//! the longer ones are averages of its recorded rates, numerator and denominator each: the same weight for each event, at a
//! fraction of the samples (30 days of raw samples would be more than a query may read).

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use promql_parser::label::MatchOp;

use super::burn::{self, BASE, PAIRS, WINDOWS, Window};
use super::objectives::{Objective, Objectives, Part};
use crate::exit::Refusal;
use crate::promql::{self, matchers};

/// How often the rules are evaluated.
const INTERVAL: &str = "30s";

/// Where the rules of an objectives file belong: `rules/objectives.yml` beside it.
pub(super) fn path(objectives: &Path) -> PathBuf {
    objectives.with_file_name("rules").join("objectives.yml")
}

/// Writes the rules of `file`.
pub(super) fn write(file: &Path) -> Result<PathBuf, Refusal> {
    let text = text(&Objectives::read(file)?);
    let path = path(file);
    let written = path
        .parent()
        .map_or(Ok(()), std::fs::create_dir_all)
        .and_then(|()| std::fs::write(&path, text));
    match written {
        Ok(()) => Ok(path),
        Err(error) => Err(Refusal::internal(format!(
            "can't write {}: {error}",
            path.display()
        ))),
    }
}

/// The rule file as text.
pub(super) fn text(objectives: &Objectives) -> String {
    let mut text = String::from(
        "# Generated from objectives.toml by `chitram-proof rules --generate alerts/objectives.toml`. Do not edit: change\n\
         # objectives.toml and generate again. Method and factors: The Site Reliability Workbook, chapter 5.\n\
         groups:\n",
    );
    for objective in &objectives.list {
        group(&mut text, objective);
    }
    text
}

/// One group for each objective: its rules are evaluated in their order, so that none reads what is not yet recorded.
fn group(text: &mut String, objective: &Objective) {
    line(text, 2, &format!("- name: slo-{}", objective.name));
    line(text, 4, &format!("interval: {INTERVAL}"));
    line(text, 4, "rules:");
    record(
        text,
        objective,
        "slo:objective:ratio",
        &format!("vector({})", objective.share),
    );
    events(text, objective);
    for window in WINDOWS {
        record(
            text,
            objective,
            &format!("slo:error_ratio:rate{}", window.name),
            &ratio(objective, window),
        );
    }
    let slo = selector(objective);
    record(
        text,
        objective,
        "slo:error_budget_remaining:ratio",
        &format!("1 - slo:error_ratio:rate30d{slo} / (1 - slo:objective:ratio{slo})"),
    );
    alert(text, objective, "page");
    alert(text, objective, "ticket");
    not_measured(text, objective);
}

/// Rates of bad and of all events. If the good or bad series are missing, so is the rate of bad ones: then the objective is
/// not measured, which is not the same as kept.
///
/// The difference of all and good ones is negative for a moment when good ones come first, and is recorded so: over longer
/// windows it evens out, where a bound at 0 would leave only the other half.
fn events(text: &mut String, objective: &Objective) {
    let window = BASE.name;
    let rate = |selector: &str, offset: &str| format!("sum(rate({selector}[{window}]{offset}))");
    let offset = objective
        .settles_after
        .as_ref()
        .map_or(String::new(), |time| format!(" offset {time}"));
    let all = rate(&objective.total, &offset);
    let bad = match &objective.part {
        Part::Bad(bad) => rate(bad, &offset),
        Part::Good(good) => format!("{all}\n- {}", rate(good, "")),
    };
    record(
        text,
        objective,
        &format!("slo:bad_events:rate{window}"),
        &bad,
    );
    record(text, objective, &format!("slo:events:rate{window}"), &all);
    for pair in PAIRS.iter().filter(|pair| pair.short != BASE) {
        let short = pair.short.name;
        record(
            text,
            objective,
            &format!("slo:events:rate{short}"),
            &averaged("slo:events", objective, pair.short),
        );
    }
}

/// Without events nothing failed: the ratio is then 0, and not the NaN of 0/0, which no panel shows.
fn ratio(objective: &Objective, window: Window) -> String {
    let (bad, all) = (
        averaged("slo:bad_events", objective, window),
        averaged("slo:events", objective, window),
    );
    let share = match objective.part {
        Part::Bad(_) => format!("{bad} / ({all} > 0)"),
        Part::Good(_) => format!("clamp_min({bad}, 0) / ({all} > 0)"),
    };
    format!("{share}\nor\n{all} == 0 and {bad}")
}

fn averaged(what: &str, objective: &Objective, window: Window) -> String {
    let (slo, base) = (selector(objective), BASE.name);
    if window == BASE {
        format!("{what}:rate{base}{slo}")
    } else {
        format!("avg_over_time({what}:rate{base}{slo}[{}])", window.name)
    }
}

fn record(text: &mut String, objective: &Objective, name: &str, expr: &str) {
    line(text, 6, &format!("- record: {name}"));
    expression(text, expr);
    line(text, 8, "labels:");
    line(text, 10, &format!("slo: {}", objective.name));
}

fn alert(text: &mut String, objective: &Objective, severity: &str) {
    let slo = selector(objective);
    let conditions = PAIRS
        .iter()
        .filter(|pair| pair.severity == severity)
        .map(|pair| {
            let (long, short) = (pair.long.name, pair.short.name);
            let threshold = format!("{} * {}", pair.factor, objective.budget());
            // An average over a window that is not filled yet would tell of more events than there were.
            let filled = if pair.short == BASE {
                String::new()
            } else {
                format!("\n  and slo:events:rate{}{slo} offset {short}", BASE.name)
            };
            format!(
                "(\n  slo:error_ratio:rate{long}{slo} > {threshold}\n  and slo:error_ratio:rate{short}{slo} > {threshold}\n  \
                 and slo:events:rate{short}{slo} * {} >= {}{filled}\n)",
                pair.short.seconds,
                pair.least_events(objective)
            )
        });
    let expr = conditions.collect::<Vec<_>>().join("\nor\n");
    let allowed = format!("{} %", percent(objective.budget()));
    line(
        text,
        6,
        &format!("- alert: {}BudgetBurn", objective.camel()),
    );
    expression(text, &expr);
    let hold = burn::hold(severity).as_secs() / 60;
    line(text, 8, &format!("for: {hold}m"));
    let (what, spent) = match severity {
        "page" => (
            "fast",
            "at this rate 2 % of the 30-day budget goes within an hour, or 5 % within 6 hours",
        ),
        _ => (
            "slowly",
            "at this rate 10 % of the 30-day budget goes within 3 days",
        ),
    };
    let description = format!(
        "{}: {{{{ $value | humanizePercentage }}}} of the events failed, {allowed} may; {spent}.",
        objective.title
    );
    labels(text, objective, severity);
    annotations(
        text,
        objective,
        &format!("{}: the error budget burns {what}.", objective.title),
        &description,
        &format!("{}-budget-burn", objective.name),
    );
    let seconds: Vec<String> = PAIRS
        .iter()
        .filter(|pair| pair.severity == severity)
        .map(|pair| pair.short.seconds.to_string())
        .collect();
    // Numbers of the expression that are lengths of time: a test that scales time scales them as well.
    line(
        text,
        10,
        &format!("time_literals: {}", quoted(&seconds.join(", "))),
    );
}

/// The service is up, and no instance has a series that the objective needs: renamed, or never registered.
fn not_measured(text: &mut String, objective: &Objective) {
    let up = match job(&objective.total) {
        Some(job) => format!("up{{job=\"{job}\"}}"),
        None => "up".to_owned(),
    };
    let up = format!("count(max_over_time({up}[5m]) == 1)");
    let expr = format!(
        "{up} unless on () {}\nor\n{up} unless on () {}",
        objective.total,
        objective.part.selector()
    );
    line(text, 6, "- alert: ObjectiveNotMeasured");
    expression(text, &expr);
    line(text, 8, "for: 10m");
    labels(text, objective, "ticket");
    annotations(
        text,
        objective,
        &format!("{}: not measured.", objective.title),
        "The service is up, but no instance has a series from which the objective is measured: its alerts can't fire.",
        "objective-not-measured",
    );
}

fn labels(text: &mut String, objective: &Objective, severity: &str) {
    line(text, 8, "labels:");
    line(text, 10, &format!("severity: {severity}"));
    line(text, 10, &format!("service: {}", objective.service));
    line(text, 10, &format!("slo: {}", objective.name));
}

fn annotations(
    text: &mut String,
    objective: &Objective,
    summary: &str,
    description: &str,
    runbook: &str,
) {
    line(text, 8, "annotations:");
    line(text, 10, &format!("summary: {}", quoted(summary)));
    line(text, 10, &format!("description: {}", quoted(description)));
    line(
        text,
        10,
        &format!("runbook_url: docs/runbooks/{runbook}.md"),
    );
    line(text, 10, &format!("dashboard_url: {}", objective.dashboard));
}

/// The job that a selector is about.
fn job(selector: &str) -> Option<String> {
    let expr = promql::parse(selector).ok()?;
    let job = matchers(promql::selector(&expr)?).find(|matcher| matcher.name == "job")?;
    (job.op == MatchOp::Equal).then(|| job.value.clone())
}

fn selector(objective: &Objective) -> String {
    format!("{{slo=\"{}\"}}", objective.name)
}

/// A share as a percentage without the noise of binary fractions.
fn percent(share: f64) -> f64 {
    (share * 1e9).round() / 1e7
}

fn expression(text: &mut String, expr: &str) {
    line(text, 8, "expr: |-");
    for each in expr.lines() {
        line(text, 10, each);
    }
}

/// A single-quoted YAML scalar.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

fn line(text: &mut String, indent: usize, content: &str) {
    // Writing to a String cannot fail.
    let _ = writeln!(text, "{:indent$}{content}", "");
}
