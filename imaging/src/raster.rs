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

/// A decoded picture.
#[derive(Debug)]
pub(crate) struct Raster {
    pub pixels: Pixels,
    /// How the pixels are laid out once they are packed.
    pub layout: Layout,
    /// The embedded colour profile, within the limits but otherwise unexamined.
    pub icc: Option<Vec<u8>>,
    /// The file ended early or is damaged; what is missing is blank.
    pub truncated: bool,
}

/// Where a decoder left the pixels in the scratch, and how many.
#[derive(Debug)]
pub(crate) enum Pixels {
    /// In `scratch.pixels`, rows without gaps. May be smaller than the file says, but keeps its aspect ratio.
    Packed(Size),
    /// In `scratch.planes`, one channel each, to be resized before they are put together.
    Planar {
        planes: Vec<Plane>,
        encoding: Encoding,
    },
}

/// One channel of a picture, possibly smaller than the picture.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plane {
    /// Bytes from one row to the next.
    pub stride: usize,
    /// Samples that show picture.
    pub size: Size,
    /// How much of these is picture, exactly: at most one sample less each way.
    pub extent: (f64, f64),
    /// Whether each sample is the mean of a square of samples, which blurs more than the resize expects.
    pub block_means: bool,
}

/// What the channels of a JPEG mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoding {
    Gray,
    /// JFIF's full-range luma and colour differences.
    YCbCr,
    /// The same in the range of video, as WebP has it: 16 to 235, colours 16 to 240.
    VideoYCbCr,
    Rgb,
    /// Four inks; stored inverted by most programs.
    Cmyk {
        inverted: bool,
    },
    /// Four inks stored inverted, the first three as if they were RGB and then `YCbCr`.
    Ycck,
}

impl Encoding {
    pub(crate) const fn layout(self) -> Layout {
        match self {
            Self::Gray => Layout::Gray,
            Self::YCbCr | Self::VideoYCbCr | Self::Rgb => Layout::Rgb,
            Self::Cmyk { .. } | Self::Ycck => Layout::Cmyk,
        }
    }
}
