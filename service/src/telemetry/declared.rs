//! Everything that the service says about itself: its own metrics, spans and log fields, and those of the layers below.

use observability::Declarations;
use observability::declarations::{FieldDesc, SpanDesc};

use super::{SHED, api, dependency, images};
use crate::{catalog, jobs, store};

const CATALOG_CALL: &[&str] = &[
    "db.collection.name",
    "db.operation.name",
    "db.system.name",
    "error.type",
    "peer.service",
];
const STORE_CALL: &[&str] = &["error.type", "peer.service", "server.address"];
const ATTEMPT: &[&str] = &[
    "error.type",
    "job.attempt",
    "messaging.destination.name",
    "messaging.message.id",
];
/// Steps of requests and jobs.
const STEPS: [&str; 8] = [
    "decode",
    "dominant color",
    "encode",
    "permit wait",
    "probe",
    "receive",
    "transform",
    "validate",
];
/// One for each kind of job.
const ATTEMPTS: [&str; 2] = ["process purge", "process variants"];

const FIELDS: &[FieldDesc] = &[
    FieldDesc::text("error.message"),
    FieldDesc::keyword("error.type"),
    FieldDesc::long("event.duration"),
    FieldDesc::keyword("labels.dependency"),
    FieldDesc::keyword("labels.direction"),
    FieldDesc::keyword("labels.format"),
    FieldDesc::keyword("labels.from"),
    FieldDesc::keyword("labels.image"),
    FieldDesc::keyword("labels.job_attempt"),
    FieldDesc::keyword("labels.job_id"),
    FieldDesc::keyword("labels.job_kind"),
    FieldDesc::keyword("labels.key"),
    FieldDesc::keyword("labels.preset"),
    FieldDesc::keyword("labels.reason"),
    FieldDesc::keyword("labels.role"),
    FieldDesc::keyword("labels.signal"),
    FieldDesc::keyword("labels.state"),
    FieldDesc::keyword("labels.to"),
];

/// The declarations of `chitram`.
pub fn declarations() -> Declarations {
    let spans = |kind, attributes| {
        move |name: &'static str| SpanDesc {
            name: name.into(),
            kind,
            attributes,
        }
    };
    Declarations::new("chitram")
        .log()
        .traces()
        .http(&crate::api::table())
        .metrics(&[&SHED])
        .metrics(api::DECLARED)
        .metrics(dependency::DECLARED)
        .metrics(images::DECLARED)
        .metrics(catalog::metrics::DECLARED)
        .metrics(jobs::metrics::DECLARED)
        .spans(catalog::observed::span_names().map(spans("client", CATALOG_CALL)))
        .spans(store::observed::span_names().map(spans("client", STORE_CALL)))
        .spans(ATTEMPTS.into_iter().map(spans("consumer", ATTEMPT)))
        .spans(STEPS.into_iter().map(spans("internal", &[])))
        .fields(FIELDS)
}
