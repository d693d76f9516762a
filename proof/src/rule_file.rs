//! A Prometheus rule file, as far as boards and documents need it: what its expressions are for, and their text.

use serde::Deserialize;

#[derive(Deserialize)]
struct File {
    #[serde(default)]
    groups: Vec<Group>,
}

#[derive(Deserialize)]
struct Group {
    #[serde(default)]
    rules: Vec<Rule>,
}

/// One rule.
#[derive(Deserialize)]
pub(crate) struct Rule {
    /// The series that it records.
    pub(crate) record: Option<String>,
    /// The alert that it is.
    pub(crate) alert: Option<String>,
    /// The PromQL.
    pub(crate) expr: String,
}

/// The rules of every group. A file without `groups` has none.
pub(crate) fn parse(text: &str) -> Result<Vec<Rule>, String> {
    let file: File = serde_saphyr::from_str(text).map_err(|error| error.to_string())?;
    Ok(file
        .groups
        .into_iter()
        .flat_map(|group| group.rules)
        .collect())
}
