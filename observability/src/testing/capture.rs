//! Spans and log lines of one thread, kept in memory.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use opentelemetry::trace::{SpanId, Status};
use opentelemetry_sdk::trace::SpanData;
use serde_json::Value;
use tracing::Dispatch;
use tracing::dispatcher::{self, DefaultGuard};
use tracing::subscriber::NoSubscriber;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt as _;

use super::{parse_lines, service};
use crate::logs::Filter;
use crate::logs::ecs::Formatter;
use crate::logs::writer::Sink;
use crate::subscriber::{Lines, Telemetry};
use crate::traces::sampling::Roots;
use crate::traces::spans::{Output, Spans};

/// Captures every span and every line from `info` up of this thread, while it lives.
///
/// For `#[tokio::test]`, whose runtime has one thread: client and server in the same test. Work on other threads takes
/// part where it runs in a [`Scope`](crate::scope::Scope).
#[must_use = "it captures while it lives"]
pub fn capture() -> Capture {
    // While `tracing` knows of one dispatcher only, the first thread to reach a span's place in the code decides by its own
    // dispatcher, so perhaps by having none, that nobody wants that span. A second one makes it ask every thread.
    static SECOND: LazyLock<Dispatch> = LazyLock::new(|| Dispatch::new(NoSubscriber::new()));
    LazyLock::force(&SECOND);
    let spans = Arc::default();
    let lines = Arc::default();
    let subscriber = tracing_subscriber::registry().with(Telemetry {
        spans: Spans::new(Roots::All, Output::Memory(Arc::clone(&spans))),
        lines: Some(Lines {
            filter: Filter::new(EnvFilter::new("info")),
            formatter: Formatter::new(&service(), "test-node", Sink::Memory(Arc::clone(&lines))),
        }),
    });
    let guard = dispatcher::set_default(&Dispatch::new(subscriber));
    Capture {
        spans,
        lines,
        _guard: guard,
    }
}

/// See [`capture`].
pub struct Capture {
    spans: Arc<Mutex<Vec<SpanData>>>,
    lines: Arc<Mutex<Vec<u8>>>,
    _guard: DefaultGuard,
}

impl Capture {
    /// The spans that have ended, in that order.
    pub fn spans(&self) -> Vec<SpanRecord> {
        lock(&self.spans).iter().map(SpanRecord::from).collect()
    }

    /// The last ended span of this name.
    pub fn span(&self, name: &str) -> Option<SpanRecord> {
        self.spans().into_iter().rfind(|span| span.name == name)
    }

    /// The lines so far.
    ///
    /// # Panics
    /// When one of them is no JSON object.
    pub fn lines(&self) -> Vec<Value> {
        parse_lines(&String::from_utf8_lossy(&lock(&self.lines)))
    }

    /// The last line with this message.
    pub fn line(&self, message: &str) -> Option<Value> {
        self.lines()
            .into_iter()
            .rfind(|line| line["message"] == message)
    }

    /// Forgets what it has.
    pub fn clear(&self) {
        lock(&self.spans).clear();
        lock(&self.lines).clear();
    }
}

/// A span as a trace backend would show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpanRecord {
    /// Its name.
    pub name: String,
    /// `server`, `client`, `internal`, `producer` or `consumer`.
    pub kind: String,
    /// 32 hexadecimal digits.
    pub trace_id: String,
    /// 16 hexadecimal digits.
    pub span_id: String,
    /// The parent's span id; `None` for a root.
    pub parent_span_id: Option<String>,
    /// From its start to its end.
    pub duration: Duration,
    /// Attributes as text.
    pub attributes: BTreeMap<String, String>,
    /// Whether its status is Error.
    pub error: bool,
    /// Trace ids that it links to.
    pub links: Vec<String>,
}

impl From<&SpanData> for SpanRecord {
    fn from(span: &SpanData) -> Self {
        let attribute =
            |pair: &opentelemetry::KeyValue| (pair.key.to_string(), pair.value.to_string());
        Self {
            name: span.name.to_string(),
            kind: format!("{:?}", span.span_kind).to_lowercase(),
            trace_id: span.span_context.trace_id().to_string(),
            span_id: span.span_context.span_id().to_string(),
            parent_span_id: (span.parent_span_id != SpanId::INVALID)
                .then(|| span.parent_span_id.to_string()),
            duration: span
                .end_time
                .duration_since(span.start_time)
                .unwrap_or_default(),
            attributes: span.attributes.iter().map(attribute).collect(),
            error: matches!(span.status, Status::Error { .. }),
            links: span
                .links
                .iter()
                .map(|link| link.span_context.trace_id().to_string())
                .collect(),
        }
    }
}

fn lock<T>(kept: &Mutex<T>) -> MutexGuard<'_, T> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}
