//! What a program declares about itself: the JSON that anybody's program can print.

use std::path::Path;

use serde::Deserialize;

use crate::exit::Refusal;
use crate::files;

/// One program.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Program {
    /// Its name.
    #[serde(rename = "program")]
    pub(crate) name: String,
    /// Its metrics.
    #[serde(default)]
    pub(crate) metrics: Vec<Metric>,
    /// Its spans.
    #[serde(default)]
    pub(crate) spans: Vec<Span>,
    /// The fields of its log lines.
    #[serde(default)]
    pub(crate) log_fields: Vec<Field>,
}

impl Program {
    /// Reads a file of declarations.
    pub(crate) fn read(file: &Path) -> Result<Self, Refusal> {
        let refused = |reason: String| Refusal::usage(format!("{}: {reason}", file.display()));
        let text = files::read(file)?;
        serde_json::from_str(&text)
            .map_err(|error| refused(format!("not the declarations of a program: {error}")))
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Metric {
    /// Prometheus name.
    pub(crate) name: String,
    /// `counter`, `gauge` or `histogram`.
    pub(crate) kind: String,
    /// Unit as Prometheus names it; none for a plain number of things.
    #[serde(default)]
    pub(crate) unit: Option<String>,
    /// One sentence.
    #[serde(default)]
    pub(crate) help: String,
    #[serde(default)]
    pub(crate) labels: Vec<Label>,
    /// Upper bounds of a histogram's buckets.
    #[serde(default)]
    pub(crate) buckets: Option<Vec<f64>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Label {
    pub(crate) name: String,
    /// Every value; none where they are known only when the program runs.
    #[serde(default)]
    pub(crate) values: Option<Vec<String>>,
    /// Why they are few, where they are not listed.
    #[serde(default)]
    pub(crate) bounded_by: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Span {
    pub(crate) name: String,
    /// `server`, `client`, `internal`, `producer` or `consumer`.
    pub(crate) kind: String,
    pub(crate) attributes: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Field {
    pub(crate) name: String,
    /// As Elasticsearch names it.
    #[serde(rename = "type")]
    pub(crate) kind: String,
}
