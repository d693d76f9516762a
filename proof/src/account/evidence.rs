//! Everything that was read, before it is judged: judging asks nobody.

use super::elasticsearch::{Document, Mapping};
use super::expectations::{self, Expectations};
use super::exposition::{Page, Pages};
use super::jaeger::{Span, Trace};
use crate::boards::truth::Truth;
use crate::declarations::Program;

/// What was read. A part that was not asked for is `None`.
#[derive(Debug)]
pub(super) struct Evidence {
    pub(super) program: Program,
    pub(super) expectations: Expectations,
    pub(super) pages: Option<Pages>,
    pub(super) shipper: Option<Page>,
    pub(super) traces: Option<Traces>,
    pub(super) lines: Option<Lines>,
    pub(super) truth: Option<Truth>,
    /// Texts that must be nowhere.
    pub(super) secrets: Vec<String>,
    /// The share of requests with a trace, where clients decide it.
    pub(super) sampled_share: Option<f64>,
    /// Whether every process in the stretch of time is judged, or only the one of the pages.
    pub(super) whole_stretch: bool,
    /// The process that was named.
    pub(super) instance: Option<String>,
    /// Now, in microseconds since the epoch of Unix.
    pub(super) now: u64,
}

/// What a Jaeger has.
#[derive(Debug)]
pub(super) struct Traces {
    /// Its address.
    pub(super) place: String,
    pub(super) service: String,
    pub(super) all: Vec<Trace>,
}

/// What an Elasticsearch has.
#[derive(Debug)]
pub(super) struct Lines {
    /// The index' address.
    pub(super) place: String,
    pub(super) service: String,
    pub(super) mapping: Mapping,
    pub(super) documents: Vec<Document>,
}

impl Traces {
    /// The spans of the service.
    pub(super) fn own(&self) -> impl Iterator<Item = &Span> {
        let spans = self.all.iter().flat_map(|trace| &trace.spans);
        spans.filter(|span| span.service == self.service)
    }
}

impl Lines {
    /// The documents of the service. Others may write to the same index; a line that does not say whose it is may be ours.
    pub(super) fn own(&self, names: &expectations::Lines) -> impl Iterator<Item = &Document> {
        self.documents.iter().filter(|document| {
            let service = document.text(&names.service);
            service.is_none_or(|service| service == self.service)
        })
    }
}

impl Evidence {
    /// The attribute of spans that names the process.
    fn span_instance(&self, span: &Span) -> Option<String> {
        let key = &self.expectations.spans.as_ref()?.instance;
        span.resource(key)
    }

    /// The spans of one process.
    pub(super) fn spans_of(&self, instance: &str) -> Vec<&Span> {
        let spans = self.traces.iter().flat_map(Traces::own);
        spans
            .filter(|span| self.span_instance(span).as_deref() == Some(instance))
            .collect()
    }

    /// The lines of one process.
    pub(super) fn lines_of(&self, instance: &str) -> Vec<&Document> {
        let Some(names) = &self.expectations.lines else {
            return Vec::new();
        };
        let documents = self.lines.iter().flat_map(|lines| lines.own(names));
        documents
            .filter(|document| document.text(&names.instance).as_deref() == Some(instance))
            .collect()
    }

    /// Each process that has left something, with the first moment of which it did (microseconds).
    fn instances(&self) -> Vec<(String, u64)> {
        let mut found: std::collections::BTreeMap<String, u64> = std::collections::BTreeMap::new();
        let mut note = |instance: Option<String>, at: Option<u64>| {
            if let (Some(instance), Some(at)) = (instance, at) {
                let first = found.entry(instance).or_insert(at);
                *first = at.min(*first);
            }
        };
        for span in self.traces.iter().flat_map(Traces::own) {
            note(self.span_instance(span), Some(span.start));
        }
        if let Some(names) = &self.expectations.lines {
            for document in self.lines.iter().flat_map(|lines| lines.own(names)) {
                let time = document.text(&names.time);
                let time = time.and_then(|time| super::lines::microseconds(&time));
                note(document.text(&names.instance), time);
            }
        }
        found.into_iter().collect()
    }

    /// The process whose counters the pages hold: the one that was named, else the newest one.
    pub(super) fn current(&self) -> Option<String> {
        if self.instance.is_some() {
            return self.instance.clone();
        }
        let instances = self.instances().into_iter();
        let newest = instances.max_by_key(|(_, first)| *first);
        newest.map(|(instance, _)| instance)
    }

    /// Processes of the stretch of time whose counters nobody has any more.
    pub(super) fn ended(&self) -> Vec<String> {
        if !self.whole_stretch || self.instance.is_some() {
            return Vec::new();
        }
        let current = self.current();
        let instances = self.instances().into_iter().map(|(instance, _)| instance);
        instances
            .filter(|instance| Some(instance) != current.as_ref())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::elasticsearch::document;
    use super::*;

    #[test]
    fn the_newest_process_is_one_of_the_service_however_new_others_in_the_index_are() {
        let line = |id: &str, service: &str, instance: &str, second: u32| {
            let time = format!("2026-01-01T00:00:{second:02}Z");
            document(
                id,
                &json!({"@timestamp": time, "service.name": service, "service.node.name": instance}),
            )
        };
        let documents = vec![
            line("a", "ours", "first", 1),
            line("b", "ours", "second", 2),
            line("c", "other", "newer", 3),
            line("d", "other", "second", 4),
        ];
        let evidence = Evidence {
            program: serde_json::from_value(json!({"program": "ours"})).unwrap(),
            expectations: toml::from_str(include_str!("../../../docs/telemetry/account.toml"))
                .unwrap(),
            pages: None,
            shipper: None,
            traces: None,
            lines: Some(Lines {
                place: "http://e/lines".to_owned(),
                service: "ours".to_owned(),
                mapping: Mapping::new(),
                documents,
            }),
            truth: None,
            secrets: Vec::new(),
            sampled_share: None,
            whole_stretch: true,
            instance: None,
            now: 0,
        };
        assert_eq!(evidence.current().as_deref(), Some("second"));
        assert_eq!(evidence.ended(), ["first"]);
        let of_second = evidence.lines_of("second");
        let of_second: Vec<&str> = of_second.iter().map(|line| line.id.as_str()).collect();
        assert_eq!(of_second, ["b"]);
    }
}
