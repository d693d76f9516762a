//! Log lines: which are written ([`filter`], changed while running), what they look like ([`ecs`]) and how they leave
//! the process ([`writer`]).
//!
//! The filter is process-wide, as the subscriber it belongs to is.

pub(crate) mod ecs;
pub(crate) mod writer;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use tracing::callsite;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

/// Characters of a refused filter that are shown.
const MAX_SHOWN: usize = 200;

static CONTROL: OnceLock<Control> = OnceLock::new();

struct Control {
    text: RwLock<String>,
    filter: Filter,
}

/// Which lines are written. Cloning shares it.
#[derive(Debug, Clone)]
pub(crate) struct Filter(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    filter: RwLock<EnvFilter>,
    /// Whether it looks at spans: mostly not, and then nobody tells it of them.
    follows_spans: AtomicBool,
}

impl Filter {
    pub(crate) fn new(filter: EnvFilter) -> Self {
        Self(Arc::new(Shared {
            follows_spans: AtomicBool::new(follows_spans(&filter)),
            filter: RwLock::new(filter),
        }))
    }

    /// What `look` sees of the filter in force.
    pub(crate) fn with<T>(&self, look: impl FnOnce(&EnvFilter) -> T) -> T {
        look(&self.0.filter.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The same where the filter looks at spans; nothing otherwise.
    pub(crate) fn of_spans(&self, tell: impl FnOnce(&EnvFilter)) {
        if self.0.follows_spans.load(Ordering::Relaxed) {
            self.with(tell);
        }
    }

    fn replace(&self, filter: EnvFilter) {
        let follows_spans = follows_spans(&filter);
        *self
            .0
            .filter
            .write()
            .unwrap_or_else(PoisonError::into_inner) = filter;
        self.0.follows_spans.store(follows_spans, Ordering::Relaxed);
        // Every place in the code asks anew whether it is wanted, and the `log` crate learns the level.
        callsite::rebuild_interest_cache();
        tracing_log::log::set_max_level(tracing_log::AsLog::as_log(&LevelFilter::current()));
    }
}

/// Directives about spans are written in brackets, and nothing else is.
fn follows_spans(filter: &EnvFilter) -> bool {
    filter.to_string().contains('[')
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
    control.filter.replace(filter);
    text.clone_into(&mut control.text.write().unwrap_or_else(PoisonError::into_inner));
    Ok(())
}

/// Parses a filter, strictly: a part that is not understood refuses the whole.
///
/// A word alone must be a level. Where it is none, the syntax would take it for a module whose lines of every level are
/// wanted, and no others: after a mistyped `debgu` there would be silence.
pub(crate) fn parse(text: &str) -> Result<EnvFilter, SetFilterError> {
    let invalid = |reason: String| SetFilterError::Invalid {
        filter: text.chars().take(MAX_SHOWN).collect(),
        reason,
    };
    if text.trim().is_empty() {
        return Err(invalid("it is empty".to_owned()));
    }
    let words = text.split(',').map(str::trim);
    let lone = words.filter(|word| !word.contains(['=', '[']));
    for word in lone {
        if word.parse::<LevelFilter>().is_err() {
            return Err(invalid(format!(
                "{word:?} is not a level; for the lines of a module write {word}=trace"
            )));
        }
    }
    EnvFilter::builder()
        .parse(text)
        .map_err(|error| invalid(error.to_string()))
}

/// Makes `filter` the one that [`set_filter`] replaces.
pub(crate) fn control(text: &str, filter: Filter) {
    // Already set only if init ran before, which it refuses.
    let _ = CONTROL.set(Control {
        text: RwLock::new(text.to_owned()),
        filter,
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_is_levels_and_directives() {
        for text in [
            "info",
            "WARN",
            "off",
            "info,sqlx=warn",
            "debug,hyper=off",
            "service::store=trace",
            "info,[stage{otel.name=decode}]=debug",
        ] {
            assert!(parse(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn a_mistyped_level_is_not_taken_for_a_module() {
        for (text, named) in [
            ("debgu", "debgu"),
            ("info,wran", "wran"),
            ("sqlx", "sqlx=trace"),
            ("", "empty"),
            (" ", "empty"),
            ("sqlx=wran", "level filter"),
            ("info,[", "info,["),
        ] {
            let error = parse(text).err().map(|error| error.to_string());
            assert!(
                error.as_ref().is_some_and(|error| error.contains(named)),
                "{text}: {error:?}"
            );
        }
    }
}
