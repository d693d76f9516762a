//! What programs declare about their metrics, against what queries name.
//!
//! A declaration is known before the program runs: it catches the name, the label and the value that a change of the
//! program took away, in a check that starts nothing.

mod values;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use promql_parser::parser::{Expr, LabelModifier, VectorSelector};

use super::absence::Absence;
use super::choices::{self, PLACEHOLDER};
use super::codes;
use super::expectations::Expectations;
use super::folder::BoardFile;
use super::lint::Parsed;
use super::notes::{Found, Note};
use super::rule_files::Rules;
use crate::declarations::{self, Program};
use crate::exit::Refusal;
use crate::finding::Finding;
use crate::promql;
use crate::promql::types::Types;

/// Metrics that Prometheus makes itself, about scraping and alerts.
const OF_PROMETHEUS: &[&str] = &["up", "ALERTS", "ALERTS_FOR_STATE"];
const OF_SCRAPING: &str = "scrape_";
/// Series of a histogram or summary beside the family's own name.
const PARTS: &[&str] = &["_bucket", "_sum", "_count"];

/// A declared metric.
#[derive(Clone, Debug)]
struct Metric {
    file: String,
    program: String,
    kind: String,
    unit: Option<String>,
    /// Labels with their closed sets of values; `None` where the set is open.
    labels: BTreeMap<String, Option<BTreeSet<String>>>,
    /// Upper bounds of its buckets, where they are told.
    buckets: Option<Vec<f64>>,
}

/// What programs declare.
#[derive(Clone, Debug, Default)]
pub struct Declared {
    metrics: BTreeMap<String, Metric>,
}

impl Declared {
    /// Reads declarations. A metric that several programs declare has the labels and values of all.
    pub fn read(files: &[impl AsRef<Path>]) -> Result<Self, Refusal> {
        let mut declared = Self::default();
        for file in files {
            let name = file.as_ref().display().to_string();
            let program = Program::read(file.as_ref())?;
            for metric in program.metrics {
                declared.add(&name, &program.name, metric);
            }
        }
        Ok(declared)
    }

    fn add(&mut self, file: &str, program: &str, raw: declarations::Metric) {
        let metric = self.metrics.entry(raw.name).or_insert_with(|| Metric {
            file: file.to_owned(),
            program: program.to_owned(),
            kind: raw.kind,
            unit: raw.unit,
            labels: BTreeMap::new(),
            buckets: raw.buckets,
        });
        for label in raw.labels {
            let values: Option<BTreeSet<String>> =
                label.values.map(|values| values.into_iter().collect());
            match metric.labels.get_mut(&label.name) {
                None => {
                    metric.labels.insert(label.name, values);
                }
                Some(known) => match (known.as_mut(), values) {
                    (Some(known), Some(values)) => known.extend(values),
                    _ => *known = None,
                },
            }
        }
    }

    /// Whether nothing is declared, so that nothing can be compared.
    pub fn is_empty(&self) -> bool {
        self.metrics.is_empty()
    }

    /// Tells what is declared of kinds and units. What is declared without a unit is a number of things.
    pub fn tell(&self, types: &mut Types) {
        for (name, metric) in &self.metrics {
            types.declare(
                name,
                &metric.kind,
                metric.unit.as_deref().unwrap_or("things"),
            );
        }
    }

    /// Whether what is absent can appear: a program declares it, a rule records it, or Prometheus makes it of itself. What
    /// nobody declares is a wrong name.
    pub fn can_appear(&self, absence: &Absence, rules: &Rules) -> bool {
        let of_others = |name: &str| rules.recorded.contains(name) || OF_PROMETHEUS.contains(&name);
        match absence {
            Absence::Metric { name, .. } => of_others(name) || self.family(name).is_some(),
            Absence::Label { metric, label, .. } => {
                let declared = self.family(metric);
                of_others(metric)
                    || declared.is_some_and(|(_, metric)| metric.labels.contains_key(label))
            }
            Absence::Value { .. } | Absence::Combination { .. } => true,
            Absence::Refused { .. } => false,
        }
    }

    /// The declared family that a series belongs to.
    fn family<'n>(&self, series: &'n str) -> Option<(&'n str, &Metric)> {
        let own = self
            .metrics
            .get_key_value(series)
            .map(|(_, metric)| (series, metric));
        own.or_else(|| {
            PARTS.iter().find_map(|part| {
                let family = series.strip_suffix(part)?;
                let metric = self.metrics.get(family)?;
                let parted = matches!(metric.kind.as_str(), "histogram" | "summary");
                parted.then_some((family, metric))
            })
        })
    }

    /// What queries name and nobody declares, and what is declared and nobody uses.
    pub fn notes<'a>(
        &self,
        boards: &'a [BoardFile],
        queries: &[Parsed<'a>],
        rules: &Rules,
        expectations: &Expectations,
    ) -> Vec<Note<'a>> {
        if self.is_empty() {
            return Vec::new();
        }
        let mut used: BTreeSet<String> = rules.metrics.clone();
        let mut notes: Vec<Note<'a>> = Vec::new();
        for parsed in queries {
            let Ok(expr) = &parsed.expr else {
                continue;
            };
            used.extend(promql::metrics(expr));
            for (code, sentence) in self.undeclared(expr, rules, expectations) {
                notes.push(Note::of_query(parsed.query, code, sentence));
            }
        }
        for board in boards {
            for (variable, text) in choices::questions(board) {
                let Ok(expr) = promql::parse(&text) else {
                    continue;
                };
                used.extend(promql::metrics(&expr));
                for (code, sentence) in self.undeclared(&expr, rules, expectations) {
                    notes.push(Note::of_variable(board, variable, code, sentence));
                }
            }
        }
        notes.extend(self.orphans(&used));
        notes
    }

    fn orphans<'a>(&self, used: &BTreeSet<String>) -> Vec<Note<'a>> {
        let families: BTreeSet<&str> = used
            .iter()
            .filter_map(|series| self.family(series))
            .map(|(family, _)| family)
            .collect();
        self.metrics
            .iter()
            .filter(|(name, _)| !families.contains(name.as_str()))
            .map(|(name, metric)| Note {
                finding: Finding {
                    code: codes::ORPHAN_METRIC,
                    file: metric.file.clone(),
                    subject: name.clone(),
                    query: None,
                    sentence: format!(
                        "{} records the metric, and no panel and no rule uses it",
                        metric.program
                    ),
                },
                found: Found::default(),
            })
            .collect()
    }

    /// Each name in an expression that nobody declares.
    fn undeclared(
        &self,
        expr: &Expr,
        rules: &Rules,
        expectations: &Expectations,
    ) -> Vec<(&'static str, String)> {
        let mut found = Vec::new();
        let mut add = |fault| {
            if !found.contains(&fault) {
                found.push(fault);
            }
        };
        promql::walk(expr, &mut |expr, above| {
            let Some(selector) = promql::selector(expr) else {
                return;
            };
            let Some(name) = promql::metric(selector) else {
                return;
            };
            let Some((family, metric)) = self.family(name) else {
                let known = rules.recorded.contains(name)
                    || OF_PROMETHEUS.contains(&name)
                    || name.starts_with(OF_SCRAPING)
                    || name.contains(PLACEHOLDER)
                    || expectations.is_foreign(name);
                if !known {
                    let sentence = format!(
                        "no program declares {name}; a program that declares nothing is named under `foreign` in the expectations"
                    );
                    add((codes::UNDECLARED_METRIC, sentence));
                }
                return;
            };
            let of_scraping = &expectations.target_labels.0;
            for label in labels_named(selector, above) {
                let known = metric.labels.contains_key(label)
                    || of_scraping.iter().any(|known| known == label)
                    || (label == "le" && name.ends_with("_bucket"))
                    || (label == "quantile" && metric.kind == "summary");
                if !known {
                    let sentence = format!("{family} is declared without the label `{label}`");
                    add((codes::UNDECLARED_LABEL, sentence));
                }
            }
            for sentence in values::outside(selector, family, metric) {
                add((codes::UNDECLARED_VALUE, sentence));
            }
        });
        found
    }
}

/// The labels by which a selector selects, and by which aggregations directly around it group, up to where the expression
/// may have made labels itself.
fn labels_named<'e>(selector: &'e VectorSelector, above: &[&'e Expr]) -> Vec<&'e str> {
    let mut labels: Vec<&str> = promql::matchers(selector)
        .map(|matcher| matcher.name.as_str())
        .collect();
    for expr in above.iter().rev() {
        match expr {
            Expr::Binary(_) => break,
            Expr::Call(call)
                if matches!(call.func.name, "label_replace" | "label_join" | "info") =>
            {
                break;
            }
            Expr::Aggregate(aggregate) => {
                if promql::aggregation(expr) == "count_values" {
                    break;
                }
                if let Some(LabelModifier::Include(by)) = &aggregate.modifier {
                    labels.extend(by.labels.iter().map(String::as_str));
                }
            }
            _ => {}
        }
    }
    labels
}
