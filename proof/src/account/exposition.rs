//! A program's page of metrics: read, held against the rules of its format and against what the program declares.

mod declared;
mod page;
mod rules;

pub(super) use page::{Format, Page};

use super::codes;
use super::expectations::{Expectations, Term};
use super::judgement::Judgement;
use crate::declarations::Program;

/// The pages of one program, read one after the other. What is in `later` came after everything else was read.
#[derive(Debug)]
pub(super) struct Pages {
    /// OpenMetrics, before the other servers were asked.
    pub(super) earlier: Page,
    /// OpenMetrics, after they were.
    pub(super) later: Page,
    /// For a reader who asks for plain text.
    pub(super) classic: Page,
    /// For a reader who asks for nothing.
    pub(super) unasked: Page,
    /// Saved before a load, if it was.
    pub(super) before: Option<Page>,
}

/// Judges all of them.
pub(super) fn judge(
    pages: &Pages,
    program: &Program,
    expectations: &Expectations,
    judgement: &mut Judgement,
) {
    for page in [&pages.later, &pages.classic] {
        rules::check(page, judgement);
        declared::check(page, program, judgement);
    }
    rules::content_type(&pages.unasked, judgement);
    ceiling(&pages.later, expectations, judgement);
    exemplars(&pages.later, expectations, judgement);
    rules::created(&pages.later, &expectations.exposition, judgement);
    let start = expectations.exposition.start_time.as_ref();
    for earlier in pages.before.iter().chain([&pages.earlier]) {
        fallen(earlier, &pages.later, start, judgement);
    }
}

fn ceiling(page: &Page, expectations: &Expectations, judgement: &mut Judgement) {
    let series = page.samples.len();
    judgement.measure("page of metrics", vec![("series", series as f64)]);
    match expectations.exposition.series {
        Some(most) if series > most => judgement.find(
            codes::TOO_MANY_SERIES,
            &page.address,
            "page",
            format!("{series} series, more than the ceiling of {most}: bound a label's values"),
        ),
        _ => {}
    }
}

/// Exemplars are there once a sampled request was observed, which the count of spans tells.
fn exemplars(page: &Page, expectations: &Expectations, judgement: &mut Judgement) {
    let sampled = expectations
        .spans
        .as_ref()
        .map(|spans| page.sum(&spans.ended));
    if sampled.is_some_and(|sampled| sampled.is_ok_and(|spans| spans > 0.0)) {
        for metric in &expectations.exposition.exemplars {
            let bucket = format!("{metric}_bucket");
            let has = |with: bool| {
                let mut buckets = page.samples.iter().filter(|sample| sample.name == bucket);
                buckets.any(|sample| !with || sample.exemplar.is_some())
            };
            if has(false) && !has(true) {
                judgement.find(
                    codes::EXEMPLARS_MISSING,
                    &page.address,
                    metric,
                    "sampled requests were observed and no bucket has an exemplar",
                );
            }
        }
    }
}

/// A counter falls only when its process starts anew.
fn fallen(earlier: &Page, later: &Page, start: Option<&Term>, judgement: &mut Judgement) {
    let began = |page: &Page| start.and_then(|term| page.sum(std::slice::from_ref(term)).ok());
    if began(earlier) != began(later) {
        return;
    }
    let (before, after) = (earlier.counters(), later.counters());
    for (series, now) in &after {
        let Some(was) = before.get(series).filter(|was| *was > now) else {
            continue;
        };
        judgement.find(
            codes::COUNTER_FELL,
            &later.address,
            series.split('{').next().unwrap_or_default(),
            format!("{series} fell from {was} to {now}, and the process did not start anew"),
        );
    }
    for series in before.keys().filter(|series| !after.contains_key(*series)) {
        judgement.find(
            codes::COUNTER_FELL,
            &later.address,
            series.split('{').next().unwrap_or_default(),
            format!("{series} is no longer there, and the process did not start anew"),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: &str = "# TYPE start gauge\n# HELP start Start.\nstart";

    fn fell(earlier: &str, later: &str) -> usize {
        let page =
            |text: &str| Page::parse("http://p/metrics", Format::Classic, "", text.to_owned());
        let start = Term {
            metric: "start".to_owned(),
            labels: Vec::new(),
        };
        let mut judgement = Judgement::new();
        fallen(&page(earlier), &page(later), Some(&start), &mut judgement);
        judgement.findings.len()
    }

    #[test]
    fn a_counter_falls_only_with_its_process() {
        let page = |start: u32, series: &str| {
            format!("{START} {start}\n# TYPE a_total counter\n# HELP a_total As.\n{series}\n")
        };
        let earlier = page(1, "a_total{x=\"1\"} 7");
        assert_eq!(fell(&earlier, &page(1, "a_total{x=\"1\"} 7")), 0);
        assert_eq!(fell(&earlier, &page(1, "a_total{x=\"1\"} 6")), 1);
        assert_eq!(
            fell(&earlier, &page(2, "a_total{x=\"1\"} 0")),
            0,
            "a new process"
        );
        assert_eq!(
            fell(&earlier, &page(1, "a_total{x=\"2\"} 9")),
            1,
            "the series left"
        );
    }
}
