//! The one layer of the process' subscriber: what the code says becomes spans, lines, or nothing.
//!
//! One layer in place of several with a filter each: it says of each place in the code once whether anybody wants it, and
//! `tracing` asks it no more.

use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::Interest;
use tracing::{Event, Metadata, Subscriber};
use tracing_log::NormalizeEvent as _;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use crate::logs::Filter;
use crate::logs::ecs::Formatter;
use crate::traces::place;
use crate::traces::spans::{self, Spans};

/// See the module.
pub(crate) struct Telemetry {
    pub(crate) spans: Spans,
    /// `None` where nothing is logged.
    pub(crate) lines: Option<Lines>,
}

/// Log lines: which, and how they are written.
pub(crate) struct Lines {
    pub(crate) filter: Filter,
    pub(crate) formatter: Formatter,
}

impl<S> Layer<S> for Telemetry
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        // Also where a span is wanted anyway: the filter gets to know the spans that it looks at.
        let lines = self.lines.as_ref().map(|lines| {
            let register = |filter: &_| Layer::<S>::register_callsite(filter, metadata);
            lines.filter.with(register)
        });
        if Spans::want(metadata) {
            Interest::always()
        } else {
            lines.unwrap_or_else(Interest::never)
        }
    }

    fn enabled(&self, metadata: &Metadata<'_>, context: Context<'_, S>) -> bool {
        Spans::want(metadata)
            || self
                .lines
                .as_ref()
                .is_some_and(|lines| lines.want(metadata, context))
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        let Some(lines) = &self.lines else {
            return Some(LevelFilter::INFO);
        };
        // Spans are wanted from INFO up.
        let hint = lines
            .filter
            .with(tracing_subscriber::EnvFilter::max_level_hint)?;
        Some(hint.max(LevelFilter::INFO))
    }

    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if Spans::want(attributes.metadata()) {
            self.spans.begin(attributes, id, &context);
        }
        self.tell(|filter| filter.on_new_span(attributes, id, context));
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        spans::note(id, values, &context);
        self.tell(|filter| filter.on_record(id, values, context));
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        // Every record of the `log` crate has the same target in its metadata; whose it is, is in its fields.
        let record = event.normalized_metadata();
        let metadata = record.as_ref().unwrap_or_else(|| event.metadata());
        if Spans::want(metadata) {
            spans::happened(event, &context);
        }
        if let Some(lines) = &self.lines
            && lines.want(metadata, context)
        {
            lines.formatter.write(event);
        }
    }

    fn on_enter(&self, id: &Id, context: Context<'_, S>) {
        spans::enter(id, &context);
        self.tell(|filter| filter.on_enter(id, context));
    }

    fn on_exit(&self, id: &Id, context: Context<'_, S>) {
        place::exit(id);
        self.tell(|filter| filter.on_exit(id, context));
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        self.spans.end(&id, &context);
        self.tell(|filter| filter.on_close(id, context));
    }
}

impl Telemetry {
    /// Tells the log's filter of a span, if it looks at spans.
    fn tell(&self, tell: impl FnOnce(&tracing_subscriber::EnvFilter)) {
        if let Some(lines) = &self.lines {
            lines.filter.of_spans(tell);
        }
    }
}

impl Lines {
    fn want<S: Subscriber>(&self, metadata: &Metadata<'_>, context: Context<'_, S>) -> bool {
        self.filter.with(|filter| filter.enabled(metadata, context))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "in tests a panic is the answer")]
mod tests {
    use std::sync::{Arc, Mutex};

    use tracing::dispatcher::{self, Dispatch};
    use tracing_log::log::{Level, Record};
    use tracing_subscriber::EnvFilter;
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;
    use crate::logs::writer::Sink;
    use crate::testing::service;
    use crate::traces::sampling::Roots;
    use crate::traces::spans::Output;

    /// Whether a line of the `log` crate, of level INFO and of a module named `library`, is written.
    fn is_written(filter: &str) -> bool {
        let kept: Arc<Mutex<Vec<u8>>> = Arc::default();
        let subscriber = tracing_subscriber::registry().with(Telemetry {
            spans: Spans::new(Roots::All, Output::Memory(Arc::default())),
            lines: Some(Lines {
                filter: Filter::new(EnvFilter::new(filter)),
                formatter: Formatter::new(&service(), "test-node", Sink::Memory(kept.clone())),
            }),
        });
        dispatcher::with_default(&Dispatch::new(subscriber), || {
            let mut record = Record::builder();
            record.level(Level::Info).target("library");
            tracing_log::format_trace(&record.args(format_args!("said")).build()).unwrap();
        });
        !kept.lock().unwrap().is_empty()
    }

    #[test]
    fn a_directive_for_a_library_that_uses_the_log_crate_adds_its_lines() {
        assert!(is_written("warn,library=info"));
        assert!(!is_written("warn,other=info"));
    }

    #[test]
    fn a_directive_for_a_library_that_uses_the_log_crate_silences_it() {
        assert!(!is_written("info,library=off"));
        assert!(is_written("info,other=off"));
    }
}
