//! What a client is told when there is no good answer: problem documents (RFC 9457), one enum for all of them.
//!
//! Making a problem has no side effect. It travels in the response's extensions to [`finish`], the boundary, where the
//! document is written with the request's trace id and the cause is logged, once. A cause is never sent.

use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::body::{Body, HttpBody};
use axum::extract::Request;
use axum::http::header::{CONNECTION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode, Version};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use observability::guard::Refusal;
use observability::http::TraceId;
use serde::Serialize;

use crate::catalog::CatalogError;
use crate::domain::Unknown;
use crate::renders::RenderError;
use crate::spool::SpoolError;
use crate::store::StoreError;

/// Why a request has no good answer.
#[derive(Debug)]
pub enum Problem {
    /// A parameter can't be used.
    BadParameter(String),
    /// Parameters can't be used, for these reasons. Not empty.
    BadParameters(Vec<BadParameter>),
    /// The body is not what its headers say.
    BadBody(String),
    /// There is no such thing.
    NotFound(String),
    /// The path exists, but not for this method.
    MethodNotAllowed,
    /// The body paused for too long.
    BodyStalled,
    /// The body arrives more slowly than one may.
    BodySlow,
    /// The request names no host of ours, or another site's page sent it.
    Refused(Refusal),
    /// The body is too large.
    TooLarge {
        /// The largest in bytes.
        limit: u64,
    },
    /// The body is of a kind that is not taken.
    UnsupportedMediaType(String),
    /// No byte of the asked range exists.
    RangeNotSatisfiable {
        /// The size of the whole in bytes.
        size: u64,
    },
    /// The picture is damaged.
    Undecodable(String),
    /// The picture is over a limit.
    OverLimit(String),
    /// The store can't be used now.
    StoreUnavailable(StoreError),
    /// The store takes no writes now.
    StoreNotWritable(StoreError),
    /// The catalog can't be used now.
    CatalogUnavailable(CatalogError),
    /// The catalog takes no changes now.
    CatalogNotWritable(CatalogError),
    /// The service protects itself.
    Overloaded,
    /// The answer took too long.
    DeadlineExceeded,
    /// There is no room for uploads.
    SpoolFull,
    /// Uploads can't be received now: where they are kept meanwhile fails.
    SpoolUnavailable(SpoolError),
    /// A defect of ours.
    Internal(String),
}

/// What is wrong with one parameter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BadParameter {
    /// Its name in the query.
    pub parameter: &'static str,
    /// A sentence that begins with its name.
    pub detail: String,
}

impl BadParameter {
    /// `rest` continues a sentence that begins with the name.
    pub fn new(parameter: &'static str, rest: impl std::fmt::Display) -> Self {
        Self {
            parameter,
            detail: format!("{parameter} {rest}"),
        }
    }
}

/// The document.
#[derive(Serialize)]
struct Document<'a> {
    r#type: String,
    title: &'static str,
    status: u16,
    detail: &'a str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    errors: &'a [BadParameter],
    trace_id: Option<&'a str>,
}

impl Problem {
    /// Status, the last part of the type, and the title.
    fn kind(&self) -> (StatusCode, &'static str, &'static str) {
        use StatusCode as S;
        match self {
            Self::BadParameter(_) | Self::BadParameters(_) => {
                (S::BAD_REQUEST, "bad-parameter", "A parameter can't be used")
            }
            Self::BadBody(_) => (S::BAD_REQUEST, "bad-body", "The body can't be read"),
            Self::NotFound(_) => (S::NOT_FOUND, "not-found", "Not found"),
            Self::MethodNotAllowed => (
                S::METHOD_NOT_ALLOWED,
                "method-not-allowed",
                "Method not allowed",
            ),
            Self::BodyStalled => (
                S::REQUEST_TIMEOUT,
                "body-stalled",
                "The body did not arrive",
            ),
            Self::BodySlow => (
                S::REQUEST_TIMEOUT,
                "body-slow",
                "The body arrives too slowly",
            ),
            Self::Refused(refusal) => {
                let (name, title) = match refusal {
                    Refusal::BadHost => ("bad-host", "The host can't be used"),
                    Refusal::UnknownHost => ("unknown-host", "No such host here"),
                    Refusal::CrossSite => ("cross-site", "Refused for pages of other sites"),
                };
                (refusal.status(), name, title)
            }
            Self::TooLarge { .. } => (S::PAYLOAD_TOO_LARGE, "too-large", "The body is too large"),
            Self::UnsupportedMediaType(_) => (
                S::UNSUPPORTED_MEDIA_TYPE,
                "unsupported-media-type",
                "Unsupported format",
            ),
            Self::RangeNotSatisfiable { .. } => (
                S::RANGE_NOT_SATISFIABLE,
                "range-not-satisfiable",
                "No such range",
            ),
            Self::Undecodable(_) => (
                S::UNPROCESSABLE_ENTITY,
                "undecodable",
                "The picture can't be decoded",
            ),
            Self::OverLimit(_) => (
                S::UNPROCESSABLE_ENTITY,
                "over-limit",
                "The picture is over a limit",
            ),
            Self::StoreUnavailable(_) => (
                S::SERVICE_UNAVAILABLE,
                "store-unavailable",
                "The object store is unavailable",
            ),
            Self::StoreNotWritable(_) => (
                S::INSUFFICIENT_STORAGE,
                "store-not-writable",
                "The object store takes no uploads",
            ),
            Self::CatalogUnavailable(_) => (
                S::SERVICE_UNAVAILABLE,
                "catalog-unavailable",
                "The catalog is unavailable",
            ),
            Self::CatalogNotWritable(_) => (
                S::INSUFFICIENT_STORAGE,
                "catalog-not-writable",
                "The catalog takes no changes",
            ),
            Self::Overloaded => (
                S::SERVICE_UNAVAILABLE,
                "overloaded",
                "The service is overloaded",
            ),
            Self::DeadlineExceeded => (
                S::GATEWAY_TIMEOUT,
                "deadline-exceeded",
                "The answer took too long",
            ),
            Self::SpoolFull => (
                S::INSUFFICIENT_STORAGE,
                "spool-full",
                "There is no room for uploads",
            ),
            Self::SpoolUnavailable(_) => (
                S::SERVICE_UNAVAILABLE,
                "spool-unavailable",
                "Uploads can't be received",
            ),
            Self::Internal(_) => (S::INTERNAL_SERVER_ERROR, "internal", "Internal error"),
        }
    }

    /// What the client may know of it.
    fn detail(&self) -> String {
        match self {
            Self::BadParameter(detail)
            | Self::BadBody(detail)
            | Self::NotFound(detail)
            | Self::UnsupportedMediaType(detail)
            | Self::Undecodable(detail)
            | Self::OverLimit(detail) => detail.clone(),
            Self::BadParameters(errors) => {
                let details: Vec<_> = errors.iter().map(|error| error.detail.as_str()).collect();
                details.join("; ")
            }
            Self::MethodNotAllowed => "the Allow header names the methods of this path".to_owned(),
            Self::BodyStalled => "the body paused for too long; send it again".to_owned(),
            Self::BodySlow => {
                "the body arrives more slowly than the service waits for; send it again".to_owned()
            }
            Self::Refused(refusal) => refusal.to_string(),
            Self::TooLarge { limit } => format!("an upload may have at most {limit} bytes"),
            Self::RangeNotSatisfiable { size } => format!("the content has {size} bytes"),
            Self::StoreUnavailable(_) => {
                "pictures can't be read or stored now; metadata still can".to_owned()
            }
            Self::StoreNotWritable(_) => {
                "no picture can be stored now, for want of space or rights; pictures can still be read".to_owned()
            }
            Self::CatalogUnavailable(_) => "the catalog does not answer now".to_owned(),
            Self::CatalogNotWritable(_) => {
                "nothing can be added or deleted now, for want of space or rights; pictures can still be read".to_owned()
            }
            Self::Overloaded => {
                "there is more to do than the service can; try again soon".to_owned()
            }
            Self::DeadlineExceeded => "the service gave up on this request".to_owned(),
            Self::SpoolFull => "there is no room to receive it; try again later".to_owned(),
            Self::SpoolUnavailable(_) => {
                "no upload can be received now; pictures can still be read".to_owned()
            }
            Self::Internal(_) => {
                "the service failed; the trace id tells its operators why".to_owned()
            }
        }
    }

    /// Whether an HTTP/1 connection ends with it: what is left of the body may never come.
    fn ends_connection(&self) -> bool {
        matches!(self, Self::BodyStalled | Self::BodySlow)
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::StoreUnavailable(error) | Self::StoreNotWritable(error) => {
                Some(error.retry_after())
            }
            Self::CatalogUnavailable(_) | Self::Overloaded => Some(Duration::from_secs(1)),
            Self::CatalogNotWritable(_) | Self::SpoolFull | Self::SpoolUnavailable(_) => {
                Some(Duration::from_secs(5))
            }
            _ => None,
        }
    }

    /// Refusals that protect the service are counted and not logged: one line for each would be a flood, and the state
    /// that caused them has a line of its own.
    fn log(&self) {
        let dataset = "chitram.api";
        match self {
            Self::StoreUnavailable(StoreError::CircuitOpen(_) | StoreError::Overloaded(_))
            | Self::Overloaded => {}
            Self::StoreUnavailable(error) => {
                tracing::warn!(event.dataset = dataset, error.r#type = error.error_type(), error.message = %error, "store unavailable");
            }
            Self::StoreNotWritable(error) => {
                tracing::warn!(event.dataset = dataset, error.r#type = error.error_type(), error.message = %error, "store takes no writes");
            }
            Self::CatalogNotWritable(error) => {
                tracing::warn!(event.dataset = dataset, error.r#type = error.error_type(), error.message = %error, "catalog takes no changes");
            }
            Self::CatalogUnavailable(error) => {
                tracing::warn!(event.dataset = dataset, error.r#type = error.error_type(), error.message = %error, "catalog unavailable");
            }
            Self::DeadlineExceeded => {
                tracing::warn!(event.dataset = dataset, "request deadline exceeded");
            }
            Self::SpoolUnavailable(error) => {
                tracing::warn!(event.dataset = dataset, error.r#type = "spool", error.message = %error, "upload spool unavailable");
            }
            Self::SpoolFull => tracing::warn!(event.dataset = dataset, "upload spool full"),
            Self::Internal(cause) => {
                tracing::error!(event.dataset = dataset, error.r#type = "internal", error.message = %cause, "request failed");
            }
            _ => {}
        }
    }

    fn document(&self, trace_id: Option<&str>) -> Vec<u8> {
        let (status, name, title) = self.kind();
        let document = Document {
            r#type: format!("urn:chitram:problem:{name}"),
            title,
            status: status.as_u16(),
            detail: &self.detail(),
            errors: match self {
                Self::BadParameters(errors) => errors,
                _ => &[],
            },
            trace_id,
        };
        // Texts and numbers always serialise.
        serde_json::to_vec(&document).unwrap_or_default()
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.kind().0.into_response();
        let headers = response.headers_mut();
        if let Some(wait) = self.retry_after() {
            // Whole seconds, and at least one: zero would ask for an immediate repetition.
            let seconds = wait.as_secs_f64().ceil().max(1.0) as u64;
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Self::RangeNotSatisfiable { size } = self
            && let Ok(range) = HeaderValue::try_from(format!("bytes */{size}"))
        {
            headers.insert(CONTENT_RANGE, range);
        }
        response.extensions_mut().insert(Arc::new(self));
        response
    }
}

/// The boundary: writes the document of a problem and logs its cause.
pub async fn finish(
    trace_id: Option<Extension<TraceId>>,
    request: Request,
    next: Next,
) -> Response {
    let (version, has_body) = (request.version(), !request.body().is_end_stream());
    let mut response = next.run(request).await;
    let Some(problem) = response.extensions_mut().remove::<Arc<Problem>>() else {
        return response;
    };
    problem.log();
    let trace_id = trace_id.as_ref().map(|Extension(TraceId(id))| id.as_str());
    *response.body_mut() = Body::from(problem.document(trace_id));
    let headers = response.headers_mut();
    headers.remove(CONTENT_LENGTH);
    if has_body && version < Version::HTTP_2 && problem.ends_connection() {
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("application/problem+json"),
    );
    response
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NotWritable { .. } => Self::StoreNotWritable(error),
            _ if error.is_unavailable() => Self::StoreUnavailable(error),
            _ => Self::Internal(error.to_string()),
        }
    }
}

impl From<CatalogError> for Problem {
    fn from(error: CatalogError) -> Self {
        match error {
            CatalogError::NotWritable { .. } => Self::CatalogNotWritable(error),
            _ if error.is_unavailable() => Self::CatalogUnavailable(error),
            _ => Self::Internal(error.to_string()),
        }
    }
}

impl From<SpoolError> for Problem {
    fn from(error: SpoolError) -> Self {
        match error {
            SpoolError::TooLarge { limit } => Self::TooLarge { limit },
            SpoolError::Full => Self::SpoolFull,
            SpoolError::Io(_) => Self::SpoolUnavailable(error),
        }
    }
}

impl From<RenderError> for Problem {
    fn from(error: RenderError) -> Self {
        use imaging::ErrorKind;
        match error {
            RenderError::Busy => Self::Overloaded,
            RenderError::Picture(error) => match error.kind() {
                ErrorKind::Unsupported => Self::UnsupportedMediaType(error.to_string()),
                ErrorKind::Undecodable => Self::Undecodable(error.to_string()),
                ErrorKind::OverLimit => Self::OverLimit(error.to_string()),
                ErrorKind::BadOperation => Self::BadParameter(error.to_string()),
                ErrorKind::OutOfMemory | ErrorKind::Cancelled => Self::Overloaded,
                ErrorKind::Internal => Self::Internal(error.to_string()),
            },
            RenderError::Unwritable(_) => Self::BadParameter(error.to_string()),
            RenderError::Lost(_) => Self::Internal(error.to_string()),
        }
    }
}

impl From<Unknown> for Problem {
    fn from(unknown: Unknown) -> Self {
        Self::BadParameter(unknown.to_string())
    }
}
