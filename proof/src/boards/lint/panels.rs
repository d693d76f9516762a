//! Panels: what a reader needs to understand them, and settings by which they show what is not so.

use std::collections::BTreeMap;

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
const ONE_NUMBER: &[&str] = &["stat", "gauge", "bargauge"];
/// Texts that say that all is well.
const WELL: &[&str] = &["ok", "up", "healthy", "yes", "good", "fine", "none"];

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
    found.extend(hidden_query_used(panel));
    found
}

/// A number, or a word that says that all is well, in the place of no data.
fn missing_shown_as(panel: &Panel) -> Option<String> {
    let defaults = &panel.field_config.defaults;
    let as_value = |text: &&str| {
        let text = text.trim();
        text.parse::<f64>().is_ok() || WELL.contains(&text.to_lowercase().as_str())
    };
    let mapped = defaults.mappings.iter().filter_map(|mapping| {
        let missing = ["null", "null+nan", "empty"];
        let of = mapping["options"]["match"].as_str()?;
        let special = mapping["type"] == "special" && missing.contains(&of);
        special.then(|| mapping["options"]["result"]["text"].as_str())?
    });
    defaults
        .no_value
        .as_deref()
        .into_iter()
        .chain(mapped)
        .find(as_value)
        .map(str::to_owned)
}

fn shows_stale_value(panel: &Panel) -> bool {
    let reduce = &panel.options["reduceOptions"];
    let calculations: Vec<&Value> = reduce["calcs"].as_array().into_iter().flatten().collect();
    // Grafana's default is the last value that is not null.
    let last = calculations.is_empty() || calculations.iter().any(|name| *name == "lastNotNull");
    let course = |target: &Target| !target.expr.is_empty() && !target.hide && !target.is_instant();
    ONE_NUMBER.contains(&panel.kind.as_str())
        && reduce["values"] != true
        && last
        && panel.targets.iter().any(course)
}

/// Grafana doesn't run a hidden query for an expression that uses it in every version.
fn hidden_query_used(panel: &Panel) -> Option<(&'static str, String)> {
    let hidden = panel.targets.iter().filter(|target| target.hide);
    let is_needed = |letter: &str| {
        panel
            .targets
            .iter()
            .filter_map(|target| target.expression.as_deref())
            .any(|expression| {
                expression == letter
                    || references(expression)
                        .iter()
                        .any(|used| used.name == letter)
            })
    };
    let used = hidden
        .map(|target| target.ref_id.as_str())
        .find(|letter| is_needed(letter))?;
    let sentence = format!("query {used} is hidden, and an expression of the panel needs it");
    Some((codes::HIDDEN_QUERY_USED, sentence))
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
