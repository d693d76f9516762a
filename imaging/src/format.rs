//! Formats that are written.

use std::fmt;

/// A format that [`crate::render()`] writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OutputFormat {
    /// Lossy, no transparency: a transparent picture is laid on white.
    Jpeg,
    /// Lossless.
    Png,
    /// Lossy, with transparency.
    Webp,
    /// Lossy, with transparency, at most 2,048 pixels a side. Smaller than the others, and fifteen times slower to write.
    #[cfg(feature = "avif")]
    Avif,
}

impl OutputFormat {
    /// The longest side that is written, in pixels: all that the format can express, or that can be coded in good time.
    pub(crate) const fn longest_side(self) -> u32 {
        match self {
            Self::Jpeg => 65_535,
            Self::Png => i32::MAX as u32,
            Self::Webp => 16_383,
            #[cfg(feature = "avif")]
            Self::Avif => 2048,
        }
    }
}

impl fmt::Display for OutputFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Jpeg => "JPEG",
            Self::Png => "PNG",
            Self::Webp => "WebP",
            #[cfg(feature = "avif")]
            Self::Avif => "AVIF",
        })
    }
}
