//! Why a query has no result: which part of the expression is the first that has none.

mod filtered;

use std::collections::BTreeSet;
use std::fmt;

use promql_parser::label::{MatchOp, Matcher};
use promql_parser::parser::{Expr, VectorSelector};

use super::codes;
use super::server::{Server, or_wrong};
use super::variables::Scope;
use crate::exit::Refusal;
use crate::promql;

pub use filtered::of_result;

/// Values of a label that a sentence names at most.
const NAMED_VALUES: usize = 5;

/// What of a selector is not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Absence {
    /// No series has the name.
    Metric {
        /// The name.
        name: String,
        /// The most similar name that exists.
        nearest: Option<String>,
    },
    /// No series of the metric has the label.
    Label {
        /// The metric.
        metric: String,
        /// The label.
        label: String,
        /// Labels that it has.
        known: Vec<String>,
    },
    /// No series of the metric has a value that the matcher wants.
    Value {
        /// The metric.
        metric: String,
        /// The matcher.
        matcher: String,
        /// Values that the label has.
        known: Vec<String>,
    },
    /// Each matcher alone has series, all together have none.
    Combination {
        /// The selector.
        selector: String,
    },
    /// Prometheus refuses the selector.
    Refused {
        /// Its sentence.
        sentence: String,
    },
}

impl Absence {
    /// The code of the finding.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Metric { .. } => codes::UNKNOWN_METRIC,
            Self::Label { .. } => codes::UNKNOWN_LABEL,
            Self::Value { .. } | Self::Combination { .. } => codes::VALUE_WITHOUT_SERIES,
            Self::Refused { .. } => codes::QUERY_ERROR,
        }
    }
}

impl fmt::Display for Absence {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Metric { name, nearest } => {
                write!(out, "no series is named {name}")?;
                match nearest {
                    Some(nearest) => write!(out, "; is {nearest} meant?"),
                    None => Ok(()),
                }
            }
            Self::Label {
                metric,
                label,
                known,
            } => write!(
                out,
                "no series of {metric} has the label `{label}`; its labels are {}",
                list(known)
            ),
            Self::Value {
                metric,
                matcher,
                known,
            } => write!(
                out,
                "no series of {metric} has {matcher}; values are {}",
                list(known)
            ),
            Self::Combination { selector } => write!(
                out,
                "no series matches all of {selector}, though some match each part"
            ),
            Self::Refused { sentence } => write!(out, "Prometheus: {sentence}"),
        }
    }
}

fn list(values: &[String]) -> String {
    let mut named: Vec<_> = values
        .iter()
        .take(NAMED_VALUES)
        .map(|value| format!("`{value}`"))
        .collect();
    match values.len().saturating_sub(NAMED_VALUES) {
        0 if named.is_empty() => return "none".to_owned(),
        0 => {}
        more => named.push(format!("{more} more")),
    }
    named.join(", ")
}

/// The first selector of the expression that has no series.
pub async fn of_selectors(
    expr: &Expr,
    server: &Server,
    scope: &Scope,
) -> Result<Option<Absence>, Refusal> {
    for selector in promql::selectors(expr) {
        let absence = of_selector(selector, server, scope).await?;
        if absence.is_some() {
            return Ok(absence);
        }
    }
    Ok(None)
}

/// What of a selector is not there. A label that does not exist is told even where the selector matches without it (`!=`,
/// `=~".*"`): the filter then filters nothing. Not where the board offers a choice by this label, there is nothing to choose,
/// and its "All" also means series without the label: so boards serve places with and without it.
pub async fn of_selector(
    selector: &VectorSelector,
    server: &Server,
    scope: &Scope,
) -> Result<Option<Absence>, Refusal> {
    let text = promql::text_of_selector(selector);
    let Some(name) = promql::metric(selector) else {
        let found = or_wrong(server.series(&text).await)?;
        return Ok(match found {
            Ok(series) if series.is_empty() => Some(Absence::Combination { selector: text }),
            Ok(_) => None,
            Err(sentence) => Some(Absence::Refused { sentence }),
        });
    };
    if !server.metrics().contains(name) {
        return Ok(Some(Absence::Metric {
            name: name.to_owned(),
            nearest: nearest(name, server.metrics()),
        }));
    }
    let all = match or_wrong(server.series(&name_selector(name)).await)? {
        Ok(all) => all,
        Err(sentence) => return Ok(Some(Absence::Refused { sentence })),
    };
    // Prometheus knows names by blocks of hours: the series may have ended before the range.
    if all.is_empty() {
        return Ok(Some(Absence::Metric {
            name: name.to_owned(),
            nearest: None,
        }));
    }
    for matcher in promql::matchers(selector) {
        let mut values = all.iter().filter_map(|labels| labels.get(&matcher.name));
        let wants_none = matcher.op == MatchOp::Equal && matcher.value.is_empty()
            || scope.leaves_out(&matcher.name) && matcher.is_match("");
        if values.next().is_none() && !wants_none {
            let known: BTreeSet<_> = all.iter().flat_map(|labels| labels.keys()).collect();
            return Ok(Some(Absence::Label {
                metric: name.to_owned(),
                label: matcher.name.clone(),
                known: known
                    .into_iter()
                    .filter(|label| *label != "__name__")
                    .cloned()
                    .collect(),
            }));
        }
    }
    let found = match or_wrong(server.series(&text).await)? {
        Ok(found) => found,
        Err(sentence) => return Ok(Some(Absence::Refused { sentence })),
    };
    if !found.is_empty() {
        return Ok(None);
    }
    let matches = |matcher: &Matcher| {
        all.iter().any(|labels| {
            let value = labels.get(&matcher.name).map_or("", String::as_str);
            matcher.is_match(value)
        })
    };
    let Some(unmet) = promql::matchers(selector).find(|matcher| !matches(matcher)) else {
        return Ok(Some(Absence::Combination { selector: text }));
    };
    let known: BTreeSet<_> = all
        .iter()
        .filter_map(|labels| labels.get(&unmet.name))
        .cloned()
        .collect();
    Ok(Some(Absence::Value {
        metric: name.to_owned(),
        matcher: unmet.to_string(),
        known: known.into_iter().collect(),
    }))
}

/// Names may be no identifiers since Prometheus 3.
fn name_selector(name: &str) -> String {
    format!("{{__name__={name:?}}}")
}

/// The most similar name, if it shares two thirds or more.
fn nearest(name: &str, names: &BTreeSet<String>) -> Option<String> {
    let (distance, nearest) = names
        .iter()
        .map(|known| (distance(name, known), known))
        .min()?;
    (distance * 3 <= name.len().max(nearest.len())).then(|| nearest.clone())
}

/// Levenshtein's distance in bytes: insertions, deletions and replacements.
fn distance(one: &str, other: &str) -> usize {
    let other = other.as_bytes();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (at, byte) in one.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = at + 1;
        for (column, compared) in other.iter().enumerate() {
            let replaced = diagonal + usize::from(byte != *compared);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_one_that_was_probably_meant() {
        let names: BTreeSet<String> = ["http_requests_total", "up", "jobs_total"]
            .map(str::to_owned)
            .into();
        for (name, expected) in [
            ("http_request_total", Some("http_requests_total")),
            ("http_requests", Some("http_requests_total")),
            ("completely_different", None),
            ("u", None),
        ] {
            assert_eq!(nearest(name, &names).as_deref(), expected, "{name}");
        }
    }

    #[test]
    fn an_absence_says_what_is_there_instead() {
        let known = ["a", "b", "c", "d", "e", "f"].map(str::to_owned).to_vec();
        let value = Absence::Value {
            metric: "x_total".into(),
            matcher: r#"code="9""#.into(),
            known,
        };
        assert_eq!(
            value.to_string(),
            r#"no series of x_total has code="9"; values are `a`, `b`, `c`, `d`, `e`, 1 more"#
        );
        assert_eq!(value.code(), codes::VALUE_WITHOUT_SERIES);
    }
}
