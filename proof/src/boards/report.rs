//! The result of a proof as data: what `--output json` prints, and what the other forms are made of.

use serde::Serialize;

use super::folder::BoardFile;
use super::live::{Outcome, Verdict};
use super::queries::Query;
use super::truth::Compared;
use crate::finding::Finding;

/// The version of the JSON form.
pub const VERSION: u32 = 1;

/// The result.
#[derive(Debug, Serialize)]
pub struct Report {
    /// [`VERSION`].
    pub version: u32,
    /// The server that was asked; `null` if none was.
    pub prometheus: Option<String>,
    /// The range that was asked for, Unix seconds; `null` if no server was asked.
    pub range: Option<(f64, f64)>,
    /// The boards.
    pub boards: Vec<BoardReport>,
    /// What is wrong, by file and place.
    pub findings: Vec<Finding>,
    /// What is wrong and accepted, with the reason.
    pub allowed: Vec<Allowance>,
    /// What was compared with a load.
    pub compared: Vec<Compared>,
    /// Sums.
    pub totals: Totals,
}

/// One board.
#[derive(Debug, Serialize)]
pub struct BoardReport {
    /// Its file.
    pub file: String,
    /// Its uid.
    pub uid: String,
    /// Its title.
    pub title: String,
    /// Its panels, rows excluded.
    pub panels: usize,
    /// Its queries to a Prometheus.
    pub queries: Vec<QueryReport>,
}

/// One query.
#[derive(Debug, Serialize)]
pub struct QueryReport {
    /// The panel and letter, or the annotation.
    pub subject: String,
    /// The panel's id.
    pub panel_id: Option<i64>,
    /// As it is written.
    pub query: String,
    /// As it was asked, with its variables filled in; `null` if no server was asked.
    pub asked: Option<String>,
    /// `live`, `empty`, `empty-as-expected`, `nan-only`, `error`, or `not-asked`.
    pub verdict: &'static str,
    /// Series in the result.
    pub series: usize,
    /// Samples in the result.
    pub samples: usize,
    /// Why there are none.
    pub reason: Option<String>,
    /// Transformations between the result and what is drawn, none of which was applied.
    pub transformations: Vec<String>,
}

/// A finding that an expectation accepts.
#[derive(Debug, Serialize)]
pub struct Allowance {
    /// The finding.
    #[serde(flatten)]
    pub finding: Finding,
    /// Why it is accepted.
    pub why: String,
}

/// Sums over all boards.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// Boards that were judged.
    pub boards: usize,
    /// Panels.
    pub panels: usize,
    /// Queries to a Prometheus.
    pub queries: usize,
    /// Of these, queries that show values.
    pub live: usize,
    /// Queries that are empty as expected.
    pub empty_as_expected: usize,
    /// Queries that were not asked, because no server was.
    pub not_asked: usize,
    /// Findings.
    pub findings: usize,
    /// Findings that are accepted.
    pub allowed: usize,
    /// Comparisons with a load that agree.
    pub agreeing: usize,
}

impl QueryReport {
    fn new(query: Query<'_>) -> Self {
        let transformations = query.panel().into_iter().flat_map(|panel| {
            let steps = panel.transformations.iter().filter(|step| !step.disabled);
            steps.map(|step| step.id.clone())
        });
        Self {
            subject: query.subject(),
            panel_id: query.panel().and_then(|panel| panel.id),
            query: query.expr().to_owned(),
            asked: None,
            verdict: "not-asked",
            series: 0,
            samples: 0,
            reason: None,
            transformations: transformations.collect(),
        }
    }

    fn judged(outcome: &Outcome<'_>) -> Self {
        let mut report = Self::new(outcome.query);
        report.asked = Some(outcome.asked.clone());
        report.verdict = outcome.verdict.name();
        match &outcome.verdict {
            Verdict::Live { series, samples } => {
                report.series = *series;
                report.samples = *samples;
            }
            Verdict::Empty(reason) | Verdict::EmptyAsExpected(reason) | Verdict::Error(reason) => {
                report.reason = Some(reason.clone());
            }
            Verdict::NanOnly => {}
        }
        report
    }
}

/// The boards, with what each query showed; without outcomes no server was asked.
pub fn boards(
    files: &[BoardFile],
    queries: &[Query<'_>],
    outcomes: Option<&[Outcome<'_>]>,
) -> Vec<BoardReport> {
    let reports: Vec<(&str, QueryReport)> = match outcomes {
        Some(outcomes) => outcomes
            .iter()
            .map(|outcome| {
                (
                    outcome.query.board.file.as_str(),
                    QueryReport::judged(outcome),
                )
            })
            .collect(),
        None => queries
            .iter()
            .map(|query| (query.board.file.as_str(), QueryReport::new(*query)))
            .collect(),
    };
    let mut boards: Vec<BoardReport> = files
        .iter()
        .map(|board| BoardReport {
            file: board.file.clone(),
            uid: board.board.uid.clone(),
            title: board.board.title.clone(),
            panels: board.board.leaf_panels().len(),
            queries: Vec::new(),
        })
        .collect();
    for (file, report) in reports {
        if let Some(board) = boards.iter_mut().find(|board| board.file == file) {
            board.queries.push(report);
        }
    }
    boards
}

impl Report {
    /// Adds everything up.
    pub fn totals(&self) -> Totals {
        let queries = || self.boards.iter().flat_map(|board| &board.queries);
        let with = |verdict: &str| queries().filter(|query| query.verdict == verdict).count();
        Totals {
            boards: self.boards.len(),
            panels: self.boards.iter().map(|board| board.panels).sum(),
            queries: queries().count(),
            live: with("live"),
            empty_as_expected: with("empty-as-expected"),
            not_asked: with("not-asked"),
            findings: self.findings.len(),
            allowed: self.allowed.len(),
            agreeing: self.compared.iter().filter(|one| one.agrees).count(),
        }
    }
}
