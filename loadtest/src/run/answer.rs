//! Whether an answer is what the route promises: status, body, and what it says about itself.

use blake3::Hasher;
use reqwest::StatusCode;
use reqwest::header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use rustix::io::Errno;

use crate::events::ErrorKind;
use crate::target::{Image, Page};

/// The most of a JSON body that is kept to be checked; a larger one is wrong.
const JSON_LIMIT: usize = 2 << 20;
/// RIFF, the length, WEBP.
const WEBP_HEADER: usize = 12;

/// What came back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: Option<u16>,
    pub(crate) error: Option<ErrorKind>,
    pub(crate) bytes: u64,
    pub(crate) problem: bool,
    pub(crate) retry_after: bool,
}

impl Answer {
    /// Takes note of the status line and headers.
    pub(crate) fn begin(&mut self, status: StatusCode, headers: &HeaderMap) {
        self.status = Some(status.as_u16());
        self.problem = content_type(headers) == "application/problem+json";
        self.retry_after = headers.contains_key(RETRY_AFTER);
    }
}

/// What the body has to be.
#[derive(Clone, Debug)]
pub(crate) enum Promise {
    /// A page of at most so many images.
    List { page_size: usize },
    /// The metadata of this image.
    Metadata { id: String },
    /// Bytes with this BLAKE3 hash.
    Content { hash: String },
    /// A WebP picture.
    Render,
    /// The metadata of a new image with this hash.
    Created { hash: String },
}

impl Promise {
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::Created { .. } => StatusCode::CREATED,
            _ => StatusCode::OK,
        }
    }
}

/// Looks at a body as it arrives, keeping no more of it than the promise needs.
pub(crate) struct BodyCheck {
    promise: Promise,
    webp: bool,
    hasher: Hasher,
    kept: Vec<u8>,
    limit: usize,
    overflowed: bool,
}

impl BodyCheck {
    pub(crate) fn new(promise: Promise, headers: &HeaderMap) -> Self {
        let limit = match promise {
            Promise::Content { .. } => 0,
            Promise::Render => WEBP_HEADER,
            _ => JSON_LIMIT,
        };
        let webp = content_type(headers) == "image/webp";
        Self {
            promise,
            webp,
            hasher: Hasher::new(),
            kept: Vec::new(),
            limit,
            overflowed: false,
        }
    }

    pub(crate) fn feed(&mut self, chunk: &[u8]) {
        if matches!(self.promise, Promise::Content { .. }) {
            self.hasher.update(chunk);
        }
        let room = self.limit - self.kept.len();
        self.overflowed |= chunk.len() > room;
        self.kept.extend_from_slice(&chunk[..chunk.len().min(room)]);
    }

    /// Whether the whole body was what was promised.
    pub(crate) fn holds(&self) -> bool {
        match &self.promise {
            Promise::Content { hash } => self.hasher.finalize().to_hex().as_str() == hash,
            Promise::Render => {
                self.webp && self.kept.starts_with(b"RIFF") && self.kept.get(8..) == Some(b"WEBP")
            }
            Promise::List { page_size } => self
                .json::<Page>()
                .is_some_and(|page| !page.images.is_empty() && page.images.len() <= *page_size),
            Promise::Metadata { id } => self.json::<Image>().is_some_and(|image| image.id == *id),
            Promise::Created { hash } => self
                .json::<Image>()
                .is_some_and(|image| image.hash == *hash),
        }
    }

    fn json<T: serde::de::DeserializeOwned>(&self) -> Option<T> {
        if self.overflowed {
            None
        } else {
            serde_json::from_slice(&self.kept).ok()
        }
    }
}

/// Without parameters.
fn content_type(headers: &HeaderMap) -> &str {
    let value = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim()
}

/// Why there is no whole answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    Target(ErrorKind),
    Own(OwnLimit),
}

/// A limit of this process or machine that kept a request from being sent: says nothing about the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OwnLimit {
    /// Open files, of the process or of the machine.
    Files,
    /// Ports for connections to one address.
    Ports,
    /// Memory of the kernel.
    Memory,
}

impl OwnLimit {
    /// The limit behind an operating system's error.
    fn of(error: &std::io::Error) -> Option<Self> {
        match Errno::from_io_error(error)? {
            Errno::MFILE | Errno::NFILE => Some(Self::Files),
            Errno::ADDRNOTAVAIL => Some(Self::Ports),
            Errno::NOMEM | Errno::NOBUFS => Some(Self::Memory),
            _ => None,
        }
    }

    /// What there was too little of, and what to do.
    pub(crate) fn sentence(self) -> &'static str {
        match self {
            Self::Files => "it had too few file descriptors: raise the limit (`ulimit -n`)",
            Self::Ports => "it had no free port for a new connection: lower the rate",
            Self::Memory => "the kernel had no memory for its connections: lower the rate",
        }
    }
}

/// What a failure below HTTP counts as.
pub(crate) fn fault_of(error: &reqwest::Error) -> Fault {
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(cause) = source {
        let io = cause.downcast_ref::<std::io::Error>();
        if let Some(limit) = io.and_then(OwnLimit::of) {
            return Fault::Own(limit);
        }
        source = cause.source();
    }
    Fault::Target(if error.is_timeout() {
        ErrorKind::Timeout
    } else if error.is_connect() {
        ErrorKind::Connect
    } else {
        ErrorKind::Io
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(promise: Promise, media_type: &'static str, chunks: &[&[u8]]) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, media_type.parse().expect("header"));
        let mut check = BodyCheck::new(promise, &headers);
        for chunk in chunks {
            check.feed(chunk);
        }
        check.holds()
    }

    #[test]
    fn content_must_have_the_hash_of_the_metadata() {
        let hash = blake3::hash(b"picture").to_hex().to_string();
        assert!(holds(
            Promise::Content { hash: hash.clone() },
            "image/jpeg",
            &[b"pic", b"ture"]
        ));
        assert!(!holds(
            Promise::Content { hash: hash.clone() },
            "image/jpeg",
            &[b"pictur"]
        ));
        assert!(!holds(Promise::Content { hash }, "image/jpeg", &[]));
    }

    #[test]
    fn a_render_must_say_and_be_webp() {
        let webp: &[&[u8]] = &[b"RIFF\x10\0", b"\0\0WEBPVP8 ....."];
        assert!(holds(Promise::Render, "image/webp", webp));
        assert!(!holds(Promise::Render, "image/jpeg", webp));
        assert!(!holds(
            Promise::Render,
            "image/webp",
            &[b"\xff\xd8\xff\xe0JFIF........"]
        ));
        assert!(!holds(Promise::Render, "image/webp", &[b"RIFF"]));
    }

    #[test]
    fn documents_must_have_their_shape_and_be_about_what_was_asked() {
        let image = r#"{"id":"a","hash":"h","width":3,"height":2,"title":null}"#;
        let page = format!(r#"{{"images":[{image},{image}],"next_cursor":null}}"#);
        let list = |page_size| {
            holds(
                Promise::List { page_size },
                "application/json",
                &[page.as_bytes()],
            )
        };
        assert!(list(2) && !list(1));
        assert!(!holds(
            Promise::List { page_size: 9 },
            "application/json",
            &[br#"{"images":[],"next_cursor":null}"#]
        ));
        let metadata = |id: &str| {
            holds(
                Promise::Metadata { id: id.into() },
                "application/json",
                &[image.as_bytes()],
            )
        };
        assert!(metadata("a") && !metadata("b"));
        let created = |hash: &str| {
            holds(
                Promise::Created { hash: hash.into() },
                "application/json",
                &[image.as_bytes()],
            )
        };
        assert!(created("h") && !created("x"));
        assert!(!holds(
            Promise::Metadata { id: "a".into() },
            "application/json",
            &[b"{}"]
        ));
    }
}
