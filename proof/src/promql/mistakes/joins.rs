//! Operations whose sides keep different labels, so that no series has a partner.

use std::collections::BTreeSet;

use promql_parser::parser::token::T_LOR;
use promql_parser::parser::{BinaryExpr, Expr};

use super::super::{bare, walk};
use super::{Mistake, RATIO_OF_DIFFERENT_LABELS};

pub(super) fn mistakes(expr: &Expr) -> Vec<Mistake> {
    let mut found = Vec::new();
    walk(expr, &mut |expr, _| {
        if let Expr::Binary(binary) = expr {
            found.extend(of_binary(binary));
        }
    });
    found
}

/// Aggregations that keep different labels match nothing, unless the operation says by what they match. `or` needs no partner.
fn of_binary(binary: &BinaryExpr) -> Option<Mistake> {
    let matching = binary
        .modifier
        .as_ref()
        .is_some_and(|modifier| modifier.matching.is_some());
    let (above, below) = (kept(&binary.lhs)?, kept(&binary.rhs)?);
    if above == below || matching || binary.op.id() == T_LOR {
        return None;
    }
    let sentence = format!(
        "the two sides of `{}` keep different labels ({} and {}), so they match nothing",
        binary.op,
        list(&above),
        list(&below)
    );
    Some(Mistake::new(RATIO_OF_DIFFERENT_LABELS, sentence))
}

fn list(labels: &BTreeSet<&str>) -> String {
    let all: Vec<&str> = labels.iter().copied().collect();
    if all.is_empty() {
        "none".to_owned()
    } else {
        all.join(", ")
    }
}

/// Labels that an expression surely has, and no others: of an aggregation with `by` or without any, through operations that
/// change none. `None` where the series tell.
fn kept(expr: &Expr) -> Option<BTreeSet<&str>> {
    match bare(expr) {
        Expr::Aggregate(aggregate) => {
            let selects = aggregate.op.to_string();
            if matches!(
                selects.as_str(),
                "topk" | "bottomk" | "limitk" | "limit_ratio" | "count_values"
            ) {
                return None;
            }
            match &aggregate.modifier {
                None => Some(BTreeSet::new()),
                Some(modifier) if modifier.is_include() => Some(
                    modifier
                        .labels()
                        .labels
                        .iter()
                        .map(String::as_str)
                        .collect(),
                ),
                Some(_) => None,
            }
        }
        Expr::Binary(binary) => {
            let left = || kept(&binary.lhs);
            let number = |expr: &Expr| matches!(bare(expr), Expr::NumberLiteral(_));
            let modified = binary
                .modifier
                .as_ref()
                .is_some_and(|modifier| modifier.matching.is_some());
            let filtered = binary.op.is_set_operator() && binary.op.id() != T_LOR;
            if filtered || number(&binary.rhs) {
                left()
            } else if number(&binary.lhs) {
                kept(&binary.rhs)
            } else if modified {
                None
            } else {
                left().filter(|left| kept(&binary.rhs).as_ref() == Some(left))
            }
        }
        _ => None,
    }
}
