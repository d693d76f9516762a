//! What a process says about itself at start. Read once, by [`crate::init`] and [`crate::Registry::new`].

/// Everything [`crate::init`] needs.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Who is speaking.
    pub service: Service,
    /// Where log lines go and which are written.
    pub logs: Logs,
    /// Where spans go. `None`: no span leaves the process, but every request still has a trace id.
    pub traces: Option<Traces>,
}

/// Identity of the process, on each log line, span and in `chitram_build_info`.
#[derive(Debug, Clone)]
pub struct Service {
    /// `service.name`, for example `chitram`.
    pub name: &'static str,
    /// `service.version`, normally `env!("CARGO_PKG_VERSION")`.
    pub version: &'static str,
    /// Source revision the binary was built from, when the build knew it.
    pub revision: Option<&'static str>,
    /// `service.environment`, for example `embedded`, `compose`, `test`.
    pub environment: String,
}

/// Log output.
#[derive(Debug, Clone)]
pub struct Logs {
    /// Which lines are written, in the syntax of `RUST_LOG`, for example `info,sqlx=warn`. Can be changed while running.
    pub filter: String,
    /// Where they are written.
    pub output: LogOutput,
}

/// Destination of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogOutput {
    /// Standard output, one JSON object a line.
    Stdout,
    /// Standard error, for tools whose standard output is their result.
    Stderr,
    /// Nowhere.
    Off,
}

/// Span export.
#[derive(Debug, Clone)]
pub struct Traces {
    /// OTLP gRPC receiver, `http://host:port`.
    pub endpoint: String,
    /// Share of root spans that are recorded, 0.0 to 1.0. An honoured inbound `traceparent` decides for itself.
    pub sample_ratio: f64,
}

impl Default for Logs {
    /// `info` and above to standard output.
    fn default() -> Self {
        Self {
            filter: "info".to_owned(),
            output: LogOutput::Stdout,
        }
    }
}
