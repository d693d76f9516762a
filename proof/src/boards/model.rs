//! A Grafana dashboard as its JSON says it (schema v1), reduced to what is checked or drawn.
//!
//! Reading is lenient where Grafana is: a field may be missing or null, and an unknown field is passed over. It is strict
//! where a wrong type would make a check pass unmeasured: a query that is no text, an id that is no number.

mod field;
mod panel;
mod target;
mod variable;

use serde::{Deserialize, Deserializer};
use serde_json::Value;

pub use field::{FieldConfig, FieldDefaults, Matcher, Override, Property, Step, Thresholds};
pub use panel::{GridPos, LegacyAxis, LibraryPanel, Panel, Transformation};
pub use target::{DataSource, Target};
pub use variable::{Choice, Chosen, Variable};

/// One dashboard.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Board {
    /// The name in addresses: `/d/<uid>`.
    #[serde(deserialize_with = "nullable")]
    pub uid: String,
    /// The heading.
    #[serde(deserialize_with = "nullable")]
    pub title: String,
    /// What the board is for.
    #[serde(deserialize_with = "nullable")]
    pub description: String,
    /// By what lists of boards find it.
    #[serde(deserialize_with = "nullable")]
    pub tags: Vec<String>,
    /// The version of the schema; 0 when the file does not say it.
    #[serde(deserialize_with = "nullable")]
    pub schema_version: u32,
    /// Panels and rows, in the order of the file. A collapsed row holds its panels; an open one is followed by them.
    #[serde(deserialize_with = "nullable")]
    pub panels: Vec<Panel>,
    /// The layout before schema 16: rows that hold the panels.
    #[serde(deserialize_with = "nullable")]
    pub rows: Vec<LegacyRow>,
    /// The variables.
    #[serde(deserialize_with = "nullable")]
    pub templating: List<Variable>,
    /// Events that are drawn over the panels.
    #[serde(deserialize_with = "nullable")]
    pub annotations: List<Annotation>,
    /// Links of the board's head.
    #[serde(deserialize_with = "nullable")]
    pub links: Vec<Link>,
    /// The range of time that the board opens with.
    #[serde(deserialize_with = "nullable")]
    pub time: TimeRange,
    /// What an export for sharing asks for at import: names that stand for data sources and constants.
    #[serde(rename = "__inputs", deserialize_with = "nullable")]
    pub inputs: Vec<Input>,
    /// How often it loads its data again: an interval such as `10s`, or empty. Grafana writes `false` for never.
    pub refresh: Value,
}

impl Board {
    /// Every panel that shows something, those in rows included, in reading order.
    pub fn leaf_panels(&self) -> Vec<&Panel> {
        let old = self.rows.iter().flat_map(|row| &row.panels);
        self.panels
            .iter()
            .chain(old)
            .flat_map(Panel::leaves)
            .collect()
    }

    /// Every panel and row, for what is true of both, such as that their ids differ.
    pub fn all_panels(&self) -> Vec<&Panel> {
        let old = self.rows.iter().flat_map(|row| &row.panels);
        self.panels
            .iter()
            .chain(old)
            .flat_map(|panel| std::iter::once(panel).chain(&panel.panels))
            .collect()
    }
}

/// Grafana wraps lists: `{"list": [...]}`.
#[derive(Clone, Debug, Deserialize)]
#[serde(default)]
pub struct List<T> {
    /// The items.
    #[serde(
        deserialize_with = "nullable",
        bound(deserialize = "T: Deserialize<'de>")
    )]
    pub list: Vec<T>,
}

impl<T> Default for List<T> {
    fn default() -> Self {
        Self { list: Vec::new() }
    }
}

/// Something that is asked for at import.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Input {
    /// The name, used as `${NAME}`.
    #[serde(deserialize_with = "nullable")]
    pub name: String,
}

/// A row of the layout before schema 16.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct LegacyRow {
    /// Its panels.
    #[serde(deserialize_with = "nullable")]
    pub panels: Vec<Panel>,
}

/// A link of a board, a panel or a value.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Link {
    /// Its text.
    #[serde(deserialize_with = "nullable")]
    pub title: String,
    /// Of a board: `link`, or `dashboards` for those with the tags.
    #[serde(rename = "type", deserialize_with = "nullable")]
    pub kind: String,
    /// Where it leads; may contain variables.
    pub url: Option<String>,
    /// Of the kind `dashboards`: the tags.
    #[serde(deserialize_with = "nullable")]
    pub tags: Vec<String>,
}

/// The range of time that a board opens with.
#[derive(Clone, Debug, Deserialize)]
#[serde(default)]
pub struct TimeRange {
    /// Such as `now-1h`.
    pub from: String,
    /// Such as `now`.
    pub to: String,
}

impl Default for TimeRange {
    fn default() -> Self {
        Self {
            from: "now-6h".to_owned(),
            to: "now".to_owned(),
        }
    }
}

/// Events drawn over panels.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Annotation {
    /// Its name.
    #[serde(deserialize_with = "nullable")]
    pub name: String,
    /// Drawn unless this is `false`.
    pub enable: Option<bool>,
    /// Where the query goes.
    pub datasource: Option<DataSource>,
    /// The PromQL: each point where it is not 0 is an event.
    #[serde(deserialize_with = "nullable")]
    pub expr: String,
    /// The PromQL where Grafana keeps it since version 9.
    #[serde(deserialize_with = "nullable")]
    pub target: Target,
    /// The colour.
    #[serde(deserialize_with = "nullable")]
    pub icon_color: String,
    /// The template of its title.
    #[serde(deserialize_with = "nullable")]
    pub title_format: String,
    /// Comes with Grafana: 1.
    #[serde(rename = "builtIn")]
    pub built_in: Value,
}

impl Annotation {
    /// The PromQL, empty if it has none.
    pub fn query(&self) -> &str {
        if self.expr.is_empty() {
            &self.target.expr
        } else {
            &self.expr
        }
    }
}

/// Null is as if the field was missing.
fn nullable<'de, D, T>(from: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::deserialize(from)?.unwrap_or_default())
}
