//! The bytes of one line.

use std::cell::RefCell;
use std::fmt::{self, Write as _};

use serde::Serialize;

use crate::hex;

/// A text is cut after this many bytes.
const MAX_TEXT: usize = 8 * 1024;

thread_local! {
    /// The last second that was written as text, and that text.
    static SECOND: RefCell<(i64, String)> = const { RefCell::new((i64::MIN, String::new())) };
}

/// A line being written: each field adds `,"key":value`; the end turns the first comma into a brace.
pub(super) struct Line(Vec<u8>);

/// Where a key's text is in its line.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Key {
    start: usize,
    end: usize,
}

impl Line {
    /// A line in `buffer`, which is empty.
    pub(super) fn new(buffer: Vec<u8>) -> Self {
        Self(buffer)
    }

    /// The fields so far, from the first comma on.
    pub(super) fn into_fields(self) -> Vec<u8> {
        self.0
    }

    /// The whole line, newline included.
    pub(super) fn finish(mut self) -> Vec<u8> {
        self.0[0] = b'{';
        self.0.extend_from_slice(b"}\n");
        self.0
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Fields that were written elsewhere.
    pub(super) fn raw(&mut self, fields: &[u8]) {
        self.0.extend_from_slice(fields);
    }

    /// Begins a field. With a prefix the dots of its name become underscores.
    pub(super) fn key(&mut self, prefix: &str, name: &str) -> Key {
        self.0.extend_from_slice(b",\"");
        let start = self.0.len();
        self.0.extend_from_slice(prefix.as_bytes());
        let named = self.0.len();
        self.escaped(name);
        if !prefix.is_empty() {
            let dots = self.0[named..].iter_mut().filter(|byte| **byte == b'.');
            dots.for_each(|dot| *dot = b'_');
        }
        let end = self.0.len();
        self.0.extend_from_slice(b"\":");
        Key { start, end }
    }

    pub(super) fn text_of(&self, key: Key) -> &[u8] {
        &self.0[key.start..key.end]
    }

    /// Removes a field that was only begun.
    pub(super) fn take_back(&mut self, key: Key) {
        self.0.truncate(key.start - 2);
    }

    pub(super) fn text(&mut self, key: &str, value: &str) {
        self.key("", key);
        self.quoted(value);
    }

    pub(super) fn number(&mut self, key: &str, value: u64) {
        self.key("", key);
        self.json(&value);
    }

    pub(super) fn hex(&mut self, key: &str, value: &[u8]) {
        self.key("", key);
        self.0.push(b'"');
        hex::push(&mut self.0, value);
        self.0.push(b'"');
    }

    /// The moment, to the microsecond.
    pub(super) fn timestamp(&mut self) {
        let now = jiff::Timestamp::now();
        self.key("", "@timestamp");
        self.0.push(b'"');
        SECOND.with_borrow_mut(|(second, text)| {
            if *second != now.as_second() {
                *second = now.as_second();
                text.clear();
                // Writing to a String cannot fail.
                let _ = write!(text, "{now:.0}");
                text.truncate(text.trim_end_matches('Z').len());
            }
            self.0.extend_from_slice(text.as_bytes());
        });
        let mut micros = now.subsec_microsecond().unsigned_abs();
        let mut digits = *b".000000Z\"";
        for digit in digits[1..7].iter_mut().rev() {
            *digit = b'0' + (micros % 10) as u8;
            micros /= 10;
        }
        self.0.extend_from_slice(&digits);
    }

    /// A number or a truth value.
    pub(super) fn json(&mut self, value: &impl Serialize) {
        // Writing to memory cannot fail, and what is given here is always serialisable.
        let _ = serde_json::to_writer(&mut self.0, value);
    }

    pub(super) fn quoted(&mut self, value: &str) {
        self.0.push(b'"');
        self.escaped(&value[..value.floor_char_boundary(MAX_TEXT)]);
        self.0.push(b'"');
    }

    pub(super) fn debug(&mut self, value: &dyn fmt::Debug) {
        self.0.push(b'"');
        // A Debug that fails, or goes on beyond the limit, leaves what it wrote until then.
        let _ = write!(
            Escaping {
                line: self,
                left: MAX_TEXT
            },
            "{value:?}"
        );
        self.0.push(b'"');
    }

    fn escaped(&mut self, text: &str) {
        let special = |byte: &u8| *byte < b' ' || *byte == b'"' || *byte == b'\\';
        // Without an early end this is done many bytes at a time, and nearly every text passes.
        let plain = !text
            .as_bytes()
            .iter()
            .fold(false, |any, byte| any | special(byte));
        if plain {
            self.0.extend_from_slice(text.as_bytes());
            return;
        }
        for byte in text.bytes() {
            match byte {
                b'"' | b'\\' => self.0.extend_from_slice(&[b'\\', byte]),
                b'\n' => self.0.extend_from_slice(b"\\n"),
                b'\r' => self.0.extend_from_slice(b"\\r"),
                b'\t' => self.0.extend_from_slice(b"\\t"),
                0..b' ' => {
                    self.0.extend_from_slice(b"\\u00");
                    hex::push(&mut self.0, &[byte]);
                }
                _ => self.0.push(byte),
            }
        }
    }
}

/// Text on its way into a line, up to a length.
struct Escaping<'a> {
    line: &'a mut Line,
    left: usize,
}

impl fmt::Write for Escaping<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let part = &text[..text.floor_char_boundary(self.left)];
        self.line.escaped(part);
        if part.len() < text.len() {
            self.left = 0;
            return Err(fmt::Error);
        }
        self.left -= part.len();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_written_as_a_json_parser_reads_it() {
        let every: String = (0..0x250).filter_map(char::from_u32).collect();
        for text in [
            "",
            "plain",
            "\"\\\u{8}\u{c}\n\r\t\u{0}\u{1f}",
            "é\u{2028}𝕏",
            &every,
        ] {
            let mut line = Line::new(Vec::new());
            line.quoted(text);
            let read: Option<String> = serde_json::from_slice(&line.into_fields()).ok();
            assert_eq!(read.as_deref(), Some(text));
        }
    }

    #[test]
    fn a_debug_value_is_cut_where_a_text_is() {
        let huge = "é".repeat(MAX_TEXT);
        let mut line = Line::new(Vec::new());
        line.debug(&format_args!("x{huge}"));
        let read: Option<String> = serde_json::from_slice(&line.into_fields()).ok();
        assert_eq!(read.map(|text| text.len()), Some(MAX_TEXT - 1));
    }

    #[test]
    fn a_moment_is_written_to_the_microsecond() {
        for _ in 0..3 {
            let before = jiff::Timestamp::now();
            let mut line = Line::new(Vec::new());
            line.timestamp();
            let after = jiff::Timestamp::now();
            let text = String::from_utf8(line.into_fields()).unwrap_or_default();
            let text = text.strip_prefix(",\"@timestamp\":\"").unwrap_or_default();
            let text = text.strip_suffix('"').unwrap_or_default();
            assert_eq!(text.len(), "2026-01-01T00:00:00.000000Z".len(), "{text}");
            let read: Option<jiff::Timestamp> = text.parse().ok();
            let read = read.unwrap_or_default().as_microsecond();
            assert!((before.as_microsecond()..=after.as_microsecond()).contains(&read));
        }
    }
}
