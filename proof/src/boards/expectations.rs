//! What is known about boards beforehand, and allowed with a reason: a TOML file of the boards' owner.

use std::path::Path;

use serde::Deserialize;

use super::codes;
use super::folder::BoardFile;
use super::notes::{Found, found_in};
use super::queries;
use super::truth::Comparison;
use crate::exit::Refusal;
use crate::finding::Finding;

/// The file.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Expectations {
    /// Metrics of programs that declare nothing: names, or beginnings that end with `*`.
    pub foreign: Vec<String>,
    /// Labels that scraping adds to every series, `job` and `instance` if nothing is said.
    pub target_labels: TargetLabels,
    /// Queries that have no result as long as nothing is wrong.
    pub empty: Vec<ExpectedEmpty>,
    /// Findings that are right, and accepted.
    pub allow: Vec<Allowed>,
    /// Values that must be those of a load result.
    pub compare: Vec<Comparison>,
}

/// Labels that scraping adds.
#[derive(Clone, Debug, Deserialize)]
#[serde(transparent)]
pub struct TargetLabels(pub Vec<String>);

impl Default for TargetLabels {
    fn default() -> Self {
        Self(["job", "instance"].map(str::to_owned).to_vec())
    }
}

/// A query that has no result as long as nothing is wrong.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExpectedEmpty {
    /// The board.
    pub board: String,
    /// The panel.
    pub panel: String,
    /// The letter of the query; every query of the panel if left out.
    pub query: Option<String>,
    /// The fault under which it must have a result: compared with `--fault`.
    pub fault: Option<String>,
    /// Why it is empty.
    pub why: String,
}

/// A finding that is right, and accepted.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Allowed {
    /// The code.
    pub code: String,
    /// The board; every board if left out.
    pub board: Option<String>,
    /// The panel; every panel if left out.
    pub panel: Option<String>,
    /// The letter of the query; every query if left out.
    pub query: Option<String>,
    /// The metric, of findings about a declaration.
    pub metric: Option<String>,
    /// Why it is accepted.
    pub why: String,
}

impl Expectations {
    /// Reads the file.
    pub fn read(path: &Path) -> Result<Self, Refusal> {
        let name = path.display();
        let text = std::fs::read_to_string(path)
            .map_err(|error| Refusal::usage(format!("{name} cannot be read: {error}")))?;
        let read: Self = toml::from_str(&text)
            .map_err(|error| Refusal::usage(format!("{name}: {}", error.to_string().trim_end())))?;
        let reasons = read.empty.iter().map(|entry| &entry.why);
        if let Some(entry) = read.allow.iter().find(|entry| !codes::ALL.contains(&&*entry.code)) {
            return Err(Refusal::usage(format!(
                "{name}: `{}` is no code of a finding; docs/proof-findings.md lists them",
                entry.code
            )));
        }
        if reasons
            .chain(read.allow.iter().map(|entry| &entry.why))
            .any(|why| why.trim().is_empty())
        {
            return Err(Refusal::usage(format!(
                "{name}: an entry has an empty `why`; say why it is accepted"
            )));
        }
        Ok(read)
    }

    /// The entry that says that a query is empty as long as nothing is wrong.
    pub fn empty(&self, found: Found<'_>) -> Option<(usize, &ExpectedEmpty)> {
        self.empty.iter().enumerate().find(|(_, entry)| {
            fits(Some(&entry.board), Some(&entry.panel), entry.query.as_deref(), found)
        })
    }

    /// The entry that accepts a finding.
    pub fn allowed(&self, finding: &Finding, found: Found<'_>) -> Option<(usize, &Allowed)> {
        self.allow.iter().enumerate().find(|(_, entry)| {
            let panel = entry.panel.as_deref();
            entry.code == finding.code
                && fits(entry.board.as_deref(), panel, entry.query.as_deref(), found)
                && entry.metric.as_ref().is_none_or(|metric| *metric == finding.subject)
        })
    }

    /// Entries that nothing met: the board was changed, or the entry has a mistake. `used`: which entries of `allow` were
    /// used.
    pub fn unused(&self, used: &[bool], boards: &[BoardFile]) -> Vec<Finding> {
        let finding = |kind: &str, at: usize, what: String| Finding {
            code: codes::UNUSED_EXPECTATION,
            file: String::new(),
            subject: format!("expectation `{kind}` {}", at + 1),
            query: None,
            sentence: format!("{what}; take it out of the expectations, or mend it"),
        };
        let allow = self.allow.iter().zip(used).enumerate();
        let allow = allow.filter(|(_, (_, used))| !**used).map(|(at, (entry, _))| {
            finding("allow", at, format!("no finding `{}` is where it says", entry.code))
        });
        let queries: Vec<_> = boards.iter().flat_map(queries::of_board).collect();
        let met = |entry: &ExpectedEmpty| {
            queries.iter().any(|query| {
                let (board, panel) = (Some(entry.board.as_str()), Some(entry.panel.as_str()));
                fits(board, panel, entry.query.as_deref(), found_in(*query))
            })
        };
        let empty = self.empty.iter().enumerate().filter(|(_, entry)| !met(entry));
        let empty = empty.map(|(at, entry)| {
            let what = format!("no board {} has such a query in a panel `{}`", entry.board, entry.panel);
            finding("empty", at, what)
        });
        allow.chain(empty).collect()
    }

    /// Whether a metric is another program's.
    pub fn is_foreign(&self, metric: &str) -> bool {
        self.foreign.iter().any(|pattern| match pattern.strip_suffix('*') {
            Some(beginning) => metric.starts_with(beginning),
            None => metric == pattern,
        })
    }
}

/// Whether a place that an entry names is where something was found.
pub fn fits(
    board: Option<&str>,
    panel: Option<&str>,
    query: Option<&str>,
    found: Found<'_>,
) -> bool {
    let board_fits = board.is_none_or(|wanted| {
        found
            .board
            .is_some_and(|board| board.board.uid == wanted || board.name() == wanted)
    });
    let (title, id) = found.panel;
    let panel_fits = panel.is_none_or(|wanted| {
        title == wanted || id.is_some_and(|id| id.to_string() == wanted)
    });
    board_fits && panel_fits && query.is_none_or(|wanted| wanted == found.query)
}
