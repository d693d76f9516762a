//! How one series is to be shown: the panel's defaults with the overrides that match the series.

use std::cmp::Ordering;

use regex::Regex;
use serde_json::Value;

use super::{colour, unit};
use crate::boards::model::{FieldDefaults, Matcher, Panel, Property};

/// The settings of one series, column or value.
#[derive(Clone, Debug)]
pub(super) struct Field {
    settings: FieldDefaults,
    /// Grafana's identifier of the unit; empty if there is none.
    pub(super) unit: String,
}

/// What the board writes in place of a value.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Mapped {
    /// The text, if the mapping has one.
    pub(super) text: Option<String>,
    /// The colour as CSS, if the mapping has one.
    pub(super) colour: Option<String>,
}

/// How thresholds are drawn over time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ThresholdStyle {
    /// A line at each bound.
    pub(super) lines: bool,
    /// The range from each bound to the next is tinted.
    pub(super) areas: bool,
}

impl Field {
    /// The settings for what is called `name` and comes from the query `ref_id`.
    pub(super) fn of(panel: &Panel, name: &str, ref_id: &str) -> Self {
        let mut settings = panel.field_config.defaults.clone();
        let fits = panel
            .field_config
            .overrides
            .iter()
            .filter(|rule| matches(&rule.matcher, name, ref_id));
        for property in fits.flat_map(|rule| &rule.properties) {
            set(&mut settings, property);
        }
        let unit = settings
            .unit
            .clone()
            .unwrap_or_else(|| panel.unit().to_owned());
        Self { settings, unit }
    }

    /// A setting of the kind of panel, such as `fillOpacity`; null if the board does not have it.
    pub(super) fn custom(&self, name: &str) -> &Value {
        &self.settings.custom[name]
    }

    /// A number of the kind of panel's settings.
    pub(super) fn custom_number(&self, name: &str) -> Option<f64> {
        self.custom(name).as_f64()
    }

    /// A word of the kind of panel's settings, empty if there is none.
    pub(super) fn custom_text(&self, name: &str) -> &str {
        self.custom(name).as_str().unwrap_or_default()
    }

    /// Whether the series is kept out of the drawing or out of the legend (`viz`, `legend`, `tooltip`).
    pub(super) fn is_hidden_from(&self, place: &str) -> bool {
        self.custom("hideFrom")[place] == true
    }

    /// The lower end that the board sets.
    pub(super) fn min(&self) -> Option<f64> {
        self.settings.min.filter(|bound| bound.is_finite())
    }

    /// The upper end that the board sets.
    pub(super) fn max(&self) -> Option<f64> {
        self.settings.max.filter(|bound| bound.is_finite())
    }

    /// Decimal places that the board sets.
    pub(super) fn decimals(&self) -> Option<usize> {
        self.settings
            .decimals
            .map(|places| places.clamp(0.0, 12.0) as usize)
    }

    /// The name that the board gives to the series. May be a template.
    pub(super) fn display_name(&self) -> Option<&str> {
        self.settings
            .display_name
            .as_deref()
            .filter(|name| !name.is_empty())
    }

    /// The text that stands where there is no value.
    pub(super) fn no_value(&self) -> Option<&str> {
        self.settings
            .no_value
            .as_deref()
            .filter(|text| !text.is_empty())
    }

    /// A value as the board writes it: mapped, or a number with its unit.
    pub(super) fn text(&self, value: f64) -> String {
        self.mapped(value)
            .and_then(|mapped| mapped.text)
            .unwrap_or_else(|| self.number(value))
    }

    /// A value as a number with its unit.
    pub(super) fn number(&self, value: f64) -> String {
        unit::text(value, &self.unit, self.decimals())
    }

    /// The colour of a value: its mapping's, or its threshold's, or the fixed one of the board.
    pub(super) fn colour(&self, value: f64) -> Option<String> {
        let mapped = self.mapped(value).and_then(|mapped| mapped.colour);
        mapped.or_else(|| match self.colour_mode() {
            "fixed" => self.fixed_colour(),
            "" | "thresholds" => self.threshold_colour(value),
            _ => None,
        })
    }

    /// The colour of a line or bar over time; `value` is its last one.
    pub(super) fn line_colour(&self, value: Option<f64>) -> Option<String> {
        match self.colour_mode() {
            "fixed" | "shades" => self.fixed_colour(),
            "thresholds" => value.and_then(|value| self.threshold_colour(value)),
            _ => None,
        }
    }

    fn colour_mode(&self) -> &str {
        self.settings.color["mode"].as_str().unwrap_or_default()
    }

    fn fixed_colour(&self) -> Option<String> {
        self.settings.color["fixedColor"]
            .as_str()
            .and_then(colour::css)
    }

    fn threshold_colour(&self, value: f64) -> Option<String> {
        self.thresholds()
            .into_iter()
            .rev()
            .find(|(from, _)| value >= *from)
            .and_then(|(_, colour)| colour)
    }

    /// The bounds in the series' own unit, from the lowest on, with their colours. The first has no lower bound.
    pub(super) fn thresholds(&self) -> Vec<(f64, Option<String>)> {
        let (low, high) = (self.min().unwrap_or(0.0), self.max().unwrap_or(100.0));
        let is_share = self.settings.thresholds.mode == "percentage";
        let place = |value: f64| {
            if is_share {
                low + value / 100.0 * (high - low)
            } else {
                value
            }
        };
        let mut steps: Vec<(f64, Option<String>)> = self
            .settings
            .thresholds
            .steps
            .iter()
            .map(|step| {
                let from = step.value.map_or(f64::NEG_INFINITY, place);
                (from, colour::css(&step.color))
            })
            .collect();
        steps.sort_by(|one, other| one.0.total_cmp(&other.0));
        steps
    }

    /// Whether and how thresholds are drawn over time.
    pub(super) fn threshold_style(&self) -> ThresholdStyle {
        let mode = self.custom("thresholdsStyle")["mode"]
            .as_str()
            .unwrap_or_default();
        ThresholdStyle {
            lines: mode.starts_with("line") || mode.starts_with("dashed"),
            areas: mode.ends_with("area"),
        }
    }

    /// What the board writes in place of a number.
    pub(super) fn mapped(&self, value: f64) -> Option<Mapped> {
        self.find_mapping(|mapping| match mapping["type"].as_str()? {
            "value" => mapping["options"]
                .as_object()?
                .iter()
                .find(|(key, _)| {
                    key.parse::<f64>()
                        .is_ok_and(|key| key.partial_cmp(&value) == Some(Ordering::Equal))
                })
                .map(|(_, result)| result),
            "range" => {
                let options = &mapping["options"];
                let from = options["from"].as_f64().unwrap_or(f64::NEG_INFINITY);
                let to = options["to"].as_f64().unwrap_or(f64::INFINITY);
                (from..=to).contains(&value).then_some(&options["result"])
            }
            "special" => {
                let is_meant = matches!(mapping["options"]["match"].as_str()?, "nan" | "null+nan")
                    && value.is_nan();
                is_meant.then_some(&mapping["options"]["result"])
            }
            _ => None,
        })
    }

    /// What the board writes in place of a text, such as a label's value.
    pub(super) fn mapped_text(&self, text: &str) -> Option<Mapped> {
        self.find_mapping(|mapping| {
            let options = mapping["options"].as_object()?;
            (mapping["type"] == "value").then(|| options.get(text))?
        })
    }

    fn find_mapping<'a>(
        &'a self,
        result: impl Fn(&'a Value) -> Option<&'a Value>,
    ) -> Option<Mapped> {
        self.settings
            .mappings
            .iter()
            .find_map(result)
            .map(|result| Mapped {
                text: result["text"].as_str().map(str::to_owned),
                colour: result["color"].as_str().and_then(colour::css),
            })
    }
}

/// Whether an override is for what is called `name` and comes from the query `ref_id`.
fn matches(matcher: &Matcher, name: &str, ref_id: &str) -> bool {
    match matcher.id.as_str() {
        "byName" => matcher.options == name,
        "byFrameRefID" => matcher.options == ref_id,
        "byNames" => matcher.options["names"]
            .as_array()
            .is_some_and(|names| names.iter().any(|one| one == name)),
        "byRegexp" => matcher
            .options
            .as_str()
            .and_then(pattern)
            .is_some_and(|pattern| pattern.is_match(name)),
        "byType" => matcher.options == "number",
        _ => false,
    }
}

/// A regular expression as Grafana writes it, `/.../` or bare. `None` for one that only JavaScript knows.
pub(super) fn pattern(text: &str) -> Option<Regex> {
    let inner = text
        .strip_prefix('/')
        .and_then(|rest| rest.rsplit_once('/'))
        .map_or(text, |(inner, _)| inner);
    Regex::new(inner).ok()
}

/// Sets one property. What has the wrong type leaves the default.
fn set(settings: &mut FieldDefaults, property: &Property) {
    let value = &property.value;
    let text = || value.as_str().map(str::to_owned);
    match property.id.as_str() {
        "unit" => settings.unit = text(),
        "decimals" => settings.decimals = value.as_f64(),
        "min" => settings.min = value.as_f64(),
        "max" => settings.max = value.as_f64(),
        "noValue" => settings.no_value = text(),
        "displayName" => settings.display_name = text(),
        "color" => settings.color = value.clone(),
        "mappings" => settings.mappings = value.as_array().cloned().unwrap_or_default(),
        "thresholds" => {
            settings.thresholds = serde_json::from_value(value.clone()).unwrap_or_default();
        }
        other => {
            if let Some(name) = other.strip_prefix("custom.") {
                if !settings.custom.is_object() {
                    settings.custom = Value::Object(serde_json::Map::new());
                }
                settings.custom[name] = value.clone();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn panel(field_config: Value) -> Panel {
        let mut panel = json!({"type": "timeseries"});
        panel["fieldConfig"] = field_config;
        serde_json::from_value(panel).unwrap()
    }

    #[test]
    fn overrides_by_name_pattern_and_query_change_only_what_they_match() {
        let panel = panel(json!({
            "defaults": {"unit": "reqps", "custom": {"fillOpacity": 10}},
            "overrides": [
                {"matcher": {"id": "byName", "options": "errors"}, "properties": [{"id": "color", "value": {"mode": "fixed", "fixedColor": "red"}}]},
                {"matcher": {"id": "byRegexp", "options": "/^p\\d+$/"}, "properties": [{"id": "unit", "value": "s"}]},
                {"matcher": {"id": "byFrameRefID", "options": "B"}, "properties": [{"id": "custom.axisPlacement", "value": "right"}]},
            ],
        }));
        let errors = Field::of(&panel, "errors", "A");
        assert_eq!(errors.unit, "reqps");
        assert_eq!(errors.line_colour(None).as_deref(), Some("var(--red)"));
        assert_eq!(Field::of(&panel, "p95", "A").unit, "s");
        let second = Field::of(&panel, "other", "B");
        assert_eq!(second.custom_text("axisPlacement"), "right");
        assert_eq!(second.custom_number("fillOpacity"), Some(10.0));
    }

    #[test]
    fn a_value_has_the_colour_of_the_highest_threshold_that_it_reaches() {
        let panel = panel(
            json!({"defaults": {"color": {"mode": "thresholds"}, "thresholds": {"mode": "absolute", "steps": [
                {"color": "green", "value": null}, {"color": "yellow", "value": 0.5}, {"color": "red", "value": 0.9},
            ]}}}),
        );
        let field = Field::of(&panel, "x", "A");
        let cases = [
            (0.1, "var(--green)"),
            (0.5, "var(--yellow)"),
            (2.0, "var(--red)"),
        ];
        for (value, colour) in cases {
            assert_eq!(field.colour(value).as_deref(), Some(colour), "{value}");
        }
    }

    #[test]
    fn thresholds_in_per_cent_lie_between_the_ends() {
        let panel = panel(
            json!({"defaults": {"min": 100, "max": 300, "thresholds": {"mode": "percentage", "steps": [
                {"color": "green", "value": null}, {"color": "red", "value": 50},
            ]}}}),
        );
        assert_eq!(
            Field::of(&panel, "x", "A").thresholds()[1],
            (200.0, Some("var(--red)".to_owned()))
        );
    }

    #[test]
    fn a_mapping_takes_the_place_of_the_number() {
        let panel = panel(json!({"defaults": {"mappings": [
            {"type": "value", "options": {"1": {"text": "open", "color": "red"}}},
            {"type": "range", "options": {"from": 2, "to": 5, "result": {"text": "some"}}},
            {"type": "special", "options": {"match": "nan", "result": {"text": "no traffic"}}},
        ]}}));
        let field = Field::of(&panel, "x", "A");
        let cases = [
            (1.0, "open"),
            (3.0, "some"),
            (f64::NAN, "no traffic"),
            (7.0, "7"),
        ];
        for (value, text) in cases {
            assert_eq!(field.text(value), text);
        }
        assert_eq!(field.colour(1.0).as_deref(), Some("var(--red)"));
        assert_eq!(
            field
                .mapped_text("1")
                .and_then(|mapped| mapped.text)
                .as_deref(),
            Some("open")
        );
    }
}
