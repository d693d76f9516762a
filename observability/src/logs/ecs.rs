//! One JSON object a line, with the field names of the Elastic Common Schema.
//!
//! A call site's field keeps its name where it begins with one of [`GROUPS`], and becomes `labels.<name>` otherwise.
//! What identifies the process, the moment and the trace is added here, and no call site can overwrite it.

use std::borrow::Cow;
use std::fmt::{self, Write as _};
use std::io::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};

use opentelemetry::Context as OtelContext;
use opentelemetry::baggage::BaggageExt as _;
use opentelemetry::trace::TraceContextExt as _;
use serde_json::Value;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use super::writer::Sink;
use crate::declarations::FieldDesc;
use crate::settings::Service;

const ECS_VERSION: &str = "8.11.0";
/// A line takes no further field beyond this length, in bytes.
pub(crate) const MAX_LINE: usize = 16 * 1024;
/// A text is cut after this many bytes.
const MAX_TEXT: usize = 8 * 1024;

/// Field groups of the schema that call sites may fill.
const GROUPS: [&str; 12] = [
    "client.",
    "error.",
    "event.",
    "file.",
    "http.",
    "log.",
    "network.",
    "process.",
    "server.",
    "url.",
    "user_agent.",
    "destination.",
];
/// Fields inside those groups that are written here. The rest are what the `log` crate's bridge adds.
const OURS: [&str; 7] = [
    "event.sequence",
    "log.level",
    "log.logger",
    "log.target",
    "log.module_path",
    "log.file",
    "log.line",
];

/// The fields of every line, and those of the lines about panics and traces.
pub(crate) const FIELDS: &[FieldDesc] = &[
    FieldDesc {
        name: "@timestamp",
        kind: "date",
    },
    FieldDesc::keyword("ecs.version"),
    FieldDesc::text("error.message"),
    FieldDesc::text("error.stack_trace"),
    FieldDesc::keyword("error.type"),
    FieldDesc::keyword("event.dataset"),
    FieldDesc::long("event.sequence"),
    FieldDesc::keyword("labels.experiment_id"),
    FieldDesc::keyword("labels.origin"),
    FieldDesc::keyword("labels.run_id"),
    FieldDesc::keyword("labels.thread"),
    FieldDesc::keyword("log.level"),
    FieldDesc::keyword("log.logger"),
    FieldDesc::text("message"),
    FieldDesc::keyword("service.environment"),
    FieldDesc::keyword("service.name"),
    FieldDesc::keyword("service.node.name"),
    FieldDesc::keyword("service.version"),
    FieldDesc::keyword("span.id"),
    FieldDesc::keyword("trace.id"),
];

/// The run's baggage, and the fields that only it may set.
const RUN: [(&str, &str); 2] = [
    ("run.id", "labels.run_id"),
    ("experiment.id", "labels.experiment_id"),
];

/// Writes each event as one line.
pub(crate) struct EcsLayer {
    sink: Sink,
    /// The part that is the same on every line, from a comma to a value.
    process: Vec<u8>,
    dataset: &'static str,
    sequence: AtomicU64,
}

impl EcsLayer {
    /// `node` is `service.node.name`, new at each start.
    pub(crate) fn new(service: &Service, node: &str, sink: Sink) -> Self {
        let mut line = Line::default();
        line.text("ecs.version", ECS_VERSION);
        line.text("service.name", service.name);
        line.text("service.version", service.version);
        line.text("service.environment", &service.environment);
        line.text("service.node.name", node);
        Self {
            sink,
            process: line.0,
            dataset: service.name,
            sequence: AtomicU64::new(0),
        }
    }

    fn format(&self, event: &Event<'_>) -> Vec<u8> {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let metadata = event.metadata();
        let mut line = Line(Vec::with_capacity(768));
        line.timestamp();
        line.text("log.level", level(*metadata.level()));
        line.text(
            "message",
            fields.message.as_deref().unwrap_or_else(|| metadata.name()),
        );
        line.0.extend_from_slice(&self.process);
        line.text(
            "log.logger",
            fields
                .logger
                .as_deref()
                .unwrap_or_else(|| metadata.target()),
        );
        if !fields.has("event.dataset") {
            line.text("event.dataset", self.dataset);
        }
        // Taken whether or not the line gets out: a gap tells how many were lost.
        line.number(
            "event.sequence",
            self.sequence.fetch_add(1, Ordering::Relaxed) + 1,
        );
        line.trace();
        for (key, value) in &fields.kept {
            line.value(key, value);
        }
        line.end()
    }
}

impl<S: Subscriber> Layer<S> for EcsLayer {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        self.sink.put(self.format(event));
    }
}

/// A line being written: each field adds `,"key":value`; the end turns the first comma into a brace.
#[derive(Default)]
struct Line(Vec<u8>);

impl Line {
    fn key(&mut self, key: &str) {
        self.0.push(b',');
        self.json(key);
        self.0.push(b':');
    }

    fn text(&mut self, key: &str, value: &str) {
        self.key(key);
        self.json(value);
    }

    fn json(&mut self, value: &str) {
        // Writing to memory cannot fail, and a str is always serialisable.
        let _ = serde_json::to_writer(&mut self.0, cut(value));
    }

    fn number(&mut self, key: &str, value: u64) {
        self.key(key);
        let _ = write!(self.0, "{value}");
    }

    fn timestamp(&mut self) {
        self.key("@timestamp");
        let _ = write!(self.0, "\"{:.6}\"", jiff::Timestamp::now());
    }

    /// The trace and, from its baggage, the run. A request that is not sampled has a trace id too.
    fn trace(&mut self) {
        let context = OtelContext::current();
        let span = context.span();
        let span = span.span_context();
        if span.is_valid() {
            self.key("trace.id");
            let _ = write!(self.0, "\"{}\"", span.trace_id());
            self.key("span.id");
            let _ = write!(self.0, "\"{}\"", span.span_id());
        }
        for (key, field) in RUN {
            if let Some(value) = context.baggage().get(key) {
                self.text(field, value.as_str());
            }
        }
    }

    fn value(&mut self, key: &str, value: &Value) {
        if self.0.len() > MAX_LINE {
            return;
        }
        self.key(key);
        match value {
            Value::String(text) => self.json(text),
            other => {
                let _ = write!(self.0, "{other}");
            }
        }
    }

    fn end(mut self) -> Vec<u8> {
        self.0[0] = b'{';
        self.0.extend_from_slice(b"}\n");
        self.0
    }
}

/// The fields of one event.
#[derive(Default)]
struct Fields {
    message: Option<String>,
    logger: Option<String>,
    kept: Vec<(Cow<'static, str>, Value)>,
}

impl Fields {
    fn has(&self, key: &str) -> bool {
        self.kept.iter().any(|(known, _)| known == key)
    }

    fn put(&mut self, name: &'static str, value: Value) {
        match (name, value) {
            ("message", Value::String(text)) => self.message = Some(text),
            // A record of the `log` crate names its origin here.
            ("log.target", Value::String(text)) => self.logger = Some(text),
            (name, _) if OURS.contains(&name) => {}
            (name, value) => {
                let key = if is_ecs(name) {
                    Cow::Borrowed(name)
                } else {
                    Cow::Owned(label(name))
                };
                // A key twice would make the object ambiguous.
                if !self.has(&key) && !RUN.iter().any(|(_, field)| *field == key) {
                    self.kept.push((key, value));
                }
            }
        }
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let mut text = String::new();
        // A Debug that fails leaves what it wrote until then.
        let _ = write!(text, "{value:?}");
        self.put(field.name(), Value::String(text));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field.name(), Value::String(cut(value).to_owned()));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field.name(), value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field.name(), value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field.name(), value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        // JSON has no infinity and no NaN.
        let number = serde_json::Number::from_f64(value);
        self.put(
            field.name(),
            number.map_or_else(|| Value::String(value.to_string()), Value::Number),
        );
    }
}

fn is_ecs(name: &str) -> bool {
    GROUPS.iter().any(|group| name.starts_with(group))
}

fn label(name: &str) -> String {
    let name = name.strip_prefix("labels.").unwrap_or(name);
    format!("labels.{}", name.replace('.', "_"))
}

fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(MAX_TEXT)]
}

const fn level(level: Level) -> &'static str {
    match level {
        Level::ERROR => "error",
        Level::WARN => "warn",
        Level::INFO => "info",
        Level::DEBUG => "debug",
        Level::TRACE => "trace",
    }
}
