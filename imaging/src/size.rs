//! The arithmetic of sizes.

/// Width and height in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Size {
    /// Pixels from left to right.
    pub width: u32,
    /// Pixels from top to bottom.
    pub height: u32,
}

impl Size {
    /// Width times height.
    #[must_use]
    pub fn pixels(self) -> u64 {
        u64::from(self.width) * u64::from(self.height)
    }

    pub(crate) const fn transposed(self) -> Self {
        Self {
            width: self.height,
            height: self.width,
        }
    }

    /// Bytes of a picture of this size. Sizes are within [`crate::Limits`] by then, so it fits.
    pub(crate) fn bytes(self, channels: usize) -> usize {
        self.width as usize * self.height as usize * channels
    }

    /// The factor that makes this just fit into `bound`.
    pub(crate) fn scale_into(self, bound: Self) -> f64 {
        let horizontal = f64::from(bound.width) / f64::from(self.width);
        horizontal.min(f64::from(bound.height) / f64::from(self.height))
    }

    /// This size times `scale`, rounded, at least one pixel and at most `bound`.
    pub(crate) fn scaled(self, scale: f64, bound: Self) -> Self {
        let side =
            |side: u32, bound: u32| ((f64::from(side) * scale).round() as u32).clamp(1, bound);
        Self {
            width: side(self.width, bound.width),
            height: side(self.height, bound.height),
        }
    }

    /// The share of this width and height that has the aspect ratio of `target`.
    pub(crate) fn covering(self, target: Self) -> (f64, f64) {
        let aspect = |size: Self| f64::from(size.width) / f64::from(size.height);
        let ratio = aspect(self) / aspect(target);
        if ratio > 1.0 {
            (1.0 / ratio, 1.0)
        } else {
            (1.0, ratio)
        }
    }
}
