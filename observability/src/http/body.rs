//! The answer's body, followed to its last byte.

use std::pin::Pin;
use std::task::{Context, Poll};

use ::http::{HeaderMap, header};
use axum::body::Body;
use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};

use super::exchange::Exchange;
use super::routes::Failure;
use crate::pieces::Pieces;
use crate::scope::Scope;

/// Ends its exchange at the body's end, at its error, or, dropped before, as a client that went away.
pub(super) struct TrackedBody {
    scope: Scope,
    answer: Answer,
}

struct Answer {
    body: Pieces<Body>,
    exchange: Option<Exchange>,
    /// Bytes still to come where the length is known. Once they are sent the connection drops the body without asking
    /// for its end.
    left: Option<u64>,
}

impl TrackedBody {
    pub(super) fn new(
        mut exchange: Exchange,
        scope: Scope,
        body: Body,
        headers: &HeaderMap,
    ) -> Self {
        let declared = headers
            .get(header::CONTENT_LENGTH)
            .and_then(|value| value.to_str().ok()?.parse().ok());
        let left = declared.or_else(|| body.size_hint().exact());
        let ended = body.is_end_stream() || left == Some(0);
        if ended {
            exchange.finish(None);
        }
        let answer = Answer {
            body: Pieces::new(body),
            exchange: (!ended).then_some(exchange),
            left,
        };
        Self { scope, answer }
    }
}

impl Answer {
    fn poll(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        match &polled {
            Poll::Pending => {}
            Poll::Ready(None) => self.end(None),
            Poll::Ready(Some(Err(_))) => self.end(Some(Failure::Body)),
            Poll::Ready(Some(Ok(frame))) => self.sent(frame.data_ref().map_or(0, Bytes::len)),
        }
        polled
    }

    fn sent(&mut self, bytes: usize) {
        if let Some(exchange) = &mut self.exchange {
            exchange.sent(bytes);
        }
        self.left = self.left.map(|left| left.saturating_sub(bytes as u64));
        if self.is_sent() {
            self.end(None);
        }
    }

    fn end(&mut self, failure: Option<Failure>) {
        if let Some(mut exchange) = self.exchange.take() {
            exchange.finish_inside(failure);
        }
    }

    fn is_sent(&self) -> bool {
        // A stream does not know its end before it is asked for more.
        self.left == Some(0) || self.body.is_end_stream()
    }
}

impl HttpBody for TrackedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let Self { scope, answer } = &mut *self;
        scope.enter(|| answer.poll(context))
    }

    fn is_end_stream(&self) -> bool {
        self.answer.is_sent()
    }

    fn size_hint(&self) -> SizeHint {
        self.answer.body.size_hint()
    }
}
