//! PromQL as a tree: what boards and rules have in common when their expressions are judged.
//!
//! Nothing here asks a server. What a metric is (counter, gauge, seconds, bytes) comes from [`types`]; the judgements are
//! in [`mistakes`], the arithmetic of units in [`mod@unit`].

pub mod mistakes;
pub mod share;
pub mod types;
pub mod unit;

use std::collections::BTreeSet;
use std::time::Duration;

use promql_parser::label::{METRIC_NAME, MatchOp, Matcher};
use promql_parser::parser::{self, Expr, LabelModifier, VectorSelector};
use promql_parser::util::parse_duration;

/// Longest expression that is read, in bytes. The longest of the well-known mixins has 3 kB.
pub const MAX_EXPRESSION: usize = 64 << 10;

/// The tree of an expression. The error is the parser's sentence.
pub fn parse(text: &str) -> Result<Expr, String> {
    if text.len() > MAX_EXPRESSION {
        return Err(format!(
            "the expression has {} bytes, more than {MAX_EXPRESSION}",
            text.len()
        ));
    }
    parser::parse(text)
}

/// A length of time as Prometheus writes it: `30s`, `1h30m`. A number alone, which PromQL takes for seconds, is refused, and
/// with it what is no time: below 0, infinite, too long.
pub fn duration(text: &str) -> Result<Duration, String> {
    let refused = || format!("invalid length of time `{text}`: write it like 30s or 1h30m");
    if text.trim().parse::<f64>().is_ok() {
        return Err(refused());
    }
    let length = parse_duration(text).map_err(|_| refused())?;
    if length.is_zero() {
        return Err(refused());
    }
    Ok(length)
}

/// The expressions directly below this one, parameters of aggregations included.
pub fn children(expr: &Expr) -> Vec<&Expr> {
    match expr {
        Expr::Aggregate(aggregate) => aggregate
            .param
            .as_deref()
            .into_iter()
            .chain([&*aggregate.expr])
            .collect(),
        Expr::Unary(unary) => vec![&unary.expr],
        Expr::Binary(binary) => vec![&binary.lhs, &binary.rhs],
        Expr::Paren(paren) => vec![&paren.expr],
        Expr::Subquery(subquery) => vec![&subquery.expr],
        Expr::Call(call) => call.args.args.iter().map(|arg| &**arg).collect(),
        Expr::Extension(_)
        | Expr::NumberLiteral(_)
        | Expr::StringLiteral(_)
        | Expr::VectorSelector(_)
        | Expr::MatrixSelector(_) => Vec::new(),
    }
}

/// Visits each expression with those above it, outermost first.
pub fn walk<'a>(expr: &'a Expr, visit: &mut impl FnMut(&'a Expr, &[&'a Expr])) {
    fn descend<'a>(
        expr: &'a Expr,
        above: &mut Vec<&'a Expr>,
        visit: &mut impl FnMut(&'a Expr, &[&'a Expr]),
    ) {
        visit(expr, above);
        above.push(expr);
        for child in children(expr) {
            descend(child, above, visit);
        }
        above.pop();
    }
    descend(expr, &mut Vec::new(), visit);
}

/// The expression without parentheses around it.
pub fn bare(mut expr: &Expr) -> &Expr {
    while let Expr::Paren(paren) = expr {
        expr = &paren.expr;
    }
    expr
}

/// The selector that the expression is, whether of an instant or of a range.
pub fn selector(expr: &Expr) -> Option<&VectorSelector> {
    match expr {
        Expr::VectorSelector(selector) => Some(selector),
        Expr::MatrixSelector(matrix) => Some(&matrix.vs),
        _ => None,
    }
}

/// Every selector in the expression.
pub fn selectors(expr: &Expr) -> Vec<&VectorSelector> {
    let mut found = Vec::new();
    walk(expr, &mut |expr, _| found.extend(selector(expr)));
    found
}

/// The metric that a selector names, if it names one.
pub fn metric(selector: &VectorSelector) -> Option<&str> {
    selector.name.as_deref().or_else(|| {
        let by_label =
            |matcher: &&Matcher| matcher.name == METRIC_NAME && matcher.op == MatchOp::Equal;
        let matcher = selector.matchers.matchers.iter().find(by_label)?;
        Some(&matcher.value)
    })
}

/// Every matcher of a selector but that of the metric's name.
pub fn matchers(selector: &VectorSelector) -> impl Iterator<Item = &Matcher> {
    selector
        .matchers
        .matchers
        .iter()
        .chain(selector.matchers.or_matchers.iter().flatten())
        .filter(|matcher| matcher.name != METRIC_NAME)
}

/// The selector alone: without range, offset and moment.
pub fn text_of_selector(selector: &VectorSelector) -> String {
    let mut alone = selector.clone();
    alone.offset = None;
    alone.at = None;
    alone.to_string()
}

/// Every metric that the expression names.
pub fn metrics(expr: &Expr) -> BTreeSet<String> {
    selectors(expr)
        .into_iter()
        .filter_map(metric)
        .map(str::to_owned)
        .collect()
}

/// The name of the function that is called, empty if the expression is no call.
pub fn function(expr: &Expr) -> &str {
    match expr {
        Expr::Call(call) => call.func.name,
        _ => "",
    }
}

/// The name of the aggregation, empty if the expression is none.
pub fn aggregation(expr: &Expr) -> String {
    match expr {
        Expr::Aggregate(aggregate) => aggregate.op.to_string(),
        _ => String::new(),
    }
}

/// Whether an aggregation leaves a label on its result. `topk` and the like leave all.
pub fn keeps_label(expr: &Expr, label: &str) -> bool {
    let Expr::Aggregate(aggregate) = expr else {
        return true;
    };
    if matches!(
        aggregate.op.to_string().as_str(),
        "topk" | "bottomk" | "limitk" | "limit_ratio"
    ) {
        return true;
    }
    match &aggregate.modifier {
        None => false,
        Some(LabelModifier::Include(labels)) => labels.labels.iter().any(|kept| kept == label),
        Some(LabelModifier::Exclude(labels)) => labels.labels.iter().all(|gone| gone != label),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selectors_are_found_wherever_they_stand() {
        let expr = parse(
            r#"topk(scalar(limit), sum by (a) (rate(x{a="1"}[5m] offset 1h))) / on (a) {__name__="y"} or max_over_time((z)[1h:1m])"#,
        )
        .unwrap();
        let found: Vec<_> = metrics(&expr).into_iter().collect();
        assert_eq!(found, ["limit", "x", "y", "z"]);
        let texts: Vec<_> = selectors(&expr).into_iter().map(text_of_selector).collect();
        assert!(texts.contains(&r#"x{a="1"}"#.to_owned()), "{texts:?}");
    }

    #[test]
    fn an_aggregation_keeps_the_labels_that_it_names() {
        for (text, kept) in [
            ("sum(x)", false),
            ("sum by (le) (x)", true),
            ("sum by (a) (x)", false),
            ("sum without (le) (x)", false),
            ("sum without (a) (x)", true),
            ("topk(3, x)", true),
            ("rate(x[5m])", true),
        ] {
            assert_eq!(keeps_label(&parse(text).unwrap(), "le"), kept, "{text}");
        }
    }
}
