//! Units, thresholds and styles of a panel's values, and to which of them they apply.

use serde::Deserialize;
use serde_json::Value;

use super::{Link, Target, nullable};

/// Units, thresholds and styles of a panel's values.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct FieldConfig {
    /// For every series.
    #[serde(deserialize_with = "nullable")]
    pub defaults: FieldDefaults,
    /// For some.
    #[serde(deserialize_with = "nullable")]
    pub overrides: Vec<Override>,
}

/// What holds for every series that no override names.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct FieldDefaults {
    /// Grafana's identifier of the unit: `s`, `percentunit`, `bytes`, `reqps`, ...
    pub unit: Option<String>,
    /// Decimal places; by the size of the value if `None`.
    pub decimals: Option<f64>,
    /// Lower end of the axis.
    pub min: Option<f64>,
    /// Upper end of the axis.
    pub max: Option<f64>,
    /// What stands where there is no value.
    pub no_value: Option<String>,
    /// Name of the series.
    pub display_name: Option<String>,
    /// Bounds at which the colour changes.
    #[serde(deserialize_with = "nullable")]
    pub thresholds: Thresholds,
    /// Texts and colours for values.
    #[serde(deserialize_with = "nullable")]
    pub mappings: Vec<Value>,
    /// `{"mode": "thresholds"}` and the like.
    pub color: Value,
    /// Links of a value.
    #[serde(deserialize_with = "nullable")]
    pub links: Vec<Link>,
    /// Styles of the kind of panel: `drawStyle`, `fillOpacity`, `spanNulls`, `stacking`, ...
    pub custom: Value,
}

/// Bounds at which the colour changes.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Thresholds {
    /// `absolute`, or `percentage` of the way from `min` to `max`.
    #[serde(deserialize_with = "nullable")]
    pub mode: String,
    /// From the lowest on.
    #[serde(deserialize_with = "nullable")]
    pub steps: Vec<Step>,
}

/// The colour from a value on.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Step {
    /// A name of Grafana's palette or a CSS colour.
    #[serde(deserialize_with = "nullable")]
    pub color: String,
    /// From this value on; `None` for the first step, which has no lower bound.
    pub value: Option<f64>,
}

/// Properties for the series that a matcher names.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Override {
    /// Which series.
    #[serde(deserialize_with = "nullable")]
    pub matcher: Matcher,
    /// What they get.
    #[serde(deserialize_with = "nullable")]
    pub properties: Vec<Property>,
}

impl Override {
    /// The text that it sets for a property.
    pub(super) fn text(&self, property: &str) -> Option<&str> {
        self.properties
            .iter()
            .find(|set| set.id == property)
            .and_then(|set| set.value.as_str())
    }
}

/// Which series an override is for.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Matcher {
    /// `byName`, `byRegexp`, `byFrameRefID`, ...
    #[serde(deserialize_with = "nullable")]
    pub id: String,
    /// The name, the expression or the query's letter.
    pub options: Value,
}

impl Matcher {
    /// Whether it is for all that the query returns: by its letter, by a legend that is the same for all, by the column
    /// that the query becomes in a table, by a pattern that one of these meets, or because it is for all numbers.
    pub(super) fn names(&self, target: &Target) -> bool {
        let Some(name) = self.options.as_str() else {
            return false;
        };
        let column = format!("Value #{}", target.ref_id);
        match self.id.as_str() {
            "byFrameRefID" => name == target.ref_id,
            "byName" => name == target.legend_format || name == column,
            "byRegexp" => {
                let pattern = name.trim_start_matches('/').trim_end_matches('/');
                let meets = |pattern: regex::Regex| {
                    pattern.is_match(&target.legend_format) || pattern.is_match(&column)
                };
                regex::Regex::new(pattern).is_ok_and(meets)
            }
            "byType" => name == "number",
            _ => false,
        }
    }
}

/// One property that an override sets.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Property {
    /// `unit`, `custom.spanNulls`, ...
    #[serde(deserialize_with = "nullable")]
    pub id: String,
    /// Its value.
    pub value: Value,
}
