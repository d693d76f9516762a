//! A Grafana dashboard as its JSON says it (schema v1), reduced to what is checked or drawn.
//!
//! Reading is lenient where Grafana is: a field may be missing or null, and an unknown field is passed over. It is strict
//! where a wrong type would make a check pass unmeasured: a query that is no text, an id that is no number.

use serde::{Deserialize, Deserializer};
use serde_json::Value;

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
    fn leaves(&self) -> Vec<&Panel> {
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

    /// Whether lines are drawn over gaps of any length.
    pub fn connects_nulls(&self) -> bool {
        let legacy = self.null_point_mode.as_deref() == Some("connected");
        let always = |value: &Value| value == &Value::Bool(true);
        legacy
            || always(&self.field_config.defaults.custom["spanNulls"])
            || self.overrides("custom.spanNulls").any(always)
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
    fn text(&self, property: &str) -> Option<&str> {
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
    /// Whether it is for all that the query returns: by its letter, by a legend that is the same for all, or by the column
    /// that the query becomes in a table.
    fn names(&self, target: &Target) -> bool {
        let Some(name) = self.options.as_str() else {
            return false;
        };
        match self.id.as_str() {
            "byFrameRefID" => name == target.ref_id,
            "byName" => {
                name == target.legend_format || name.strip_prefix("Value #") == Some(&target.ref_id)
            }
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
