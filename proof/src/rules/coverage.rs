//! Whether promtool tests expect each alert to fire, and to be silent.

use std::collections::BTreeMap;

use promql_parser::label::MatchOp;
use promql_parser::parser::Expr;

use super::codes;
use super::files::{Rule, Test};
use super::tree::{Selection, selections};
use crate::finding::Finding;
use crate::promql;

/// The series in which Prometheus keeps its alerts.
const ALERTS: &str = "ALERTS";

/// Checks each alert. Two alerts of one name are told apart by the labels that their rules set.
pub(super) fn check(rules: &[Rule], tests: &[Test], findings: &mut Vec<Finding>) {
    for rule in rules {
        let Some(name) = rule.alert() else { continue };
        let looks: Vec<Look> = tests
            .iter()
            .flat_map(|test| look(test, name, rule))
            .collect();
        if !looks.contains(&Look::Fires) {
            findings.push(rule.finding(
                codes::FIRING_NEVER_EXPECTED,
                "no promtool test expects this alert to fire: nothing shows that it can",
            ));
        }
        let always = rule
            .labels
            .get("severity")
            .is_some_and(|severity| severity == "none");
        if !always && !looks.contains(&Look::Silent) {
            findings.push(rule.finding(
                codes::SILENCE_NEVER_EXPECTED,
                "no promtool test expects this alert to be silent: nothing shows that it waits for its cause",
            ));
        }
    }
}

/// What one look of a test at an alert expects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Look {
    Fires,
    Silent,
}

fn look<'a>(test: &'a Test, name: &'a str, rule: &'a Rule) -> impl Iterator<Item = Look> + 'a {
    let said = |fires| if fires { Look::Fires } else { Look::Silent };
    let by_alert = test
        .alert_rule_test
        .iter()
        .filter(move |look| look.alertname == name)
        .map(move |look| {
            said(
                look.exp_alerts
                    .iter()
                    .any(|alert| is_of(rule, &alert.exp_labels)),
            )
        });
    let by_series = test.promql_expr_test.iter().filter_map(move |look| {
        let expr = promql::parse(&look.expr).ok()?;
        let asked = selections(&expr);
        if !asked
            .iter()
            .any(|selection| asks_for(selection, name, rule))
        {
            return None;
        }
        let firing = look
            .exp_samples
            .iter()
            .filter_map(|sample| alert_labels(&sample.labels));
        let mut own =
            firing.filter(|labels| labels.get("alertname").is_some_and(|found| found == name));
        Some(said(own.any(|labels| is_of(rule, &labels))))
    });
    by_alert.chain(by_series)
}

/// Whether a selection of `ALERTS` would return a firing alert of this rule.
fn asks_for(selection: &Selection<'_>, name: &str, rule: &Rule) -> bool {
    selection.name() == ALERTS
        && selection
            .matcher("alertname")
            .is_some_and(|matcher| matcher.is_match(name))
        && selection
            .matchers()
            .all(|matcher| match matcher.name.as_str() {
                "alertname" => true,
                "alertstate" => matcher.is_match("firing"),
                label => rule
                    .labels
                    .get(label)
                    .is_none_or(|value| matcher.is_match(value)),
            })
}

/// Whether an alert with these labels comes from this rule, as far as the labels that the rule sets tell.
fn is_of(rule: &Rule, labels: &BTreeMap<String, String>) -> bool {
    let plain = rule
        .labels
        .iter()
        .filter(|(_, value)| !value.contains("{{"));
    plain
        .into_iter()
        .all(|(label, value)| labels.get(label) == Some(value))
}

/// Labels of a firing alert, out of a sample such as `ALERTS{alertname="X",alertstate="firing"}`.
fn alert_labels(sample: &str) -> Option<BTreeMap<String, String>> {
    let Expr::VectorSelector(selector) = promql::parse(sample).ok()? else {
        return None;
    };
    let equal = |matcher: &promql_parser::label::Matcher| matcher.op == MatchOp::Equal;
    let labels: BTreeMap<_, _> = selector
        .matchers
        .matchers
        .into_iter()
        .filter(equal)
        .map(|matcher| (matcher.name, matcher.value))
        .collect();
    let firing = labels
        .get("alertstate")
        .is_some_and(|state| state == "firing");
    (selector.name.as_deref() == Some(ALERTS) && firing).then_some(labels)
}

#[cfg(test)]
mod tests {
    use super::super::testing::rule;
    use super::*;

    fn codes(tests: &str) -> Vec<&'static str> {
        let tests: Vec<Test> = serde_saphyr::from_str(tests).unwrap();
        let mut findings = Vec::new();
        check(&[rule("StoreFailing", "up == 0")], &tests, &mut findings);
        findings.into_iter().map(|finding| finding.code).collect()
    }

    #[test]
    fn an_alert_needs_a_test_that_it_fires_and_one_that_it_is_silent() {
        assert_eq!(
            codes("[]"),
            [codes::FIRING_NEVER_EXPECTED, codes::SILENCE_NEVER_EXPECTED]
        );
        let silent = "- alert_rule_test: [{eval_time: 1m, alertname: StoreFailing}]";
        assert_eq!(codes(silent), [codes::FIRING_NEVER_EXPECTED]);
        let both = "
- alert_rule_test:
    - {eval_time: 1m, alertname: StoreFailing}
    - {eval_time: 9m, alertname: StoreFailing, exp_alerts: [{exp_labels: {severity: ticket, service: x, instance: a}}]}";
        assert_eq!(codes(both), Vec::<&str>::new());
    }

    #[test]
    fn an_alert_of_another_severity_is_another_alert() {
        let other = "
- alert_rule_test:
    - {eval_time: 9m, alertname: StoreFailing, exp_alerts: [{exp_labels: {severity: page, service: x}}]}";
        assert_eq!(codes(other), [codes::FIRING_NEVER_EXPECTED]);
    }

    #[test]
    fn the_series_of_alerts_counts_as_well() {
        let both = r#"
- promql_expr_test:
    - {expr: 'ALERTS{alertname="StoreFailing",alertstate="firing"}', eval_time: 1m}
    - expr: 'ALERTS{alertname="StoreFailing",alertstate="firing"}'
      eval_time: 9m
      exp_samples: [{labels: 'ALERTS{alertname="StoreFailing",alertstate="firing",severity="ticket",service="x"}', value: 1}]"#;
        assert_eq!(codes(both), Vec::<&str>::new());
        let pending = r#"
- promql_expr_test:
    - {expr: 'ALERTS{alertname="StoreFailing",alertstate="pending"}', eval_time: 1m}"#;
        assert_eq!(
            codes(pending),
            [codes::FIRING_NEVER_EXPECTED, codes::SILENCE_NEVER_EXPECTED]
        );
    }
}
