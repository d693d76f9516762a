//! Data sources and variables: whether the board works in another Grafana, and with any choice of its reader.

use std::collections::BTreeSet;

use super::super::codes;
use super::super::folder::BoardFile;
use super::super::model::{Board, DataSource, Panel, Target, Variable};
use super::super::notes::Note;
use super::super::queries::{self, Destination, Query, destination, source_of};
use super::super::variables::{Reference, references};

/// Formats of several values that are no regular expression of them.
const LISTS: &[&str] = &[
    "raw",
    "csv",
    "json",
    "text",
    "glob",
    "doublequote",
    "singlequote",
];

pub(super) fn notes(board: &BoardFile) -> Vec<Note<'_>> {
    let mut notes = Vec::new();
    for panel in board.board.leaf_panels() {
        let of_panel = of_panel(panel, &board.board);
        notes.extend(
            of_panel
                .into_iter()
                .map(|(code, sentence)| Note::of_panel(board, panel, code, sentence)),
        );
    }
    for variable in &board.board.templating.list {
        notes.extend(of_variable(board, variable));
    }
    for annotation in &board.board.annotations.list {
        if annotation.query().is_empty() {
            continue;
        }
        let fault = of_source(annotation.datasource.as_ref(), &board.board);
        notes.extend(
            fault.map(|(code, sentence)| Note::of_annotation(board, annotation, code, sentence)),
        );
    }
    for query in queries::of_board(board) {
        notes.extend(of_references(board, query));
    }
    notes
}

/// Each fault of the panel's data sources once.
fn of_panel(panel: &Panel, board: &Board) -> Vec<(&'static str, String)> {
    let mut found = Vec::new();
    let asks = |target: &&Target| target.kind.is_none() || !target.expr.is_empty();
    for target in panel.targets.iter().filter(asks) {
        if let Some(fault) = of_source(source_of(panel, target), board)
            && !found.contains(&fault)
        {
            found.push(fault);
        }
    }
    found
}

fn of_source(source: Option<&DataSource>, board: &Board) -> Option<(&'static str, String)> {
    match destination(source, board) {
        Destination::Prometheus { chosen: false } => {
            let which = match source {
                Some(source) if !source.uid.is_empty() => format!("`{}`", source.uid),
                _ => "the default one".to_owned(),
            };
            let sentence = format!(
                "the data source is {which}, which another Grafana may not have; use a variable of the kind `datasource`"
            );
            Some((codes::FIXED_DATASOURCE, sentence))
        }
        Destination::Other(kind) => {
            let sentence = format!("queries to a data source of the kind {kind} were not proven");
            Some((codes::UNPROVEN_DATASOURCE, sentence))
        }
        Destination::Prometheus { chosen: true } => source.and_then(|source| {
            let missing = references(&source.uid)
                .into_iter()
                .find(|reference| !is_declared(reference.name, board))?;
            Some((codes::UNKNOWN_VARIABLE, no_variable(missing.name)))
        }),
        Destination::Grafana => None,
    }
}

fn is_declared(name: &str, board: &Board) -> bool {
    let mut variables = board.templating.list.iter().map(|variable| &variable.name);
    variables.any(|known| known == name) || board.inputs.iter().any(|input| input.name == name)
}

fn no_variable(name: &str) -> String {
    format!("`${name}` is no variable of the board")
}

fn of_variable<'a>(board: &'a BoardFile, variable: &'a Variable) -> Vec<Note<'a>> {
    let mut notes = Vec::new();
    if variable.kind == "query" {
        let fault = of_source(variable.datasource.as_ref(), &board.board);
        notes.extend(
            fault.map(|(code, sentence)| Note::of_variable(board, variable, code, sentence)),
        );
    }
    if variable.include_all && variable.all_value.as_deref() == Some(".*") {
        notes.push(Note::of_variable(
            board,
            variable,
            codes::ALL_INCLUDES_ABSENT,
            "`.*` for All selects series without the label, too, and everything where the variable has no value; use `.+`",
        ));
    }
    if !is_used(board, variable) {
        notes.push(Note::of_variable(
            board,
            variable,
            codes::UNUSED_VARIABLE,
            "nothing on the board uses the variable: choosing a value changes nothing",
        ));
    }
    notes
}

/// Anywhere in the file but in its own declaration. `adhoc` filters apply to every query by themselves.
fn is_used(board: &BoardFile, variable: &Variable) -> bool {
    if variable.kind == "adhoc" {
        return true;
    }
    let repeats = board
        .board
        .all_panels()
        .iter()
        .any(|panel| panel.repeat.as_deref() == Some(&variable.name));
    repeats || {
        let own: BTreeSet<_> = [variable.query_text(), &variable.regex].into();
        let own = own.iter().flat_map(|text| references(text));
        let in_own = own
            .filter(|reference| reference.name == variable.name)
            .count();
        let in_all = references(&board.text)
            .iter()
            .filter(|reference| reference.name == variable.name)
            .count();
        in_all > in_own
    }
}

/// Faults of the places where a query names variables.
fn of_references<'a>(board: &'a BoardFile, query: Query<'a>) -> Vec<Note<'a>> {
    let text = query.expr();
    let mut notes = Vec::new();
    let filled = super::super::choices::of_file(board).query(text);
    for name in &filled.unknown {
        notes.push(Note::of_query(
            query,
            codes::UNKNOWN_VARIABLE,
            no_variable(name),
        ));
    }
    for format in &filled.formats {
        let sentence = format!("the format `:{format}` of a variable is not known here");
        notes.push(Note::of_query(query, codes::UNKNOWN_FORMAT, sentence));
    }
    for reference in references(text) {
        let several = board
            .board
            .templating
            .list
            .iter()
            .any(|variable| variable.name == reference.name && variable.is_multiple());
        let as_list = reference.format.filter(|format| LISTS.contains(format));
        if let Some(format) = as_list.filter(|_| several) {
            let sentence = format!(
                "`${{{}:{format}}}` of several values is no pattern that matches one of them; use `:regex`, or no format",
                reference.name
            );
            notes.push(Note::of_query(query, codes::EQUALS_SEVERAL, sentence));
        }
        if several && is_compared_with_equals(text, &reference) {
            let sentence = format!(
                "`${}` may stand for several values, which `=` compares as one text; use `=~`",
                reference.name
            );
            notes.push(Note::of_query(query, codes::EQUALS_SEVERAL, sentence));
        }
    }
    notes
}

/// Whether the string in which the reference stands is compared with `=` or `!=`.
fn is_compared_with_equals(text: &str, reference: &Reference) -> bool {
    let before = &text[..reference.start];
    let Some(quote) = before.rfind(['"', '\'', '`']) else {
        return false;
    };
    before[..quote].trim_end().ends_with('=')
}
