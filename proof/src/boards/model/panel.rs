//! Panels and rows.

use serde::Deserialize;
use serde_json::Value;

use super::{DataSource, FieldConfig, Link, Target, nullable};

/// How far Prometheus looks back for a sample, in milliseconds: a longer gap is one.
const LOOK_BACK_MS: f64 = 300_000.0;

/// One panel, or a row.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Panel {
    /// Unique in its board.
    pub id: Option<i64>,
    /// `timeseries`, `stat`, `table`, `row`, ...
    #[serde(rename = "type", deserialize_with = "nullable")]
    pub kind: String,
    /// The heading; may contain variables.
    #[serde(deserialize_with = "nullable")]
    pub title: String,
    /// What the panel shows and what to make of it.
    #[serde(deserialize_with = "nullable")]
    pub description: String,
    /// Where its queries go, unless a target says otherwise.
    pub datasource: Option<DataSource>,
    /// Place and size on the grid of 24 columns.
    #[serde(deserialize_with = "nullable")]
    pub grid_pos: GridPos,
    /// Its queries.
    #[serde(deserialize_with = "nullable")]
    pub targets: Vec<Target>,
    /// Units, thresholds and styles.
    #[serde(deserialize_with = "nullable")]
    pub field_config: FieldConfig,
    /// What belongs to the kind of panel.
    pub options: Value,
    /// Links of its head.
    #[serde(deserialize_with = "nullable")]
    pub links: Vec<Link>,
    /// What happens to the data before it is drawn.
    #[serde(deserialize_with = "nullable")]
    pub transformations: Vec<Transformation>,
    /// Points on the time axis at most.
    pub max_data_points: Option<f64>,
    /// The least step: an interval such as `30s`, also with `>` before it.
    pub interval: Option<String>,
    /// A range of its own in place of the board's.
    pub time_from: Option<String>,
    /// The variable for each value of which the panel is drawn once.
    pub repeat: Option<String>,
    /// Of a row: its panels are in `panels`.
    #[serde(deserialize_with = "nullable")]
    pub collapsed: bool,
    /// Of a collapsed row: its panels.
    #[serde(deserialize_with = "nullable")]
    pub panels: Vec<Panel>,
    /// The panel is kept in Grafana's library; the file has only its name.
    pub library_panel: Option<LibraryPanel>,
    /// Axes of the kind `graph`, the time series of before Grafana 8. The first is the left one.
    #[serde(deserialize_with = "nullable")]
    pub yaxes: Vec<LegacyAxis>,
    /// Unit of the kind `singlestat`, the stat of before Grafana 8.
    pub format: Option<String>,
    /// Of the kind `graph`: `connected` draws a line over gaps.
    pub null_point_mode: Option<String>,
    /// Of the kind `graph`: the stack is drawn in per cent.
    #[serde(deserialize_with = "nullable")]
    pub percentage: bool,
}

impl Panel {
    /// The panel itself, or the panels of a row.
    pub(super) fn leaves(&self) -> Vec<&Panel> {
        if self.kind == "row" {
            self.panels.iter().collect()
        } else {
            vec![self]
        }
    }

    /// The unit of its values: the identifier by which Grafana knows it, empty if there is none. Of a heatmap it is that of
    /// the axis, along which the observed values are.
    pub fn unit(&self) -> &str {
        if self.kind == "heatmap"
            && let Some(unit) = self.options["yAxis"]["unit"].as_str()
        {
            return unit;
        }
        let defaults = self.field_config.defaults.unit.as_deref();
        let legacy = || self.yaxes.first().and_then(|axis| axis.format.as_deref());
        defaults
            .or_else(legacy)
            .or(self.format.as_deref())
            .unwrap_or_default()
    }

    /// The unit of one query's values: the last override that is for the query or for its one name, else the panel's unit.
    pub fn unit_of(&self, target: &Target) -> &str {
        self.field_config
            .overrides
            .iter()
            .rev()
            .filter(|rule| rule.matcher.names(target))
            .find_map(|rule| rule.text("unit"))
            .unwrap_or_else(|| self.unit())
    }

    /// Whether any of its values has a unit.
    pub fn has_unit(&self) -> bool {
        !self.unit().is_empty() || self.overrides("unit").any(|unit| unit != "")
    }

    /// Whether lines are drawn over gaps longer than Prometheus itself looks back.
    pub fn connects_nulls(&self) -> bool {
        let legacy = self.null_point_mode.as_deref() == Some("connected");
        let connects = |value: &Value| {
            value == &Value::Bool(true) || value.as_f64().is_some_and(|ms| ms > LOOK_BACK_MS)
        };
        legacy
            || connects(&self.field_config.defaults.custom["spanNulls"])
            || self.overrides("custom.spanNulls").any(connects)
    }

    /// What its settings put in the place of no data: texts, and numbers as texts.
    pub fn missing_texts(&self) -> Vec<&str> {
        let defaults = &self.field_config.defaults;
        let mapped = |mapping: &'_ Value| {
            let of = mapping["options"]["match"].as_str();
            let missing = of.is_some_and(|of| ["null", "null+nan", "empty"].contains(&of));
            missing && mapping["type"] == "special"
        };
        let overridden = self.overrides("mappings").filter_map(Value::as_array);
        let mappings = defaults
            .mappings
            .iter()
            .chain(overridden.flatten())
            .filter(|mapping| mapped(mapping))
            .filter_map(|mapping| mapping["options"]["result"]["text"].as_str());
        let zero = (self.null_point_mode.as_deref() == Some("null as zero")).then_some("0");
        let texts = self.overrides("noValue").filter_map(Value::as_str);
        defaults
            .no_value
            .as_deref()
            .into_iter()
            .chain(texts)
            .chain(mappings)
            .chain(zero)
            .collect()
    }

    /// Whether its series are stacked to 100 %.
    pub fn stacks_to_percent(&self) -> bool {
        let percent = |value: &Value| value["mode"] == "percent";
        let bars = self.options["stacking"] == "percent";
        self.percentage
            || bars
            || percent(&self.field_config.defaults.custom["stacking"])
            || self.overrides("custom.stacking").any(percent)
    }

    /// Every value that overrides give to the property.
    fn overrides<'a>(&'a self, property: &'a str) -> impl Iterator<Item = &'a Value> {
        self.field_config
            .overrides
            .iter()
            .flat_map(|rule| &rule.properties)
            .filter(move |set| set.id == property)
            .map(|set| &set.value)
    }

    /// The legend: its mode (`list`, `table`, `hidden`), place and figures. Null for panels that have none.
    pub fn legend(&self) -> &Value {
        &self.options["legend"]
    }

    /// How the panel is named to people: by its title, else by its id.
    pub fn name(&self) -> String {
        match (self.title.trim(), self.id) {
            ("", Some(id)) => format!("panel {id}"),
            ("", None) => "panel without id and title".to_owned(),
            (title, _) => title.to_owned(),
        }
    }
}

/// Place and size in units of the grid: 24 columns wide, a row is 30 pixels high.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct GridPos {
    /// Width in columns.
    pub w: u32,
    /// Height in rows.
    pub h: u32,
    /// First column.
    pub x: u32,
    /// First row.
    pub y: u32,
}

/// One step between query and picture.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Transformation {
    /// `organize`, `merge`, `calculateField`, ...
    #[serde(deserialize_with = "nullable")]
    pub id: String,
    /// Switched off.
    #[serde(deserialize_with = "nullable")]
    pub disabled: bool,
    /// What belongs to the kind.
    pub options: Value,
}

/// A panel of Grafana's library.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct LibraryPanel {
    /// Its name.
    #[serde(deserialize_with = "nullable")]
    pub name: String,
}

/// An axis of the kind `graph`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct LegacyAxis {
    /// The unit.
    pub format: Option<String>,
}
