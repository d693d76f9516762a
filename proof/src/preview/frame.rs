//! Tables of values, and the steps that a board puts between query and table.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{
    field::Field,
    field::pattern,
    line::{Line, fill, lines},
    reduction::Reduction,
    view::Answer,
};
use crate::{
    boards::model::{Panel, Target, Transformation},
    prometheus::{Range, Series},
};

/// A cell.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Cell {
    Text(String),
    Number(f64),
}

/// Columns by name, and rows that may lack some of them.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Frame {
    /// In the order in which they are shown.
    pub(super) columns: Vec<String>,
    /// A row has a cell for each column in which it has a value.
    pub(super) rows: Vec<BTreeMap<String, Cell>>,
    /// Series that make no row, because there are too many.
    pub(super) left_out: usize,
    /// The query that it comes from.
    ref_id: String,
}

/// Rows of one query at most: joining tables compares every row with every other.
const ROWS: usize = 1_000;

/// The tables of a panel after its transformations, and what of these is not known here.
pub(super) fn frames(panel: &Panel, answers: &[Answer], range: Range) -> (Vec<Frame>, Vec<String>) {
    let targets: Vec<(&Target, &Vec<Series>)> = answers
        .iter()
        .filter_map(|answer| {
            Some((
                panel.targets.get(answer.target)?,
                answer.result.as_ref().ok()?,
            ))
        })
        .collect();
    let several = targets.len() > 1;
    let mut frames: Vec<Frame> = targets
        .into_iter()
        .map(|(target, series)| frame(target, series, several))
        .collect();
    let mut unknown = Vec::new();
    for step in panel.transformations.iter().filter(|step| !step.disabled) {
        match step.id.as_str() {
            // Rows are made of labels already.
            "labelsToFields" | "timeSeriesTable" => {}
            "merge" => frames = vec![join(frames, None)],
            "joinByField" | "seriesToColumns" => {
                frames = vec![join(frames, step.options["byField"].as_str())];
            }
            "organize" => frames
                .iter_mut()
                .for_each(|frame| organize(frame, &step.options)),
            "filterFieldsByName" => frames
                .iter_mut()
                .for_each(|frame| keep(frame, &step.options)),
            "sortBy" => frames
                .iter_mut()
                .for_each(|frame| sort_by(frame, &step.options["sort"])),
            "reduce" if is_to_rows(step) => {
                frames = vec![reduce(panel, answers, range, &step.options)];
            }
            other => unknown.push(other.to_owned()),
        }
    }
    for frame in &mut frames {
        sort_by(frame, &panel.options["sortBy"]);
    }
    (frames, unknown)
}

/// A row for each series: its labels and its newest value.
fn frame(target: &Target, series: &[Series], several: bool) -> Frame {
    let value = if several {
        format!("Value #{}", target.ref_id)
    } else {
        "Value".to_owned()
    };
    let mut labels: Vec<String> = series
        .iter()
        .flat_map(|one| one.labels.keys().cloned())
        .collect();
    labels.sort();
    labels.dedup();
    let rows = series
        .iter()
        .take(ROWS)
        .filter_map(|one| {
            let (_, newest) = one.samples.last()?;
            let texts = one
                .labels
                .iter()
                .map(|(name, text)| (name.clone(), Cell::Text(text.clone())));
            Some(
                texts
                    .chain([(value.clone(), Cell::Number(*newest))])
                    .collect(),
            )
        })
        .collect();
    Frame {
        columns: labels.into_iter().chain([value]).collect(),
        rows,
        left_out: series.len().saturating_sub(ROWS),
        ref_id: target.ref_id.clone(),
    }
}

/// Rows of several tables in one: those with the same text in `by`, or in every column of texts that they share.
fn join(frames: Vec<Frame>, by: Option<&str>) -> Frame {
    let mut joined = Frame::default();
    for frame in frames {
        joined.left_out += frame.left_out;
        for column in &frame.columns {
            if !joined.columns.contains(column) {
                joined.columns.push(column.clone());
            }
        }
        for row in frame.rows {
            let fits = |known: &&mut BTreeMap<String, Cell>| is_same(known, &row, by);
            match joined.rows.iter_mut().find(fits) {
                Some(known) => known.extend(row),
                None => joined.rows.push(row),
            }
        }
    }
    joined
        .columns
        .sort_by_key(|column| column.starts_with("Value"));
    joined
}

fn is_same(one: &BTreeMap<String, Cell>, other: &BTreeMap<String, Cell>, by: Option<&str>) -> bool {
    if let Some(by) = by {
        return one.get(by).is_some() && one.get(by) == other.get(by);
    }
    let is_text = |cell: &Cell| matches!(cell, Cell::Text(_));
    let mut shared = one
        .iter()
        .filter(|(name, cell)| is_text(cell) && other.contains_key(*name))
        .peekable();
    // A row that has the value already is another row: the query returned two of them.
    let is_free = other
        .iter()
        .all(|(name, cell)| is_text(cell) || !one.contains_key(name));
    shared.peek().is_some() && is_free && shared.all(|(name, cell)| other.get(name) == Some(cell))
}

/// Leaves columns out, orders them and names them.
fn organize(frame: &mut Frame, options: &Value) {
    frame
        .columns
        .retain(|column| options["excludeByName"][column] != true);
    frame
        .columns
        .sort_by_key(|column| options["indexByName"][column].as_i64().unwrap_or(i64::MAX));
    let renamed = |name: &str| {
        options["renameByName"][name]
            .as_str()
            .filter(|name| !name.is_empty())
            .unwrap_or(name)
            .to_owned()
    };
    for column in &mut frame.columns {
        *column = renamed(column);
    }
    for row in &mut frame.rows {
        *row = std::mem::take(row)
            .into_iter()
            .map(|(name, cell)| (renamed(&name), cell))
            .collect();
    }
}

/// Keeps the columns that are named or match.
fn keep(frame: &mut Frame, options: &Value) {
    let include = &options["include"];
    let names = include["names"].as_array();
    let pattern = include["pattern"].as_str().and_then(pattern);
    if names.is_none() && pattern.is_none() {
        return;
    }
    frame.columns.retain(|column| {
        names.is_some_and(|names| names.iter().any(|name| name == column))
            || pattern
                .as_ref()
                .is_some_and(|pattern| pattern.is_match(column))
    });
}

/// Orders the rows by the first of the columns asked for.
fn sort_by(frame: &mut Frame, options: &Value) {
    let Some(first) = options.get(0) else { return };
    let Some(column) = first["displayName"].as_str().or(first["field"].as_str()) else {
        return;
    };
    frame
        .rows
        .sort_by(|one, other| compare(one.get(column), other.get(column)));
    if first["desc"] == true {
        frame.rows.reverse();
    }
}

fn compare(one: Option<&Cell>, other: Option<&Cell>) -> std::cmp::Ordering {
    match (one, other) {
        (Some(Cell::Number(one)), Some(Cell::Number(other))) => one.total_cmp(other),
        (Some(Cell::Text(one)), Some(Cell::Text(other))) => one.cmp(other),
        (one, other) => one.is_some().cmp(&other.is_some()),
    }
}

fn is_to_rows(step: &Transformation) -> bool {
    matches!(step.options["mode"].as_str(), None | Some("seriesToRows"))
}

/// A row for each series with figures of it.
fn reduce(panel: &Panel, answers: &[Answer], range: Range, options: &Value) -> Frame {
    let reductions: Vec<Reduction> = options["reducers"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|name| Reduction::named(name.as_str()?))
        .collect();
    let (lines, left_out) = lines(panel, answers, range, ROWS);
    let headings = reductions.iter().map(|one| one.heading().to_owned());
    let row = |line: &Line| {
        let cell =
            |one: &Reduction| Some((one.heading().to_owned(), Cell::Number(line.figure(*one)?)));
        let name = ("Field".to_owned(), Cell::Text(line.name.clone()));
        reductions.iter().filter_map(cell).chain([name]).collect()
    };
    Frame {
        columns: std::iter::once("Field".to_owned())
            .chain(headings)
            .collect(),
        rows: lines.iter().map(row).collect(),
        left_out,
        ref_id: String::new(),
    }
}

impl Frame {
    /// How a column is shown.
    pub(super) fn field(&self, panel: &Panel, column: &str) -> Field {
        Field::of(panel, column, &self.ref_id)
    }

    /// The heading of a column.
    pub(super) fn heading(&self, panel: &Panel, column: &str) -> String {
        let field = self.field(panel, column);
        field
            .display_name()
            .map_or_else(|| column.to_owned(), |name| fill(name, &BTreeMap::new()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn panel(json: Value) -> Panel {
        serde_json::from_value(json).unwrap()
    }

    fn answer(target: usize, all: &[(&str, &str, f64)]) -> Answer {
        let series = all
            .iter()
            .map(|(label, text, value)| Series {
                labels: [((*label).to_owned(), (*text).to_owned())].into(),
                samples: vec![(0.0, *value)],
            })
            .collect();
        Answer {
            target,
            query: String::new(),
            result: Ok(series),
            reason: None,
        }
    }

    const RANGE: Range = Range {
        from: 0.0,
        to: 0.0,
        step: 1.0,
    };

    #[test]
    fn two_queries_are_merged_into_rows_by_what_they_share_then_named_and_sorted() {
        let panel = panel(json!({
            "type": "table",
            "targets": [{"refId": "A", "format": "table"}, {"refId": "B", "format": "table"}],
            "transformations": [
                {"id": "merge", "options": {}},
                {"id": "organize", "options": {"excludeByName": {"job": true}, "renameByName": {"Value #A": "Requests", "Value #B": "Errors"}}},
                {"id": "calculateField", "options": {}},
            ],
            "options": {"sortBy": [{"displayName": "Requests", "desc": true}]},
        }));
        let answers = [
            answer(0, &[("route", "list", 5.0), ("route", "render", 9.0)]),
            answer(1, &[("route", "render", 1.0)]),
        ];
        let (frames, unknown) = frames(&panel, &answers, RANGE);
        assert_eq!(frames.len(), 1);
        assert_eq!(frames[0].columns, ["route", "Requests", "Errors"]);
        let first = &frames[0].rows[0];
        assert_eq!(first["route"], Cell::Text("render".to_owned()));
        assert_eq!(
            (&first["Requests"], &first["Errors"]),
            (&Cell::Number(9.0), &Cell::Number(1.0))
        );
        assert_eq!(
            frames[0].rows[1].get("Errors"),
            None,
            "what was not there is not 0"
        );
        assert_eq!(unknown, ["calculateField"]);
    }

    #[test]
    fn queries_that_nothing_merges_stay_tables_of_their_own() {
        let panel = panel(json!({"type": "table", "targets": [{"refId": "A"}, {"refId": "B"}]}));
        let answers = [answer(0, &[("a", "x", 1.0)]), answer(1, &[("b", "y", 2.0)])];
        assert_eq!(frames(&panel, &answers, RANGE).0.len(), 2);
    }
}
