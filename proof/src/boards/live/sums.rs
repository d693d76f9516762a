//! Sums of what should not be added: the same facts told by two jobs, and buckets of different bounds.

use std::collections::{BTreeMap, BTreeSet};

use promql_parser::parser::Expr;

use super::{Judge, Note, codes, or_wrong};
use crate::exit::Refusal;
use crate::prometheus::Labels;
use crate::promql;

impl<'a> Judge<'_, 'a> {
    pub(super) async fn sums(&self, expr: &Expr) -> Result<Vec<Note<'a>>, Refusal> {
        let mut sums = Vec::new();
        promql::walk(expr, &mut |expr, _| {
            if promql::aggregation(expr) == "sum" {
                sums.push(expr);
            }
        });
        let mut notes: Vec<Note<'a>> = Vec::new();
        for sum in sums {
            for selector in promql::selectors(sum) {
                let text = promql::text_of_selector(selector);
                let found = or_wrong(self.server.series(&text).await)?;
                let Ok(series) = found else {
                    continue;
                };
                let faults = [over_jobs(sum, &series), mixed_buckets(sum, &series)];
                for (code, reason) in faults.into_iter().flatten() {
                    let note = self.note(code, format!("{text}: {reason}"));
                    if notes.iter().all(|known| known.finding != note.finding) {
                        notes.push(note);
                    }
                }
            }
        }
        Ok(notes)
    }
}

type Fault = (&'static str, String);

/// Two jobs that export one metric: two programs, which are rarely meant together, or two exporters of the same facts.
fn over_jobs(sum: &Expr, series: &[Labels]) -> Option<Fault> {
    if promql::keeps_label(sum, "job") {
        return None;
    }
    let jobs: BTreeSet<&str> = series
        .iter()
        .filter_map(|labels| labels.get("job"))
        .map(String::as_str)
        .collect();
    if jobs.len() < 2 {
        return None;
    }
    let jobs: Vec<_> = jobs.into_iter().collect();
    let sentence = format!(
        "the sum is over the jobs {}; if they tell of the same things, it is a multiple; select one job, or sum by it",
        jobs.join(", ")
    );
    Some((codes::SUM_OVER_JOBS, sentence))
}

/// During a roll-out old and new instances may have other bounds: a bucket that only some have is too small in the sum.
fn mixed_buckets(sum: &Expr, series: &[Labels]) -> Option<Fault> {
    if !promql::keeps_label(sum, "le") {
        return None;
    }
    let mut bounds: BTreeMap<Labels, BTreeSet<&str>> = BTreeMap::new();
    for labels in series {
        let Some(bound) = labels.get("le") else {
            continue;
        };
        let mut rest = labels.clone();
        rest.remove("le");
        bounds.entry(rest).or_default().insert(bound);
    }
    let layouts: BTreeSet<_> = bounds.values().collect();
    (layouts.len() > 1).then(|| {
        let sentence = format!(
            "the histograms that are summed have {} different sets of bounds, so quantiles of the sum are wrong",
            layouts.len()
        );
        (codes::MIXED_BUCKETS, sentence)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(of: &[(&str, &str)]) -> Vec<Labels> {
        of.iter()
            .map(|(job, bound)| {
                let pairs = [("job", *job), ("le", *bound)];
                pairs
                    .map(|(name, value)| (name.to_owned(), value.to_owned()))
                    .into()
            })
            .collect()
    }

    #[test]
    fn a_sum_over_two_jobs_is_told_unless_it_is_by_job() {
        let two = series(&[("a", "1.0"), ("b", "1.0")]);
        let sum = |text| promql::parse(text).unwrap();
        let fault = over_jobs(&sum("sum by (le) (x_bucket)"), &two).unwrap();
        assert_eq!(fault.0, codes::SUM_OVER_JOBS);
        assert!(fault.1.contains("jobs a, b"), "{}", fault.1);
        assert_eq!(over_jobs(&sum("sum by (job) (x_bucket)"), &two), None);
        assert_eq!(over_jobs(&sum("sum(x)"), &two[..1]), None);
    }

    #[test]
    fn buckets_of_other_bounds_are_not_added() {
        let sum = promql::parse("sum by (le) (rate(x_bucket[5m]))").unwrap();
        let mixed = series(&[("a", "1.0"), ("a", "2.0"), ("b", "1.0")]);
        assert_eq!(mixed_buckets(&sum, &mixed).unwrap().0, codes::MIXED_BUCKETS);
        let same = series(&[("a", "1.0"), ("a", "2.0"), ("b", "1.0"), ("b", "2.0")]);
        assert_eq!(mixed_buckets(&sum, &same), None);
    }
}
