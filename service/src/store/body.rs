//! The body of an object while it arrives: a pause that is too long ends it.

use std::time::Duration;

use bytes::Bytes;
use futures::stream::{BoxStream, Stream, StreamExt};

use super::StoreError;
use crate::resilience::{Breaker, CallError, Direction, Overdue};

/// Ends `body` when it pauses for longer than `idle`, and tells the breaker about a body that fails half-way: the
/// answer's headers had already been counted as a success.
pub(super) fn guarded(
    body: impl Stream<Item = object_store::Result<Bytes>> + Send + 'static,
    idle: Option<Duration>,
    breaker: Breaker,
) -> BoxStream<'static, Result<Bytes, StoreError>> {
    let body = Box::pin(body);
    let since = breaker.generation();
    futures::stream::unfold(Some((body, breaker)), move |state| async move {
        let (mut body, breaker) = state?;
        let next = match idle {
            None => Ok(body.next().await),
            Some(limit) => tokio::time::timeout(limit, body.next())
                .await
                .map_err(|_| StoreError::from(Overdue { limit })),
        };
        let chunk = match next {
            Ok(None) => return None,
            Ok(Some(chunk)) => chunk.map_err(|error| StoreError::sort(Direction::Read, error)),
            Err(overdue) => Err(overdue),
        };
        match chunk {
            Ok(bytes) => Some((Ok(bytes), Some((body, breaker)))),
            Err(error) => {
                if error.is_fault() {
                    breaker.report_fault(since);
                }
                Some((Err(error), None))
            }
        }
    })
    .boxed()
}
