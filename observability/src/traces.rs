//! Spans: which become part of a trace, and how they leave the process.
//!
//! Every request has a place in a trace, even where no span leaves the process.

mod export;
mod fields;
pub(crate) mod origin;
mod otlp;
pub(crate) mod place;
mod queue;
pub(crate) mod sampling;
pub(crate) mod spans;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use opentelemetry::KeyValue;
use opentelemetry_sdk::Resource;

use crate::metrics::{Desc, Registry};
use crate::settings::{Service, Traces};
use crate::start::InitError;
pub(crate) use queue::Processor;
use sampling::{Ratio, Roots};
use spans::{Output, Spans};

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

/// The spans of a process and, where they leave it, the exporter and the ratio by which they are sampled.
pub(crate) struct Started {
    pub(crate) spans: Spans,
    pub(crate) exporter: Option<Arc<Processor>>,
    pub(crate) ratio: Option<Ratio>,
}

/// Starts the exporter, if there is a collector.
pub(crate) fn start(
    service: &Service,
    node: &str,
    traces: Option<&Traces>,
    registry: &Registry,
) -> Result<Started, InitError> {
    let Some(traces) = traces else {
        return Ok(Started {
            spans: Spans::new(Roots::None, Output::Nowhere),
            exporter: None,
            ratio: None,
        });
    };
    let endpoint = export::endpoint(&traces.endpoint).map_err(|reason| InitError::Endpoint {
        endpoint: traces.endpoint.clone(),
        reason,
    })?;
    let ratio = Ratio::new(traces.sample_ratio, registry);
    let exporter = Processor::start(endpoint, &resource(service, node), registry)?;
    let exporter = Arc::new(exporter);
    Ok(Started {
        spans: Spans::new(ratio.roots(), Output::Queue(exporter.clone())),
        exporter: Some(exporter),
        ratio: Some(ratio),
    })
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
