//! Spans: which become part of a trace, and how they leave the process.
//!
//! A provider always exists, so that requests have trace ids even where no span leaves the process.

pub(crate) mod export;

use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracerProvider,
};
use tracing::subscriber::Interest;
use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::{Context, Filter};
use tracing_subscriber::registry::LookupSpan;

use crate::metrics::Registry;
use crate::settings::{Service, Traces};
use crate::start::InitError;
use export::{CountedExporter, CountedProcessor, Queue};

/// Spans in one export at most.
const BATCH: usize = 512;
/// A span waits this long at most for its batch to fill.
const BATCH_DELAY: Duration = Duration::from_millis(500);
/// An export that takes longer has failed.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(3);
/// Libraries on the exporter's own path: their spans would make spans.
const EXPORTERS_OWN: [&str; 6] = [
    "h2",
    "hyper",
    "hyper_util",
    "tonic",
    "tower",
    "opentelemetry",
];

/// The provider of a process. Inside the runtime: the exporter's connection is a task of it.
pub(crate) fn provider(
    service: &Service,
    node: &str,
    traces: Option<&Traces>,
    registry: &Registry,
) -> Result<SdkTracerProvider, InitError> {
    let builder = SdkTracerProvider::builder().with_resource(resource(service, node));
    let Some(traces) = traces else {
        return Ok(builder.with_sampler(sampler(0.0)).build());
    };
    let endpoint = |reason: String| InitError::Endpoint {
        endpoint: traces.endpoint.clone(),
        reason,
    };
    if !traces.endpoint.starts_with("http://") {
        return Err(endpoint("it does not begin with http://".to_owned()));
    }
    let exporter = SpanExporter::builder()
        .with_tonic()
        .with_endpoint(&traces.endpoint)
        .with_timeout(EXPORT_TIMEOUT)
        .build()
        .map_err(|error| endpoint(error.to_string()))?;
    let queue = Queue::new(registry);
    let batches = BatchSpanProcessor::builder(CountedExporter::new(exporter, queue.clone()))
        .with_batch_config(
            BatchConfigBuilder::default()
                // Ours is the bound that drops, and counts; this one must never be reached.
                .with_max_queue_size(2 * export::BOUND)
                .with_max_export_batch_size(BATCH)
                .with_scheduled_delay(BATCH_DELAY)
                .build(),
        )
        .build();
    let processor = CountedProcessor::new(batches, queue);
    Ok(builder
        .with_sampler(sampler(traces.sample_ratio))
        .with_span_processor(processor)
        .build())
}

/// The subscriber's layer that turns spans of the `tracing` crate into spans of `provider`.
pub(crate) fn layer<S>(provider: &SdkTracerProvider) -> impl Layer<S> + use<S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    tracing_opentelemetry::layer()
        .with_tracer(provider.tracer("observability"))
        .with_location(false)
        .with_threads(false)
        .with_target(false)
        .with_tracked_inactivity(false)
        // What a span's status is, its owner says: an error line inside a request that is answered well is no error of it.
        .with_error_events_to_status(false)
        .with_error_events_to_exceptions(false)
        .with_filter(OwnSpans)
}

/// An inbound decision stands; a root is recorded with this probability.
pub(crate) fn sampler(ratio: f64) -> Sampler {
    let root = match ratio {
        ratio if ratio >= 1.0 => Sampler::AlwaysOn,
        ratio if ratio <= 0.0 => Sampler::AlwaysOff,
        ratio => Sampler::TraceIdRatioBased(ratio),
    };
    Sampler::ParentBased(Box::new(root))
}

fn resource(service: &Service, node: &str) -> Resource {
    Resource::builder()
        .with_service_name(service.name)
        .with_attributes([
            KeyValue::new("service.version", service.version),
            KeyValue::new("service.instance.id", node.to_owned()),
            KeyValue::new("deployment.environment.name", service.environment.clone()),
        ])
        .build()
}

/// Spans from INFO up, and events from WARN up, which become events of their span.
struct OwnSpans;

impl OwnSpans {
    fn wants(metadata: &Metadata<'_>) -> bool {
        let least = if metadata.is_span() {
            Level::INFO
        } else {
            Level::WARN
        };
        let root = metadata.target().split("::").next().unwrap_or_default();
        *metadata.level() <= least && !EXPORTERS_OWN.contains(&root)
    }
}

impl<S> Filter<S> for OwnSpans {
    fn enabled(&self, metadata: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        Self::wants(metadata)
    }

    fn callsite_enabled(&self, metadata: &'static Metadata<'static>) -> Interest {
        // Never "always". Where every layer's filter answers so, none is asked again, and what it said to a mere
        // `enabled!` before (as sqlx asks after every query) still stands on that thread and swallows the next event
        // (tracing issue 2519). This answer keeps the log's filter from it too.
        if Self::wants(metadata) {
            Interest::sometimes()
        } else {
            Interest::never()
        }
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::INFO)
    }
}
