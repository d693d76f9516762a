//! What a decoder leaves behind: how the bytes in the scratch buffer are to be read.

use crate::Size;

/// How a pixel's bytes are laid out; 8 bits a channel, rows top to bottom, without padding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layout {
    Gray,
    Rgb,
    /// Alpha not premultiplied.
    Rgba,
    /// 255 is full ink, whatever the file's convention was.
    Cmyk,
}

impl Layout {
    pub(crate) const fn channels(self) -> usize {
        match self {
            Self::Gray => 1,
            Self::Rgb => 3,
            Self::Rgba | Self::Cmyk => 4,
        }
    }
}

/// A decoded picture; its pixels are in the buffer the decoder was given.
#[derive(Debug)]
pub(crate) struct Raster {
    /// May be smaller than the file's size if the decoder scaled on its own, but keeps its aspect ratio.
    pub size: Size,
    pub layout: Layout,
    /// The embedded colour profile, within the limits but otherwise unexamined.
    pub icc: Option<Vec<u8>>,
    /// The file ended early; what is missing is blank.
    pub truncated: bool,
}
