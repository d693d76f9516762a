//! One component while it is decoded: where its blocks go, and by which steps its coefficients grow.

use super::{
    header::{Component, Frame},
    inverse::Block,
    tables::Quantisation,
};
use crate::{
    Error, Size,
    cosines::{ZIGZAG, normalisation, transposed},
    raster::Plane,
    scratch::filled,
};

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

/// Where the coefficients of a component go, and what they are worth.
pub(super) struct Steps {
    /// For each number of the zigzag order its place in a [`Block`], as long as a damaged file may count.
    places: [u8; OVERSHOOT],
    /// The quantisation step of each place.
    sizes: Block,
    /// The same, normalised for the transform.
    pub factors: [f32; 64],
}

impl Steps {
    /// For blocks of `n` samples a side. What they don't need goes to a place that they don't read.
    pub(super) fn new(quantisation: &Quantisation, n: usize) -> Self {
        let unread = 63;
        let mut steps = Self {
            places: [unread; OVERSHOOT],
            sizes: [0; 64],
            factors: [0.0; 64],
        };
        for (k, (step, place)) in quantisation.iter().zip(ZIGZAG).enumerate() {
            let turned = transposed(place);
            if usize::from(place / 8) < n && usize::from(place % 8) < n {
                steps.places[k] = turned;
            }
            steps.sizes[usize::from(turned)] = (*step).into();
            steps.factors[usize::from(turned)] = f32::from(*step) * normalisation(place.into());
        }
        steps
    }

    /// The place of coefficient `k`.
    #[inline(always)]
    pub(super) fn place(&self, k: usize) -> usize {
        usize::from(self.places[k % OVERSHOOT]) % 64
    }

    /// What the coefficient at a place is worth, not normalised.
    #[inline(always)]
    pub(super) fn dequantised(&self, place: usize, value: i32) -> i32 {
        // 16 bits times 16 bits.
        value.wrapping_mul(self.sizes[place])
    }
}
