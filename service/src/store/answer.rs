//! What an S3 server answers when it does not do what it was asked: the status and the code that S3 defines for it.
//!
//! The client library shows neither in a form that code can decide by, so they are kept here, on their way to it.

use futures::StreamExt as _;
use object_store::client::{HttpError, HttpErrorKind, HttpResponse, HttpResponseBody};
use reqwest::StatusCode;

use crate::resilience::Direction;

/// Bytes of an error document that are read.
const LONGEST: usize = 16 * 1024;
/// The code of an answer that is about the bucket: its status is that of an object that is not there.
const NO_SUCH_BUCKET: &str = "NoSuchBucket";
/// Codes by which servers say that they have no room for what is put, whatever the status: those of S3 and
/// Ceph, of versitygw, and of `MinIO`.
const NO_ROOM: [&str; 6] = [
    "EntityTooLarge",
    "QuotaExceeded",
    "InsufficientStorage",
    "XMinioStorageFull",
    "XMinioAdminBucketQuotaExceeded",
    "XMinioDiskFull",
];
/// Codes of a 403 that are about who asks, and not about what may be written.
const NOT_WHO_IT_SAYS: [&str; 5] = [
    "SignatureDoesNotMatch",
    "InvalidAccessKeyId",
    "InvalidToken",
    "ExpiredToken",
    "RequestTimeTooSkewed",
];
/// Codes of a 409 that end by themselves: another call for the same object is under way.
const UNDER_WAY: [&str; 2] = ["OperationAborted", "ConditionalRequestConflict"];

/// An answer that is neither good nor "there is no such object".
#[derive(Debug, thiserror::Error)]
#[error("the server answered {status} {code}: {message}")]
pub(super) struct Answer {
    status: StatusCode,
    code: String,
    message: String,
}

/// What an answer says about the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    /// It failed.
    Fault,
    /// It does not do this for us.
    Refused,
    /// It takes no writes, for want of space or rights.
    NotWritable,
    /// The object is not as long as it was said to be.
    OutOfRange,
}

impl Answer {
    /// Passes a good answer on, and "no such object"; takes any other for an error of its own kind.
    pub(super) async fn check(response: HttpResponse) -> Result<HttpResponse, HttpError> {
        let status = response.status();
        let passed = [StatusCode::NOT_MODIFIED, StatusCode::PRECONDITION_FAILED];
        if status.is_success() || passed.contains(&status) {
            return Ok(response);
        }
        let (parts, body) = response.into_parts();
        let document = document(body).await;
        let code = element(&document, "Code");
        if status == StatusCode::NOT_FOUND && code != NO_SUCH_BUCKET {
            return Ok(HttpResponse::from_parts(parts, document.into()));
        }
        let answer = Self {
            status,
            code: code.to_owned(),
            message: element(&document, "Message").to_owned(),
        };
        Err(HttpError::new(HttpErrorKind::Unknown, answer))
    }

    pub(super) fn meaning(&self, direction: Direction) -> Meaning {
        let (code, writing) = (self.code.as_str(), direction == Direction::Write);
        if writing && NO_ROOM.contains(&code) {
            return Meaning::NotWritable;
        }
        match self.status.as_u16() {
            403 if writing && !NOT_WHO_IT_SAYS.contains(&code) => Meaning::NotWritable,
            409 if UNDER_WAY.contains(&code) => Meaning::Fault,
            404 | 405 | 409 | 413 | 507 if writing => Meaning::NotWritable,
            416 if !writing => Meaning::OutOfRange,
            // S3's name for a request that it did not receive in time.
            400 if code == "RequestTimeout" => Meaning::Fault,
            408 | 429 | 500..=599 => Meaning::Fault,
            _ => Meaning::Refused,
        }
    }
}

/// The beginning of an error document; one that breaks off or is no text says as much as none.
async fn document(body: HttpResponseBody) -> String {
    let mut read = Vec::new();
    let mut chunks = body.bytes_stream();
    while let Some(Ok(chunk)) = chunks.next().await {
        let room = LONGEST - read.len();
        read.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if read.len() == LONGEST {
            break;
        }
    }
    String::from_utf8_lossy(&read).into_owned()
}

/// The text of the first element of this name: an S3 error document is flat. Empty when there is none.
fn element<'a>(document: &'a str, name: &str) -> &'a str {
    let text = document
        .split_once(&format!("<{name}>"))
        .and_then(|(_, rest)| rest.split_once("</"));
    text.map_or("", |(text, _)| text.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meaning(status: u16, code: &str, direction: Direction) -> Meaning {
        let answer = Answer {
            status: StatusCode::from_u16(status).expect("a status"),
            code: code.to_owned(),
            message: String::new(),
        };
        answer.meaning(direction)
    }

    #[test]
    fn want_of_space_or_rights_is_no_fault_of_the_server() {
        for (status, code) in [
            (507, "InsufficientStorage"), // versitygw
            (507, "XMinioStorageFull"),
            (507, ""),
            (400, "XMinioAdminBucketQuotaExceeded"),
            (403, "QuotaExceeded"), // Ceph
            (503, "QuotaExceeded"),
            (403, "AccessDenied"),
            (403, ""),
            (405, "MethodNotAllowed"),
            (409, "InvalidBucketState"),
            (400, "EntityTooLarge"),
            (413, ""),
            (404, NO_SUCH_BUCKET),
        ] {
            let said = meaning(status, code, Direction::Write);
            assert_eq!(said, Meaning::NotWritable, "{status} {code}");
        }
    }

    #[test]
    fn what_the_caller_did_wrong_is_refused_and_what_the_server_did_wrong_is_a_fault() {
        use Direction::{Read, Write};
        for (status, code, direction, expected) in [
            (403, "SignatureDoesNotMatch", Write, Meaning::Refused),
            (403, "AccessDenied", Read, Meaning::Refused),
            (401, "", Write, Meaning::Refused),
            (400, "InvalidRequest", Read, Meaning::Refused),
            (301, "PermanentRedirect", Read, Meaning::Refused),
            (404, NO_SUCH_BUCKET, Read, Meaning::Refused),
            (416, "InvalidRange", Read, Meaning::OutOfRange),
            (400, "RequestTimeout", Write, Meaning::Fault),
            (409, "OperationAborted", Write, Meaning::Fault),
            (429, "", Read, Meaning::Fault),
            (500, "InternalError", Write, Meaning::Fault),
            (503, "SlowDown", Read, Meaning::Fault),
            (507, "", Read, Meaning::Fault),
        ] {
            let said = meaning(status, code, direction);
            assert_eq!(said, expected, "{status} {code}");
        }
    }

    #[test]
    fn the_code_is_read_from_a_document_and_a_document_without_one_has_none() {
        let document = "<?xml version=\"1.0\"?>\n<Error><Code>AccessDenied</Code><Message>no</Message></Error>";
        assert_eq!(element(document, "Code"), "AccessDenied");
        assert_eq!(element(document, "Message"), "no");
        for broken in ["", "<html>no</html>", "<Code>", "</Code><Code"] {
            assert_eq!(element(broken, "Code"), "", "{broken}");
        }
    }
}
