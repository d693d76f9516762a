//! What a check found: data, apart from how it is printed.

use serde::Serialize;

/// One fault of one subject.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Stable name of the kind of fault, in kebab case, e.g. `rate-of-a-gauge`. Scripts may rely on it.
    pub code: &'static str,
    /// The file, as it was given on the command line.
    pub file: String,
    /// The place in the file, for a person: a panel with its id and title, an alert's name.
    pub subject: String,
    /// The query, where the fault is one of a query.
    pub query: Option<String>,
    /// What is wrong and what to do: one sentence.
    pub sentence: String,
}
