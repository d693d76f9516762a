//! An answer's body on its way into the connection, in pieces whose fate its connection knows.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::body::Body;
use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};

use super::connection::Turn;
use crate::pieces::Pieces;

pub(super) struct AnswerBody {
    body: Pieces<Body>,
    /// `None` once the last piece was handed on.
    turn: Option<Turn>,
}

impl AnswerBody {
    pub(super) fn new(body: Body, turn: Turn) -> Self {
        Self {
            body: Pieces::new(body),
            turn: Some(turn),
        }
    }

    /// Takes note of a frame. The last one of an HTTP/2 answer keeps the turn: the connection drops a body when it has
    /// its last piece, which may then lie there for as long as the client likes.
    fn handed(&mut self, frame: Frame<Bytes>) -> Frame<Bytes> {
        let last = self.body.is_end_stream();
        let Some(turn) = self.turn.take_if(|turn| turn.stream.is_some()) else {
            return frame;
        };
        let bytes = match frame.into_data() {
            Ok(bytes) => bytes,
            Err(trailers) => return trailers,
        };
        turn.handed(bytes.len());
        if last {
            return Frame::data(Bytes::from_owner(Last { bytes, _turn: turn }));
        }
        self.turn = Some(turn);
        Frame::data(bytes)
    }
}

impl HttpBody for AnswerBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if let Some(turn) = &self.turn {
            turn.wanted();
        }
        Poll::Ready(match ready!(Pin::new(&mut self.body).poll_frame(context)) {
            Some(Ok(frame)) => Some(Ok(self.handed(frame))),
            end => {
                self.turn = None;
                end
            }
        })
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The last piece of an answer. The connection drops it when the socket has taken it.
struct Last {
    bytes: Bytes,
    _turn: Turn,
}

impl AsRef<[u8]> for Last {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}
