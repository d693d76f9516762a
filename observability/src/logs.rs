//! Log lines: which are written ([`filter`], changed while running), what they look like ([`ecs`]) and how they leave
//! the process ([`writer`]).
//!
//! The filter is process-wide, as the subscriber it belongs to is.

pub(crate) mod ecs;
pub(crate) mod writer;

use std::sync::{OnceLock, PoisonError, RwLock};

use tracing::Subscriber;
use tracing_subscriber::{EnvFilter, reload};

static CONTROL: OnceLock<Control> = OnceLock::new();

struct Control {
    text: RwLock<String>,
    replace: Box<dyn Fn(EnvFilter) -> Result<(), reload::Error> + Send + Sync>,
}

/// Why the filter was not changed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SetFilterError {
    #[error("logging is not initialised in this process")]
    NotInitialised,
    #[error(
        "the log filter {filter:?} is not valid ({reason}); write it like RUST_LOG, for example `info,sqlx=warn`"
    )]
    Invalid { filter: String, reason: String },
}

/// The filter in force, as it was written.
pub(crate) fn filter() -> Option<String> {
    CONTROL.get().map(|control| {
        control
            .text
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    })
}

/// Replaces the filter.
pub(crate) fn set_filter(text: &str) -> Result<(), SetFilterError> {
    let control = CONTROL.get().ok_or(SetFilterError::NotInitialised)?;
    let filter = parse(text)?;
    (control.replace)(filter).map_err(|_| SetFilterError::NotInitialised)?;
    text.clone_into(&mut control.text.write().unwrap_or_else(PoisonError::into_inner));
    Ok(())
}

/// Parses a filter, strictly: a part that is not understood refuses the whole.
pub(crate) fn parse(text: &str) -> Result<EnvFilter, SetFilterError> {
    let invalid = |reason: &str| SetFilterError::Invalid {
        filter: text.to_owned(),
        reason: reason.to_owned(),
    };
    if text.trim().is_empty() {
        return Err(invalid("it is empty"));
    }
    EnvFilter::builder()
        .parse(text)
        .map_err(|error| invalid(&error.to_string()))
}

/// Makes the filter behind `handle` the one that [`set_filter`] replaces.
pub(crate) fn control<S: Subscriber>(text: &str, handle: reload::Handle<EnvFilter, S>) {
    let replace = Box::new(move |filter| handle.reload(filter));
    // Already set only if init ran before, which it refuses.
    let _ = CONTROL.set(Control {
        text: RwLock::new(text.to_owned()),
        replace,
    });
}
