//! Panels: what a reader needs to understand them, and settings by which they show what is not so.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;

use super::super::codes;
use super::super::folder::BoardFile;
use super::super::model::{Panel, Target};
use super::super::notes::Note;
use super::super::queries::Origin;
use super::super::variables::references;
use super::Parsed;
use crate::promql;
use crate::promql::types::Types;

/// Metrics of one panel that a reader can still take in.
const MAX_METRICS: usize = 8;
/// Kinds of panels that are no view of data.
const NO_DATA: &[&str] = &[
    "row",
    "text",
    "dashlist",
    "news",
    "welcome",
    "gettingstarted",
    "alertlist",
    "annolist",
];
/// Kinds of panels whose values are numbers with a unit.
const NUMBERS: &[&str] = &[
    "timeseries",
    "graph",
    "stat",
    "singlestat",
    "gauge",
    "bargauge",
    "barchart",
    "piechart",
    "heatmap",
    "histogram",
    "trend",
    "xychart",
    "table",
];
/// Kinds of panels that reduce a course to one number.
pub(super) const ONE_NUMBER: &[&str] = &["stat", "gauge", "bargauge"];
/// Words that say that all is well.
const WELL: &[&str] = &[
    "ok",
    "okay",
    "up",
    "healthy",
    "yes",
    "good",
    "fine",
    "well",
    "none",
    "normal",
    "running",
    "alive",
    "online",
    "available",
    "ready",
    "green",
    "passing",
    "success",
    "zero",
];
/// Texts that speak of a calendar month.
static MONTH: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"(?i)\b(this|current|calendar) month\b|\bmonth to date\b|\bmonthly\b").ok()
});

pub(super) fn notes(board: &BoardFile) -> Vec<Note<'_>> {
    board
        .board
        .leaf_panels()
        .into_iter()
        .flat_map(|panel| {
            of_panel(panel)
                .into_iter()
                .map(move |(code, sentence)| Note::of_panel(board, panel, code, sentence))
        })
        .collect()
}

fn of_panel(panel: &Panel) -> Vec<(&'static str, String)> {
    let mut found = Vec::new();
    if let Some(library) = &panel.library_panel {
        let sentence = format!(
            "the panel is `{}` of Grafana's library, and its queries are not in the file; unlink it",
            library.name
        );
        return vec![(codes::LIBRARY_PANEL, sentence)];
    }
    let mut add = |code, sentence: &str| found.push((code, sentence.to_owned()));
    if !NO_DATA.contains(&panel.kind.as_str()) && panel.description.trim().is_empty() {
        add(
            codes::NO_DESCRIPTION,
            "the panel does not say what it shows and what to do about it",
        );
    }
    if NUMBERS.contains(&panel.kind.as_str()) && !panel.targets.is_empty() && !panel.has_unit() {
        add(
            codes::NO_UNIT,
            "the panel's numbers have no unit; `none` or `short` says that there is none",
        );
    }
    if panel.connects_nulls() {
        add(
            codes::GAPS_BRIDGED,
            "a line is drawn across gaps of any length, where nothing was measured; turn `connect null values` off or give it a limit",
        );
    }
    if panel.stacks_to_percent() {
        add(
            codes::STACKED_TO_PERCENT,
            "stacked to 100 %, one failure of one request looks like an outage; stack values, or show a ratio",
        );
    }
    if let Some(text) = missing_shown_as(panel) {
        let sentence = format!("where there is no data the panel shows `{text}`");
        found.push((codes::MISSING_SHOWN_AS_VALUE, sentence));
    }
    if shows_stale_value(panel) {
        let sentence = "the last value of the range stands for now, however old it is: what is gone looks alive; query an instant, or reduce by `last`";
        found.push((codes::STALE_VALUE, sentence.to_owned()));
    }
    found.extend(wrong_scale(panel));
    found.extend(misread_window(panel));
    found.extend(hidden(panel));
    found
}

/// A number, or a word that says that all is well, in the place of no data.
fn missing_shown_as(panel: &Panel) -> Option<String> {
    let as_value = |text: &&str| {
        let text = text.trim().to_lowercase();
        let mut words = text.split(|c: char| !c.is_alphanumeric());
        let negated = text.starts_with("no ") || text.starts_with("not ");
        text.parse::<f64>().is_ok() || (!negated && words.any(|word| WELL.contains(&word)))
    };
    let mut texts = panel.missing_texts().into_iter();
    texts.find(as_value).map(str::to_owned)
}

/// An axis or thresholds up to 100 for what is between 0 and 1, or the other way round.
fn wrong_scale(panel: &Panel) -> Option<(&'static str, String)> {
    let defaults = &panel.field_config.defaults;
    let absolute = defaults.thresholds.mode != "percentage";
    let steps = defaults.thresholds.steps.iter();
    let bounds: Vec<f64> = steps
        .filter(|_| absolute)
        .filter_map(|step| step.value)
        .chain(defaults.max)
        .filter(|bound| *bound != 0.0)
        .collect();
    let (off, whole) = match panel.unit() {
        "percentunit" => (bounds.iter().find(|bound| **bound > 1.0), 1),
        "percent" if defaults.max == Some(1.0) => (defaults.max.as_ref(), 100),
        _ => return None,
    };
    let sentence = format!(
        "the unit is `{}`, of which the whole is {whole}, and the scale or a threshold says {}",
        panel.unit(),
        off?
    );
    Some((codes::WRONG_SCALE, sentence))
}

/// A query looks back from now; no month begins with it.
fn misread_window(panel: &Panel) -> Option<(&'static str, String)> {
    let says = |text: &str| MONTH.as_ref().is_some_and(|month| month.is_match(text));
    let counts_days = |target: &Target| target.expr.contains("day_of_month");
    let calendar = panel
        .time_from
        .as_deref()
        .is_some_and(|from| from.contains("/M"))
        || panel.targets.iter().any(counts_days);
    if calendar || !(says(&panel.title) || says(&panel.description)) {
        return None;
    }
    let sentence = "the text speaks of a calendar month, and a window of PromQL rolls: on the first of a month it holds the month before";
    Some((codes::ROLLING_WINDOW_MISREAD, sentence.to_owned()))
}

fn shows_stale_value(panel: &Panel) -> bool {
    let reduce = &panel.options["reduceOptions"];
    let calculations: Vec<&Value> = reduce["calcs"].as_array().into_iter().flatten().collect();
    // Grafana's default is the last value that is not null.
    let last = calculations.is_empty() || calculations.iter().any(|name| *name == "lastNotNull");
    let course = |target: &Target| !target.expr.is_empty() && !target.hide && !target.is_instant();
    let one_number = ONE_NUMBER.contains(&panel.kind.as_str()) && reduce["values"] != true && last;
    let reduced = panel.transformations.iter().any(|step| {
        step.id == "reduce"
            && !step.disabled
            && step.options["reducers"].to_string().contains("lastNotNull")
    });
    (one_number || reduced) && panel.targets.iter().any(course)
}

/// Grafana doesn't run a hidden query for an expression that uses it in every version; one that nothing uses is never seen.
fn hidden(panel: &Panel) -> Vec<(&'static str, String)> {
    let is_needed = |letter: &str| {
        let mut expressions = panel
            .targets
            .iter()
            .filter_map(|target| target.expression.as_deref());
        expressions.any(|expression| {
            let mut used = references(expression).into_iter();
            expression == letter || used.any(|used| used.name == letter)
        })
    };
    let hidden = panel.targets.iter().filter(|target| target.hide);
    hidden
        .map(|target| target.ref_id.as_str())
        .map(|letter| {
            if is_needed(letter) {
                let sentence =
                    format!("query {letter} is hidden, and an expression of the panel needs it");
                (codes::HIDDEN_QUERY_USED, sentence)
            } else {
                let sentence = format!("query {letter} is hidden, and nothing shows its result");
                (codes::HIDDEN_QUERY, sentence)
            }
        })
        .collect()
}

/// Panels with more metrics than a look can take in.
pub(super) fn crowded<'a>(queries: &[Parsed<'a>], types: &Types) -> Vec<Note<'a>> {
    let mut panels: BTreeMap<(&str, usize), (Origin<'a>, &Parsed<'a>, Vec<String>)> =
        BTreeMap::new();
    for parsed in queries {
        let (Origin::Panel(panel, target), Ok(expr)) = (parsed.query.origin, &parsed.expr) else {
            continue;
        };
        if target.hide {
            continue;
        }
        let key = (
            parsed.query.board.file.as_str(),
            std::ptr::from_ref(panel).addr(),
        );
        let entry = panels
            .entry(key)
            .or_insert_with(|| (parsed.query.origin, parsed, Vec::new()));
        for metric in promql::metrics(expr) {
            let family = types.family(&metric).to_owned();
            if !entry.2.contains(&family) {
                entry.2.push(family);
            }
        }
    }
    panels
        .into_values()
        .filter(|(_, _, metrics)| metrics.len() > MAX_METRICS)
        .filter_map(|(origin, parsed, metrics)| {
            let Origin::Panel(panel, _) = origin else {
                return None;
            };
            let sentence = format!(
                "the panel shows {} metrics; more than {MAX_METRICS} are not read",
                metrics.len()
            );
            let board = parsed.query.board;
            Some(Note::of_panel(
                board,
                panel,
                codes::TOO_MANY_METRICS,
                sentence,
            ))
        })
        .collect()
}
