//! Values of labels that queries select, against the closed sets of the declarations.

use std::collections::BTreeSet;

use promql_parser::label::{MatchOp, Matcher};
use promql_parser::parser::VectorSelector;

use super::super::choices::PLACEHOLDER;
use super::Metric;
use crate::promql;

/// Characters that make of a text a pattern; without them a regular expression lists its values.
const PATTERN: &[char] = &['.', '*', '+', '?', '[', ']', '{', '}', '^', '$', '\\'];

/// A sentence for each value that the selector names and the metric can't have.
pub(super) fn outside(selector: &VectorSelector, family: &str, metric: &Metric) -> Vec<String> {
    promql::matchers(selector)
        .filter(|matcher| !matcher.value.contains(PLACEHOLDER))
        .flat_map(|matcher| {
            let missing = match (matcher.name.as_str(), &metric.buckets) {
                ("le", Some(bounds)) => bound(matcher, bounds),
                _ => metric
                    .labels
                    .get(&matcher.name)
                    .and_then(Option::as_ref)
                    .map(|values| of_set(matcher, values))
                    .unwrap_or_default(),
            };
            missing.into_iter().map(move |value| {
                format!(
                    "{family} never has {}=\"{value}\": the declared values are others",
                    matcher.name
                )
            })
        })
        .collect()
}

fn of_set(matcher: &Matcher, values: &BTreeSet<String>) -> Vec<String> {
    let wanted = &matcher.value;
    match &matcher.op {
        // An empty label is an absent one.
        MatchOp::Equal | MatchOp::NotEqual => (!wanted.is_empty() && !values.contains(wanted))
            .then(|| wanted.clone())
            .into_iter()
            .collect(),
        MatchOp::Re(pattern) | MatchOp::NotRe(pattern) => {
            let inner = wanted
                .strip_prefix('(')
                .and_then(|rest| rest.strip_suffix(')'));
            let alternatives = inner.unwrap_or(wanted);
            if alternatives.contains('(') {
                let any = values.iter().any(|value| pattern.is_match(value));
                return if any {
                    Vec::new()
                } else {
                    vec![wanted.clone()]
                };
            }
            alternatives
                .split('|')
                .filter(|alternative| !is_met(alternative, values))
                .map(str::to_owned)
                .collect()
        }
    }
}

/// Whether a value of the set is what one alternative wants.
fn is_met(alternative: &str, values: &BTreeSet<String>) -> bool {
    if alternative.is_empty() {
        return true;
    }
    if !alternative.contains(PATTERN) {
        return values.contains(alternative);
    }
    // What can't be judged here is judged by the server.
    regex::Regex::new(&format!("^(?:{alternative})$")).map_or(true, |pattern| {
        values.iter().any(|value| pattern.is_match(value))
    })
}

/// A bound that is no bucket's: the selector finds nothing.
fn bound(matcher: &Matcher, bounds: &[f64]) -> Vec<String> {
    if matcher.op != MatchOp::Equal {
        return Vec::new();
    }
    let exists = matcher.value.parse::<f64>().is_ok_and(|wanted| {
        wanted.is_infinite()
            || bounds
                .iter()
                .any(|bound| (bound - wanted).abs() <= wanted * 1e-9)
    });
    if exists {
        Vec::new()
    } else {
        vec![matcher.value.clone()]
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn metric() -> Metric {
        let values = ["ok", "error", "500", "503"].map(str::to_owned).into();
        Metric {
            file: String::new(),
            program: "p".into(),
            kind: "histogram".into(),
            unit: None,
            labels: BTreeMap::from([
                ("outcome".to_owned(), Some(values)),
                ("id".to_owned(), None),
            ]),
            buckets: Some(vec![0.25, 1.0]),
        }
    }

    #[test]
    fn a_value_outside_the_closed_set_is_found() {
        for (text, missing) in [
            (r#"x{outcome="ok"}"#, vec![]),
            (r#"x{outcome=""}"#, vec![]),
            (r#"x{outcome="OK"}"#, vec!["OK"]),
            (r#"x{outcome!="timeout"}"#, vec!["timeout"]),
            (r#"x{outcome=~"ok|error"}"#, vec![]),
            (r#"x{outcome=~"(ok|late)"}"#, vec!["late"]),
            (r#"x{outcome=~"5..|ok"}"#, vec![]),
            (r#"x{outcome=~"4.."}"#, vec!["4.."]),
            (r#"x{outcome!~"4.."}"#, vec!["4.."]),
            (r#"x{outcome=~".*"}"#, vec![]),
            (r#"x{outcome=~"chosen_outcome"}"#, vec![]),
            (r#"x{id="anything"}"#, vec![]),
            (r#"x_bucket{le="0.25"}"#, vec![]),
            (r#"x_bucket{le="1"}"#, vec![]),
            (r#"x_bucket{le="+Inf"}"#, vec![]),
            (r#"x_bucket{le="0.3"}"#, vec!["0.3"]),
        ] {
            let expr = promql::parse(text).unwrap();
            let selector = promql::selectors(&expr)[0].clone();
            let found = outside(&selector, "x", &metric());
            let expected: Vec<_> = missing
                .iter()
                .map(|value| {
                    let label = if text.contains("le=") {
                        "le"
                    } else {
                        "outcome"
                    };
                    format!("x never has {label}=\"{value}\": the declared values are others")
                })
                .collect();
            assert_eq!(found, expected, "{text}");
        }
    }
}
