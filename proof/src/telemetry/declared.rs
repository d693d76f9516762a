//! What a program declares about itself: the JSON that anybody's program can print.

use serde::Deserialize;

/// One program.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Program {
    /// Its name.
    #[serde(rename = "program")]
    pub(super) name: String,
    /// Its metrics.
    #[serde(default)]
    pub(super) metrics: Vec<Metric>,
    /// Its spans.
    #[serde(default)]
    pub(super) spans: Vec<Span>,
    /// The fields of its log lines.
    #[serde(default)]
    pub(super) log_fields: Vec<Field>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Metric {
    /// Prometheus name.
    pub(super) name: String,
    /// `counter`, `gauge` or `histogram`.
    pub(super) kind: String,
    /// Unit as Prometheus names it; none for a plain number of things.
    pub(super) unit: Option<String>,
    /// One sentence.
    pub(super) help: String,
    #[serde(default)]
    pub(super) labels: Vec<Label>,
    /// Upper bounds of a histogram's buckets.
    pub(super) buckets: Option<Vec<f64>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Label {
    pub(super) name: String,
    /// Every value; none where they are known only when the program runs.
    pub(super) values: Option<Vec<String>>,
    /// Why they are few, where they are not listed.
    pub(super) bounded_by: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Span {
    pub(super) name: String,
    /// `server`, `client`, `internal`, `producer` or `consumer`.
    pub(super) kind: String,
    pub(super) attributes: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Field {
    pub(super) name: String,
    /// As Elasticsearch names it.
    #[serde(rename = "type")]
    pub(super) kind: String,
}
