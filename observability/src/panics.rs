//! A panic is one log line, like everything else that happens.

use std::any::Any;
use std::backtrace::{Backtrace, BacktraceStatus};
use std::time::Duration;

use tracing::error;

use crate::logs::writer::Writer;

/// A panic that ends the process leaves no time for its line but this. Where nobody reads the output, each panic takes so long.
const DEADLINE: Duration = Duration::from_millis(100);

/// Replaces the process' panic hook, which prints several lines to standard error. Returns from it when the line is written,
/// or after a moment.
pub(crate) fn install(writer: Writer) {
    std::panic::set_hook(Box::new(move |panic| {
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
        writer.flush(DEADLINE);
    }));
}

fn message(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("not a text")
}
