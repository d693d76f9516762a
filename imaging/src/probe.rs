//! What a file says of itself, before anything is decoded.

use std::fmt;

use crate::{Error, Limits, Meter, Orientation, Size, decode};

/// A format that is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum InputFormat {
    /// Baseline, extended and progressive; grey, `YCbCr`, RGB, CMYK and YCCK; 8 bits.
    Jpeg,
    /// Every colour type and depth, interlaced or not. Of an animation, the default image.
    Png,
    /// Lossy and lossless, with and without alpha. Of an animation, the first frame.
    Webp,
    /// The first frame.
    Gif,
    /// 8, 10 and 12 bits, every subsampling, with and without alpha. Of a sequence, the primary picture.
    #[cfg(feature = "avif")]
    Avif,
}

/// A picture's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Info {
    /// The format, by its first bytes; a file's name or declared type counts for nothing.
    pub format: InputFormat,
    /// Size as stored in the file.
    pub stored: Size,
    /// Size as displayed: width and height change places for the orientations that lie on their side.
    pub displayed: Size,
    /// How the stored picture must be turned to be displayed.
    pub orientation: Orientation,
    /// Whether the file can hold transparency.
    pub has_alpha: bool,
    /// How many frames the file claims or has; 1 for a still picture.
    pub frames: u32,
    /// About how many bytes of memory a render of this picture takes at its peak; admission weighs by it.
    pub decoded_bytes: u64,
}

/// Reads the header and refuses what is over a limit. Takes no memory to speak of.
pub fn probe(bytes: &[u8], limits: &Limits, meter: &Meter) -> Result<Info, Error> {
    decode::probe(InputFormat::detect(bytes)?, bytes, limits, meter)
}

impl Info {
    /// Whether there is more than one frame.
    #[must_use]
    pub const fn animated(&self) -> bool {
        self.frames > 1
    }
}

impl InputFormat {
    /// The format that the first bytes show; 32 of them are enough.
    pub fn detect(bytes: &[u8]) -> Result<Self, Error> {
        match bytes {
            [0xff, 0xd8, 0xff, ..] => Ok(Self::Jpeg),
            [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => Ok(Self::Png),
            [
                b'R',
                b'I',
                b'F',
                b'F',
                _,
                _,
                _,
                _,
                b'W',
                b'E',
                b'B',
                b'P',
                ..,
            ] => Ok(Self::Webp),
            [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Ok(Self::Gif),
            #[cfg(feature = "avif")]
            _ if is_avif(bytes) => Ok(Self::Avif),
            _ => Err(Error::UnsupportedFormat {
                found: name_of_unsupported(bytes),
            }),
        }
    }
}

impl fmt::Display for InputFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Jpeg => "JPEG",
            Self::Png => "PNG",
            Self::Webp => "WebP",
            Self::Gif => "GIF",
            #[cfg(feature = "avif")]
            Self::Avif => "AVIF",
        })
    }
}

/// Whether the first brands of an ISO media file say AVIF: as the major one, or among those that it is compatible with.
fn is_avif(bytes: &[u8]) -> bool {
    let Some([length @ .., b'f', b't', b'y', b'p']) = bytes.first_chunk::<8>() else {
        return false;
    };
    let length = u32::from_be_bytes(*length) as usize;
    let brands = bytes.get(8..bytes.len().min(length.min(32)));
    // The second is the version of the first.
    let brands = brands.unwrap_or_default().chunks_exact(4);
    let mut brands = brands.enumerate().filter(|(place, _)| *place != 1);
    brands.any(|(_, brand)| matches!(brand, b"avif" | b"avis"))
}

/// Names the formats that people try, so that the refusal says more than "unknown".
fn name_of_unsupported(bytes: &[u8]) -> &'static str {
    let text = bytes
        .strip_prefix(b"\xef\xbb\xbf")
        .unwrap_or(bytes)
        .trim_ascii_start();
    match bytes {
        [] => "empty",
        _ if is_avif(bytes) => "AVIF, which this build does not read",
        [_, _, _, _, b'f', b't', b'y', b'p', brand @ ..] => match brand.first_chunk() {
            Some(b"heic" | b"heix" | b"hevc" | b"mif1" | b"msf1") => "HEIF",
            _ => "a film or another ISO media file",
        },
        [b'I', b'I', b'*', 0, ..] | [b'M', b'M', 0, b'*', ..] => "TIFF",
        [b'B', b'M', ..] => "BMP",
        [0, 0, 1, 0, ..] => "ICO",
        [0xff, 0x0a, ..] | [0, 0, 0, 0x0c, b'J', b'X', b'L', ..] => "JPEG XL",
        [0, 0, 0, 0x0c, b'j', b'P', ..] => "JPEG 2000",
        [b'8', b'B', b'P', b'S', ..] => "a Photoshop document",
        [b'%', b'P', b'D', b'F', ..] => "PDF",
        _ if text.starts_with(b"<svg") || text.starts_with(b"<?xml") => "SVG or other XML",
        _ if text.starts_with(b"<") => "HTML or other markup",
        _ => "in an unknown format",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(feature = "avif")]
    #[test]
    fn avif_may_be_the_major_brand_or_a_compatible_one() {
        for bytes in [
            &b"\0\0\0\x10ftypavif\0\0\0\0"[..],
            b"\0\0\0\x18ftypmif1\0\0\0\0mif1avif",
            b"\0\0\0\x14ftypmif1\0\0\0\0avis",
        ] {
            assert_eq!(InputFormat::detect(bytes), Ok(InputFormat::Avif));
        }
        let behind = b"\0\0\0\x14ftypmif1\0\0\0\0mif1avif";
        assert!(InputFormat::detect(behind).is_err(), "not in the box");
    }

    #[test]
    fn formats_that_are_not_read_are_named() {
        let cases: &[(&[u8], &str)] = &[
            #[cfg(not(feature = "avif"))]
            (
                b"\0\0\0\x1cftypavif\0\0\0\0",
                "AVIF, which this build does not read",
            ),
            (
                b"\0\0\0\x07ftypavif\0\0\0\0",
                "a film or another ISO media file",
            ),
            (b"\0\0\0\x1cftypheic\0\0\0\0", "HEIF"),
            (b"BM\x36\0\0\0", "BMP"),
            (b"II*\0\x08\0\0\0", "TIFF"),
            (b" \n<svg xmlns=''/>", "SVG or other XML"),
            (b"<?xml version='1.0'?><svg/>", "SVG or other XML"),
            (b"<!DOCTYPE html>", "HTML or other markup"),
            (b"", "empty"),
            (b"hello", "in an unknown format"),
        ];
        for &(bytes, found) in cases {
            assert_eq!(
                InputFormat::detect(bytes),
                Err(Error::UnsupportedFormat { found })
            );
        }
    }
}
