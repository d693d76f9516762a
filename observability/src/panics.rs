//! A panic is one log line, like everything else that happens.

use std::any::Any;
use std::backtrace::{Backtrace, BacktraceStatus};

use tracing::error;

/// Replaces the process' panic hook, which prints several lines to standard error.
pub(crate) fn install() {
    std::panic::set_hook(Box::new(|panic| {
        let backtrace = Backtrace::capture();
        let stack =
            (backtrace.status() == BacktraceStatus::Captured).then(|| backtrace.to_string());
        let place = panic.location().map(ToString::to_string);
        error!(
            error.type = "panic",
            error.message = message(panic.payload()),
            error.stack_trace = stack.as_deref(),
            origin = place.as_deref(),
            thread = std::thread::current().name(),
            "panic"
        );
    }));
}

fn message(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("not a text")
}
