//! What several signals say of the same requests: metrics, spans, lines, and what a load generator counted.

use std::collections::{BTreeMap, BTreeSet};

use super::codes;
use super::elasticsearch::Document;
use super::equation::{Lost, same};
use super::evidence::{Evidence, Lines, Traces};
use super::expectations::{Requests, Run};
use super::exposition::Pages;
use super::jaeger::Span;
use super::judgement::Judgement;
use super::lines::microseconds;
use crate::boards::truth::Truth;

/// A line is written as its span ends, so its time is within the span; by so much later at most, in microseconds: the
/// thread may be stopped in between.
const LATE: u64 = 2_000_000;
/// And so much before its span begins: two readings of one clock.
const EARLY: u64 = 1_000;
/// Two measures of the same durations agree within this factor. They are taken a few instructions apart.
const FACTOR: f64 = 2.0;
/// Standard deviations by which the share of sampled requests may differ from its probability: once in 15,000 runs.
const DEVIATIONS: f64 = 4.0;

/// Judges what the parts of the evidence say of each other.
pub(super) fn judge(evidence: &Evidence, lost: Lost, judgement: &mut Judgement) {
    if let (Some(traces), Some(pages)) = (&evidence.traces, &evidence.pages) {
        exemplars(traces, pages, lost, judgement);
    }
    let Some(requests) = &evidence.expectations.requests else {
        return judgement.cannot("requests: the expectations have no [requests]");
    };
    let current = evidence.current().unwrap_or_default();
    let mut of_requests = OfRequests::new(evidence, requests, &current);
    of_requests.lost = lost;
    of_requests.counts(judgement);
    of_requests.share(judgement);
    if let (Some(traces), Some(lines)) = (&evidence.traces, &evidence.lines) {
        of_requests.both_ways(traces, lines, judgement);
    }
    of_requests.durations(judgement);
}

/// An exemplar leads to a trace that is there, unless spans were lost.
fn exemplars(traces: &Traces, pages: &Pages, lost: Lost, judgement: &mut Judgement) {
    let there: BTreeSet<&str> = traces.all.iter().map(|trace| trace.id.as_str()).collect();
    let page = &pages.earlier;
    for sample in &page.samples {
        let labels = sample.exemplar.iter().flat_map(|exemplar| &exemplar.labels);
        let mut ids = labels
            .filter(|(name, _)| name == "trace_id")
            .map(|(_, id)| id);
        let Some(id) = ids.find(|id| !there.contains(id.as_str())) else {
            continue;
        };
        if lost.spans {
            judgement.cannot(
                "exemplars: some lead to no trace, and the program says that it lost spans",
            );
        } else {
            let sentence = format!(
                "its exemplar leads to trace {id}, which {} does not have",
                traces.place
            );
            judgement.find(
                codes::EXEMPLAR_WITHOUT_TRACE,
                &page.address,
                &sample.name,
                sentence,
            );
        }
    }
}

/// The signals of the requests of one process.
struct OfRequests<'a> {
    evidence: &'a Evidence,
    requests: &'a Requests,
    /// Their lines, if lines were read.
    lines: Vec<&'a Document>,
    /// Their spans, if spans were read.
    spans: Vec<&'a Span>,
    lost: Lost,
}

impl<'a> OfRequests<'a> {
    fn new(evidence: &'a Evidence, requests: &'a Requests, current: &str) -> Self {
        let (mut lines, mut spans) = (evidence.lines_of(current), evidence.spans_of(current));
        lines.retain(|line| line.is(&requests.line));
        spans.retain(|span| span.kind == requests.span_kind);
        let lost = Lost::default();
        Self {
            evidence,
            requests,
            lines,
            spans,
            lost,
        }
    }

    /// Observations since the process' start, and since the page that was saved before a load.
    fn observed(&self) -> Option<(f64, f64)> {
        let pages = self.evidence.pages.as_ref()?;
        let name = format!("{}_count", self.requests.metric);
        let now = pages.later.total(&name);
        let before = pages.before.as_ref().map_or(0.0, |page| page.total(&name));
        Some((now, now - before))
    }

    fn counts(&self, judgement: &mut Judgement) {
        let mut figures = Vec::new();
        let observed = self.observed();
        figures.extend(observed.map(|(now, _)| ("observations", now)));
        let lines = self
            .evidence
            .lines
            .as_ref()
            .map(|lines| (lines, self.lines.len() as f64));
        figures.extend(lines.map(|(_, count)| ("lines", count)));
        figures.extend(
            self.evidence
                .traces
                .as_ref()
                .map(|_| ("spans", self.spans.len() as f64)),
        );
        judgement.measure("requests", figures);
        // Each request has a line and an observation, sampled or not.
        if let (Some((now, _)), Some((lines, count))) = (observed, lines)
            && !same(now, count)
        {
            if self.lost.lines {
                judgement.cannot(
                    "requests: lines are not all there, so they cannot be held against the metrics",
                );
            } else {
                let sentence = format!(
                    "{count} lines about requests, and {now} observations of {}",
                    self.requests.metric
                );
                judgement.find(
                    codes::REQUEST_LINES_DIFFER,
                    &lines.place,
                    "requests",
                    sentence,
                );
            }
        }
        self.against_truth(observed, judgement);
    }

    /// Against a load: what it got an answer to was there, and nothing that it did not send.
    fn against_truth(&self, observed: Option<(f64, f64)>, judgement: &mut Judgement) {
        let Some(truth) = &self.evidence.truth else {
            return;
        };
        let (mut answered, mut sent) = (0.0, 0.0);
        for requests in truth.phases.iter().flat_map(|phase| &phase.requests) {
            let count = requests.count as f64;
            let open = matches!(requests.status.as_str(), "timeout" | "connect" | "io");
            sent += if requests.status == "not_sent" {
                0.0
            } else {
                count
            };
            answered += if open || requests.status == "not_sent" {
                0.0
            } else {
                count
            };
        }
        judgement.measure("load", vec![("answered", answered), ("sent", sent)]);
        let place = self.evidence.lines.as_ref().map(|lines| &lines.place);
        let of_run = place.zip(self.of_run(truth));
        if observed.is_none() && of_run.is_none() {
            judgement.cannot("the load: neither metrics nor lines of its run were asked for");
        }
        if let (Some((now, since)), Some(pages)) = (observed, &self.evidence.pages) {
            // Where lines tell them apart, others may have sent requests, too.
            let since_then = self.lines.len() as f64 - (now - since);
            let others = of_run.map_or(0.0, |(_, count)| (since_then - count).max(0.0));
            if since < answered + others || since > sent + others {
                let name = &self.requests.metric;
                let sentence = format!(
                    "{name} counts {since} requests, and the load has {answered} answered and {sent} sent"
                );
                let spans = self.spans.len() as f64;
                let (code, sentence) =
                    if spans > 0.0 && same(now, spans) && since < answered + others {
                        (
                            codes::REQUESTS_FROM_SAMPLED_SPANS,
                            format!("{sentence}: it counts as many as there are spans"),
                        )
                    } else {
                        (codes::REQUESTS_DIFFER, sentence)
                    };
                judgement.find(code, &pages.later.address, name, sentence);
            }
        }
        let Some((place, count)) = of_run.filter(|(_, count)| *count < answered || *count > sent)
        else {
            return;
        };
        if self.lost.lines {
            judgement.cannot(
                "requests: lines are not all there, so they cannot be held against the load",
            );
        } else {
            let sentence = format!(
                "{count} lines about requests of the load, and it has {answered} answered and {sent} sent"
            );
            judgement.find(codes::REQUEST_LINES_DIFFER, place, "requests", sentence);
        }
    }

    /// How many lines are of the load's run; `None` where nothing tells its lines from others.
    fn of_run(&self, truth: &Truth) -> Option<f64> {
        let (Run { field, .. }, run) = self.requests.run.as_ref().zip(truth.run.as_ref())?;
        let of_run = |line: &&&Document| line.text(field).as_ref() == Some(run);
        Some(self.lines.iter().filter(of_run).count() as f64)
    }

    /// How many of all requests have a trace.
    fn share(&self, judgement: &mut Judgement) {
        let (Some(share), Some(pages), Some(traces)) = (
            self.evidence.sampled_share,
            &self.evidence.pages,
            &self.evidence.traces,
        ) else {
            return;
        };
        if self.lost.spans {
            return judgement.cannot("the sampled share: the program says that it lost spans");
        }
        let (all, sampled) = (
            pages
                .later
                .total(&format!("{}_count", self.requests.metric)),
            self.spans.len() as f64,
        );
        let expected = all * share;
        let deviation = (expected * (1.0 - share)).sqrt();
        if (sampled - expected).abs() > DEVIATIONS * deviation + 0.5 {
            let sentence = format!(
                "{sampled} of {all} requests have a trace, and {expected:.1} were to be expected (ratio {share})"
            );
            judgement.find(
                codes::SAMPLED_SHARE_WRONG,
                &traces.place,
                "requests",
                sentence,
            );
        }
    }

    /// From each span of a request to its line, and from each line of a trace to its span.
    fn both_ways(&self, traces: &Traces, lines: &Lines, judgement: &mut Judgement) {
        let Some(names) = &self.evidence.expectations.lines else {
            return;
        };
        let id = |line: &Document| Some((line.text(&names.trace)?, line.text(&names.span)?));
        let by_id: BTreeMap<(String, String), &Document> = self
            .lines
            .iter()
            .filter_map(|line| Some((id(line)?, *line)))
            .collect();
        let mut joined = 0;
        for span in &self.spans {
            match by_id.get(&(span.trace.clone(), span.id.clone())) {
                Some(line) => {
                    joined += 1;
                    self.agree(span, line, &names.time, &lines.place, judgement);
                }
                None if self.lost.lines => {
                    judgement.cannot("spans and their lines: lines are not all there");
                }
                None => {
                    let sentence = format!("no line has trace {} and span {}", span.trace, span.id);
                    judgement.find(codes::SPAN_WITHOUT_LINE, &lines.place, &span.name, sentence);
                }
            }
        }
        judgement.measure(
            "requests joined by trace and span",
            vec![("both ways", f64::from(joined))],
        );
        let spans: BTreeSet<(&str, &str)> = traces
            .own()
            .map(|span| (span.trace.as_str(), span.id.as_str()))
            .collect();
        let known: BTreeSet<&str> = spans.iter().map(|(trace, _)| *trace).collect();
        // A request that was not sampled has a trace id and no trace.
        for line in lines.own(names) {
            let Some((trace, span)) = id(line).filter(|(trace, _)| known.contains(trace.as_str()))
            else {
                continue;
            };
            if spans.contains(&(trace.as_str(), span.as_str())) {
                continue;
            }
            if self.lost.spans {
                judgement.cannot("lines and their spans: the program says that it lost spans");
            } else {
                let sentence =
                    format!("span {span} is not in trace {trace} (document {})", line.id);
                judgement.find(codes::LINE_WITHOUT_SPAN, &traces.place, "lines", sentence);
            }
        }
    }

    /// Span and line of one request: what both say, they say alike, and of the same moment.
    fn agree(
        &self,
        span: &Span,
        line: &Document,
        time: &str,
        place: &str,
        judgement: &mut Judgement,
    ) {
        for tag in &span.tags {
            let Some(said) = line.text(&tag.key) else {
                continue;
            };
            let value = super::jaeger::text(&tag.value);
            if said != value {
                let sentence = format!(
                    "the span says {value:?} and the line {said:?} (document {})",
                    line.id
                );
                judgement.find(codes::SPAN_AND_LINE_DIFFER, place, &tag.key, sentence);
            }
        }
        if let Some(Run { field, attribute }) = &self.requests.run
            && line.text(field) != span.text(attribute)
        {
            let sentence = format!(
                "the run is {:?} by the span, and {:?} by the line (document {})",
                span.text(attribute),
                line.text(field),
                line.id
            );
            judgement.find(codes::BAGGAGE_MISSING, place, attribute, sentence);
        }
        let Some(at) = line.text(time).and_then(|time| microseconds(&time)) else {
            return;
        };
        if at + EARLY < span.start || at > span.end() + LATE {
            let off = at as f64 - span.start as f64;
            let sentence = format!(
                "the line is from {:.3} s after its span began, outside of it (document {})",
                off / 1e6,
                line.id
            );
            judgement.find(codes::TIME_WRONG, place, time, sentence);
        }
    }

    /// Each signal measures the same requests: their sums tell a wrong unit.
    fn durations(&self, judgement: &mut Judgement) {
        let nanoseconds =
            |line: &&Document| line.number(&self.requests.duration).unwrap_or_default();
        let mut sums = Vec::new();
        if self.evidence.lines.is_some() {
            let all: f64 = self.lines.iter().map(nanoseconds).sum();
            if let Some(pages) = &self.evidence.pages {
                let sum = pages.later.total(&format!("{}_sum", self.requests.metric));
                sums.push((
                    &pages.later.address,
                    self.requests.metric.as_str(),
                    sum,
                    all / 1e9,
                ));
            }
            if let (Some(traces), Some(names)) =
                (&self.evidence.traces, &self.evidence.expectations.lines)
            {
                let ids: BTreeSet<(&str, &str)> = self
                    .spans
                    .iter()
                    .map(|span| (span.trace.as_str(), span.id.as_str()))
                    .collect();
                let sampled = self.lines.iter().filter(|line| {
                    let id = line.text(&names.trace).zip(line.text(&names.span));
                    id.is_some_and(|(trace, span)| ids.contains(&(trace.as_str(), span.as_str())))
                });
                let of_lines: f64 = sampled.map(nanoseconds).sum();
                let of_spans: f64 = self.spans.iter().map(|span| span.duration as f64).sum();
                if of_lines > 0.0 {
                    sums.push((
                        &traces.place,
                        "spans of requests",
                        of_spans / 1e6,
                        of_lines / 1e9,
                    ));
                }
            }
        }
        for (place, subject, sum, of_lines) in sums {
            let apart = sum > of_lines * FACTOR || of_lines > sum * FACTOR;
            if apart && !self.lost.lines {
                let sentence = format!(
                    "{sum:.3} s in all, and {of_lines:.3} s by the lines about the same requests: is a unit wrong?"
                );
                judgement.find(codes::DURATIONS_DIFFER, place, subject, sentence);
            }
        }
    }
}
