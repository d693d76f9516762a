//! The rows: what is changed on the way to the tool, which public report it stands for, and how it must be found.
#![allow(
    clippy::semicolon_if_nothing_returned,
    reason = "what a row changes is one expression"
)]

mod lines;
mod pages;
mod traces;

use std::sync::LazyLock;

use serde_json::Value;

/// Something that is broken on purpose.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mutation {
    /// What is done, in a few words; unique.
    pub(crate) name: &'static str,
    /// The public reports that it stands for.
    pub(crate) reported: &'static str,
    /// What is changed.
    pub(crate) change: Change,
    /// The codes of findings of which one must appear.
    pub(crate) found_as: &'static [&'static str],
}

/// How an answer is changed.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Change {
    /// The page of metrics, in each format.
    Page(fn(&str) -> String),
    /// The page as OpenMetrics.
    Open(fn(&str) -> String),
    /// The page as classic text.
    Classic(fn(&str) -> String),
    /// Its media type.
    MediaType(&'static str),
    /// What Jaeger's search returns.
    Traces(fn(&mut Value)),
    /// What Elasticsearch's search returns.
    Documents(fn(&mut Value)),
    /// The mapping of the index.
    Mapping(fn(&mut Value)),
}

const fn row(
    name: &'static str,
    reported: &'static str,
    change: Change,
    found_as: &'static [&'static str],
) -> Mutation {
    Mutation {
        name,
        reported,
        change,
        found_as,
    }
}

/// All of them.
pub(crate) static TABLE: LazyLock<Vec<Mutation>> =
    LazyLock::new(|| [pages::TABLE, traces::TABLE, lines::TABLE].concat());
