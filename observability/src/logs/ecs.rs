//! One JSON object a line, with the field names of the Elastic Common Schema.
//!
//! A call site's field keeps its name where it begins with one of [`GROUPS`], and becomes `labels.<name>` otherwise.
//! What identifies the process, the moment and the trace is added here, and no call site can overwrite it.
//!
//! A line is written in one pass over the event's fields, into a buffer that the thread uses again.

mod line;

use std::cell::Cell;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use tracing::field::{Field, Visit};
use tracing::{Event, Level};

use self::line::{Key, Line};
use super::writer::Sink;
use crate::declarations::FieldDesc;
use crate::settings::Service;
use crate::traces::place;

const ECS_VERSION: &str = "8.11.0";
/// A line takes no further field beyond this length, in bytes.
pub(crate) const MAX_LINE: usize = 16 * 1024;
/// A buffer that has grown beyond this size is not used again, in bytes.
const MAX_KEPT: usize = 4 * MAX_LINE;

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
const OURS: [&str; 6] = [
    "event.sequence",
    "log.level",
    "log.logger",
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

/// The fields that only the run's baggage may set, in the order of its members.
const RUN: [&str; 2] = ["labels.run_id", "labels.experiment_id"];

thread_local! {
    /// The buffer of the thread's next line. A `Debug` that logs itself finds an empty one.
    static BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Writes each event as one line.
pub(crate) struct Formatter {
    sink: Sink,
    /// The part that is the same on every line, from a comma to a value.
    process: Vec<u8>,
    dataset: &'static str,
    sequence: AtomicU64,
}

impl Formatter {
    /// `node` is `service.node.name`, new at each start.
    pub(crate) fn new(service: &Service, node: &str, sink: Sink) -> Self {
        let mut line = Line::new(Vec::new());
        line.text("ecs.version", ECS_VERSION);
        line.text("service.name", service.name);
        line.text("service.version", service.version);
        line.text("service.environment", &service.environment);
        line.text("service.node.name", node);
        Self {
            sink,
            process: line.into_fields(),
            dataset: service.name,
            sequence: AtomicU64::new(0),
        }
    }

    /// Writes the event's line.
    pub(crate) fn write(&self, event: &Event<'_>) {
        let mut line = Line::new(BUFFER.take());
        self.fill(&mut line, event);
        let mut bytes = line.finish();
        self.sink.put(&bytes);
        bytes.clear();
        if bytes.capacity() <= MAX_KEPT {
            BUFFER.set(bytes);
        }
    }

    fn fill(&self, line: &mut Line, event: &Event<'_>) {
        let metadata = event.metadata();
        line.timestamp();
        line.text("log.level", level(*metadata.level()));
        line.raw(&self.process);
        // Taken whether or not the line gets out: a gap tells how many were lost.
        let sequence = self.sequence.fetch_add(1, Ordering::Relaxed) + 1;
        line.number("event.sequence", sequence);
        trace(line);
        let mut fields = Fields::new(line);
        event.record(&mut fields);
        let Fields {
            message,
            logger,
            dataset,
            ..
        } = fields;
        if !message {
            line.text("message", metadata.name());
        }
        if !logger {
            line.text("log.logger", metadata.target());
        }
        if !dataset {
            line.text("event.dataset", self.dataset);
        }
    }
}

/// The trace and, from its baggage, the run. A request that is not sampled has a trace id too.
fn trace(line: &mut Line) {
    place::current(|place| {
        let Some(place) = place else { return };
        line.hex("trace.id", &place.span.trace_id().to_bytes());
        line.hex("span.id", &place.span.span_id().to_bytes());
        for (field, value) in RUN.iter().zip(place.run()) {
            if let Some(value) = value {
                line.text(field, value);
            }
        }
    });
}

/// Fields of one event at most, which is what `tracing` takes.
const MAX_FIELDS: usize = 32;

/// Writes the fields of one event into its line.
struct Fields<'a> {
    line: &'a mut Line,
    keys: [Key; MAX_FIELDS],
    count: usize,
    message: bool,
    logger: bool,
    dataset: bool,
}

impl<'a> Fields<'a> {
    fn new(line: &'a mut Line) -> Self {
        Self {
            line,
            keys: [Key::default(); MAX_FIELDS],
            count: 0,
            message: false,
            logger: false,
            dataset: false,
        }
    }

    /// Writes a field, with what `value` writes, unless it is not the call site's to set.
    fn field(&mut self, name: &'static str, value: impl FnOnce(&mut Line)) {
        match name {
            "message" if !self.message => {
                self.line.key("", name);
                self.message = true;
            }
            // A record of the `log` crate names its origin here.
            "log.target" if !self.logger => {
                self.line.key("", "log.logger");
                self.logger = true;
            }
            "message" | "log.target" => return,
            name if OURS.contains(&name) => return,
            name => {
                if !self.key(name) {
                    return;
                }
            }
        }
        value(self.line);
    }

    /// Begins a field of the call site. `false` when there is no room for it, or when it is there already: a key twice
    /// would make the object ambiguous. A run is only what the baggage says.
    fn key(&mut self, name: &str) -> bool {
        if self.line.len() > MAX_LINE || self.count == MAX_FIELDS {
            return false;
        }
        let key = if is_ecs(name) {
            self.line.key("", name)
        } else {
            let name = name.strip_prefix("labels.").unwrap_or(name);
            self.line.key("labels.", name)
        };
        let text = self.line.text_of(key);
        let known = self.keys[..self.count].iter();
        let known = known.map(|known| self.line.text_of(*known));
        let taken = known
            .chain(RUN.map(str::as_bytes))
            .any(|known| known == text);
        if taken {
            self.line.take_back(key);
            return false;
        }
        self.dataset |= text == b"event.dataset";
        self.keys[self.count] = key;
        self.count += 1;
        true
    }
}

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.field(field.name(), |line| line.debug(value));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.field(field.name(), |line| line.quoted(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.field(field.name(), |line| line.json(&value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.field(field.name(), |line| line.json(&value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.field(field.name(), |line| line.json(&value));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.field(field.name(), |line| {
            // JSON has no infinity and no NaN.
            if value.is_finite() {
                line.json(&value);
            } else {
                line.quoted(&value.to_string());
            }
        });
    }
}

fn is_ecs(name: &str) -> bool {
    GROUPS.iter().any(|group| name.starts_with(group))
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
