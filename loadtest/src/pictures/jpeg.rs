//! The little that must be known of a JPEG file's segments: its size, and where a comment may be put.

/// Markers of frame headers; C4, C8 and CC in this range are something else.
fn is_frame_header(marker: u8) -> bool {
    (0xc0..=0xcf).contains(&marker) && !matches!(marker, 0xc4 | 0xc8 | 0xcc)
}

/// The segments before the first scan: marker, where it begins, and its payload.
fn segments(file: &[u8]) -> impl Iterator<Item = (u8, usize, &[u8])> {
    let mut at = if file.starts_with(&[0xff, 0xd8]) {
        2
    } else {
        file.len()
    };
    std::iter::from_fn(move || {
        let &[0xff, marker, high, low] = file.get(at..at + 4)? else {
            return None;
        };
        let length = usize::from(u16::from_be_bytes([high, low]));
        let payload = file.get(at + 4..at + 2 + length)?;
        let begin = at;
        at += 2 + length;
        Some((marker, begin, payload))
    })
}

/// Width and height as stored. `None` for what is no JPEG.
pub(crate) fn dimensions(file: &[u8]) -> Option<(u32, u32)> {
    let (_, _, frame) = segments(file).find(|(marker, _, _)| is_frame_header(*marker))?;
    let &[_, h1, h0, w1, w0] = frame.first_chunk::<5>()?;
    Some((
        u32::from(u16::from_be_bytes([w1, w0])),
        u32::from(u16::from_be_bytes([h1, h0])),
    ))
}

/// The same picture with a comment segment, so that its bytes, and its hash, are new. It is put behind the segments of
/// applications (JFIF, EXIF, ICC), which want to come first. `None` for what is no JPEG.
pub(crate) fn with_comment(file: &[u8], comment: &str) -> Option<Vec<u8>> {
    let (_, at, _) = segments(file).find(|(marker, _, _)| !(0xe0..=0xef).contains(marker))?;
    let comment = comment.as_bytes();
    let length = u16::try_from(comment.len() + 2).ok()?;
    let mut unique = Vec::with_capacity(file.len() + comment.len() + 4);
    unique.extend_from_slice(&file[..at]);
    unique.extend([0xff, 0xfe]);
    unique.extend(length.to_be_bytes());
    unique.extend_from_slice(comment);
    unique.extend_from_slice(&file[at..]);
    Some(unique)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pictures::{Kind, Spec};

    #[test]
    fn a_comment_makes_a_picture_unique_and_leaves_it_a_picture() {
        let file = Spec {
            kind: Kind::RotatedJpeg,
            width: 48,
            height: 32,
            seed: 1,
        }
        .make()
        .expect("made");
        let (one, two) = (
            with_comment(&file, "run a, 1").expect("one"),
            with_comment(&file, "run a, 2").expect("two"),
        );
        assert_ne!(one, two);
        assert_eq!(dimensions(&one), Some((48, 32)));
        let markers: Vec<u8> = segments(&one).map(|(marker, _, _)| marker).collect();
        let comment = markers
            .iter()
            .position(|&marker| marker == 0xfe)
            .expect("comment");
        assert!(
            markers[..comment]
                .iter()
                .all(|marker| (0xe0..=0xef).contains(marker)),
            "{markers:x?}"
        );
    }

    #[test]
    fn what_is_no_jpeg_has_neither_size_nor_comment() {
        for file in [
            &b""[..],
            b"GIF89a",
            b"\xff\xd8",
            b"\xff\xd8\xff\xe0\xff\xff",
            b"\xff\xd8\xff\xc0\x00\x02",
        ] {
            assert_eq!(dimensions(file), None, "{file:?}");
        }
        assert_eq!(with_comment(b"GIF89a", "x"), None);
    }
}
