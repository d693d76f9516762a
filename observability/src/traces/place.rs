//! Where in which trace a thread works: what a line, an exemplar and a request to another process say of it.
//!
//! Kept beside the spans, one stack a thread, so that nobody looks up a span for it. Each span that is entered is on it,
//! sampled or not.

use std::cell::RefCell;
use std::sync::Arc;

use opentelemetry::trace::SpanContext;
use tracing::span::Id;

use crate::propagation::BAGGAGE_KEYS;

thread_local! {
    static ENTERED: RefCell<Vec<(Id, Arc<Place>)>> = const { RefCell::new(Vec::new()) };
}

/// The values of [`BAGGAGE_KEYS`], in their order.
pub(crate) type Run = [Option<String>; BAGGAGE_KEYS.len()];

/// A span as its children and its lines know it.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) span: SpanContext,
    /// The baggage of its trace; `None` where it has none.
    run: Option<Arc<Run>>,
}

impl Place {
    pub(crate) fn new(span: SpanContext, run: Option<Arc<Run>>) -> Self {
        Self { span, run }
    }

    /// The run's baggage, in the order of [`BAGGAGE_KEYS`].
    pub(crate) fn run(&self) -> impl Iterator<Item = Option<&str>> {
        let run = self.run.as_deref().into_iter().flatten();
        run.map(Option::as_deref)
    }

    /// Another span in the same run.
    pub(super) fn with(&self, span: SpanContext) -> Self {
        Self::new(span, self.run.clone())
    }
}

/// What `look` makes of the innermost span that the thread has entered.
pub(crate) fn current<T>(look: impl FnOnce(Option<&Place>) -> T) -> T {
    ENTERED.with_borrow(|entered| look(entered.last().map(|(_, place)| &**place)))
}

/// The place of the innermost span that the thread has entered.
pub(crate) fn current_place() -> Option<Arc<Place>> {
    ENTERED.with_borrow(|entered| entered.last().map(|(_, place)| place.clone()))
}

/// The innermost span that the thread has entered, if it is sampled.
pub(super) fn current_sampled() -> Option<Id> {
    ENTERED.with_borrow(|entered| {
        let innermost = entered.last();
        let sampled = innermost.filter(|(_, place)| place.span.is_sampled());
        sampled.map(|(id, _)| id.clone())
    })
}

pub(super) fn enter(id: &Id, place: Arc<Place>) {
    ENTERED.with_borrow_mut(|entered| entered.push((id.clone(), place)));
}

/// Mostly the innermost one; guards may be dropped in any order.
pub(crate) fn exit(id: &Id) {
    ENTERED.with_borrow_mut(|entered| {
        if let Some(at) = entered.iter().rposition(|(entered, _)| entered == id) {
            entered.remove(at);
        }
    });
}
