//! Alertmanager's routes against the alerts: who is told of each, how often, and whether the notification names it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use promql_parser::label::Matcher;
use serde::Deserialize;
use serde_json::Value;

use super::codes;
use super::files::Rule;
use super::inhibition::may_match;
use super::matching;
use crate::finding::Finding;
use crate::promql;

/// Alertmanager's defaults.
const GROUP_INTERVAL: Duration = Duration::from_mins(5);
const REPEAT_INTERVAL: Duration = Duration::from_hours(4);
/// The longest that a dead man's switch may be silent while all is well.
const HEARTBEAT: Duration = Duration::from_mins(5);
/// Groups by every label.
const EVERY_LABEL: &str = "...";

/// What Alertmanager is told beside inhibitions.
#[derive(Debug, Deserialize)]
pub(super) struct Routes {
    /// The root.
    pub(super) route: Option<Route>,
    #[serde(default)]
    receivers: Vec<serde_json::Map<String, Value>>,
    #[serde(default)]
    time_intervals: Value,
    #[serde(default)]
    mute_time_intervals: Value,
}

/// One route with those below it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Route {
    receiver: Option<String>,
    group_by: Option<Vec<String>>,
    group_interval: Option<String>,
    repeat_interval: Option<String>,
    matchers: Vec<String>,
    #[serde(rename = "match")]
    values: BTreeMap<String, String>,
    #[serde(rename = "match_re")]
    patterns: BTreeMap<String, String>,
    #[serde(rename = "continue")]
    goes_on: bool,
    routes: Vec<Route>,
}

/// What a route takes over from those above it.
#[derive(Clone)]
struct Inherited<'r> {
    receiver: &'r str,
    group_by: &'r [String],
    group_interval: Duration,
    repeat_interval: Duration,
}

/// Checks the routes of one file.
pub(super) fn check(file: &str, routes: &Routes, rules: &[Rule], findings: &mut Vec<Finding>) {
    let Some(root) = &routes.route else { return };
    let mut check = Check {
        file,
        routes,
        findings,
        said: BTreeSet::new(),
    };
    let alerts = rules.iter().filter(|rule| rule.alert().is_some()).collect();
    let defaults = Inherited {
        receiver: "",
        group_by: &[],
        group_interval: GROUP_INTERVAL,
        repeat_interval: REPEAT_INTERVAL,
    };
    check.descend(root, "the root", alerts, &defaults);
    for times in [&routes.time_intervals, &routes.mute_time_intervals] {
        check.times(times);
    }
}

struct Check<'c> {
    file: &'c str,
    routes: &'c Routes,
    findings: &'c mut Vec<Finding>,
    /// Each fault of a receiver once.
    said: BTreeSet<(&'static str, String)>,
}

impl Check<'_> {
    fn add(&mut self, code: &'static str, subject: &str, sentence: String) {
        if self.said.insert((code, subject.to_owned())) {
            self.findings.push(Finding {
                code,
                file: self.file.to_owned(),
                subject: subject.to_owned(),
                query: None,
                sentence,
            });
        }
    }

    /// Follows the alerts that reach a route to where they end.
    fn descend(&mut self, route: &Route, name: &str, alerts: Vec<&Rule>, above: &Inherited<'_>) {
        let length = |text: &Option<String>, above| {
            let own = text.as_deref().and_then(|text| promql::duration(text).ok());
            own.unwrap_or(above)
        };
        let own = Inherited {
            receiver: route.receiver.as_deref().unwrap_or(above.receiver),
            group_by: route.group_by.as_deref().unwrap_or(above.group_by),
            group_interval: length(&route.group_interval, above.group_interval),
            repeat_interval: length(&route.repeat_interval, above.repeat_interval),
        };
        let mut left = alerts;
        for child in &route.routes {
            let written = matching::written(&child.matchers, &child.values, &child.patterns);
            let name = if written.is_empty() {
                format!("the route for all under {name}")
            } else {
                written.join(", ")
            };
            let Some(wanted) = matching::read(&written) else {
                self.add(
                    codes::MATCHERS_UNREADABLE,
                    &name,
                    "write matchers as label=\"value\"".to_owned(),
                );
                continue;
            };
            let taken: Vec<&Rule> = left
                .iter()
                .filter(|rule| may_match(rule, &wanted))
                .copied()
                .collect();
            if taken.is_empty() {
                self.add(
                    codes::ROUTE_WITHOUT_ALERT,
                    &name,
                    "no alert takes this route: it was renamed, or a route before it takes all"
                        .to_owned(),
                );
            }
            if !child.goes_on {
                left.retain(|rule| !surely_matches(rule, &wanted));
            }
            self.descend(child, &name, taken, &own);
        }
        if !left.is_empty() {
            self.end(name, &left, &own);
        }
    }

    /// Where alerts end: somebody must hear of them, by name, and of the watchdog often.
    fn end(&mut self, name: &str, alerts: &[&Rule], settings: &Inherited<'_>) {
        let receiver = settings.receiver;
        let found = self
            .routes
            .receivers
            .iter()
            .find(|known| known.get("name").is_some_and(|name| name == receiver));
        let example = alerts[0].alert().unwrap_or_default();
        match found {
            None => self.add(
                codes::RECEIVER_MISSING,
                name,
                format!("{example} goes to the receiver {receiver:?}, which is not there"),
            ),
            Some(known) => {
                let filled = |value: &Value| value.as_array().is_some_and(|all| !all.is_empty());
                let channel =
                    |(key, value): (&String, &Value)| key.ends_with("_configs") && filled(value);
                if !known.iter().any(channel) {
                    self.add(
                        codes::RECEIVER_WITHOUT_CHANNEL,
                        receiver,
                        format!("{example} goes to this receiver, which notifies nobody"),
                    );
                }
            }
        }
        let named = |label: &String| label == "alertname" || label == EVERY_LABEL;
        if !settings.group_by.iter().any(named) {
            self.add(
                codes::GROUP_WITHOUT_NAME,
                name,
                format!("group_by leaves out alertname: a notification of {example} and others does not say in its group which they are"),
            );
        }
        let beat = settings.group_interval.max(settings.repeat_interval);
        let always = |rule: &&&Rule| {
            rule.labels
                .get("severity")
                .is_some_and(|severity| severity == "none")
        };
        if let Some(watchdog) = alerts.iter().find(always)
            && beat > HEARTBEAT
        {
            self.add(
                codes::HEARTBEAT_TOO_SLOW,
                name,
                format!(
                    "{} is sent every {beat:?}; set group_interval and repeat_interval so that its silence is noticed within {HEARTBEAT:?}",
                    watchdog.alert().unwrap_or_default()
                ),
            );
        }
    }

    /// An interval ends before its end: one to 23:59 leaves out a minute.
    fn times(&mut self, value: &Value) {
        match value {
            Value::Array(all) => all.iter().for_each(|value| self.times(value)),
            Value::Object(fields) => {
                let end = fields.get("end_time").and_then(Value::as_str);
                if let Some(end) = end.filter(|end| end.ends_with(":59")) {
                    self.add(
                        codes::TIME_WITH_A_GAP,
                        "time intervals",
                        format!("the interval ends before {end} has begun, so the minute is left out; write the next full hour, at midnight 24:00"),
                    );
                }
                fields.values().for_each(|value| self.times(value));
            }
            _ => {}
        }
    }
}

/// Whether each alert of the rule has such labels: those that the rule itself sets tell.
fn surely_matches(rule: &Rule, wanted: &[Matcher]) -> bool {
    wanted.iter().all(|matcher| {
        let value = match matcher.name.as_str() {
            "alertname" => rule.alert(),
            label => rule.labels.get(label).map(String::as_str),
        };
        value.is_some_and(|value| matcher.is_match(value))
    })
}

#[cfg(test)]
mod tests {
    use super::super::testing::rule;
    use super::*;

    fn codes(yaml: &str) -> Vec<&'static str> {
        let routes: Routes = serde_saphyr::from_str(yaml).unwrap();
        let mut watchdog = rule("Watchdog", "vector(1)");
        watchdog.labels.insert("severity".into(), "none".into());
        let mut findings = Vec::new();
        let rules = [rule("Failing", "up == 0"), watchdog];
        check("alertmanager.yml", &routes, &rules, &mut findings);
        findings.into_iter().map(|finding| finding.code).collect()
    }

    const GOOD: &str = "
route:
  receiver: tickets
  group_by: [alertname]
  routes:
    - matchers: ['severity=\"none\"']
      receiver: beats
      group_interval: 1m
      repeat_interval: 30s
receivers:
  - {name: tickets, webhook_configs: [{url: 'http://x'}]}
  - {name: beats, webhook_configs: [{url: 'http://x'}]}
";

    #[test]
    fn routes_that_tell_somebody_have_no_finding() {
        assert_eq!(codes(GOOD), Vec::<&str>::new());
    }

    #[test]
    fn each_way_to_tell_nobody_has_its_code() {
        for (from, to, code) in [
            ("[alertname]", "[service]", codes::GROUP_WITHOUT_NAME),
            (
                "group_by: [alertname]",
                "group_wait: 1m",
                codes::GROUP_WITHOUT_NAME,
            ),
            (
                "'severity=\"none\"'",
                "'severity=\"never\"'",
                codes::ROUTE_WITHOUT_ALERT,
            ),
            ("receiver: beats", "receiver: gone", codes::RECEIVER_MISSING),
            (
                "{name: beats, webhook_configs: [{url: 'http://x'}]}",
                "{name: beats}",
                codes::RECEIVER_WITHOUT_CHANNEL,
            ),
            (
                "name: tickets, webhook_configs: [{url: 'http://x'}]",
                "name: tickets, webhook_configs: []",
                codes::RECEIVER_WITHOUT_CHANNEL,
            ),
            (
                "repeat_interval: 30s",
                "repeat_interval: 4h",
                codes::HEARTBEAT_TOO_SLOW,
            ),
            ("group_interval: 1m", "group_wait: 0s", ""),
            (
                "      repeat_interval: 30s\n",
                "",
                codes::HEARTBEAT_TOO_SLOW,
            ),
            (
                "receivers:",
                "time_intervals: [{name: n, time_intervals: [{times: [{start_time: '22:00', end_time: '23:59'}]}]}]\nreceivers:",
                codes::TIME_WITH_A_GAP,
            ),
        ] {
            let changed = GOOD.replacen(from, to, 1);
            assert_ne!(changed, GOOD, "{from}");
            let expected: Vec<&str> = [code].into_iter().filter(|code| !code.is_empty()).collect();
            let mut found = codes(&changed);
            // What a route inherits is wrong at each place where alerts end.
            found.dedup();
            // A route that nobody takes leaves the watchdog to the root's long intervals.
            found.retain(|found| *found == code || code != codes::ROUTE_WITHOUT_ALERT);
            assert_eq!(found, expected, "{to}");
        }
    }

    #[test]
    fn a_route_is_followed_however_its_matchers_are_written() {
        const BEATS: &str = "- matchers: ['severity=\"none\"']";
        for written in [
            "- matchers: ['severity=none']",
            "- matchers: ['{severity=\"none\"}', 'alertname!=\"Failing\"']",
            "- match: {severity: none}",
            "- match_re: {severity: 'n.*e'}",
            // What comes before takes the rest, or all by an exclusion that meets the absent label.
            "- matchers: ['severity!=\"none\"']\n    - matchers: []",
        ] {
            let changed = GOOD.replacen(BEATS, written, 1);
            assert_ne!(changed, GOOD);
            assert_eq!(codes(&changed), Vec::<&str>::new(), "{written}");
        }
    }

    #[test]
    fn a_route_without_matchers_takes_all() {
        let rest = "    - receiver: tickets\nreceivers:";
        assert_eq!(
            codes(&GOOD.replacen("receivers:", rest, 1)),
            Vec::<&str>::new()
        );
        // Before the route of the watchdog it leaves nothing for it, and sends the watchdog too seldom.
        let first = "routes:\n    - receiver: tickets\n";
        assert_eq!(
            codes(&GOOD.replacen("routes:\n", first, 1)),
            [codes::HEARTBEAT_TOO_SLOW, codes::ROUTE_WITHOUT_ALERT]
        );
    }

    #[test]
    fn matchers_that_alertmanager_refuses_are_unreadable() {
        let refused = GOOD.replacen("'severity=\"none\"'", "'severity'", 1);
        assert!(codes(&refused).contains(&codes::MATCHERS_UNREADABLE));
    }
}
