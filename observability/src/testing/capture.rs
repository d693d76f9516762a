//! Spans and log lines of one thread, kept in memory.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Duration;

use opentelemetry::Context;
use opentelemetry::trace::{SpanId, Status};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SdkTracerProvider, Span, SpanData, SpanProcessor};
use serde_json::Value;
use tracing::Dispatch;
use tracing::dispatcher::{self, DefaultGuard};
use tracing::subscriber::NoSubscriber;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};

use super::{parse_lines, service};
use crate::logs::ecs::EcsLayer;
use crate::logs::writer::Sink;
use crate::traces::{self, queue::note_run, sampling};

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
    let spans = Spans::default();
    let provider = SdkTracerProvider::builder()
        .with_sampler(sampling::all())
        .with_span_processor(spans.clone())
        .build();
    let lines = Arc::new(Mutex::new(Vec::new()));
    let ecs = EcsLayer::new(&service(), "test-node", Sink::Memory(lines.clone()));
    let subscriber = tracing_subscriber::registry()
        .with(traces::layer(&provider))
        .with(ecs.with_filter(LevelFilter::INFO));
    let guard = dispatcher::set_default(&Dispatch::new(subscriber));
    Capture {
        spans,
        lines,
        _provider: provider,
        _guard: guard,
    }
}

/// See [`capture`].
pub struct Capture {
    spans: Spans,
    lines: Arc<Mutex<Vec<u8>>>,
    _provider: SdkTracerProvider,
    _guard: DefaultGuard,
}

impl Capture {
    /// The spans that have ended, in that order.
    pub fn spans(&self) -> Vec<SpanRecord> {
        self.spans.lock().iter().map(SpanRecord::from).collect()
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
        parse_lines(&String::from_utf8_lossy(
            &self.lines.lock().unwrap_or_else(PoisonError::into_inner),
        ))
    }

    /// The last line with this message.
    pub fn line(&self, message: &str) -> Option<Value> {
        self.lines()
            .into_iter()
            .rfind(|line| line["message"] == message)
    }

    /// Forgets what it has.
    pub fn clear(&self) {
        self.spans.lock().clear();
        self.lines
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
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

/// A span processor that keeps every span.
#[derive(Debug, Clone, Default)]
struct Spans(Arc<Mutex<Vec<SpanData>>>);

impl Spans {
    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<SpanData>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SpanProcessor for Spans {
    fn on_start(&self, span: &mut Span, context: &Context) {
        note_run(span, context);
    }

    fn on_end(&self, span: SpanData) {
        if span.span_context.is_sampled() {
            self.lock().push(span);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}
