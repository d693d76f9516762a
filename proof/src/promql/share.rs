//! Quotients of parts and wholes of one metric.

use promql_parser::label::{MatchOp, Matcher};
use promql_parser::parser::{BinaryExpr, Expr, VectorSelector};

use super::{aggregation, bare, children, keeps_label, matchers, metric, selector};

/// What a quotient of one metric by itself is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Share {
    /// The upper side selects some of what the lower side selects: between 0 and 1.
    OfWhole,
    /// The lower side leaves out, by this label, what the upper side counts: it may be more than 1.
    OfAnother(String),
}

/// The share that an expression is: also `1 - share`, `100 * share`, and a share that is compared.
pub fn share(expr: &Expr) -> Option<Share> {
    of_quotient(quotient(expr)?)
}

/// The quotient that an expression is, through what changes its scale or picks among its values.
pub fn quotient(expr: &Expr) -> Option<&BinaryExpr> {
    match bare(expr) {
        Expr::Binary(binary) if binary.op.to_string() == "/" => match bare(&binary.rhs) {
            Expr::NumberLiteral(_) => quotient(&binary.lhs),
            _ => Some(binary),
        },
        Expr::Binary(binary) => {
            let number = |expr: &Expr| matches!(bare(expr), Expr::NumberLiteral(_));
            if number(&binary.lhs) {
                quotient(&binary.rhs)
            } else if number(&binary.rhs) {
                quotient(&binary.lhs)
            } else {
                None
            }
        }
        expr @ Expr::Aggregate(aggregate) => {
            let picks = matches!(aggregation(expr).as_str(), "min" | "max" | "avg");
            picks.then(|| quotient(&aggregate.expr))?
        }
        _ => None,
    }
}

fn of_quotient(binary: &BinaryExpr) -> Option<Share> {
    let (above, below) = (side(&binary.lhs)?, side(&binary.rhs)?);
    let (part, whole) = (
        counted(metric(above.selector)?)?,
        counted(metric(below.selector)?)?,
    );
    if part != whole {
        return None;
    }
    let upper: Vec<&Matcher> = matchers(above.selector).collect();
    let other = matchers(below.selector).find(|matcher| !is_implied(matcher, &upper));
    Some(match other {
        None => Share::OfWhole,
        Some(matcher) => Share::OfAnother(matcher.name.clone()),
    })
}

/// Whether what one of the matchers selects is selected by this one, too.
fn is_implied(matcher: &Matcher, by: &[&Matcher]) -> bool {
    by.iter().any(|upper| {
        let values = match &upper.op {
            MatchOp::Equal => vec![upper.value.as_str()],
            MatchOp::Re(_) if upper.value.chars().all(is_plain) => upper.value.split('|').collect(),
            _ => Vec::new(),
        };
        let picked = upper.name == matcher.name && !values.is_empty();
        *upper == matcher || (picked && values.iter().all(|value| matcher.is_match(value)))
    })
}

/// Characters of a pattern that lists its values.
fn is_plain(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '_' | '|' | '-')
}

/// The family that a series counts the events of. A histogram's sum counts none.
fn counted(name: &str) -> Option<&str> {
    if name.ends_with("_sum") {
        return None;
    }
    let parts = ["_bucket", "_count"];
    Some(
        parts
            .iter()
            .find_map(|part| name.strip_suffix(part))
            .unwrap_or(name),
    )
}

/// One side of a quotient that is a function or aggregation of one selector.
pub(super) struct Side<'a> {
    /// The selector.
    pub(super) selector: &'a VectorSelector,
    path: Vec<&'a Expr>,
}

impl Side<'_> {
    /// Whether no aggregation on the way drops the label.
    pub(super) fn keeps(&self, label: &str) -> bool {
        self.path.iter().all(|expr| keeps_label(expr, label))
    }
}

/// The one selector below an expression, if there is one.
pub(super) fn side(expr: &Expr) -> Option<Side<'_>> {
    let mut path = vec![expr];
    let mut at = expr;
    loop {
        if let Some(selector) = selector(at) {
            return Some(Side { selector, path });
        }
        let mut vectors = children(at)
            .into_iter()
            .filter(|child| !matches!(child, Expr::NumberLiteral(_) | Expr::StringLiteral(_)));
        at = vectors.next()?;
        if vectors.next().is_some() {
            return None;
        }
        path.push(at);
    }
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::*;

    #[test]
    fn a_share_is_a_part_of_what_is_below_it() {
        let another = |label: &str| Some(Share::OfAnother(label.to_owned()));
        for (text, expected) in [
            (
                r#"sum(rate(x_total{code="5"}[5m])) / sum(rate(x_total[5m]))"#,
                Some(Share::OfWhole),
            ),
            (
                r#"1 - sum(rate(x_bucket{a="1",le="0.5"}[5m])) / (sum(rate(x_count{a="1"}[5m])) > 0) > 0.1"#,
                Some(Share::OfWhole),
            ),
            (r#"max(100 * x{a="1"} / x{a="2"})"#, another("a")),
            (
                r#"sum(rate(x_count{code="5"}[5m])) / sum(rate(x_count{kind!="4"}[5m]))"#,
                another("kind"),
            ),
            (
                r#"x_total{end="error"} / x_total{end=~"ok|error"}"#,
                Some(Share::OfWhole),
            ),
            (
                r#"x_total{end=~"late|error"} / x_total{end=~"ok|error"}"#,
                another("end"),
            ),
            ("rate(x_sum[5m]) / rate(x_count[5m])", None),
            ("in_use / limit", None),
            ("rate(x_total[5m])", None),
        ] {
            assert_eq!(share(&parse(text).unwrap()), expected, "{text}");
        }
    }
}
