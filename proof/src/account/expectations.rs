//! What the account needs to know beyond a program's declarations: which series are the terms of an equation, which spans
//! may be whose parents, which fields join. A TOML file that refuses unknown keys; `docs/telemetry/account.toml` is ours.

use std::collections::BTreeMap;
use std::path::Path;

use promql_parser::label::{MatchOp, Matcher};
use serde::{Deserialize, Deserializer};

use crate::exit::Refusal;
use crate::{files, promql};

/// The file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Expectations {
    pub(super) exposition: Exposition,
    pub(super) spans: Option<Spans>,
    #[serde(rename = "span")]
    pub(super) span_rules: Vec<SpanRule>,
    pub(super) lines: Option<Lines>,
    #[serde(rename = "line")]
    pub(super) line_rules: Vec<LineRule>,
    pub(super) requests: Option<Requests>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Exposition {
    /// The most series that a page may have.
    pub(super) series: Option<usize>,
    /// The gauge with the process' start, Unix seconds.
    pub(super) start_time: Option<Term>,
    /// Histograms that have exemplars once a sampled request was observed.
    pub(super) exemplars: Vec<String>,
    /// Counters without a time of creation, because they count from the process' start.
    pub(super) without_created: Vec<String>,
}

/// The terms of ended = dropped + waiting + confirmed + rejected + unknown.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Spans {
    pub(super) ended: Vec<Term>,
    pub(super) dropped: Vec<Term>,
    /// In the queue or being sent.
    pub(super) waiting: Vec<Term>,
    pub(super) confirmed: Vec<Term>,
    /// Certainly not received.
    pub(super) rejected: Vec<Term>,
    /// Perhaps received.
    pub(super) unknown: Vec<Term>,
    /// The resource attribute that names the process.
    pub(super) instance: String,
    /// Baggage that becomes an attribute of each span of its trace.
    #[serde(default)]
    pub(super) baggage: Vec<String>,
    /// Kinds of spans that are reached without the baggage of their parents.
    #[serde(default)]
    pub(super) baggage_ends: Vec<String>,
}

/// What holds for spans of some names or kinds, in addition to their declaration.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct SpanRule {
    /// Names; with `kinds` left out as well, every span.
    names: Vec<String>,
    kinds: Vec<String>,
    /// Names that its parent may have.
    pub(super) parents: Vec<String>,
    /// Kinds that its parent may have.
    pub(super) parent_kinds: Vec<String>,
    /// Whether it may have no parent, or one in another process.
    pub(super) root: Option<bool>,
    /// Attributes that it always has.
    pub(super) required: Vec<String>,
    /// Every value that an attribute can have.
    pub(super) values: BTreeMap<String, Vec<String>>,
    /// Types of attributes, as Jaeger names them.
    pub(super) types: BTreeMap<String, String>,
    /// It is a root with a link when this attribute is above this number.
    pub(super) linked: Option<Above>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Above {
    pub(super) attribute: String,
    pub(super) above: i64,
}

impl SpanRule {
    pub(super) fn applies(&self, name: &str, kind: &str) -> bool {
        (self.names.is_empty() || self.names.iter().any(|one| one == name))
            && (self.kinds.is_empty() || self.kinds.iter().any(|one| one == kind))
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Lines {
    pub(super) written: Vec<Term>,
    pub(super) dropped: Vec<Term>,
    pub(super) waiting: Vec<Term>,
    /// On the page of the shipper (`--shipper`): lines that it has read and not delivered.
    #[serde(default)]
    pub(super) shipping: Vec<Term>,
    /// The field that names the process.
    pub(super) instance: String,
    /// The field that numbers a process' lines from 1.
    pub(super) sequence: String,
    pub(super) time: String,
    pub(super) service: String,
    pub(super) trace: String,
    pub(super) span: String,
    /// Fields of every line.
    #[serde(default)]
    pub(super) required: Vec<String>,
    /// Fields and values of a document that holds a line as text.
    #[serde(default)]
    pub(super) as_text: BTreeMap<String, String>,
}

/// Fields that some lines have.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct LineRule {
    /// Fields with these values,
    pub(super) when: BTreeMap<String, String>,
    /// and numbers of at least this,
    pub(super) at_least: BTreeMap<String, f64>,
    /// have these fields.
    pub(super) required: Vec<String>,
}

/// A request: one observation, one line, and one span if it is sampled.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Requests {
    /// The histogram of durations, in seconds.
    pub(super) metric: String,
    /// The kind of its span.
    pub(super) span_kind: String,
    /// The fields and values of its line.
    pub(super) line: BTreeMap<String, String>,
    /// The line's field with its duration in nanoseconds.
    pub(super) duration: String,
    /// The line's field with the run's id, by which the lines of a load are told from others, and the span's attribute.
    pub(super) run: Option<Run>,
}

/// Where the id of a run is.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Run {
    pub(super) field: String,
    pub(super) attribute: String,
}

/// A series, or all of them that have the labels: a selector of PromQL with `=` only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Term {
    pub(super) metric: String,
    /// An empty value is a label that is not there.
    pub(super) labels: Vec<(String, String)>,
}

impl<'de> Deserialize<'de> for Term {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

impl Term {
    fn parse(text: &str) -> Result<Self, String> {
        let refused =
            || format!("{text:?} is not a metric with labels: write name{{label=\"value\"}}");
        let expr = promql::parse(text).map_err(|_| refused())?;
        let selector = promql::selector(&expr).ok_or_else(refused)?;
        let metric = promql::metric(selector).ok_or_else(refused)?.to_owned();
        let mut labels = Vec::new();
        for Matcher { op, name, value } in promql::matchers(selector) {
            if !matches!(op, MatchOp::Equal) {
                return Err(refused());
            }
            labels.push((name.clone(), value.clone()));
        }
        Ok(Self { metric, labels })
    }
}

impl Expectations {
    pub(super) fn read(file: &Path) -> Result<Self, Refusal> {
        let text = files::read(file)?;
        toml::from_str(&text)
            .map_err(|error| Refusal::usage(format!("{}: {error}", file.display())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_term_is_a_selector_with_equal_signs() {
        let term = Term::parse(r#"a_total{error_type="queue_full"}"#).unwrap();
        assert_eq!(term.metric, "a_total");
        assert_eq!(
            term.labels,
            [("error_type".to_owned(), "queue_full".to_owned())]
        );
        for text in [r#"a{b=~"c"}"#, "rate(a[1m])", "{", "1"] {
            assert!(Term::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn unknown_keys_are_refused() {
        assert!(toml::from_str::<Expectations>("[exposition]\nserie = 1").is_err());
    }

    #[test]
    fn this_projects_file_is_read() {
        let text = include_str!("../../../docs/telemetry/account.toml");
        toml::from_str::<Expectations>(text).unwrap();
    }
}
