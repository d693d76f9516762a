//! What a page shows, as plain data: boards, and what Prometheus said to each of their queries.
//!
//! Nothing here is drawn and nothing is asked, so a page can be made of fixed data.

use crate::{
    boards::model::Board,
    prometheus::{Range, Series},
};

/// One page.
#[derive(Clone, Debug)]
pub struct Preview {
    /// The folder or file that the boards were read from.
    pub source: String,
    /// The address of Prometheus, without any password.
    pub server: String,
    /// The time range that is drawn, and the seconds between two points of annotations.
    pub range: Range,
    /// When the page was made, in Unix seconds.
    pub made_at: f64,
    /// In the order of their files.
    pub boards: Vec<BoardView>,
}

/// A board with what its queries returned.
#[derive(Clone, Debug)]
pub struct BoardView {
    /// Its file.
    pub file: String,
    /// The board.
    pub board: Board,
    /// Each variable with the values that it was filled in with, as people read them.
    pub variables: Vec<(String, String)>,
    /// What its annotations returned.
    pub events: Vec<EventView>,
    /// What the panels' queries returned: for each of [`Board::leaf_panels`], in that order.
    pub panels: Vec<PanelView>,
}

/// What one panel's queries returned.
#[derive(Clone, Debug)]
pub struct PanelView {
    /// The title with variables filled in.
    pub title: String,
    /// The time range that is drawn, and the seconds between two points.
    pub range: Range,
    /// For each target that was asked.
    pub answers: Vec<Answer>,
    /// Why parts of the panel could not be asked, such as a query of another data source: sentences.
    pub not_asked: Vec<String>,
}

/// What one query returned.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Which of the panel's targets.
    pub target: usize,
    /// The expression as it was sent.
    pub query: String,
    /// The series, or the server's sentence.
    pub result: Result<Vec<Series>, String>,
    /// Why the result is empty, if that is known.
    pub reason: Option<Reason>,
}

/// Why a query has no data: a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// What is wrong, or what was not there.
    Found(String),
    /// It may be so: somebody wrote down why.
    Expected(String),
}

/// What one annotation of a board returned.
#[derive(Clone, Debug)]
pub struct EventView {
    /// The annotation's name.
    pub name: String,
    /// The colour that the board gives it.
    pub colour: String,
    /// Template of an event's label, such as `{{experiment}}`; empty for the series' own labels.
    pub title: String,
    /// The series, or the server's sentence.
    pub result: Result<Vec<Series>, String>,
}
