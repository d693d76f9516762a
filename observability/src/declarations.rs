//! Everything that a program says about itself, declared: metrics with their labels, spans with their attributes, and the
//! fields of log lines. Printed as JSON, it is what documents, boards, alerts and the index of the log are checked against;
//! in tests, what is really said is checked against it.

use std::borrow::Cow;

use serde_json::{Value, json};

use crate::http::{self, RouteSpec};
use crate::metrics::{self, Desc, Kind, Label, Values};
use crate::{guard, logs, server, traces};

/// The declarations of one program.
#[derive(Debug, Clone)]
pub struct Declarations {
    program: &'static str,
    metrics: Vec<&'static Desc>,
    spans: Vec<SpanDesc>,
    fields: Vec<FieldDesc>,
}

/// Declaration of a span.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpanDesc {
    /// Its name.
    pub name: Cow<'static, str>,
    /// `server`, `client`, `internal`, `producer` or `consumer`.
    pub kind: &'static str,
    /// The attributes that it can have, besides those of every span.
    pub attributes: &'static [&'static str],
}

/// Declaration of a field of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FieldDesc {
    /// Its name.
    pub name: &'static str,
    /// Its type, as Elasticsearch names it: `keyword`, `long`, `date` and so on.
    pub kind: &'static str,
}

impl FieldDesc {
    /// A word of a small set, or an identifier.
    pub const fn keyword(name: &'static str) -> Self {
        Self {
            name,
            kind: "keyword",
        }
    }

    /// A whole number.
    pub const fn long(name: &'static str) -> Self {
        Self { name, kind: "long" }
    }

    /// A text for people.
    pub const fn text(name: &'static str) -> Self {
        Self { name, kind: "text" }
    }
}

/// Attributes that every span can have: the run's baggage.
const OF_EVERY_SPAN: [&str; 2] = ["run.id", "experiment.id"];

const SERVER_SPAN: &[&str] = &[
    "error.type",
    "http.request.method",
    "http.response.status_code",
    "http.route",
    "url.path",
    "url.scheme",
];

impl Declarations {
    /// What every program has that serves `/metrics`: build, process and runtime, and its listeners.
    pub fn new(program: &'static str) -> Self {
        let declarations = Self {
            program,
            metrics: Vec::new(),
            spans: Vec::new(),
            fields: Vec::new(),
        };
        declarations
            .metrics(metrics::DECLARED)
            .metrics(server::DECLARED)
            .metrics(&[&guard::REFUSED])
    }

    /// Adds what a program has that writes a log.
    #[must_use]
    pub fn log(self) -> Self {
        self.metrics(logs::writer::DECLARED)
            .fields(logs::ecs::FIELDS)
            .fields(server::FIELDS)
    }

    /// Adds what a program has that exports spans.
    #[must_use]
    pub fn traces(self) -> Self {
        self.metrics(traces::DECLARED)
    }

    /// Adds what [`http::layer`] says about these routes.
    #[must_use]
    pub fn http(mut self, routes: &[RouteSpec]) -> Self {
        let spans = http::span_names(routes).into_iter().map(|name| SpanDesc {
            name: name.into(),
            kind: "server",
            attributes: SERVER_SPAN,
        });
        self.spans.extend(spans);
        self.metrics(http::DECLARED).fields(http::FIELDS)
    }

    /// Adds metrics of the program's own.
    #[must_use]
    pub fn metrics(mut self, metrics: &[&'static Desc]) -> Self {
        self.metrics.extend(metrics);
        self.metrics.sort_unstable_by_key(|desc| desc.name);
        self
    }

    /// Adds spans of the program's own.
    #[must_use]
    pub fn spans(mut self, spans: impl IntoIterator<Item = SpanDesc>) -> Self {
        self.spans.extend(spans);
        self.spans
            .sort_unstable_by(|a, b| (a.kind, &a.name).cmp(&(b.kind, &b.name)));
        self
    }

    /// Adds fields of the program's own log lines.
    #[must_use]
    pub fn fields(mut self, fields: &[FieldDesc]) -> Self {
        self.fields.extend(fields);
        self.fields.sort_unstable_by_key(|field| field.name);
        self.fields.dedup();
        self
    }

    /// The declaration of a metric.
    pub fn metric(&self, name: &str) -> Option<&'static Desc> {
        self.metrics.iter().copied().find(|desc| desc.name == name)
    }

    /// Whether a span of this name and kind can have this attribute. `None` when no such span is declared.
    pub fn span_has(&self, name: &str, kind: &str, attribute: &str) -> Option<bool> {
        let span = self
            .spans
            .iter()
            .find(|span| span.name == name && span.kind == kind)?;
        Some(OF_EVERY_SPAN.contains(&attribute) || span.attributes.contains(&attribute))
    }

    /// The declaration of a log field.
    pub fn field(&self, name: &str) -> Option<FieldDesc> {
        self.fields.iter().copied().find(|field| field.name == name)
    }

    /// All of it as JSON, in the order of names: the contract with `chitram-proof`.
    pub fn to_json(&self) -> Value {
        let metrics: Vec<Value> = self.metrics.iter().copied().map(metric).collect();
        let spans: Vec<Value> = self.spans.iter().map(span).collect();
        let fields: Vec<Value> = self.fields.iter().map(field).collect();
        json!({
            "program": self.program,
            "metrics": metrics,
            "spans": spans,
            "log_fields": fields,
        })
    }
}

fn metric(desc: &Desc) -> Value {
    let labels: Vec<Value> = desc.labels.iter().map(label).collect();
    let buckets = match desc.kind {
        Kind::Histogram(bounds) => Some(bounds),
        Kind::Counter | Kind::Gauge => None,
    };
    json!({
        "name": desc.name,
        "kind": desc.kind.name(),
        "unit": desc.unit(),
        "help": desc.help,
        "labels": labels,
        "buckets": buckets,
    })
}

fn label(label: &Label) -> Value {
    match label.values {
        Values::Closed(values) => json!({ "name": label.name, "values": values }),
        Values::Bounded(by) => json!({ "name": label.name, "values": null, "bounded_by": by }),
    }
}

fn span(span: &SpanDesc) -> Value {
    let mut attributes: Vec<&str> = span.attributes.to_vec();
    attributes.extend(OF_EVERY_SPAN);
    attributes.sort_unstable();
    json!({ "name": span.name, "kind": span.kind, "attributes": attributes })
}

fn field(field: &FieldDesc) -> Value {
    json!({ "name": field.name, "type": field.kind })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn declared() -> Declarations {
        Declarations::new("test").log().traces().http(&[])
    }

    #[test]
    fn every_metric_is_declared_once_with_a_good_name_and_a_sentence() {
        let declared = declared();
        for desc in &declared.metrics {
            let name = desc.name;
            let same = declared.metrics.iter().filter(|other| other.name == name);
            assert_eq!(same.count(), 1, "{name}");
            assert!(desc.help.ends_with('.'), "{name}: {}", desc.help);
            assert!(!desc.help.contains(['"', '\\', '\n']), "{name}");
        }
    }

    #[test]
    fn the_dump_says_the_values_of_a_label_or_what_bounds_them() {
        let dump = declared().to_json();
        let metrics = dump["metrics"].as_array().expect("a list");
        let find = |name: &str| {
            metrics
                .iter()
                .find(|metric| metric["name"] == name)
                .unwrap_or_else(|| panic!("no {name}"))
        };
        let lines = find("chitram_log_lines_written_total");
        assert_eq!(lines["kind"], "counter");
        assert_eq!(
            (&lines["labels"], &lines["buckets"]),
            (&json!([]), &Value::Null)
        );
        let duration = find("http_server_request_duration_seconds");
        assert_eq!(duration["unit"], "seconds");
        assert_eq!(duration["buckets"][0], 0.0025);
        let [method, route] = [0, 1].map(|index| &duration["labels"][index]);
        assert_eq!(method["values"][2], "GET");
        assert!(route["values"].is_null() && route["bounded_by"].is_string());
        assert_eq!(dump["program"], "test");
    }
}
