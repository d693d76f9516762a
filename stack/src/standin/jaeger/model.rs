//! Spans as Jaeger knows them: microseconds, tags, references. Plain data without behaviour of its own.

use std::{fmt, sync::Arc};

/// A trace's id. Printed as 32 hex digits, or as 16 where the upper half is zero, as Jaeger does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct TraceId(pub u128);

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 >> 64 == 0 {
            write!(f, "{:016x}", self.0)
        } else {
            write!(f, "{:032x}", self.0)
        }
    }
}

/// A span's id, 16 hex digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct SpanId(pub u64);

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// A value in one of Jaeger's five types.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    String(String),
    Bool(bool),
    Int64(i64),
    Float64(f64),
    /// Base64 text: Jaeger prints bytes so.
    Binary(String),
}

impl Value {
    /// The text that a search compares with.
    pub(super) fn as_text(&self) -> String {
        match self {
            Self::String(text) | Self::Binary(text) => text.clone(),
            Self::Bool(value) => value.to_string(),
            Self::Int64(value) => value.to_string(),
            Self::Float64(value) => value.to_string(),
        }
    }
}

/// A key with its value.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Tag {
    pub key: String,
    pub value: Value,
}

impl Tag {
    pub(super) fn new(key: impl Into<String>, value: Value) -> Self {
        Self {
            key: key.into(),
            value,
        }
    }

    pub(super) fn text(key: impl Into<String>, value: impl Into<String>) -> Self {
        Self::new(key, Value::String(value.into()))
    }
}

/// What another span is to this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ReferenceKind {
    /// The other span is the parent.
    ChildOf,
    /// The other span is linked.
    FollowsFrom,
}

/// A reference to another span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reference {
    pub kind: ReferenceKind,
    pub trace: TraceId,
    pub span: SpanId,
}

/// Something that happened within a span.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Log {
    /// Microseconds since the epoch.
    pub timestamp_us: u64,
    pub fields: Vec<Tag>,
}

/// Where spans come from: a service and its resource attributes.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Process {
    pub service: String,
    pub tags: Vec<Tag>,
}

/// One span.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Span {
    pub trace: TraceId,
    pub id: SpanId,
    pub name: String,
    pub kind: &'static str,
    pub references: Vec<Reference>,
    /// Microseconds since the epoch.
    pub start_us: u64,
    /// Microseconds, truncated.
    pub duration_us: u64,
    /// The span's own attributes first, then what Jaeger derives (`span.kind`, `error`, ...).
    pub tags: Vec<Tag>,
    /// How many of `tags` a search looks at: the derived ones come after them.
    pub searchable_tags: usize,
    pub logs: Vec<Log>,
    pub process: Arc<Process>,
    pub warnings: Vec<String>,
}

impl Span {
    /// Memory that this span holds, near enough to bound the store by.
    pub(super) fn weight(&self) -> usize {
        let tags = |tags: &[Tag]| -> usize {
            tags.iter()
                .map(|tag| {
                    let text = match &tag.value {
                        Value::String(text) | Value::Binary(text) => text.len(),
                        _ => 0,
                    };
                    size_of::<Tag>() + tag.key.len() + text
                })
                .sum()
        };
        let logs: usize = self
            .logs
            .iter()
            .map(|log| size_of::<Log>() + tags(&log.fields))
            .sum();
        let warnings: usize = self
            .warnings
            .iter()
            .map(|text| size_of::<String>() + text.len())
            .sum();
        size_of::<Self>()
            + self.name.len()
            + self.references.len() * size_of::<Reference>()
            + tags(&self.tags)
            + logs
            + warnings
    }
}
