//! Quotients that can't be anything but 1.

use promql_parser::label::Matcher;
use promql_parser::parser::{BinaryExpr, Expr, LabelModifier};

use super::super::share::side;
use super::super::{matchers, metric, walk};
use super::{Mistake, RATIO_WITH_ITSELF};

pub(super) fn mistakes(expr: &Expr) -> Vec<Mistake> {
    let mut found = Vec::new();
    walk(expr, &mut |expr, _| {
        if let Expr::Binary(binary) = expr
            && binary.op.to_string() == "/"
        {
            found.extend(of_quotient(binary));
        }
    });
    found
}

/// "Errors over requests" of one metric: the numerator picks values of a label, and both sides keep the label, so that each
/// pair that is divided is a series and itself.
fn of_quotient(binary: &BinaryExpr) -> Option<Mistake> {
    let (above, below) = (side(&binary.lhs)?, side(&binary.rhs)?);
    let name = metric(above.selector)?;
    if metric(below.selector) != Some(name) {
        return None;
    }
    let picked = matchers(above.selector).find(|picked| {
        let label = &picked.name;
        // The same condition on both sides picks nothing.
        let same = |matcher: &Matcher| matcher == *picked;
        !matchers(below.selector).any(same)
            && above.keeps(label)
            && below.keeps(label)
            && pairs_by(binary, label)
    })?;
    let label = &picked.name;
    let sentence = format!(
        "both sides of the quotient keep the label `{label}`, so each series of {name} is divided by itself and the result is 1; sum both sides without `{label}`"
    );
    Some(Mistake::new(RATIO_WITH_ITSELF, sentence))
}

/// Whether the label is among those by which series of both sides are paired.
fn pairs_by(binary: &BinaryExpr, label: &str) -> bool {
    let matching = binary
        .modifier
        .as_ref()
        .and_then(|modifier| modifier.matching.as_ref());
    match matching {
        None => true,
        Some(LabelModifier::Include(labels)) => labels.labels.iter().any(|on| on == label),
        Some(LabelModifier::Exclude(labels)) => labels.labels.iter().all(|off| off != label),
    }
}
