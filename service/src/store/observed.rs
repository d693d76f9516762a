//! The span and the duration of each attempt. It lies outside of the breaker, so that a refused call is visible in the
//! trace of the request that wanted it; the histogram holds only what was really asked.

use std::collections::HashMap;
use std::future::Future;

use observability::Registry;
use observability::client::{self, Call};
use observability::metrics::Histogram;

use super::{NAME, StoreError};
use crate::resilience::Direction;
use crate::telemetry::CLIENT_DURATION;

/// What is asked of the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Operation {
    Get,
    Put,
    Head,
    Delete,
}

impl Operation {
    const ALL: [Self; 4] = [Self::Get, Self::Put, Self::Head, Self::Delete];

    pub(super) const fn direction(self) -> Direction {
        match self {
            Self::Get | Self::Head => Direction::Read,
            Self::Put | Self::Delete => Direction::Write,
        }
    }

    /// The operation as S3 names it.
    const fn span_name(self) -> &'static str {
        match self {
            Self::Get => "GetObject",
            Self::Put => "PutObject",
            Self::Head => "HeadObject",
            Self::Delete => "DeleteObject",
        }
    }

    const fn method(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Put => "PUT",
            Self::Head => "HEAD",
            Self::Delete => "DELETE",
        }
    }

    /// The status of S3's answer when all is well. A folder has none, but means the same.
    const fn status(self) -> &'static str {
        match self {
            Self::Delete => "204",
            Self::Get | Self::Put | Self::Head => "200",
        }
    }
}

/// The names of the spans.
pub(crate) fn span_names() -> impl Iterator<Item = &'static str> {
    Operation::ALL.into_iter().map(Operation::span_name)
}

/// Observes calls to the store at one address.
pub(super) struct Observed {
    address: String,
    durations: HashMap<(Operation, Option<&'static str>), Histogram>,
}

/// How a call that was made can end badly: what the store did, and `cancelled` when the caller left first.
const FAILURES: [&str; 9] = [
    "not_found",
    "damaged",
    "connect",
    "io",
    "server",
    "timeout",
    "not_writable",
    "refused",
    "cancelled",
];

impl Observed {
    pub(super) fn new(registry: &Registry, address: &str) -> Self {
        let outcomes = || FAILURES.into_iter().map(Some).chain([None]);
        let durations = Operation::ALL.into_iter().flat_map(|operation| {
            outcomes().map(move |failure| {
                let status = match failure {
                    None => operation.status(),
                    Some("not_found") => "404",
                    Some(_) => "",
                };
                let labels = [
                    ("http_request_method", operation.method()),
                    ("http_response_status_code", status),
                    ("error_type", failure.unwrap_or_default()),
                    ("server_address", address),
                ];
                (
                    (operation, failure),
                    registry.histogram(&CLIENT_DURATION, &labels),
                )
            })
        });
        Self {
            address: address.to_owned(),
            durations: durations.collect(),
        }
    }

    pub(super) async fn run<T>(
        &self,
        operation: Operation,
        attempt: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let call = Call::new(operation.span_name(), NAME).server_address(self.address.clone());
        client::timed(call, attempt, StoreError::error_type, |elapsed, failure| {
            if let Some(histogram) = self.durations.get(&(operation, failure)) {
                histogram.record(elapsed);
            }
        })
        .await
    }
}
