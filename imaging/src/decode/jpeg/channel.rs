//! One component while it is decoded: where its blocks go, and by which steps its coefficients grow.

use super::{
    header::{Component, Frame},
    tables::Quantisation,
};
use crate::{Error, Size, cosines::ZIGZAG, raster::Plane, scratch::filled};

/// Positions behind the last coefficient, where a damaged run of zeros may point to.
const OVERSHOOT: usize = 128;
/// What no coded block has touched: grey, and colourless.
const UNTOUCHED: u8 = 128;

/// The samples of one component, N to a block's side.
pub(super) struct Channel<'a> {
    pub samples: &'a mut Vec<u8>,
    /// Samples to a block's side, 1 to 8.
    pub n: usize,
    /// Samples in a row, with padding to whole MCUs.
    pub stride: usize,
    /// Blocks that show picture, across and down; a scan of this component alone has no others.
    pub shown: (usize, usize),
    /// Blocks across and down, with padding to whole MCUs.
    pub blocks: (usize, usize),
    /// Samples that show picture.
    size: Size,
    extent: (f64, f64),
}

impl<'a> Channel<'a> {
    /// Prepares the samples of a component at `n` samples to a block's side, in memory that is reused.
    pub(super) fn new(
        frame: &Frame,
        component: &Component,
        n: usize,
        samples: &'a mut Vec<u8>,
    ) -> Result<Self, Error> {
        let (blocks_across, blocks_down) = frame.blocks(component);
        let (width, height) = frame.samples(component);
        let stride = blocks_across * n;
        filled(samples, stride * blocks_down * n, UNTOUCHED)?;
        let extent = |side: u32, factor: usize, largest: usize| {
            f64::from(side) * (factor * n) as f64 / (largest * 8) as f64
        };
        Ok(Self {
            samples,
            n,
            stride,
            shown: (width.div_ceil(8), height.div_ceil(8)),
            blocks: (blocks_across, blocks_down),
            size: Size {
                width: (width * n).div_ceil(8) as u32,
                height: (height * n).div_ceil(8) as u32,
            },
            extent: (
                extent(frame.size.width, component.sampling.0, frame.largest.0),
                extent(frame.size.height, component.sampling.1, frame.largest.1),
            ),
        })
    }

    pub(super) fn plane(&self) -> Plane {
        Plane {
            stride: self.stride,
            size: self.size,
            extent: self.extent,
            block_means: self.n == 1,
        }
    }
}

/// For each coefficient of the zigzag order its step and its place in a block, as long as a damaged file may count.
pub(super) struct Steps {
    steps: [i32; OVERSHOOT],
    /// Eight times the row plus the column.
    places: [u8; OVERSHOOT],
}

impl Steps {
    /// For blocks of `n` samples a side. What they don't need goes to a place that they don't read.
    pub(super) fn new(quantisation: &Quantisation, n: usize) -> Self {
        let unread = 63;
        let mut steps = Self {
            steps: [0; OVERSHOOT],
            places: [unread; OVERSHOOT],
        };
        for (k, step) in quantisation.iter().enumerate() {
            steps.steps[k] = (*step).into();
        }
        for (slot, place) in steps.places.iter_mut().zip(ZIGZAG) {
            if usize::from(place / 8) < n && usize::from(place % 8) < n {
                *slot = place;
            }
        }
        steps
    }

    /// Coefficient `k`, dequantised, and its place.
    #[inline(always)]
    pub(super) fn apply(&self, k: usize, value: i32) -> (i32, usize) {
        let place = usize::from(self.places[k % OVERSHOOT]) % 64;
        // 16 bits times 16 bits.
        (value.wrapping_mul(self.steps[k % OVERSHOOT]), place)
    }
}
