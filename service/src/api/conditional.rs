//! Conditional and partial requests (RFC 9110, sections 13 and 14) for content that never changes.

use std::ops::Range;

use axum::http::header::{CACHE_CONTROL, ETAG, IF_NONE_MATCH, IF_RANGE, RANGE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};

/// A strong entity tag, with its quotes.
#[derive(Debug, Clone)]
pub(super) struct EntityTag(String);

/// What a request asks for, of content with a known size.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// All of it: also when the range is one that may be ignored, such as several ranges or another unit.
    Whole,
    /// These bytes.
    Part(Range<u64>),
    /// Bytes that it does not have.
    Nothing,
}

impl EntityTag {
    /// The tag of `content`, which must be made of visible characters without quotes.
    pub(super) fn new(content: impl std::fmt::Display) -> Self {
        Self(format!("\"{content}\""))
    }

    /// Whether the client has it already (`If-None-Match`; its comparison is weak).
    pub(super) fn is_known(&self, request: &HeaderMap) -> bool {
        request
            .get_all(IF_NONE_MATCH)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .map(str::trim)
            .any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == self.0)
    }

    /// The part of `size` bytes that the request asks for. A range that is meant for another version is ignored.
    pub(super) fn wanted(&self, request: &HeaderMap, size: u64) -> Wanted {
        if request
            .get(IF_RANGE)
            .is_some_and(|tag| tag.as_bytes() != self.0.as_bytes())
        {
            return Wanted::Whole;
        }
        request
            .get(RANGE)
            .and_then(|range| range.to_str().ok())
            .map_or(Wanted::Whole, |range| parse_range(range, size))
    }

    /// Says that the content has this tag and never changes.
    pub(super) fn immutable(&self, headers: &mut HeaderMap) {
        // Tags are made of hexadecimal digits and names: always a valid value.
        if let Ok(tag) = HeaderValue::try_from(&self.0) {
            headers.insert(ETAG, tag);
        }
        headers.insert(
            CACHE_CONTROL,
            HeaderValue::from_static("public, max-age=31536000, immutable"),
        );
    }

    /// "You have it already."
    pub(super) fn not_modified(&self) -> Response {
        let mut response = StatusCode::NOT_MODIFIED.into_response();
        self.immutable(response.headers_mut());
        response
    }
}

fn parse_range(value: &str, size: u64) -> Wanted {
    let Some((first, last)) = value
        .strip_prefix("bytes=")
        .and_then(|range| range.split_once('-'))
    else {
        return Wanted::Whole;
    };
    let number = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        // A number beyond u64 is beyond every object, too.
        digits.then(|| text.parse::<u64>().unwrap_or(u64::MAX))
    };
    let range = match (number(first.trim()), number(last.trim())) {
        (Some(first), Some(last)) if first <= last => first..last.saturating_add(1).min(size),
        (Some(first), None) if last.trim().is_empty() => first..size,
        (None, Some(suffix)) if first.trim().is_empty() => size.saturating_sub(suffix)..size,
        _ => return Wanted::Whole,
    };
    if range.is_empty() {
        Wanted::Nothing
    } else {
        Wanted::Part(range)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_single_range_is_understood_and_anything_else_is_ignored() {
        let cases = [
            ("bytes=0-0", Wanted::Part(0..1)),
            ("bytes=2-5", Wanted::Part(2..6)),
            ("bytes=5-", Wanted::Part(5..10)),
            ("bytes=-3", Wanted::Part(7..10)),
            ("bytes=-99", Wanted::Part(0..10)),
            ("bytes=8-99", Wanted::Part(8..10)),
            ("bytes=0-99999999999999999999999", Wanted::Part(0..10)),
            ("bytes=10-", Wanted::Nothing),
            ("bytes=10-12", Wanted::Nothing),
            ("bytes=-0", Wanted::Nothing),
            ("bytes=5-2", Wanted::Whole),
            ("bytes=0-1,3-4", Wanted::Whole),
            ("bytes=a-b", Wanted::Whole),
            ("bytes=-", Wanted::Whole),
            ("lines=1-2", Wanted::Whole),
            ("", Wanted::Whole),
        ];
        for (value, expected) in cases {
            assert_eq!(parse_range(value, 10), expected, "{value}");
        }
    }

    #[test]
    fn a_known_tag_is_found_in_a_list_and_in_its_weak_form() {
        let tag = EntityTag::new("abc");
        let known = |value: &'static str| {
            tag.is_known(&HeaderMap::from_iter([(
                IF_NONE_MATCH,
                HeaderValue::from_static(value),
            )]))
        };
        assert!(known("\"abc\"") && known("W/\"abc\"") && known("\"x\", \"abc\"") && known("*"));
        assert!(!known("\"ab\"") && !known("abc") && !known(""));
    }
}
