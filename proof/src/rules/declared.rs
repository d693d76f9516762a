//! Rules against what programs declare: names, labels, label values and bucket bounds that no program exposes.

use std::collections::BTreeMap;
use std::path::Path;

use promql_parser::label::{MatchOp, Matcher};
use promql_parser::parser::Expr;

use super::codes;
use super::files::Rule;
use super::tree::{Selection, selections};
use crate::declarations::{Metric, Program};
use crate::exit::Refusal;
use crate::finding::Finding;
use crate::promql::types::Types;
use crate::promql::walk;

/// Labels that Prometheus sets itself, or that rules set.
const FROM_OUTSIDE: [&str; 4] = ["job", "instance", "slo", "__name__"];
/// Beginnings of names of series that come from Prometheus and Alertmanager.
const FROM_SERVERS: [&str; 6] = [
    "up",
    "ALERTS",
    "scrape_",
    "prometheus_",
    "alertmanager_",
    "go_",
];

/// What programs declare, by the name of the series in Prometheus.
#[derive(Debug, Default)]
pub(super) struct Declared {
    series: BTreeMap<String, Series>,
    types: Types,
}

#[derive(Debug, Clone, Default)]
struct Series {
    /// Values by label; `None`: open.
    labels: BTreeMap<String, Option<Vec<String>>>,
    /// Bounds of the buckets, for the series that have the label `le`.
    buckets: Vec<f64>,
}

impl Declared {
    /// Reads the declarations of programs, each a JSON file with `metrics`.
    pub(super) fn read(files: &[impl AsRef<Path>]) -> Result<Self, Refusal> {
        let mut declared = Self::default();
        for file in files.iter().map(AsRef::as_ref) {
            for metric in Program::read(file)?.metrics {
                declared.add(metric);
            }
        }
        Ok(declared)
    }

    /// What the metrics are.
    pub(super) fn types(&self) -> &Types {
        &self.types
    }

    fn add(&mut self, metric: Metric) {
        self.types.declare(&metric.name, &metric.kind, "");
        let series = Series {
            labels: metric
                .labels
                .into_iter()
                .map(|label| (label.name, label.values))
                .collect(),
            buckets: Vec::new(),
        };
        if metric.kind != "histogram" {
            self.merge(metric.name, series);
            return;
        }
        let mut bucket = series.clone();
        bucket.labels.insert("le".to_owned(), None);
        bucket.buckets = metric.buckets.unwrap_or_default();
        self.merge(format!("{}_bucket", metric.name), bucket);
        self.merge(format!("{}_count", metric.name), series.clone());
        self.merge(format!("{}_sum", metric.name), series);
    }

    /// Several programs may expose one metric; together they may give it the values of all.
    fn merge(&mut self, name: String, series: Series) {
        let known = self.series.entry(name).or_default();
        known.buckets.extend(series.buckets);
        for (label, values) in series.labels {
            let merged = match (known.labels.remove(&label), values) {
                (None, values) => values,
                (Some(Some(mut before)), Some(values)) => {
                    before.extend(values);
                    Some(before)
                }
                _ => None,
            };
            known.labels.insert(label, merged);
        }
    }

    /// Whether every value that a selection asks for is one that a program declares. An outcome that is declared but did not
    /// happen yet may have no series.
    pub(super) fn expects(&self, selection: &Selection<'_>) -> bool {
        self.series.get(selection.name()).is_some_and(|series| {
            selection
                .matchers()
                .all(|matcher| series.undeclared(matcher).is_none())
        })
    }

    /// Checks each selection of a rule.
    pub(super) fn check(&self, rule: &Rule, findings: &mut Vec<Finding>) {
        let Some(expr) = &rule.expr else { return };
        for selection in selections(expr) {
            let name = selection.name();
            if is_foreign(name) {
                continue;
            }
            let Some(series) = self.series.get(name) else {
                findings.push(rule.finding(
                    codes::UNDECLARED_METRIC,
                    format!("no program declares {name}"),
                ));
                continue;
            };
            for matcher in selection.matchers() {
                if let Some((code, sentence)) = series.undeclared(matcher) {
                    findings.push(rule.finding(code, format!("{name}: {sentence}")));
                }
            }
        }
        self.kept_labels(rule, expr, findings);
    }

    /// Labels that aggregations keep, but that nothing within them has.
    fn kept_labels(&self, rule: &Rule, expr: &Expr, findings: &mut Vec<Finding>) {
        walk(expr, &mut |node, _| {
            let Expr::Aggregate(aggregate) = node else {
                return;
            };
            let Some(modifier) = aggregate
                .modifier
                .as_ref()
                .filter(|modifier| modifier.is_include())
            else {
                return;
            };
            let within = selections(&aggregate.expr);
            let known: Option<Vec<&Series>> = within
                .iter()
                .map(|selection| self.series.get(selection.name()))
                .collect();
            let Some(known) = known else { return };
            for label in &modifier.labels().labels {
                let has = |series: &&Series| series.labels.contains_key(label);
                if !FROM_OUTSIDE.contains(&label.as_str()) && !known.iter().any(has) {
                    findings.push(rule.finding(
                        codes::UNDECLARED_LABEL,
                        format!(
                            "the aggregation keeps the label {label}, which none of its metrics has"
                        ),
                    ));
                }
            }
        });
    }
}

fn is_foreign(name: &str) -> bool {
    name.contains(':') || FROM_SERVERS.iter().any(|start| name.starts_with(start))
}

impl Series {
    fn undeclared(&self, matcher: &Matcher) -> Option<(&'static str, String)> {
        let label = matcher.name.as_str();
        if FROM_OUTSIDE.contains(&label) {
            return None;
        }
        let Some(values) = self.labels.get(label) else {
            return Some((
                codes::UNDECLARED_LABEL,
                format!("no label {label} is declared"),
            ));
        };
        if label == "le" {
            let bound = matcher
                .value
                .parse::<f64>()
                .ok()
                .filter(|_| matcher.op == MatchOp::Equal)?;
            let known = bound.is_infinite() || self.buckets.contains(&bound);
            return (!known).then(|| {
                (
                    codes::UNDECLARED_BUCKET,
                    format!("no bucket ends at {}", matcher.value),
                )
            });
        }
        let values = values.as_ref()?;
        let missing = missing(matcher, values)?;
        Some((
            codes::UNDECLARED_VALUE,
            format!(
                "{label} never is {missing:?}; declared are {}",
                values.join(", ")
            ),
        ))
    }
}

/// The part of a matcher that no declared value matches.
fn missing<'m>(matcher: &'m Matcher, values: &[String]) -> Option<&'m str> {
    let any = || values.iter().any(|value| matcher.is_match(value));
    match &matcher.op {
        MatchOp::Equal if matcher.value.is_empty() => None,
        MatchOp::Equal => (!any()).then_some(&matcher.value),
        MatchOp::Re(_) => {
            // Each plain alternative must be a value; one with wildcards is asked as a whole.
            let plain = |part: &&str| part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
            let mut parts = matcher.value.split('|').filter(plain);
            parts
                .find(|part| !values.iter().any(|value| value == part))
                .or_else(|| (!any()).then_some(&matcher.value))
        }
        MatchOp::NotEqual | MatchOp::NotRe(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::rule;
    use super::*;

    const DUMP: &str = r#"{"program": "caller", "metrics": [
        {"name": "calls_total", "kind": "counter", "labels": [{"name": "outcome", "values": ["ok", "timeout", "io"]}, {"name": "peer", "values": null}]},
        {"name": "depth", "kind": "gauge", "labels": []},
        {"name": "wait_seconds", "kind": "histogram", "labels": [], "buckets": [0.25, 1.0]}
    ]}"#;

    fn codes(expr: &str) -> Vec<&'static str> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), DUMP).unwrap();
        let declared = Declared::read(&[file.path()]).unwrap();
        let mut findings = Vec::new();
        declared.check(&rule("Broken", expr), &mut findings);
        findings.into_iter().map(|finding| finding.code).collect()
    }

    #[test]
    fn what_no_program_declares_is_found() {
        for (expr, expected) in [
            ("rate(call_total[5m]) > 1", codes::UNDECLARED_METRIC),
            (
                "rate(calls_total{result=\"ok\"}[5m]) > 1",
                codes::UNDECLARED_LABEL,
            ),
            (
                "rate(calls_total{outcome=\"okay\"}[5m]) > 1",
                codes::UNDECLARED_VALUE,
            ),
            (
                "rate(calls_total{outcome=~\"io|timed_out\"}[5m]) > 1",
                codes::UNDECLARED_VALUE,
            ),
            (
                "rate(wait_seconds_bucket{le=\"0.5\"}[5m]) > 1",
                codes::UNDECLARED_BUCKET,
            ),
            (
                "sum by (outcom) (rate(calls_total[5m])) > 1",
                codes::UNDECLARED_LABEL,
            ),
        ] {
            assert_eq!(codes(expr), [expected], "{expr}");
        }
    }

    #[test]
    fn what_is_declared_or_comes_from_the_servers_is_not() {
        for expr in [
            "rate(calls_total{outcome=~\"io|timeout\",peer=\"x\",job=\"y\"}[5m]) > 1",
            "rate(calls_total{outcome!=\"ok\"}[5m]) > 1",
            "rate(calls_total{outcome=~\"t.*\"}[5m]) > 1",
            "rate(wait_seconds_bucket{le=\"1.0\"}[5m]) > 1",
            "sum by (job, outcome) (rate(calls_total[5m])) > 1",
            "up == 0",
            "slo:events:rate5m > 1",
            "depth > 1",
        ] {
            assert_eq!(codes(expr), Vec::<&str>::new(), "{expr}");
        }
    }
}
