//! Alertmanager's configuration with time scaled.

use std::path::Path;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::super::codes;
use super::items;
use super::length::{self, Scale};
use crate::finding::Finding;

/// What Alertmanager takes where the top route says nothing.
const DEFAULTS: [(&str, Duration); 3] = [
    ("group_wait", Duration::from_secs(30)),
    ("group_interval", Duration::from_mins(5)),
    ("repeat_interval", Duration::from_hours(4)),
];
/// When an alert that no end was given for is taken for resolved.
const RESOLVE_TIMEOUT: Duration = Duration::from_mins(5);
/// Lists of times of the day and the week, and the keys of a route that name them.
const CALENDARS: [&str; 2] = ["time_intervals", "mute_time_intervals"];
const CALENDAR_KEYS: [&str; 2] = ["active_time_intervals", "mute_time_intervals"];

/// Alertmanager's configuration in scaled time.
#[derive(Debug)]
pub(crate) struct Routes {
    config: Value,
    /// What is wrong.
    pub(crate) findings: Vec<Finding>,
}

/// Scales a configuration.
pub(crate) fn scaled(path: &Path, text: &str, scale: Scale) -> Routes {
    let mut routes = Routes {
        config: Value::Null,
        findings: Vec::new(),
    };
    match serde_saphyr::from_str(text) {
        Ok(config) => routes.config = config,
        Err(error) => routes.finding(path, "the file", error.to_string()),
    }
    if !routes.config["route"].is_object() {
        routes.finding(path, "the file", "it has no `route`".to_owned());
        return routes;
    }
    let mut config = std::mem::take(&mut routes.config);
    for (key, default) in DEFAULTS {
        config["route"]
            .as_object_mut()
            .into_iter()
            .for_each(|top| set_default(top, key, default));
    }
    if !config["global"].is_object() {
        config["global"] = json!({});
    }
    if let Some(global) = config["global"].as_object_mut() {
        set_default(global, "resolve_timeout", RESOLVE_TIMEOUT);
    }
    routes.length(path, &mut config["global"], "resolve_timeout", scale);
    routes.route(path, &mut config["route"], scale);
    for key in CALENDARS {
        if config.get(key).is_some() {
            let sentence =
                format!("`{key}` names times of the day, which can't be scaled; it is left out");
            routes.finding(path, key, sentence);
        }
    }
    routes.config = config;
    routes
}

fn set_default(of: &mut Map<String, Value>, key: &str, default: Duration) {
    if of.get(key).is_none_or(Value::is_null) {
        of.insert(key.to_owned(), length::text(default).into());
    }
}

impl Routes {
    /// With its own receivers, for an Alertmanager that is to notify them.
    pub(crate) fn text(&self) -> String {
        format!("{:#}\n", self.config)
    }

    /// With every receiver replaced by a webhook: nobody is woken by a proof, and whatever clears is told.
    pub(crate) fn text_to(&self, webhook: &str) -> String {
        let mut config = self.config.clone();
        for receiver in items(&mut config, "receivers") {
            *receiver = json!({
                "name": receiver["name"],
                "webhook_configs": [{"url": webhook, "send_resolved": true}],
            });
        }
        if let Some(top) = config.as_object_mut() {
            top.remove("templates");
            top.insert(
                "global".to_owned(),
                json!({"resolve_timeout": self.config["global"]["resolve_timeout"]}),
            );
            for key in CALENDARS {
                top.remove(key);
            }
        }
        without_calendars(&mut config["route"]);
        format!("{config:#}\n")
    }

    fn route(&mut self, path: &Path, route: &mut Value, scale: Scale) {
        for (key, _) in DEFAULTS {
            self.length(path, route, key, scale);
        }
        for inner in items(route, "routes") {
            self.route(path, inner, scale);
        }
    }

    fn length(&mut self, path: &Path, of: &mut Value, key: &str, scale: Scale) {
        let Some(value) = of.get_mut(key).filter(|value| !value.is_null()) else {
            return;
        };
        let written = match &*value {
            Value::String(written) => written.clone(),
            other => other.to_string(),
        };
        match length::parse(&written) {
            Ok(length) => *value = Value::String(length::text(scale.length(length))),
            Err(error) => self.finding(path, key, error),
        }
    }

    fn finding(&mut self, path: &Path, subject: &str, sentence: String) {
        self.findings.push(Finding {
            code: codes::NOT_SCALABLE,
            file: path.display().to_string(),
            subject: subject.to_owned(),
            query: None,
            sentence,
        });
    }
}

fn without_calendars(route: &mut Value) {
    if let Some(keys) = route.as_object_mut() {
        for key in CALENDAR_KEYS {
            keys.remove(key);
        }
    }
    for inner in items(route, "routes") {
        without_calendars(inner);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn by_60(text: &str) -> Routes {
        scaled(
            Path::new("alertmanager.yml"),
            text,
            Scale::parse("60").unwrap(),
        )
    }

    #[test]
    fn timers_are_scaled_at_every_depth_and_defaults_are_written_out() {
        let routes = by_60(
            "route: {receiver: a, group_wait: 0s, routes: [{receiver: b, routes: [{group_interval: 1m}]}]}
receivers: [{name: a, email_configs: [{to: x}]}, {name: b}]
inhibit_rules: [{source_matchers: ['a=\"5m\"'], target_matchers: ['b=\"1\"'], equal: [c]}]
",
        );
        assert_eq!(routes.findings, []);
        let config: Value = serde_json::from_str(&routes.text()).unwrap();
        let top = &config["route"];
        assert_eq!(
            (&top["group_wait"], &top["group_interval"]),
            (&"0s".into(), &"5s".into())
        );
        assert_eq!(top["repeat_interval"], "4m");
        assert_eq!(top["routes"][0]["routes"][0]["group_interval"], "1s");
        // Left to the route above.
        assert!(top["routes"][0].get("group_wait").is_none());
        assert_eq!(config["global"]["resolve_timeout"], "5s");
        assert_eq!(config["inhibit_rules"][0]["source_matchers"][0], "a=\"5m\"");
    }

    #[test]
    fn in_a_proof_every_receiver_is_the_webhook() {
        let routes = by_60(
            "global: {slack_api_url: 'https://x'}
route: {receiver: a}
receivers: [{name: a, email_configs: [{to: x}]}, {name: b}]
templates: ['*.tmpl']
",
        );
        let config: Value = serde_json::from_str(&routes.text_to("http://w/")).unwrap();
        for receiver in config["receivers"].as_array().unwrap() {
            assert_eq!(receiver["webhook_configs"][0]["url"], "http://w/");
            assert_eq!(receiver["webhook_configs"][0]["send_resolved"], true);
            assert_eq!(receiver.as_object().unwrap().len(), 2);
        }
        assert_eq!(config["global"], json!({"resolve_timeout": "5s"}));
        assert!(config.get("templates").is_none());
    }

    #[test]
    fn times_of_the_day_are_told_and_left_out() {
        let routes = by_60(
            "route: {receiver: a, routes: [{mute_time_intervals: [night]}]}
receivers: [{name: a}]
time_intervals: [{name: night}]
",
        );
        assert_eq!(routes.findings.len(), 1);
        let config: Value = serde_json::from_str(&routes.text_to("http://w/")).unwrap();
        assert!(config.get("time_intervals").is_none());
        assert!(
            config["route"]["routes"][0]
                .get("mute_time_intervals")
                .is_none()
        );
    }

    #[test]
    fn a_configuration_without_a_route_is_a_finding() {
        assert_eq!(by_60("receivers: []").findings.len(), 1);
        assert_eq!(by_60("route: [").findings.len(), 2);
        assert_eq!(by_60("route: {group_wait: soon}").findings.len(), 1);
    }
}
