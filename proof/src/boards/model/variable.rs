//! Variables.

use serde::Deserialize;
use serde_json::Value;

use super::{DataSource, nullable};

/// One variable.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Variable {
    /// Without the `$`.
    #[serde(deserialize_with = "nullable")]
    pub name: String,
    /// `query`, `custom`, `interval`, `constant`, `textbox`, `datasource`, `adhoc`.
    #[serde(rename = "type", deserialize_with = "nullable")]
    pub kind: String,
    /// What people see in place of the name.
    pub label: Option<String>,
    /// What it is for.
    pub description: Option<String>,
    /// Where its query goes.
    pub datasource: Option<DataSource>,
    /// The query: a text, or an object that holds it in `query`.
    pub query: Value,
    /// Keeps those values that match, or what their first group catches; written `/.../` or bare.
    #[serde(deserialize_with = "nullable")]
    pub regex: String,
    /// Several values may be chosen.
    #[serde(deserialize_with = "nullable")]
    pub multi: bool,
    /// "All" may be chosen.
    #[serde(deserialize_with = "nullable")]
    pub include_all: bool,
    /// What "All" is filled in as; without it, all values.
    pub all_value: Option<String>,
    /// What is chosen when the board opens.
    #[serde(deserialize_with = "nullable")]
    pub current: Chosen,
    /// The values, as they were when the board was saved.
    #[serde(deserialize_with = "nullable")]
    pub options: Vec<Choice>,
}

impl Variable {
    /// The text of its query.
    pub fn query_text(&self) -> &str {
        match &self.query {
            Value::String(text) => text,
            other => other["query"].as_str().unwrap_or_default(),
        }
    }

    /// Whether its value may stand for several, so that it is filled in as a regular expression.
    pub fn is_multiple(&self) -> bool {
        self.multi || self.include_all
    }
}

/// What is chosen.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Chosen {
    /// A text, or a list of texts; `$__all` is "All".
    pub value: Value,
}

impl Chosen {
    /// The values as texts.
    pub fn values(&self) -> Vec<String> {
        match &self.value {
            Value::String(one) => vec![one.clone()],
            Value::Array(many) => many
                .iter()
                .filter_map(|value| value.as_str().map(str::to_owned))
                .collect(),
            _ => Vec::new(),
        }
    }
}

/// One value that can be chosen.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Choice {
    /// Its text, or a list of one.
    pub value: Value,
}
