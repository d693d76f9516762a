//! Labels that a query or its legend names and that no series has: `sum by` then folds all into one, and a legend stays
//! empty.

use std::collections::BTreeSet;

use promql_parser::parser::{BinaryExpr, Call, Expr, LabelModifier, VectorMatchCardinality};
use regex::Regex;

use super::{Judge, Note, codes, or_wrong};
use crate::exit::Refusal;
use crate::prometheus::Series;
use crate::promql;

impl<'a> Judge<'_, 'a> {
    pub(super) async fn labels(
        &self,
        expr: &Expr,
        result: &[Series],
    ) -> Result<Vec<Note<'a>>, Refusal> {
        let mut notes = Vec::new();
        for (label, operation, of) in named(expr) {
            if !self.exists(label, of).await? {
                let sentence =
                    format!("{operation} names the label `{label}`, which no series in `{of}` has");
                notes.push(self.note(codes::UNKNOWN_LABEL, sentence));
            }
        }
        notes.extend(self.legend(result));
        Ok(notes)
    }

    /// Whether a series that the expression selects has the label, or the expression makes it.
    async fn exists(&self, label: &str, of: &Expr) -> Result<bool, Refusal> {
        if makes(of, label) {
            return Ok(true);
        }
        for selector in promql::selectors(of) {
            let text = promql::text_of_selector(selector);
            let found = or_wrong(self.server.series(&text).await)?;
            if found.is_ok_and(|series| series.iter().any(|labels| labels.contains_key(label))) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// A legend that names a label which no series of the result has.
    fn legend(&self, result: &[Series]) -> Option<Note<'a>> {
        let label = placeholders(self.query.legend())
            .into_iter()
            .find(|label| {
                result
                    .iter()
                    .all(|series| !series.labels.contains_key(label))
            })?;
        if result.is_empty() {
            return None;
        }
        let sentence =
            format!("the legend names the label `{label}`, which the result does not have");
        Some(self.note(codes::LEGEND_WITHOUT_LABEL, sentence))
    }
}

/// `{{label}}`.
fn placeholders(legend: &str) -> Vec<String> {
    Regex::new(r"\{\{\s*([a-zA-Z_][a-zA-Z0-9_]*)\s*\}\}")
        .map(|pattern| {
            pattern
                .captures_iter(legend)
                .map(|found| found[1].to_owned())
                .collect()
        })
        .unwrap_or_default()
}

/// Every label by which an operation groups or matches, with the operation and what it is applied to.
fn named(expr: &Expr) -> Vec<(&str, String, &Expr)> {
    let mut found = Vec::new();
    promql::walk(expr, &mut |expr, _| match expr {
        Expr::Aggregate(aggregate) => {
            if let Some(LabelModifier::Include(labels)) = &aggregate.modifier {
                let operation = format!("{} by", aggregate.op);
                for label in &labels.labels {
                    found.push((label.as_str(), operation.clone(), &*aggregate.expr));
                }
            }
        }
        Expr::Binary(binary) => {
            for label in on(binary) {
                found.push((label, format!("{} on", binary.op), expr));
            }
        }
        _ => {}
    });
    found
}

fn on(binary: &BinaryExpr) -> Vec<&str> {
    let matching = binary
        .modifier
        .as_ref()
        .and_then(|modifier| modifier.matching.as_ref());
    match matching {
        Some(LabelModifier::Include(labels)) => labels.labels.iter().map(String::as_str).collect(),
        _ => Vec::new(),
    }
}

/// Whether something in the expression puts the label on series.
fn makes(expr: &Expr, label: &str) -> bool {
    let mut made = BTreeSet::new();
    promql::walk(expr, &mut |expr, _| match expr {
        Expr::Call(Call { func, args }) if matches!(func.name, "label_replace" | "label_join") => {
            if let Some(Expr::StringLiteral(name)) = args.args.get(1).map(|arg| &**arg) {
                made.insert(name.val.as_str());
            }
        }
        // Joins the labels of an info metric, whichever they are.
        Expr::Call(Call { func, .. }) if func.name == "info" => {
            made.insert(label);
        }
        Expr::Aggregate(aggregate) if promql::aggregation(expr) == "count_values" => {
            if let Some(Expr::StringLiteral(name)) = aggregate.param.as_deref() {
                made.insert(name.val.as_str());
            }
        }
        Expr::Binary(binary) => {
            let card = binary.modifier.as_ref().map(|modifier| &modifier.card);
            if let Some(
                VectorMatchCardinality::ManyToOne(labels)
                | VectorMatchCardinality::OneToMany(labels),
            ) = card
            {
                made.extend(labels.labels.iter().map(String::as_str));
            }
        }
        _ => {}
    });
    made.contains(label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_those_that_group_and_match() {
        let expr = promql::parse(
            "sum by (a, b) (x) / on (c) group_left (d) max without (e) (y) and ignoring (f) z",
        )
        .unwrap();
        let labels: Vec<_> = named(&expr).into_iter().map(|(label, ..)| label).collect();
        assert_eq!(labels, ["c", "a", "b"]);
    }

    #[test]
    fn a_label_can_be_made_by_the_expression() {
        let expr = promql::parse(
            r#"label_replace(count_values("v", x), "made", "$1", "b", "(.*)") * on () group_left (left) y"#,
        )
        .unwrap();
        for (label, expected) in [("v", true), ("made", true), ("left", true), ("b", false)] {
            assert_eq!(makes(&expr, label), expected, "{label}");
        }
    }

    #[test]
    fn a_legend_names_labels_in_double_braces() {
        assert_eq!(placeholders("{{a}} of {{ b_c }} {d} {{}}"), ["a", "b_c"]);
    }
}
