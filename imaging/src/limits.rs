//! How big a picture may be. Every number is compared with a header's claim, before pixels are allocated.

use crate::{Error, Quantity, Size};

/// Bounds on what is accepted. The defaults suit a public upload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Width times height, of the input and of the output. Default 50 megapixels.
    pub pixels: u64,
    /// Width and height each, of the input and of the output, in pixels. Default 16,384.
    pub side: u32,
    /// Frames times width times height of an animation. Default 1,000 megapixels.
    pub animation_pixels: u64,
    /// Bytes of an embedded ICC profile, compressed and inflated. Default 4 MiB.
    pub icc_bytes: u64,
    /// Bytes of EXIF, XMP, comments and other metadata together. Default 8 MiB.
    pub metadata_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            pixels: 50_000_000,
            side: 16_384,
            animation_pixels: 1_000_000_000,
            icc_bytes: 4 << 20,
            metadata_bytes: 8 << 20,
        }
    }
}

impl Limits {
    /// Refuses an input of too many pixels.
    pub(crate) fn check_input(&self, size: Size) -> Result<(), Error> {
        check(Quantity::Width, size.width.into(), self.side.into())?;
        check(Quantity::Height, size.height.into(), self.side.into())?;
        check(Quantity::Pixels, size.pixels(), self.pixels)
    }

    /// Refuses an animation of too many pixels in all its frames.
    pub(crate) fn check_animation(&self, size: Size, frames: u32) -> Result<(), Error> {
        if frames <= 1 {
            return Ok(());
        }
        let pixels = size.pixels().saturating_mul(frames.into());
        check(Quantity::AnimationPixels, pixels, self.animation_pixels)
    }

    pub(crate) fn check_icc(&self, bytes: u64) -> Result<(), Error> {
        check(Quantity::IccBytes, bytes, self.icc_bytes)
    }

    pub(crate) fn check_metadata(&self, bytes: u64) -> Result<(), Error> {
        check(Quantity::MetadataBytes, bytes, self.metadata_bytes)
    }

    /// Refuses an output of too many pixels, or of more than the format's own `longest` side.
    pub(crate) fn check_output(&self, size: Size, longest: u32) -> Result<(), Error> {
        let side = self.side.min(longest).into();
        check(Quantity::OutputWidth, size.width.into(), side)?;
        check(Quantity::OutputHeight, size.height.into(), side)?;
        check(Quantity::OutputPixels, size.pixels(), self.pixels)
    }
}

fn check(what: Quantity, value: u64, limit: u64) -> Result<(), Error> {
    if value > limit {
        Err(Error::TooLarge { what, value, limit })
    } else {
        Ok(())
    }
}
