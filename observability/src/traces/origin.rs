//! What a root span continues: handed over to the span that is made next on this thread, since whether a span is recorded
//! must be known when it is made.

use std::cell::RefCell;
use std::sync::Arc;

use opentelemetry::trace::SpanContext;
use tracing::Span;

use super::place::Place;

/// Where a span comes from.
#[derive(Debug, Clone, Default)]
pub(crate) struct Origin {
    /// The span above it. One that is not valid stands for a run alone.
    pub(crate) above: Option<Arc<Place>>,
    /// Another trace, by which it was caused.
    pub(crate) link: Option<SpanContext>,
}

thread_local! {
    static NEXT: RefCell<Origin> = RefCell::default();
}

/// Makes a span, declared with `parent: None`, that comes from `origin`.
pub(crate) fn with(origin: Origin, span: impl FnOnce() -> Span) -> Span {
    NEXT.replace(origin);
    let span = span();
    // Still there when the span is disabled.
    NEXT.take();
    span
}

pub(super) fn take() -> Origin {
    NEXT.take()
}
