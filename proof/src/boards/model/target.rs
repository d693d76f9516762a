//! Queries of panels, and where they go.

use serde::{Deserialize, Deserializer};

use super::nullable;

/// Where a query goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataSource {
    /// The plugin: `prometheus`, `jaeger`, `grafana`, ... `None` where the file says only a name or a variable.
    pub kind: Option<String>,
    /// Its uid, its name (before Grafana 8.3), or a variable such as `${datasource}`. Empty: the default data source.
    pub uid: String,
}

impl DataSource {
    /// Whether the reader of the board chooses it, by a variable.
    pub fn is_variable(&self) -> bool {
        self.uid.starts_with('$') || self.uid.starts_with("[[")
    }

    /// The data sources that Grafana itself has: `-- Grafana --`, `-- Mixed --`, `-- Dashboard --`, and expressions.
    pub fn is_built_in(&self) -> bool {
        (self.uid.starts_with("-- ") && self.uid.ends_with(" --"))
            || matches!(self.uid.as_str(), "grafana" | "__expr__")
            || matches!(
                self.kind.as_deref(),
                Some("grafana" | "datasource" | "__expr__")
            )
    }
}

impl<'de> Deserialize<'de> for DataSource {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        /// Grafana up to 8.2 wrote the name alone.
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Form {
            Name(String),
            Reference {
                #[serde(rename = "type", default)]
                kind: Option<String>,
                #[serde(default)]
                uid: Option<String>,
            },
        }
        Ok(match Form::deserialize(from)? {
            Form::Name(uid) => Self { kind: None, uid },
            Form::Reference { kind, uid } => Self {
                kind,
                uid: uid.unwrap_or_default(),
            },
        })
    }
}

/// One query of a panel.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Target {
    /// `A`, `B`, ...: unique in its panel.
    #[serde(deserialize_with = "nullable")]
    pub ref_id: String,
    /// The PromQL; empty for other data sources.
    #[serde(deserialize_with = "nullable")]
    pub expr: String,
    /// The template of the legend, such as `{{http_route}}`.
    #[serde(deserialize_with = "nullable")]
    pub legend_format: String,
    /// One point at the end of the range.
    #[serde(deserialize_with = "nullable")]
    pub instant: bool,
    /// A course over the range. Where a target is neither, Grafana takes it for a range query.
    pub range: Option<bool>,
    /// Exemplars are drawn too.
    #[serde(deserialize_with = "nullable")]
    pub exemplar: bool,
    /// `time_series`, `table` or `heatmap`.
    #[serde(deserialize_with = "nullable")]
    pub format: String,
    /// The least step of this query.
    pub interval: Option<String>,
    /// The query isn't run.
    #[serde(deserialize_with = "nullable")]
    pub hide: bool,
    /// Where it goes, if not where the panel's queries go.
    pub datasource: Option<DataSource>,
    /// Of an expression of Grafana's own: `math`, `reduce`, `threshold`, ...
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// Of an expression: the formula over other targets (`$A / $B`), or the target it takes.
    pub expression: Option<String>,
}

impl Target {
    /// Whether it is asked for one point at the end of the range, and for nothing else.
    pub fn is_instant(&self) -> bool {
        self.instant && self.range != Some(true)
    }
}
