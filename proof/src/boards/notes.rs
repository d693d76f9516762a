//! Findings with the place at which they were found, so that expectations can name the place.

use super::folder::BoardFile;
use super::model::{Annotation, Panel, Variable};
use super::queries::{Origin, Query, subject};
use crate::finding::Finding;

/// Where something was found.
#[derive(Clone, Copy, Debug, Default)]
pub struct Found<'a> {
    /// The board, if it was on one.
    pub board: Option<&'a BoardFile>,
    /// Title and id of the panel; or the name of the variable or annotation.
    pub panel: (&'a str, Option<i64>),
    /// The letter of the query.
    pub query: &'a str,
}

/// A finding and its place.
#[derive(Clone, Debug)]
pub struct Note<'a> {
    /// What was found.
    pub finding: Finding,
    /// Where.
    pub found: Found<'a>,
}

impl<'a> Note<'a> {
    /// Of a query.
    pub fn of_query(query: Query<'a>, code: &'static str, sentence: impl Into<String>) -> Self {
        Self {
            finding: query.finding(code, sentence),
            found: found_in(query),
        }
    }

    /// Of a panel.
    pub fn of_panel(
        board: &'a BoardFile,
        panel: &'a Panel,
        code: &'static str,
        sentence: impl Into<String>,
    ) -> Self {
        let found = Found {
            board: Some(board),
            panel: (panel.title.trim(), panel.id),
            query: "",
        };
        Self::new(found, subject(panel), code, sentence.into())
    }

    /// Of a variable.
    pub fn of_variable(
        board: &'a BoardFile,
        variable: &'a Variable,
        code: &'static str,
        sentence: impl Into<String>,
    ) -> Self {
        let found = named(board, &variable.name);
        let subject = format!("variable `{}`", variable.name);
        let mut note = Self::new(found, subject, code, sentence.into());
        let query = variable.query_text();
        note.finding.query = (!query.is_empty()).then(|| query.to_owned());
        note
    }

    /// Of an annotation.
    pub fn of_annotation(
        board: &'a BoardFile,
        annotation: &'a Annotation,
        code: &'static str,
        sentence: impl Into<String>,
    ) -> Self {
        let subject = format!("annotation `{}`", annotation.name);
        Self::new(
            named(board, &annotation.name),
            subject,
            code,
            sentence.into(),
        )
    }

    /// Of a board as a whole.
    pub fn of_board(board: &'a BoardFile, code: &'static str, sentence: impl Into<String>) -> Self {
        Self::new(named(board, ""), "board".to_owned(), code, sentence.into())
    }

    fn new(found: Found<'a>, subject: String, code: &'static str, sentence: String) -> Self {
        let finding = Finding {
            code,
            file: found
                .board
                .map(|board| board.file.clone())
                .unwrap_or_default(),
            subject,
            query: None,
            sentence,
        };
        Self { finding, found }
    }
}

fn named<'a>(board: &'a BoardFile, name: &'a str) -> Found<'a> {
    Found {
        board: Some(board),
        panel: (name, None),
        query: "",
    }
}

/// Where a query stands.
pub fn found_in(query: Query<'_>) -> Found<'_> {
    let panel = match query.origin {
        Origin::Panel(panel, _) => (panel.title.trim(), panel.id),
        Origin::Annotation(annotation) => (annotation.name.as_str(), None),
    };
    Found {
        board: Some(query.board),
        panel,
        query: query.ref_id(),
    }
}
