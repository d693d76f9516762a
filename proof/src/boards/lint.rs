//! What the files alone show: no server is asked.

mod expressions;
mod files;
mod filters;
mod panels;
mod sources;

use super::folder::BoardFile;
use super::notes::Note;
use super::queries::Query;
use crate::promql::types::Types;

/// A query with its expression, if it could be parsed with what the file says is chosen.
pub struct Parsed<'a> {
    /// The query.
    pub query: Query<'a>,
    /// The expression; every macro in it is recognisable by its length.
    pub expr: Result<promql_parser::parser::Expr, String>,
}

/// The queries of all boards, parsed.
pub fn parsed(boards: &[BoardFile]) -> Vec<Parsed<'_>> {
    boards
        .iter()
        .flat_map(|board| {
            let scope = super::choices::of_file(board);
            super::queries::of_board(board)
                .into_iter()
                .map(move |query| Parsed {
                    query,
                    expr: crate::promql::parse(&scope.query(query.expr()).text),
                })
        })
        .collect()
}

/// Every finding that needs no server.
pub fn notes<'a>(boards: &'a [BoardFile], queries: &[Parsed<'a>], types: &Types) -> Vec<Note<'a>> {
    let mut notes = files::notes(boards);
    for board in boards {
        notes.extend(panels::notes(board));
        notes.extend(sources::notes(board));
    }
    for parsed in queries {
        if let Ok(expr) = &parsed.expr {
            notes.extend(expressions::notes(parsed.query, expr, types));
        }
    }
    notes.extend(panels::crowded(queries, types));
    notes.extend(filters::notes(boards, queries, types));
    notes
}
