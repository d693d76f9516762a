//! The fields of spans and events as attributes, by the conventions of OpenTelemetry's bridges: `otel.name`, `otel.kind`,
//! `otel.status_code` and `otel.status_description` are what their names say, and a whole number is a number.

use std::borrow::Cow;
use std::fmt;
use std::time::SystemTime;

use opentelemetry::trace::{Event as SpanEvent, SpanKind, Status};
use opentelemetry::{KeyValue, Value};
use opentelemetry_sdk::trace::SpanData;
use tracing::Event;
use tracing::field::{Field, Visit};

/// Attributes of a span at most; further ones are counted as dropped.
const MOST: usize = 128;

/// Adds an attribute, or gives one that is there another value.
pub(super) fn add(span: &mut SpanData, attribute: KeyValue) {
    let mut known = span.attributes.iter_mut();
    if let Some(known) = known.find(|known| known.key == attribute.key) {
        known.value = attribute.value;
    } else if span.attributes.len() < MOST {
        span.attributes.push(attribute);
    } else {
        span.dropped_attributes_count += 1;
    }
}

/// What the fields of a span say. Gathered before the span is locked: a `Debug` among them may log, and be an event of it.
#[derive(Default)]
pub(super) struct SpanFields {
    name: Option<String>,
    kind: Option<SpanKind>,
    status: Option<Status>,
    attributes: Vec<KeyValue>,
}

impl SpanFields {
    /// Room for so many attributes.
    pub(super) fn with_capacity(attributes: usize) -> Self {
        Self {
            attributes: Vec::with_capacity(attributes),
            ..Self::default()
        }
    }

    pub(super) fn apply(self, span: &mut SpanData) {
        if let Some(name) = self.name {
            span.name = name.into();
        }
        if let Some(kind) = self.kind {
            span.span_kind = kind;
        }
        if let Some(status) = self.status {
            let known = std::mem::take(&mut span.status);
            span.status = described(status, Some(known));
        }
        if span.attributes.is_empty() && self.attributes.len() <= MOST {
            span.attributes = self.attributes;
        } else {
            for attribute in self.attributes {
                add(span, attribute);
            }
        }
    }

    fn add(&mut self, field: &Field, value: impl Into<Value>) {
        self.attributes.push(KeyValue::new(field.name(), value));
    }

    fn text(&mut self, field: &Field, value: Cow<'_, str>) {
        match field.name() {
            "otel.name" => self.name = Some(value.into_owned()),
            "otel.kind" => self.kind = kind(&value),
            "otel.status_code" => {
                self.status = Some(described(status(&value), self.status.take()));
            }
            "otel.status_description" => self.status = Some(Status::error(value.into_owned())),
            _ => self.add(field, value.into_owned()),
        }
    }
}

impl Visit for SpanFields {
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field, value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.add(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field, whole(value));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field, value.into());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.text(field, format!("{value:?}").into());
    }
}

/// An event as its span keeps it.
pub(super) fn event(event: &Event<'_>) -> SpanEvent {
    let metadata = event.metadata();
    let attributes = vec![
        KeyValue::new("level", metadata.level().as_str()),
        KeyValue::new("target", metadata.target()),
    ];
    let mut made = SpanEvent::new("", SystemTime::now(), attributes, 0);
    event.record(&mut EventFields(&mut made));
    if made.name.is_empty() {
        made.name = metadata.name().into();
    }
    made
}

/// Puts fields on a span's event, which is named by its message.
struct EventFields<'a>(&'a mut SpanEvent);

impl EventFields<'_> {
    fn add(&mut self, field: &Field, value: impl Into<Value>) {
        // What the bridge of the `log` crate adds is in the metadata, too.
        if !field.name().starts_with("log.") {
            self.0.attributes.push(KeyValue::new(field.name(), value));
        }
    }

    fn text(&mut self, field: &Field, value: String) {
        if field.name() == "message" {
            self.0.name = value.into();
        } else {
            self.add(field, value);
        }
    }
}

impl Visit for EventFields<'_> {
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field, value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.add(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field, whole(value));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field, value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.text(field, format!("{value:?}"));
    }
}

/// A trace's whole numbers have a sign: one beyond is kept as text.
fn whole(value: u64) -> Value {
    i64::try_from(value).map_or_else(|_| value.to_string().into(), Value::I64)
}

fn kind(text: &str) -> Option<SpanKind> {
    [
        ("server", SpanKind::Server),
        ("client", SpanKind::Client),
        ("producer", SpanKind::Producer),
        ("consumer", SpanKind::Consumer),
        ("internal", SpanKind::Internal),
    ]
    .into_iter()
    .find_map(|(name, kind)| text.eq_ignore_ascii_case(name).then_some(kind))
}

fn status(text: &str) -> Status {
    if text.eq_ignore_ascii_case("error") {
        Status::error("")
    } else if text.eq_ignore_ascii_case("ok") {
        Status::Ok
    } else {
        Status::Unset
    }
}

/// An error keeps the description that was there before: its code and its description come in any order.
fn described(status: Status, known: Option<Status>) -> Status {
    match (&status, known) {
        (Status::Error { description }, Some(known @ Status::Error { .. }))
            if description.is_empty() =>
        {
            known
        }
        _ => status,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_of_an_error_does_not_wipe_its_description() {
        let known = || Some(Status::error("too slow"));
        assert_eq!(
            described(status("ERROR"), known()),
            Status::error("too slow")
        );
        assert_eq!(
            described(Status::error("gone"), known()),
            Status::error("gone")
        );
        assert_eq!(described(status("OK"), known()), Status::Ok);
        assert_eq!(
            described(status("ERROR"), Some(Status::Unset)),
            Status::error("")
        );
    }
}
