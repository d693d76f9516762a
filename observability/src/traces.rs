//! Spans: which become part of a trace, and how they leave the process.
//!
//! A provider always exists, so that requests have trace ids even where no span leaves the process.

mod export;
pub(crate) mod queue;
pub(crate) mod sampling;
#[cfg(test)]
mod tests;

use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::subscriber::Interest;
use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::{Context, Filter};
use tracing_subscriber::registry::LookupSpan;

use crate::metrics::{Desc, Registry};
use crate::settings::{Service, Traces};
use crate::start::InitError;
use queue::Processor;
use sampling::Ratio;

/// Every metric of a process that exports spans.
pub(crate) const DECLARED: &[&Desc] = &[
    &queue::ENDED,
    &queue::PROCESSED,
    &queue::QUEUE_SIZE,
    &queue::QUEUE_CAPACITY,
    &queue::IN_FLIGHT,
    &queue::EXPORTED,
    &sampling::RATIO,
];

/// Libraries on the exporter's own path: their spans would make spans.
const EXPORTERS_OWN: [&str; 6] = [
    "h2",
    "hyper",
    "hyper_util",
    "tonic",
    "tower",
    "opentelemetry",
];

/// The provider of a process, and the ratio by which it samples where spans leave the process.
pub(crate) fn provider(
    service: &Service,
    node: &str,
    traces: Option<&Traces>,
    registry: &Registry,
) -> Result<(SdkTracerProvider, Option<Ratio>), InitError> {
    let resource = resource(service, node);
    let builder = SdkTracerProvider::builder().with_resource(resource.clone());
    let Some(traces) = traces else {
        return Ok((builder.with_sampler(sampling::none()).build(), None));
    };
    let endpoint = export::endpoint(&traces.endpoint).map_err(|reason| InitError::Endpoint {
        endpoint: traces.endpoint.clone(),
        reason,
    })?;
    let ratio = Ratio::new(traces.sample_ratio, registry);
    let provider = builder
        .with_sampler(ratio.sampler())
        .with_span_processor(Processor::start(endpoint, &resource, registry)?)
        .build();
    Ok((provider, Some(ratio)))
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
