//! Whether somebody is told when a job that alerts are about is gone: without its series none of them can fire.

use std::collections::BTreeMap;

use promql_parser::label::MatchOp;

use super::codes;
use super::files::Rule;
use super::tree::{Selection, selections};
use crate::finding::Finding;

/// Checks the jobs that alerts select. An alert on absence is `absent` of a series with the job.
pub(super) fn check(rules: &[Rule], findings: &mut Vec<Finding>) {
    let mut jobs: BTreeMap<String, (&Rule, bool)> = BTreeMap::new();
    for rule in rules.iter().filter(|rule| rule.alert().is_some()) {
        for selection in rule.expr.iter().flat_map(selections) {
            let Some(job) = job(&selection) else {
                continue;
            };
            let absence = selection
                .around
                .iter()
                .any(|expr| crate::promql::function(expr).starts_with("absent"));
            let (_, noticed) = jobs.entry(job).or_insert((rule, false));
            *noticed |= absence;
        }
    }
    for (job, (rule, noticed)) in jobs {
        if !noticed {
            findings.push(rule.finding(
                codes::ABSENCE_NOT_ALERTED,
                format!(
                    "no alert fires when the job {job} is gone from Prometheus: write one with absent(up{{job=\"{job}\"}})"
                ),
            ));
        }
    }
}

/// The one job that is selected.
fn job(selection: &Selection<'_>) -> Option<String> {
    let matcher = selection.matcher("job")?;
    (matcher.op == MatchOp::Equal && !matcher.value.is_empty()).then(|| matcher.value.clone())
}

#[cfg(test)]
mod tests {
    use super::super::testing::rule;
    use super::*;

    #[test]
    fn a_job_that_alerts_are_about_needs_one_on_its_absence() {
        let about = || rule("Slow", "avg_over_time(x{job=\"api\"}[5m]) > 1");
        let codes = |rules: &[Rule]| {
            let mut findings = Vec::new();
            check(rules, &mut findings);
            findings.into_iter().map(|f| f.code).collect::<Vec<_>>()
        };
        assert_eq!(codes(&[about()]), [codes::ABSENCE_NOT_ALERTED]);
        let other = rule("Gone", "absent(up{job=\"web\"})");
        assert_eq!(codes(&[about(), other]), [codes::ABSENCE_NOT_ALERTED]);
        let gone = rule("Gone", "up == 0 or absent(up{job=\"api\"})");
        assert_eq!(codes(&[about(), gone]), Vec::<&str>::new());
    }
}
