//! The values of a variable that asks Prometheus.

use regex::Regex;

use super::super::absence;
use super::super::codes;
use super::super::model::Variable;
use super::super::server::{Server, or_wrong};
use super::super::variables::Scope;
use super::Wrong;
use crate::exit::Refusal;
use crate::promql;

/// A query of a variable, by the functions of Grafana's Prometheus data source.
#[derive(Debug, PartialEq, Eq)]
enum Question<'a> {
    LabelValues {
        selector: Option<&'a str>,
        label: &'a str,
    },
    LabelNames {
        selector: Option<&'a str>,
    },
    Metrics {
        pattern: &'a str,
    },
    Result {
        expression: &'a str,
    },
    /// A bare selector: the series themselves.
    Series {
        selector: &'a str,
    },
}

/// The values, before the variable's pattern; or what is wrong with the query.
pub(super) async fn values(
    variable: &Variable,
    scope: &Scope,
    server: &Server,
) -> Result<Result<Vec<String>, Wrong>, Refusal> {
    let filled = scope.query(variable.query_text());
    if let Some(name) = filled.unknown.iter().next() {
        let sentence = format!("`${name}` is no variable of the board");
        return Ok(Err((codes::UNKNOWN_VARIABLE, sentence)));
    }
    let question = question(&filled.text);
    if let Some(selector) = question.selector()
        && let Ok(expr) = promql::parse(selector)
        && let Some(absence) = absence::of_selectors(&expr, server, scope).await?
    {
        return Ok(Err((absence.code(), absence.to_string())));
    }
    let found = match question {
        Question::LabelValues { selector, label } => server.label_values(label, selector).await,
        Question::LabelNames { selector } => server.label_names(selector).await,
        Question::Metrics { pattern } => Ok(metrics(pattern, server)),
        Question::Result { expression } => server.result_as_text(expression).await,
        Question::Series { selector } => server.series_as_text(selector).await,
    };
    or_wrong(found).map(|found| {
        found.map_err(|sentence| (codes::VARIABLE_QUERY, format!("Prometheus: {sentence}")))
    })
}

/// The label whose values a variable's query asks for.
pub(super) fn label(text: &str) -> Option<&str> {
    match question(text) {
        Question::LabelValues { label, .. } => Some(label),
        _ => None,
    }
}

/// The PromQL in a variable's query.
pub(super) fn promql(text: &str) -> Option<String> {
    match question(text) {
        Question::Result { expression } => Some(expression.to_owned()),
        other => other.selector().map(str::to_owned),
    }
}

impl Question<'_> {
    fn selector(&self) -> Option<&str> {
        match self {
            Self::LabelValues { selector, .. } | Self::LabelNames { selector } => *selector,
            Self::Series { selector } => Some(selector),
            Self::Metrics { .. } | Self::Result { .. } => None,
        }
    }
}

fn question(text: &str) -> Question<'_> {
    let text = text.trim();
    let inside = |function: &str| {
        let rest = text.strip_prefix(function)?.trim_start();
        Some(rest.strip_prefix('(')?.strip_suffix(')')?.trim())
    };
    if let Some(inner) = inside("label_values") {
        // The label comes last; commas before it belong to the selector.
        let (selector, label) = match inner.rsplit_once(',') {
            Some((selector, label)) => (Some(selector.trim()), label.trim()),
            None => (None, inner),
        };
        return Question::LabelValues { selector, label };
    }
    if let Some(inner) = inside("label_names") {
        let selector = (!inner.is_empty()).then_some(inner);
        return Question::LabelNames { selector };
    }
    if let Some(pattern) = inside("metrics") {
        return Question::Metrics { pattern };
    }
    if let Some(expression) = inside("query_result") {
        return Question::Result { expression };
    }
    Question::Series { selector: text }
}

fn metrics(pattern: &str, server: &Server) -> Vec<String> {
    let Ok(pattern) = Regex::new(pattern) else {
        return Vec::new();
    };
    let fits = |name: &&String| pattern.is_match(name);
    server.metrics().iter().filter(fits).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_of_a_query_is_understood() {
        for (text, expected) in [
            (
                "label_values(job)",
                Question::LabelValues {
                    selector: None,
                    label: "job",
                },
            ),
            (
                r#"label_values(up{a="1",b=~"x|y"}, instance)"#,
                Question::LabelValues {
                    selector: Some(r#"up{a="1",b=~"x|y"}"#),
                    label: "instance",
                },
            ),
            ("label_names()", Question::LabelNames { selector: None }),
            (
                "metrics(.*_total)",
                Question::Metrics {
                    pattern: ".*_total",
                },
            ),
            (
                "query_result(topk(3, sum by (a) (rate(x[5m]))))",
                Question::Result {
                    expression: "topk(3, sum by (a) (rate(x[5m])))",
                },
            ),
            (
                r#"up{job="a"}"#,
                Question::Series {
                    selector: r#"up{job="a"}"#,
                },
            ),
        ] {
            assert_eq!(question(text), expected);
        }
    }
}
