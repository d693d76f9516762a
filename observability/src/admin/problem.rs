//! What the admin listener refuses, as a problem document (RFC 9457).

use ::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// A refusal.
pub(super) struct Problem {
    pub(super) status: StatusCode,
    /// The kind, in kebab case: the end of the document's `type`.
    pub(super) kind: &'static str,
    /// What every problem of the kind is.
    pub(super) title: &'static str,
    /// What is wrong with this request and what to do.
    pub(super) detail: String,
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let document = json!({
            "type": format!("urn:chitram:problem:{}", self.kind),
            "title": self.title,
            "status": self.status.as_u16(),
            "detail": self.detail,
        });
        let mut response = (self.status, document.to_string()).into_response();
        response.headers_mut().insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        response
    }
}
