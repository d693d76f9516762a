//! Start and stop of everything that is process-wide: the subscriber, the exporter, the log writer, the panic hook.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::logs::ecs::Formatter;
use crate::logs::writer::{Sink, Writer};
use crate::logs::{self, Filter, SetFilterError};
use crate::metrics::Registry;
use crate::panics;
use crate::settings::{LogOutput, Settings};
use crate::subscriber::{Lines, Telemetry};
use crate::traces::{self, Processor, Started, sampling};

/// Whether the process has its subscriber: then every thread has it.
static GLOBAL: AtomicBool = AtomicBool::new(false);

/// Why telemetry could not start.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// The log filter does not parse.
    #[error(
        "the log filter {filter:?} is not valid ({reason}); write it like RUST_LOG, for example `info,sqlx=warn`"
    )]
    Filter {
        /// The filter, as given.
        filter: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The OTLP endpoint cannot be used.
    #[error(
        "the traces endpoint {endpoint:?} cannot be used ({reason}); give it as http://host:port"
    )]
    Endpoint {
        /// The endpoint, as given.
        endpoint: String,
        /// What is wrong with it.
        reason: String,
    },
    /// `init` was called before in this process, or another subscriber was installed.
    #[error(
        "telemetry was initialised before in this process; call init once, at the start of main"
    )]
    Twice,
    /// A thread, for log lines or for spans, could not be started.
    #[error("a thread for logs or traces could not be started: {0}")]
    Thread(#[from] io::Error),
}

/// Keeps telemetry running. To be kept until the process has done everything else, then [`shutdown`](Guard::shutdown).
#[must_use = "spans and log lines that are not flushed are lost"]
pub struct Guard {
    exporter: Option<Arc<Processor>>,
    writer: Option<Writer>,
}

/// Starts logs, traces and the panic hook, once in a process.
///
/// # Errors
/// See [`InitError`]; nothing is left running then.
pub fn init(settings: Settings, registry: &Registry) -> Result<Guard, InitError> {
    let Settings {
        service,
        logs,
        traces,
    } = settings;
    let filter = logs::parse(&logs.filter).map_err(|error| match error {
        SetFilterError::Invalid { filter, reason } => InitError::Filter { filter, reason },
        SetFilterError::NotInitialised => InitError::Twice,
    })?;
    let node = uuid::Uuid::now_v7().to_string();
    let Started {
        spans,
        exporter,
        ratio,
    } = traces::start(&service, &node, traces.as_ref(), registry)?;
    let writer = match logs.output {
        LogOutput::Stdout => Some(Writer::start(io::stdout(), registry)?),
        LogOutput::Stderr => Some(Writer::start(io::stderr(), registry)?),
        LogOutput::Off => None,
    };
    let filter = Filter::new(filter);
    let lines = writer.clone().map(|writer| Lines {
        filter: filter.clone(),
        formatter: Formatter::new(&service, &node, Sink::Queue(writer)),
    });
    let subscriber = tracing_subscriber::registry().with(Telemetry { spans, lines });
    subscriber.try_init().map_err(|_| InitError::Twice)?;
    GLOBAL.store(true, Ordering::Relaxed);
    if let Some(ratio) = ratio {
        sampling::control(ratio);
    }
    if let Some(writer) = &writer {
        logs::control(&logs.filter, filter);
        panics::install(writer.clone());
    }
    Ok(Guard { exporter, writer })
}

impl Guard {
    /// Hands the last spans to the collector and the last lines to their output; together they take at most `deadline`.
    /// Never blocks the runtime.
    pub async fn shutdown(self, deadline: Duration) {
        let start = Instant::now();
        // A collector that is gone must not cost the lines, which need none.
        let for_spans = deadline.mul_f64(0.8);
        if let Some(exporter) = self.exporter {
            // Flushing blocks.
            let spans = tokio::task::spawn_blocking(move || exporter.shutdown(for_spans));
            let _ = tokio::time::timeout(for_spans, spans).await;
        }
        if let Some(writer) = self.writer {
            let left = deadline.saturating_sub(start.elapsed());
            let _ = tokio::task::spawn_blocking(move || writer.flush(left)).await;
        }
    }
}

/// Whether [`init`] was called.
pub(crate) fn is_global() -> bool {
    GLOBAL.load(Ordering::Relaxed)
}
