//! Whether each recorded series is evaluated before it is read.

use std::collections::BTreeMap;

use super::codes;
use super::files::{Kind, Rule};
use super::tree::{Selection, selections};
use crate::finding::Finding;

/// Checks the rules of all files. Groups are evaluated independently of each other, rules of one group in their order.
pub(super) fn check(rules: &[Rule], findings: &mut Vec<Finding>) {
    let mut recorded: BTreeMap<&str, Vec<&Rule>> = BTreeMap::new();
    for rule in rules {
        if let Kind::Record(name) = &rule.kind {
            recorded.entry(name).or_default().push(rule);
        }
    }
    for rule in rules {
        for selection in rule.expr.iter().flat_map(selections) {
            let name = selection.name();
            let made = recorded.get(name).into_iter().flatten().copied();
            let makers: Vec<&Rule> = made.filter(|maker| may_make(maker, &selection)).collect();
            if makers.is_empty() {
                if name.contains(':') {
                    let sentence = format!("no rule records {}", selection.text());
                    findings.push(rule.finding(codes::NEVER_RECORDED, sentence));
                }
                continue;
            }
            let same_group = |maker: &&&Rule| maker.group == rule.group && maker.file == rule.file;
            let before = makers
                .iter()
                .filter(same_group)
                .any(|maker| maker.index < rule.index);
            if !before {
                let sentence = if makers.iter().any(|maker| same_group(&maker)) {
                    format!(
                        "{name} is recorded only after this rule, which therefore reads the value of the evaluation before; move the recording up"
                    )
                } else {
                    format!(
                        "{name} is recorded in another group, whose evaluation may come later; put both into one group"
                    )
                };
                findings.push(rule.finding(codes::USED_BEFORE_EVALUATED, sentence));
            }
        }
    }
}

/// Whether the labels that a recording sets are those that a selection asks for.
fn may_make(maker: &Rule, selection: &Selection<'_>) -> bool {
    let mut matchers = selection.matchers();
    matchers.all(|matcher| {
        let set = maker.labels.get(&matcher.name);
        set.is_none_or(|value| matcher.is_match(value))
    })
}

#[cfg(test)]
mod tests {
    use super::super::testing::{record, rule};
    use super::*;

    #[test]
    fn a_series_is_recorded_before_it_is_read_in_the_same_group() {
        let order = |rules: &mut [Rule]| {
            for (index, rule) in rules.iter_mut().enumerate() {
                rule.index = index;
            }
            let mut findings = Vec::new();
            check(rules, &mut findings);
            findings
                .into_iter()
                .map(|finding| finding.code)
                .collect::<Vec<_>>()
        };
        let reader = || rule("Reader", "job:a:rate5m > 1");
        let maker = || record("job:a:rate5m", "sum(rate(a_total[5m]))");
        assert_eq!(order(&mut [maker(), reader()]), Vec::<&str>::new());
        assert_eq!(
            order(&mut [reader(), maker()]),
            [codes::USED_BEFORE_EVALUATED]
        );
        let mut elsewhere = maker();
        elsewhere.group = "other".to_owned();
        assert_eq!(
            order(&mut [elsewhere, reader()]),
            [codes::USED_BEFORE_EVALUATED]
        );
        assert_eq!(order(&mut [reader()]), [codes::NEVER_RECORDED]);
        let mut labelled = maker();
        labelled.labels.insert("slo".to_owned(), "a".to_owned());
        let other = rule("Reader", "job:a:rate5m{slo=\"b\"} > 1");
        assert_eq!(order(&mut [labelled, other]), [codes::NEVER_RECORDED]);
    }
}
