//! Jaeger v2, the real one, with its storage in memory.

use std::fs;
use std::path::Path;

use super::launch::{Launch, Running, answers_ok, start_on_ports, temporary_folder};
use super::{Backend, Found, Source, find};
use crate::error::Error;
use crate::process::Spec;

/// A Jaeger that answers. Dropping it stops it, if it was started here.
#[derive(Debug)]
pub struct Jaeger {
    /// Its query API, e.g. `http://127.0.0.1:16686`.
    pub query: String,
    /// Where it takes spans: OTLP over gRPC.
    pub otlp: String,
    /// The process; `None` when it was given by its URLs.
    pub running: Option<Running>,
}

/// Whether this machine has it.
pub fn find() -> Backend {
    let found = Found::look("CHITRAM_JAEGER_URL", || find::on_path_or_cached("jaeger"));
    Backend {
        name: "Jaeger",
        role: "traces",
        install: "scripts/backends (needs Go)",
        found,
    }
}

/// Starts it, or takes the one that `CHITRAM_JAEGER_URL` and `CHITRAM_OTLP_URL` name.
pub async fn start(found: &Found, launch: &Launch) -> Result<Jaeger, Error> {
    let program = match &found.source {
        Source::Url(query) => return given(query),
        Source::Program(program) => program,
    };
    let data = temporary_folder("jaeger")?;
    let config = data.path().join("config.yaml");
    let spec = |ports: &[u16], log: &Path| {
        fs::write(&config, configuration(ports[0], ports[1]))
            .map_err(Error::file("write", &config))?;
        // Jaeger would trace itself to the default OTLP port, and wait 10 s for it when it stops.
        Ok(Spec::new("jaeger", program, log)
            .args(["--config".as_ref(), config.as_os_str()])
            .env("OTEL_SDK_DISABLED", "true"))
    };
    let ready = async |ports: &[u16]| {
        answers_ok(&format!("http://127.0.0.1:{}/api/services", ports[0])).await
    };
    let (running, ports) = start_on_ports(launch, "jaeger", 2, Some(data), spec, ready).await?;
    let url = |port| format!("http://127.0.0.1:{port}");
    Ok(Jaeger {
        query: url(ports[0]),
        otlp: url(ports[1]),
        running: Some(running),
    })
}

fn given(query: &str) -> Result<Jaeger, Error> {
    let otlp = find::variable("CHITRAM_OTLP_URL").ok_or_else(|| {
        let sentence = "CHITRAM_JAEGER_URL is set without CHITRAM_OTLP_URL: set both, e.g. http://127.0.0.1:4317";
        Error::Usage(sentence.to_owned())
    })?;
    let url = |url: &str| url.trim_end_matches('/').to_owned();
    Ok(Jaeger {
        query: url(query),
        otlp: url(&otlp),
        running: None,
    })
}

/// Only what the platform uses listens: the query API's own gRPC port is a free one, its metrics port is off.
fn configuration(query: u16, otlp: u16) -> String {
    format!(
        "service:
  extensions: [jaeger_storage, jaeger_query]
  pipelines:
    traces:
      receivers: [otlp]
      exporters: [jaeger_storage_exporter]
  telemetry:
    metrics:
      level: none
extensions:
  jaeger_storage:
    backends:
      memory:
        memory:
          max_traces: 50000
  jaeger_query:
    storage:
      traces: memory
    http:
      endpoint: 127.0.0.1:{query}
    grpc:
      endpoint: 127.0.0.1:0
receivers:
  otlp:
    protocols:
      grpc:
        endpoint: 127.0.0.1:{otlp}
exporters:
  jaeger_storage_exporter:
    trace_storage: memory
"
    )
}
