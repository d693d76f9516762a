//! What is known about boards beforehand, and accepted with a reason: a TOML file of the boards' owner.

use std::path::Path;

use serde::Deserialize;

use super::codes;
use super::folder::BoardFile;
use super::notes::{Found, found_in};
use super::queries;
use super::truth::Comparison;
use crate::exit::Refusal;
use crate::files;
use crate::finding::Finding;

/// The file.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Expectations {
    /// Metrics of programs that declare nothing: names, or beginnings that end with `*`.
    pub foreign: Vec<String>,
    /// Labels that scraping adds to every series, `job` and `instance` if nothing is said.
    pub target_labels: TargetLabels,
    /// Panels whose queries have no result as long as nothing is wrong.
    #[serde(rename = "panel")]
    pub panels: Vec<ExpectedEmpty>,
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

/// A panel whose queries have no result as long as nothing is wrong.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExpectedEmpty {
    /// The board: its uid, or the name of its file without `.json`.
    pub board: String,
    /// The panel by its id.
    pub id: Option<i64>,
    /// The panel by its title; or an annotation by its name.
    pub title: Option<String>,
    /// The letter of the query; every query of the panel if left out.
    pub query: Option<String>,
    /// Always `true`: what the entry is for.
    pub empty_when_healthy: bool,
    /// The fault or load under which it must have a result: compared with `--under`.
    pub alive_under: Option<String>,
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
    /// The panel by its id.
    pub id: Option<i64>,
    /// The panel by its title; or a variable or annotation by its name. With neither: every place on the board.
    pub title: Option<String>,
    /// The letter of the query; every query if left out.
    pub query: Option<String>,
    /// The metric, of findings about a declaration.
    pub metric: Option<String>,
    /// Why it is accepted.
    pub why: String,
}

/// The places that an entry means: all that fit what it says.
#[derive(Clone, Copy, Debug, Default)]
pub struct Place<'e> {
    /// The board: its uid, or the name of its file without `.json`.
    pub board: Option<&'e str>,
    /// The panel by its id.
    pub id: Option<i64>,
    /// The panel by its title; or a variable or annotation by its name.
    pub title: Option<&'e str>,
    /// The letter of the query.
    pub query: Option<&'e str>,
}

impl Place<'_> {
    /// Whether something was found there.
    pub fn fits(&self, found: Found<'_>) -> bool {
        let board = self.board.is_none_or(|wanted| {
            let is = |board: &BoardFile| board.board.uid == wanted || board.name() == wanted;
            found.board.is_some_and(is)
        });
        let (title, id) = found.panel;
        board
            && self.id.is_none_or(|wanted| id == Some(wanted))
            && self.title.is_none_or(|wanted| wanted == title)
            && self.query.is_none_or(|wanted| wanted == found.query)
    }
}

impl ExpectedEmpty {
    fn place(&self) -> Place<'_> {
        Place {
            board: Some(&self.board),
            id: self.id,
            title: self.title.as_deref(),
            query: self.query.as_deref(),
        }
    }

    fn panel(&self) -> String {
        match (self.id, &self.title) {
            (Some(id), _) => format!("panel {id}"),
            (None, Some(title)) => format!("panel `{title}`"),
            (None, None) => "panel".to_owned(),
        }
    }
}

impl Allowed {
    fn accepts(&self, finding: &Finding, found: Found<'_>) -> bool {
        let place = Place {
            board: self.board.as_deref(),
            id: self.id,
            title: self.title.as_deref(),
            query: self.query.as_deref(),
        };
        let metric = self.metric.as_ref();
        self.code == finding.code
            && place.fits(found)
            && metric.is_none_or(|metric| *metric == finding.subject)
    }
}

impl Expectations {
    /// Reads the file.
    pub fn read(path: &Path) -> Result<Self, Refusal> {
        let name = path.display();
        let text = files::read(path)?;
        Self::parse(&text).map_err(|sentence| Refusal::usage(format!("{name}: {sentence}")))
    }

    fn parse(text: &str) -> Result<Self, String> {
        let read: Self = toml::from_str(text).map_err(|error| error.to_string())?;
        if let Some(entry) = read
            .allow
            .iter()
            .find(|entry| !codes::ALL.contains(&&*entry.code))
        {
            return Err(format!(
                "`{}` is no code of a finding; docs/proof-findings.md lists them",
                entry.code
            ));
        }
        let mut reasons = read.panels.iter().map(|entry| &entry.why);
        let mut accepted = read.allow.iter().map(|entry| &entry.why);
        if reasons.any(|why| why.trim().is_empty()) || accepted.any(|why| why.trim().is_empty()) {
            return Err("an entry has an empty `why`; say why it is accepted".to_owned());
        }
        for entry in &read.panels {
            if entry.id.is_none() && entry.title.is_none() {
                return Err(format!(
                    "an entry of {} names no `id` and no `title`",
                    entry.board
                ));
            }
            if !entry.empty_when_healthy {
                return Err(format!(
                    "{} of {}: `empty_when_healthy = false` expects nothing; take the entry out",
                    entry.panel(),
                    entry.board
                ));
            }
        }
        Ok(read)
    }

    /// The entry that says that a query is empty as long as nothing is wrong.
    pub fn empty(&self, found: Found<'_>) -> Option<&ExpectedEmpty> {
        self.panels.iter().find(|entry| entry.place().fits(found))
    }

    /// The entry that accepts a finding, with its number.
    pub fn allowed(&self, finding: &Finding, found: Found<'_>) -> Option<(usize, &Allowed)> {
        let mut entries = self.allow.iter().enumerate();
        entries.find(|(_, entry)| entry.accepts(finding, found))
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
        let allow = allow
            .filter(|(_, (_, used))| !**used)
            .map(|(at, (entry, _))| {
                finding(
                    "allow",
                    at,
                    format!("no finding `{}` is where it says", entry.code),
                )
            });
        let queries: Vec<_> = boards.iter().flat_map(queries::of_board).collect();
        let met = |entry: &ExpectedEmpty| {
            queries
                .iter()
                .any(|query| entry.place().fits(found_in(*query)))
        };
        let panels = self
            .panels
            .iter()
            .enumerate()
            .filter(|(_, entry)| !met(entry));
        let panels = panels.map(|(at, entry)| {
            let what = format!(
                "no board {} has such a query in a {}",
                entry.board,
                entry.panel()
            );
            finding("panel", at, what)
        });
        allow.chain(panels).collect()
    }

    /// Whether a metric is another program's.
    pub fn is_foreign(&self, metric: &str) -> bool {
        self.foreign
            .iter()
            .any(|pattern| match pattern.strip_suffix('*') {
                Some(beginning) => metric.starts_with(beginning),
                None => metric == pattern,
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_that_says_too_little_is_refused() {
        for (text, said) in [
            ("colour = 1", "unknown field `colour`"),
            (
                "[[allow]]\ncode = 'no-such'\nwhy = 'x'",
                "`no-such` is no code of a finding",
            ),
            ("[[allow]]\ncode = 'no-unit'\nwhy = ' '", "empty `why`"),
            (
                "[[panel]]\nboard = 'b'\nempty_when_healthy = true\nwhy = 'x'",
                "names no `id` and no `title`",
            ),
            (
                "[[panel]]\nboard = 'b'\nid = 3\nempty_when_healthy = false\nwhy = 'x'",
                "panel 3 of b: `empty_when_healthy = false` expects nothing",
            ),
        ] {
            let error = Expectations::parse(text).unwrap_err();
            assert!(error.contains(said), "{error}");
        }
    }

    #[test]
    fn metrics_of_others_are_named_whole_or_by_their_beginning() {
        let expectations = Expectations::parse("foreign = ['node_*', 'up']").unwrap();
        for (metric, foreign) in [("node_load1", true), ("up", true), ("upper", false)] {
            assert_eq!(expectations.is_foreign(metric), foreign, "{metric}");
        }
    }
}
