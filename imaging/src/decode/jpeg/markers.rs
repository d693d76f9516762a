//! Markers and the segments behind them (T.81 B.1.1).

use super::damaged;
use crate::{Error, bytes::be_u16};

pub(super) const START_OF_SCAN: u8 = 0xda;
pub(super) const END_OF_IMAGE: u8 = 0xd9;

/// A marker with its parameters.
pub(super) struct Segment<'a> {
    pub marker: u8,
    pub content: &'a [u8],
    /// Where in the file its length is.
    pub start: usize,
    /// Where the file goes on behind it.
    pub end: usize,
}

impl<'a> Segment<'a> {
    /// The first segment at or behind byte `at`; `None` at the end of the image, or of the file.
    pub(super) fn next(bytes: &'a [u8], at: usize) -> Result<Option<Self>, Error> {
        let Some((marker, start)) = next_marker(bytes, at) else {
            return Ok(None);
        };
        if marker == END_OF_IMAGE {
            return Ok(None);
        }
        let cut_off = || damaged(start, "ends inside a segment");
        let length = usize::from(be_u16(bytes, start).ok_or_else(cut_off)?).max(2);
        let end = start + length;
        Ok(Some(Self {
            marker,
            content: bytes.get(start + 2..end).ok_or_else(cut_off)?,
            start,
            end,
        }))
    }
}

/// The first marker at or behind `at` that has a segment or ends the image, and the position behind it. Bytes before it are
/// skipped, as every decoder does, and so are markers that stand alone.
fn next_marker(bytes: &[u8], mut at: usize) -> Option<(u8, usize)> {
    loop {
        let (marker, behind) = any_marker(bytes, at)?;
        if !matches!(marker, 1 | 0xd0..=0xd8) {
            return Some((marker, behind));
        }
        at = behind;
    }
}

/// The first marker of any kind at or behind `at`, and the position behind it.
pub(super) fn any_marker(bytes: &[u8], mut at: usize) -> Option<(u8, usize)> {
    loop {
        at += memchr::memchr(0xff, bytes.get(at..)?)? + 1;
        match bytes.get(at)? {
            0 | 0xff => {}
            marker => return Some((*marker, at + 1)),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail")]
mod tests {
    use super::*;

    #[test]
    fn a_segment_is_found_behind_anything_else() {
        let bytes = [
            7, 0xff, 0, 0xff, 0xff, 0xd3, 0xff, 0xff, 0xff, 0xdb, 0, 4, 8, 9, 0xff, 0xd9,
        ];
        let segment = Segment::next(&bytes, 0).unwrap().unwrap();
        assert_eq!((segment.marker, segment.start), (0xdb, 10));
        assert_eq!(segment.content, [8, 9]);
        assert!(Segment::next(&bytes, segment.end).unwrap().is_none());
        assert!(Segment::next(&bytes[..13], 0).is_err());
        assert!(Segment::next(&bytes[..5], 0).unwrap().is_none());
    }
}
