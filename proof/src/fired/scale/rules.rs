//! Rule files with time scaled.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use promql_parser::parser::Expr;
use serde_json::Value;

use super::super::codes;
use super::length::{self, Scale, text};
use super::{expression, items, literal};
use crate::finding::Finding;
use crate::promql::{self, selector, walk};

/// Fewer samples than this in a range say little, and one that is late changes all.
const LEAST_SAMPLES: u32 = 5;
/// Between two scrapes, and between two evaluations of a group that does not say how often: the shortest that a machine
/// with other work keeps up.
pub(crate) const INTERVAL: Duration = Duration::from_secs(1);

/// An alert of the rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Alert {
    /// Its file.
    pub(crate) file: String,
    /// Its name.
    pub(crate) name: String,
    /// The labels that the rule sets; those with a template are left out.
    pub(crate) labels: BTreeMap<String, String>,
}

impl Alert {
    /// Name and labels that tell it from others of its name, for a person.
    pub(crate) fn subject(&self) -> String {
        name_and_labels(&self.name, &self.labels)
    }

    /// Whether an expectation of this name and these labels can be about it.
    pub(crate) fn may_be(&self, name: &str, labels: &BTreeMap<String, String>) -> bool {
        let contradicts = |(label, value): (&String, &String)| {
            self.labels.get(label).is_some_and(|own| own != value)
        };
        self.name == name && !labels.iter().any(contradicts)
    }
}

/// `Name{label="value"}`.
pub(crate) fn name_and_labels(name: &str, labels: &BTreeMap<String, String>) -> String {
    if labels.is_empty() {
        return name.to_owned();
    }
    let pairs: Vec<String> = labels
        .iter()
        .map(|(label, value)| format!("{label}={value:?}"))
        .collect();
    format!("{name}{{{}}}", pairs.join(", "))
}

/// Rule files in scaled time.
#[derive(Debug, Default)]
pub(crate) struct Rules {
    /// Name and text of each file. The text is JSON, which is YAML too.
    pub(crate) files: Vec<(String, String)>,
    /// Every alert, in the order of files, groups and rules.
    pub(crate) alerts: Vec<Alert>,
    /// What is wrong.
    pub(crate) findings: Vec<Finding>,
}

/// Scales rule files: path and text of each.
pub(crate) fn scaled(files: &[(&Path, String)], scale: Scale) -> Rules {
    let mut rules = Rules::default();
    let parsed: Vec<(&Path, Value)> = files
        .iter()
        .filter_map(|(path, text)| match serde_saphyr::from_str(text) {
            Ok(value) => Some((*path, value)),
            Err(error) => {
                rules.findings.push(unreadable(path, error.to_string()));
                None
            }
        })
        .collect();
    let recorded = recorded(&parsed, scale);
    for (path, mut value) in parsed {
        let mut file = File {
            path,
            scale,
            recorded: &recorded,
            rules: &mut rules,
        };
        file.groups(&mut value);
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        rules
            .files
            .push((name.into_owned(), format!("{value:#}\n")));
    }
    rules
}

fn unreadable(path: &Path, sentence: String) -> Finding {
    Finding {
        code: codes::NOT_SCALABLE,
        file: path.display().to_string(),
        subject: "the file".to_owned(),
        query: None,
        sentence,
    }
}

/// How often each recorded series has a sample.
fn recorded(files: &[(&Path, Value)], scale: Scale) -> BTreeMap<String, Duration> {
    let mut found = BTreeMap::new();
    for group in files.iter().flat_map(|(_, file)| array(file, "groups")) {
        let interval = group["interval"]
            .as_str()
            .and_then(|text| length::parse(text).ok());
        let interval = interval.map_or(INTERVAL, |interval| scale.length(interval));
        for rule in array(group, "rules") {
            if let Some(name) = rule["record"].as_str() {
                found.insert(name.to_owned(), interval);
            }
        }
    }
    found
}

fn array<'v>(value: &'v Value, key: &str) -> impl Iterator<Item = &'v Value> {
    value[key].as_array().into_iter().flatten()
}

/// One file while it is scaled.
struct File<'a> {
    path: &'a Path,
    scale: Scale,
    recorded: &'a BTreeMap<String, Duration>,
    rules: &'a mut Rules,
}

impl File<'_> {
    fn groups(&mut self, file: &mut Value) {
        for group in items(file, "groups") {
            let name = group["name"].as_str().unwrap_or_default().to_owned();
            for key in ["interval", "query_offset"] {
                self.length(group, key, &name);
            }
            for rule in items(group, "rules") {
                self.rule(rule, &name);
            }
        }
    }

    fn rule(&mut self, rule: &mut Value, group: &str) {
        let alert = rule["alert"].as_str();
        let subject = match (alert, rule["record"].as_str()) {
            (Some(name), _) => format!("{group}: alert {name}"),
            (None, name) => format!("{group}: record {}", name.unwrap_or_default()),
        };
        if let Some(name) = alert {
            let alert = Alert {
                file: self.path.display().to_string(),
                name: name.to_owned(),
                labels: fixed_labels(rule),
            };
            self.rules.alerts.push(alert);
        }
        for key in ["for", "keep_firing_for"] {
            self.length(rule, key, &subject);
        }
        let text = match &rule["expr"] {
            Value::String(text) => text.clone(),
            // `expr: 1` is a number for YAML.
            other => other.to_string(),
        };
        match self.expression(rule, &text, &subject) {
            Ok(scaled) => rule["expr"] = Value::String(scaled),
            Err(sentence) => self.finding(codes::NOT_SCALABLE, &subject, Some(&text), sentence),
        }
    }

    fn expression(&mut self, rule: &Value, text: &str, subject: &str) -> Result<String, String> {
        let expr = promql::parse(text).map_err(|error| format!("it can't be parsed: {error}"))?;
        let annotation = |name: &str| {
            let text = rule["annotations"][name].as_str().unwrap_or_default();
            literal::listed(text).map_err(|error| format!("annotation {name}: {error}"))
        };
        let (literals, stay) = (annotation(literal::SCALED)?, annotation(literal::UNSCALED)?);
        let scaled = expression::scaled(&expr, self.scale, &literals)?;
        for number in &scaled.unused {
            let sentence = format!(
                "the annotation {} lists {number}, which the expression does not hold",
                literal::SCALED
            );
            self.finding(codes::LITERAL_UNUSED, subject, Some(text), sentence);
        }
        let known: Vec<f64> = literals.into_iter().chain(stay).collect();
        for (number, why) in literal::suspects(&expr, &known) {
            let sentence = format!(
                "is {number} a length of time? {why}; list it in the annotation {} to scale it, or in {} to leave it{}",
                literal::SCALED,
                literal::UNSCALED,
                if rule["alert"].is_null() {
                    " (a recording rule has no annotations: leave the number to the alert)"
                } else {
                    ""
                }
            );
            self.finding(codes::TIME_LITERAL, subject, Some(text), sentence);
        }
        self.windows(&expr, text, subject);
        Ok(scaled.text)
    }

    /// Ranges are open on the left, so one of exactly k intervals holds k samples.
    fn windows(&mut self, expr: &Expr, text: &str, subject: &str) {
        let mut short = BTreeSet::new();
        walk(expr, &mut |node, _| {
            let Expr::MatrixSelector(matrix) = node else {
                return;
            };
            let name = selector(node).and_then(promql::metric).unwrap_or_default();
            let interval = self.recorded.get(name).copied().unwrap_or(INTERVAL);
            let range = self.scale.length(matrix.range);
            if range < interval * LEAST_SAMPLES {
                short.insert((range, interval));
            }
        });
        for (range, interval) in short {
            let sentence = format!(
                "a range of {} holds fewer than {LEAST_SAMPLES} samples, one each {}: lengthen it, or take a smaller scale",
                length::text(range),
                length::text(interval)
            );
            self.finding(codes::WINDOW_TOO_SHORT, subject, Some(text), sentence);
        }
    }

    fn length(&mut self, of: &mut Value, key: &str, subject: &str) {
        let Some(value) = of.get_mut(key).filter(|value| !value.is_null()) else {
            return;
        };
        let written = match &*value {
            Value::String(written) => written.clone(),
            other => other.to_string(),
        };
        match length::parse(&written) {
            Ok(length) => *value = Value::String(text(self.scale.length(length))),
            Err(error) => self.finding(
                codes::NOT_SCALABLE,
                subject,
                None,
                format!("{key}: {error}"),
            ),
        }
    }

    fn finding(
        &mut self,
        code: &'static str,
        subject: &str,
        query: Option<&str>,
        sentence: String,
    ) {
        self.rules.findings.push(Finding {
            code,
            file: self.path.display().to_string(),
            subject: subject.to_owned(),
            query: query.map(str::to_owned),
            sentence,
        });
    }
}

fn fixed_labels(rule: &Value) -> BTreeMap<String, String> {
    let labels = rule["labels"].as_object().into_iter().flatten();
    labels
        .filter_map(|(label, value)| {
            let value = match value {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            (!value.contains("{{")).then(|| (label.clone(), value))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn by_60(text: &str) -> Rules {
        scaled(
            &[(Path::new("rules/a.yml"), text.to_owned())],
            Scale::parse("60").unwrap(),
        )
    }

    fn codes(text: &str) -> Vec<&'static str> {
        by_60(text)
            .findings
            .iter()
            .map(|finding| finding.code)
            .collect()
    }

    #[test]
    fn lengths_of_groups_and_rules_are_scaled_and_texts_stay() {
        let rules = by_60(
            "groups:
  - name: g
    interval: 15s
    limit: 5
    rules:
      - record: job:x:rate5m
        expr: rate(x_total[5m])
      - alert: A
        expr: avg_over_time(job:x:rate5m[5m]) > 1
        for: 2m
        keep_firing_for: 1h
        labels: {severity: page, who: '{{ $labels.a }}'}
        annotations: {summary: 'over 5m: {{ $value }}'}
",
        );
        assert_eq!(rules.findings, []);
        let value: Value = serde_json::from_str(&rules.files[0].1).unwrap();
        let group = &value["groups"][0];
        assert_eq!(group["interval"], "250ms");
        assert_eq!(group["limit"], 5);
        assert_eq!(group["rules"][0]["record"], "job:x:rate5m");
        assert_eq!(group["rules"][0]["expr"], "rate(x_total[5s])");
        let alert = &group["rules"][1];
        assert_eq!(
            (&alert["for"], &alert["keep_firing_for"]),
            (&"2s".into(), &"1m".into())
        );
        assert_eq!(alert["annotations"]["summary"], "over 5m: {{ $value }}");
        assert_eq!(rules.alerts[0].subject(), "A{severity=\"page\"}");
    }

    #[test]
    fn a_number_that_may_be_a_time_needs_an_annotation_that_says_so() {
        let rule = |annotations: &str| {
            format!(
                "groups: [{{name: g, rules: [{{alert: A, expr: age_seconds > 300, annotations: {annotations}}}]}}]"
            )
        };
        assert_eq!(codes(&rule("{}")), [codes::TIME_LITERAL]);
        assert_eq!(codes(&rule("{time_literals: '300'}")), Vec::<&str>::new());
        assert_eq!(
            codes(&rule("{unscaled_literals: '300'}")),
            Vec::<&str>::new()
        );
        assert_eq!(
            codes(&rule("{time_literals: '300, 5'}")),
            [codes::LITERAL_UNUSED]
        );
        assert_eq!(codes(&rule("{time_literals: '5m'}")), [codes::NOT_SCALABLE]);
    }

    #[test]
    fn a_range_with_too_few_scrapes_is_found_and_a_recorded_one_by_its_own_interval() {
        let group = |interval: &str, rules: &str| {
            format!("groups: [{{name: g, interval: {interval}, rules: [{rules}]}}]")
        };
        let alert = |range: &str| format!("{{alert: A, expr: 'max_over_time(x[{range}]) > 0'}}");
        assert_eq!(codes(&group("15s", &alert("5m"))), Vec::<&str>::new());
        assert_eq!(
            codes(&group("15s", &alert("4m"))),
            [codes::WINDOW_TOO_SHORT]
        );
        let record = "{record: x, expr: y}";
        let both = |range: &str| format!("{record}, {}", alert(range));
        assert_eq!(codes(&group("15s", &both("2m"))), Vec::<&str>::new());
        assert_eq!(codes(&group("2m", &both("5m"))), [codes::WINDOW_TOO_SHORT]);
    }

    #[test]
    fn what_can_not_be_read_is_a_finding_with_its_place() {
        for text in [
            "groups: [",
            "groups: [{name: g, rules: [{alert: A, expr: 'x >'}]}]",
            "groups: [{name: g, rules: [{alert: A, expr: x, for: soon}]}]",
            "groups: [{name: g, interval: 5, rules: []}]",
        ] {
            assert_eq!(codes(text), [codes::NOT_SCALABLE], "{text}");
        }
    }
}
