//! What the API answers when it can't do what it was asked.

use std::fmt::Display;

use axum::response::{IntoResponse, Response};
use http::{HeaderName, HeaderValue, StatusCode, header};
use serde::{Serialize, Serializer};

/// A refusal: `{"error": ..., "status": ...}`, sent as `text/plain`, as the real server does.
#[derive(Debug, Serialize)]
pub(super) struct ApiError {
    #[serde(rename = "error")]
    message: String,
    #[serde(serialize_with = "as_number")]
    status: StatusCode,
}

impl ApiError {
    fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            status,
        }
    }

    pub(super) fn bad_body(cause: impl Display) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            format!("bad request body: {cause}"),
        )
    }

    pub(super) fn missing_field(field: impl Display) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            format!("missing required field: {field}"),
        )
    }

    pub(super) fn invalid_stream() -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "stream was invalid, can be either upstream or downstream",
        )
    }

    pub(super) fn invalid_toxic_type() -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid toxic type")
    }

    pub(super) fn proxy_not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "proxy not found")
    }

    pub(super) fn toxic_not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "toxic not found")
    }

    pub(super) fn proxy_exists() -> Self {
        Self::new(StatusCode::CONFLICT, "proxy already exists")
    }

    pub(super) fn toxic_exists() -> Self {
        Self::new(StatusCode::CONFLICT, "toxic already exists")
    }

    /// An address that can't be understood or listened on.
    pub(super) fn address(cause: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, cause)
    }

    /// A bound of this stand-in, which the real server does not have.
    pub(super) fn full(what: &str, limit: usize) -> Self {
        Self::new(
            StatusCode::INSUFFICIENT_STORAGE,
            format!("no more than {limit} {what} fit: delete one first"),
        )
    }

    /// A fault of this program.
    pub(super) fn internal(cause: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, cause)
    }

    pub(super) fn status(&self) -> StatusCode {
        self.status
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let body = serde_json::to_string(&self).unwrap_or_default();
        plain_text(self.status, &body)
    }
}

/// A line of plain text that no browser may take for something else.
pub(super) fn plain_text(status: StatusCode, line: &str) -> Response {
    let headers: [(HeaderName, HeaderValue); 2] = [
        (
            header::CONTENT_TYPE,
            HeaderValue::from_static("text/plain; charset=utf-8"),
        ),
        (
            header::X_CONTENT_TYPE_OPTIONS,
            HeaderValue::from_static("nosniff"),
        ),
    ];
    (status, headers, format!("{line}\n")).into_response()
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn as_number<S: Serializer>(status: &StatusCode, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u16(status.as_u16())
}
