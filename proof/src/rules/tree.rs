//! What rules ask of PromQL's tree: selections of series with what is around them, and what an expression can return.

use std::time::Duration;

use promql_parser::label::Matcher;
use promql_parser::parser::token::{T_ADD, T_DIV, T_LAND, T_LOR, T_LUNLESS, T_MUL, T_SUB};
use promql_parser::parser::{Expr, VectorSelector};

use crate::promql::{self, children, matchers, walk};

/// One selection of series within an expression.
pub(super) struct Selection<'e> {
    /// The selector.
    pub(super) selector: &'e VectorSelector,
    /// Its range, if it selects one.
    pub(super) range: Option<Duration>,
    /// What is around it, outermost first.
    pub(super) around: Vec<&'e Expr>,
}

impl Selection<'_> {
    /// The metric's name; empty when it is selected by something else.
    pub(super) fn name(&self) -> &str {
        promql::metric(self.selector).unwrap_or_default()
    }

    /// Its matchers, but that of the name.
    pub(super) fn matchers(&self) -> impl Iterator<Item = &Matcher> {
        matchers(self.selector)
    }

    /// The matcher of a label.
    pub(super) fn matcher(&self, label: &str) -> Option<&Matcher> {
        self.matchers().find(|matcher| matcher.name == label)
    }

    /// The nearest function around it.
    pub(super) fn function(&self) -> Option<&str> {
        let mut functions = self.around.iter().rev().map(|expr| promql::function(expr));
        functions.find(|name| !name.is_empty())
    }

    /// The selector as PromQL writes it, without offset.
    pub(super) fn text(&self) -> String {
        promql::text_of_selector(self.selector)
    }
}

/// Every selection of an expression.
pub(super) fn selections(expr: &Expr) -> Vec<Selection<'_>> {
    let mut found = Vec::new();
    walk(expr, &mut |node, around| {
        let (selector, range) = match node {
            Expr::VectorSelector(selector) => (selector, None),
            Expr::MatrixSelector(matrix) => (&matrix.vs, Some(matrix.range)),
            _ => return,
        };
        found.push(Selection {
            selector,
            range,
            around: around.to_vec(),
        });
    });
    found
}

/// Whether an expression returns nothing in some state of the series that it selects. An alert fires for whatever its
/// expression returns, a 0 too, so one that does not filter fires always.
pub(super) fn filters(expr: &Expr) -> bool {
    match expr {
        Expr::Binary(binary) => match binary.op.id() {
            T_LOR => filters(&binary.lhs) && filters(&binary.rhs),
            T_LAND => filters(&binary.lhs) || filters(&binary.rhs),
            T_LUNLESS => true,
            _ if binary.op.is_comparison_operator() => !binary.return_bool(),
            // A divisor that must not be 0 says nothing about the quotient.
            T_DIV => filters(&binary.lhs),
            _ => filters(&binary.lhs) || filters(&binary.rhs),
        },
        Expr::Call(call) => {
            matches!(call.func.name, "absent" | "absent_over_time")
                || call.args.args.iter().any(|argument| filters(argument))
        }
        Expr::Paren(_) | Expr::Unary(_) | Expr::Aggregate(_) | Expr::Subquery(_) => {
            children(expr).into_iter().any(filters)
        }
        _ => false,
    }
}

/// The value of an expression of numbers only.
pub(crate) fn constant(expr: &Expr) -> Option<f64> {
    match expr {
        Expr::NumberLiteral(number) => Some(number.val),
        Expr::Paren(paren) => constant(&paren.expr),
        Expr::Unary(unary) => constant(&unary.expr).map(|value| -value),
        Expr::Binary(binary) => {
            let (left, right) = (constant(&binary.lhs)?, constant(&binary.rhs)?);
            match binary.op.id() {
                T_ADD => Some(left + right),
                T_SUB => Some(left - right),
                T_MUL => Some(left * right),
                T_DIV => Some(left / right),
                _ => None,
            }
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::promql::parse;

    #[test]
    fn an_expression_filters_if_some_state_returns_nothing() {
        for text in [
            "up == 0",
            "sum(up == 0)",
            "absent(up)",
            "a unless b",
            "rate(a[5m]) > 1 or b > 2",
            "a and b > 1",
            "count(max_over_time(up[5m]) == 1)",
        ] {
            assert!(filters(&parse(text).unwrap()), "{text}");
        }
        for text in [
            "up",
            "vector(1)",
            "up == bool 0",
            "a > 1 or b",
            "rate(a[5m])",
            "a / (b > 0)",
        ] {
            assert!(!filters(&parse(text).unwrap()), "{text}");
        }
    }

    #[test]
    fn a_selection_knows_what_is_around_it() {
        let expr = parse("sum by (job) (rate(a_total{x=\"1\"}[5m])) / b").unwrap();
        let found = selections(&expr);
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].name(), "a_total");
        assert_eq!(found[0].function(), Some("rate"));
        assert_eq!(found[0].range, Some(Duration::from_mins(5)));
        assert_eq!(found[0].matcher("x").unwrap().value, "1");
        assert_eq!((found[1].name(), found[1].function()), ("b", None));
    }

    #[test]
    fn numbers_are_reckoned() {
        assert_eq!(constant(&parse("14.4 * (1 - 0.5)").unwrap()), Some(7.2));
        assert_eq!(constant(&parse("2 * up").unwrap()), None);
    }
}
