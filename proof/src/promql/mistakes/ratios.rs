//! Quotients that can't be anything but 1.

use promql_parser::label::Matcher;
use promql_parser::parser::{BinaryExpr, Expr, LabelModifier, VectorSelector};

use super::super::{children, keeps_label, matchers, metric, selector, walk};
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
        let same = |matcher: &Matcher| &matcher.name == label;
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

/// One side of a quotient that is a function or aggregation of one selector.
struct Side<'a> {
    selector: &'a VectorSelector,
    path: Vec<&'a Expr>,
}

impl Side<'_> {
    fn keeps(&self, label: &str) -> bool {
        self.path.iter().all(|expr| keeps_label(expr, label))
    }
}

fn side(expr: &Expr) -> Option<Side<'_>> {
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
