//! The loss equations: what a program counted against what the servers have, to the unit.
//!
//! Counters move while the servers are asked, so there is a page from before and one from after: what was confirmed before
//! must be there, and nothing can be there that was neither confirmed nor perhaps received after.

use std::collections::{BTreeMap, BTreeSet};

use super::codes;
use super::evidence::Evidence;
use super::expectations::{Lines, Spans};
use super::exposition::{Page, Pages};
use super::judgement::Judgement;

/// Whether what a process emitted was lost, as far as it knows. Then a join may be open for a reason.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Lost {
    pub(super) spans: bool,
    pub(super) lines: bool,
}

/// Where spans went, by the program's own counters.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct SpanTerms {
    ended: f64,
    dropped: f64,
    waiting: f64,
    confirmed: f64,
    rejected: f64,
    unknown: f64,
}

impl SpanTerms {
    pub(super) fn read(page: &Page, spans: &Spans) -> Result<Self, String> {
        Ok(Self {
            ended: page.sum(&spans.ended)?,
            dropped: page.sum(&spans.dropped)?,
            waiting: page.sum(&spans.waiting)?,
            confirmed: page.sum(&spans.confirmed)?,
            rejected: page.sum(&spans.rejected)?,
            unknown: page.sum(&spans.unknown)?,
        })
    }

    fn sum(&self) -> f64 {
        self.dropped + self.waiting + self.confirmed + self.rejected + self.unknown
    }

    fn lost(&self) -> bool {
        self.dropped + self.rejected + self.unknown + self.waiting > 0.0
    }

    /// Whether nothing waits, and so many spans are all that will come.
    pub(super) fn is_settled(&self, received: f64) -> bool {
        self.waiting == 0.0 && received >= self.confirmed
    }
}

/// Where lines went, by the program's own counters.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct LineTerms {
    written: f64,
    dropped: f64,
    waiting: f64,
}

impl LineTerms {
    pub(super) fn read(page: &Page, lines: &Lines) -> Result<Self, String> {
        Ok(Self {
            written: page.sum(&lines.written)?,
            dropped: page.sum(&lines.dropped)?,
            waiting: page.sum(&lines.waiting)?,
        })
    }

    /// Whether nothing waits, and so many lines are all that will come.
    pub(super) fn is_settled(&self, received: f64) -> bool {
        self.waiting == 0.0 && received >= self.written
    }
}

/// Whether two counts are the same: they are whole numbers, kept as the page has them.
pub(super) fn same(one: f64, other: f64) -> bool {
    (one - other).abs() < 0.5
}

/// Judges both equations, and returns what the program says that it lost.
pub(super) fn judge(evidence: &Evidence, judgement: &mut Judgement) -> Lost {
    for instance in evidence.ended() {
        without_counters(evidence, &instance, judgement);
    }
    let Some(pages) = &evidence.pages else {
        judgement.cannot("losses: give --metrics URL, the program's own counters");
        return Lost {
            spans: true,
            lines: true,
        };
    };
    let mut lost = Lost::default();
    if evidence.traces.is_some() && evidence.expectations.spans.is_none() {
        judgement.cannot("the account of spans: the expectations have no [spans]");
    }
    if let (Some(spans), Some(_)) = (&evidence.expectations.spans, &evidence.traces) {
        let terms = |page| SpanTerms::read(page, spans);
        match (terms(&pages.earlier), terms(&pages.later)) {
            (Ok(before), Ok(after)) => {
                lost.spans = after.lost();
                self::spans(evidence, pages, (before, after), judgement);
            }
            (Err(why), _) | (_, Err(why)) => {
                lost.spans = true;
                judgement.cannot(format!("the account of spans: {why}"));
            }
        }
    }
    if let (Some(names), Some(_)) = (&evidence.expectations.lines, &evidence.lines) {
        let terms = |page| LineTerms::read(page, names);
        match (terms(&pages.earlier), terms(&pages.later)) {
            (Ok(before), Ok(after)) => {
                lost.lines = lines(evidence, pages, (before, after), judgement);
            }
            (Err(why), _) | (_, Err(why)) => {
                lost.lines = true;
                judgement.cannot(format!("the account of lines: {why}"));
            }
        }
    }
    lost
}

fn spans(
    evidence: &Evidence,
    pages: &Pages,
    (before, after): (SpanTerms, SpanTerms),
    judgement: &mut Judgement,
) {
    let place = evidence.traces.as_ref().map_or("", |traces| &traces.place);
    let current = evidence.current().unwrap_or_default();
    let received = evidence.spans_of(&current).len() as f64;
    judgement.measure(
        format!("spans of {current}"),
        vec![
            ("ended", after.ended),
            ("dropped", after.dropped),
            ("waiting", after.waiting),
            ("confirmed", after.confirmed),
            ("rejected", after.rejected),
            ("unknown", after.unknown),
            ("received", received),
        ],
    );
    if before != after {
        judgement.cannot(
            "the account of spans: its counters moved all the time; judge when there is no load",
        );
    } else if !same(after.ended, after.sum()) {
        let sentence = format!(
            "{} spans ended, and {} are accounted for: {after:?}",
            after.ended,
            after.sum()
        );
        judgement.find(
            codes::SPANS_UNBALANCED,
            &pages.later.address,
            "spans",
            sentence,
        );
    }
    if received < before.confirmed {
        let sentence = format!(
            "{received} spans of {current} are there, and {} were confirmed",
            before.confirmed
        );
        judgement.find(codes::SPANS_MISSING, place, "spans", sentence);
    }
    let most = after.confirmed + after.unknown + after.waiting;
    if received > most {
        let sentence = format!(
            "{received} spans of {current} are there, and at most {most} can have been received"
        );
        judgement.find(codes::SPANS_SURPLUS, place, "spans", sentence);
    }
}

/// The numbers of a process' lines, also of those that were kept as text.
fn numbers(evidence: &Evidence, names: &Lines, instance: &str) -> BTreeMap<u64, usize> {
    let mut numbers = BTreeMap::new();
    let documents = evidence.lines.iter().flat_map(|lines| lines.own(names));
    for document in documents {
        let identity = super::lines::identity(document, names);
        if let Some((_, number)) = identity.filter(|(of, _)| of == instance) {
            *numbers.entry(number).or_default() += 1;
        }
    }
    numbers
}

/// How many numbers up to the highest are absent.
fn gaps(numbers: &BTreeMap<u64, usize>) -> f64 {
    let last = numbers.last_key_value().map_or(0, |(last, _)| *last);
    last as f64 - numbers.len() as f64
}

fn lines(
    evidence: &Evidence,
    pages: &Pages,
    (before, after): (LineTerms, LineTerms),
    judgement: &mut Judgement,
) -> bool {
    let Some(names) = &evidence.expectations.lines else {
        return true;
    };
    let place = evidence.lines.as_ref().map_or("", |lines| &lines.place);
    let current = evidence.current().unwrap_or_default();
    let numbers = numbers(evidence, names, &current);
    let (received, gaps) = (numbers.len() as f64, gaps(&numbers));
    let last = numbers.last_key_value().map_or(0, |(last, _)| *last);
    let shipping = evidence
        .shipper
        .as_ref()
        .map(|page| page.sum(&names.shipping));
    let mut figures = vec![
        ("written", after.written),
        ("dropped", after.dropped),
        ("waiting", after.waiting),
        ("indexed", received),
        ("last number", last as f64),
        ("numbers absent", gaps),
    ];
    match &shipping {
        Some(Ok(shipping)) => figures.push(("in shipping", *shipping)),
        Some(Err(why)) => judgement.cannot(format!("lines on their way: {why}")),
        None => {}
    }
    judgement.measure(format!("lines of {current}"), figures);
    let still = before == after;
    if !still {
        judgement.cannot(
            "the account of lines: its counters moved all the time; judge when there is no load",
        );
    }
    let on_the_way = shipping.is_some_and(|shipping| shipping.is_ok_and(|lines| lines > 0.0));
    let short = received < before.written;
    if short && on_the_way {
        judgement.cannot(format!(
            "the account of lines: {received} of {} are indexed, and others are still on their way",
            before.written
        ));
    } else if short {
        let sentence = format!(
            "{received} lines of {current} are indexed, and {} were written",
            before.written
        );
        judgement.find(codes::LINES_MISSING, place, "lines", sentence);
    } else if gaps > after.dropped {
        let sentence = format!(
            "{gaps} numbers up to {last} are absent, and {} lines were dropped",
            after.dropped
        );
        judgement.find(codes::LINES_MISSING, place, "numbers", sentence);
    }
    let emitted = after.written + after.dropped + after.waiting;
    if received > after.written + after.waiting || (still && last as f64 > emitted) {
        let sentence = format!(
            "{received} lines up to number {last} are indexed, and {} were written",
            after.written
        );
        judgement.find(codes::LINES_SURPLUS, place, "lines", sentence);
    }
    if still && after.waiting == 0.0 && !short && last as f64 + after.dropped < emitted {
        let sentence = format!("{emitted} lines were emitted, and the last number is {last}");
        judgement.find(
            codes::LINES_MISSING,
            &pages.later.address,
            "numbers",
            sentence,
        );
    }
    short || after.dropped + after.waiting > 0.0
}

/// A process that is gone took its counters along: what it lost is not known, and never nothing.
fn without_counters(evidence: &Evidence, instance: &str, judgement: &mut Judgement) {
    let spans = evidence.spans_of(instance).len();
    let mut figures = vec![("received", spans as f64)];
    if let (Some(names), Some(lines)) = (&evidence.expectations.lines, &evidence.lines) {
        let numbers = numbers(evidence, names, instance);
        let gaps = gaps(&numbers);
        figures.extend([("indexed", numbers.len() as f64), ("numbers absent", gaps)]);
        if gaps > 0.0 {
            let sentence = format!("{gaps} numbers of {instance}, which has ended, are absent");
            judgement.find(codes::LINES_MISSING, &lines.place, "numbers", sentence);
        }
    }
    judgement.measure(format!("{instance}, which has ended"), figures);
    judgement.cannot(format!(
        "losses of {instance}: it has ended, and its last counters with it; what came after its last span and line is not known"
    ));
}

/// Each span and each line is there once.
pub(super) fn once(evidence: &Evidence, judgement: &mut Judgement) {
    if let Some(traces) = &evidence.traces {
        let mut known = BTreeSet::new();
        for span in traces.own() {
            if !known.insert((&span.trace, &span.id)) {
                let sentence = format!("span {} of trace {} is there twice", span.id, span.trace);
                judgement.find(codes::SPAN_TWICE, &traces.place, &span.name, sentence);
            }
        }
    }
    let (Some(names), Some(lines)) = (&evidence.expectations.lines, &evidence.lines) else {
        return;
    };
    let mut known = BTreeSet::new();
    for document in lines.own(names) {
        let Some(identity) = super::lines::identity(document, names) else {
            continue;
        };
        let (instance, number) = &identity;
        let sentence = format!(
            "line {number} of {instance} is there twice, the second time as {}",
            document.id
        );
        if !known.insert(identity) {
            judgement.find(codes::LINE_TWICE, &lines.place, "lines", sentence);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::evidence::Traces;
    use super::super::exposition::Format;
    use super::super::jaeger;
    use super::*;

    const EXPECTATIONS: &str = r#"
        [spans]
        ended = ["ended"]
        dropped = ["dropped"]
        waiting = ["waiting"]
        confirmed = ["confirmed"]
        rejected = ["rejected"]
        unknown = ["unknown"]
        instance = "service.instance.id"
    "#;

    fn page(terms: &str) -> Page {
        let names = [
            "ended",
            "dropped",
            "waiting",
            "confirmed",
            "rejected",
            "unknown",
        ];
        let lines = names
            .iter()
            .zip(terms.split(' '))
            .filter(|(_, number)| *number != "-");
        let text = lines.fold(String::new(), |text, (name, number)| {
            format!("{text}{name} {number}\n")
        });
        Page::parse("http://p/metrics", Format::Classic, "", text)
    }

    /// Judges a program whose terms are these before and after, when a Jaeger has so many spans of it.
    fn judged(before: &str, after: &str, received: usize) -> (Vec<&'static str>, usize) {
        let spans: Vec<_> = (0..received)
            .map(|number| {
                json!({"spanID": format!("{number:016x}"), "traceID": "t", "operationName": "a", "startTime": 1,
                    "duration": 1, "processID": "p1"})
            })
            .collect();
        let tags = json!([{"key": "service.instance.id", "type": "string", "value": "i"}]);
        let trace = json!({"traceID": "t", "spans": spans, "processes": {"p1": {"serviceName": "s", "tags": tags}}});
        let pages = Pages {
            earlier: page(before),
            later: page(after),
            classic: page(after),
            unasked: page(after),
            before: None,
        };
        let evidence = Evidence {
            program: serde_json::from_value(json!({"program": "s"})).unwrap(),
            expectations: toml::from_str(EXPECTATIONS).unwrap(),
            pages: Some(pages),
            shipper: None,
            traces: Some(Traces {
                place: "http://j/".to_owned(),
                service: "s".to_owned(),
                all: vec![jaeger::trace(&trace)],
            }),
            lines: None,
            truth: None,
            secrets: Vec::new(),
            sampled_share: None,
            whole_stretch: false,
            instance: Some("i".to_owned()),
            now: 10,
        };
        let mut judgement = Judgement::new();
        judge(&evidence, &mut judgement);
        (judgement.codes(), judgement.unmeasured.len())
    }

    #[test]
    fn spans_close_to_the_unit_or_are_found() {
        // ended dropped waiting confirmed rejected unknown
        let still = |terms: &str, received| judged(terms, terms, received);
        for (terms, received, codes) in [
            ("5 0 0 5 0 0", 5, vec![]),
            ("9 1 0 5 2 1", 5, vec![]),
            ("9 1 0 5 2 1", 6, vec![]),
            ("9 1 0 5 2 1", 7, vec![codes::SPANS_SURPLUS]),
            ("9 1 0 5 2 1", 4, vec![codes::SPANS_MISSING]),
            ("9 0 0 5 2 1", 5, vec![codes::SPANS_UNBALANCED]),
            ("8 1 0 5 2 1", 5, vec![codes::SPANS_UNBALANCED]),
            ("7 0 2 5 0 0", 7, vec![]),
        ] {
            assert_eq!(
                still(terms, received),
                (codes, 0),
                "{terms}, {received} received"
            );
        }
    }

    #[test]
    fn what_moves_or_is_not_counted_is_not_proven() {
        let (codes, unmeasured) = judged("5 0 0 5 0 0", "8 0 0 8 0 0", 6);
        assert_eq!((codes, unmeasured), (vec![], 1), "between the two pages");
        let (codes, _) = judged("5 0 0 5 0 0", "8 0 0 8 0 0", 4);
        assert_eq!(codes, [codes::SPANS_MISSING]);
        let (codes, _) = judged("5 0 0 5 0 0", "8 0 0 8 0 0", 9);
        assert_eq!(codes, [codes::SPANS_SURPLUS]);
        let (codes, unmeasured) = judged("5 - 0 5 0 0", "5 - 0 5 0 0", 5);
        assert_eq!(
            (codes, unmeasured),
            (vec![], 1),
            "a counter that is absent is not 0"
        );
    }
}
