//! Queries that leave out a filter by which the board's others select: its reader chooses, and they show everything.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use promql_parser::label::MatchOp;
use promql_parser::parser::VectorSelector;
use regex::Regex;

use super::super::codes;
use super::super::folder::BoardFile;
use super::super::model::Variable;
use super::super::notes::Note;
use super::Parsed;
use crate::promql;
use crate::promql::types::Types;

/// Labels that all series of a job have, whatever the metric.
const OF_TARGETS: &[&str] = &["instance"];

/// `label=~"$variable`, with any operator.
static FILTER: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r#"(\w+)\s*(?:=~|!~|!=|=)\s*"\$\{?(\w+)"#).ok());

pub(super) fn notes<'a>(
    boards: &'a [BoardFile],
    queries: &[Parsed<'a>],
    types: &Types,
) -> Vec<Note<'a>> {
    let of = |board: &BoardFile| -> Vec<&Parsed<'a>> {
        let mine = |parsed: &&Parsed| parsed.query.board.file == board.file;
        queries.iter().filter(mine).collect()
    };
    boards
        .iter()
        .flat_map(|board| of_board(board, &of(board), types))
        .collect()
}

fn of_board<'a>(board: &BoardFile, queries: &[&Parsed<'a>], types: &Types) -> Vec<Note<'a>> {
    let mut notes = Vec::new();
    let asked = board.board.templating.list.iter();
    for variable in asked.filter(|variable| variable.kind == "query") {
        for label in labels(variable, queries) {
            // What a selector has in common with those that are filtered: its job, or its metric.
            let key = |selector: &VectorSelector| {
                if OF_TARGETS.contains(&label.as_str()) {
                    job(selector)
                } else {
                    promql::metric(selector).map(|name| types.family(name).to_owned())
                }
            };
            let filtered: BTreeSet<String> = queries
                .iter()
                .filter_map(|parsed| parsed.expr.as_ref().ok())
                .flat_map(promql::selectors)
                .filter(|selector| selects_by(selector, &label))
                .filter_map(key)
                .collect();
            for parsed in queries {
                let selectors = parsed.expr.iter().flat_map(promql::selectors);
                let ignores = |selector: &&VectorSelector| {
                    !selects_by(selector, &label)
                        && key(selector).is_some_and(|key| filtered.contains(&key))
                };
                let mut ignoring = selectors.filter(ignores);
                if let Some(selector) = ignoring.next() {
                    let sentence = format!(
                        "{} is not filtered by `${}`, by which other queries of the board select `{label}`: it shows the same whatever is chosen",
                        promql::text_of_selector(selector),
                        variable.name
                    );
                    notes.push(Note::of_query(
                        parsed.query,
                        codes::VARIABLE_IGNORED,
                        sentence,
                    ));
                }
            }
        }
    }
    notes
}

/// The labels that queries compare with the variable.
fn labels(variable: &Variable, queries: &[&Parsed]) -> BTreeSet<String> {
    let Some(pattern) = &*FILTER else {
        return BTreeSet::new();
    };
    let texts = queries.iter().map(|parsed| parsed.query.expr());
    texts
        .flat_map(|text| pattern.captures_iter(text))
        .filter(|found| found[2] == variable.name)
        .map(|found| found[1].to_owned())
        .collect()
}

fn selects_by(selector: &VectorSelector, label: &str) -> bool {
    promql::matchers(selector).any(|matcher| matcher.name == label)
}

/// The one job that a selector selects.
fn job(selector: &VectorSelector) -> Option<String> {
    promql::matchers(selector)
        .find(|matcher| matcher.name == "job" && matcher.op == MatchOp::Equal)
        .map(|matcher| matcher.value.clone())
}
