//! Where macroblocks go: to channels that hold the means of their samples.

use super::{SIDE, predict::Square};
use crate::{Error, Size, raster::Plane, scratch::filled};

/// A channel, each sample the mean of a square.
pub(super) struct Averages<'a> {
    samples: &'a mut [u8],
    pub plane: Plane,
    block: usize,
}

impl<'a> Averages<'a> {
    /// For macroblocks of `side` samples.
    pub(super) fn new(
        samples: &'a mut Vec<u8>,
        size: Size,
        side: usize,
        (across, down): (usize, usize),
        block: usize,
    ) -> Result<Self, Error> {
        let stride = across * side / block;
        filled(samples, stride * (down * side / block), 0)?;
        let share = |side: u32| f64::from(side) / block as f64;
        let plane = Plane {
            stride,
            size: Size {
                width: size.width.div_ceil(block as u32),
                height: size.height.div_ceil(block as u32),
            },
            extent: (share(size.width), share(size.height)),
            block_means: block > 1,
        };
        Ok(Self {
            samples,
            plane,
            block,
        })
    }

    /// Takes the samples of a macroblock.
    #[inline(always)]
    pub(super) fn put<const ROWS: usize>(&mut self, (x, y): (usize, usize), square: &Square<ROWS>) {
        match self.block {
            1 => self.put_means::<ROWS, 1>(x, y, square),
            2 => self.put_means::<ROWS, 2>(x, y, square),
            4 => self.put_means::<ROWS, 4>(x, y, square),
            _ => self.put_means::<ROWS, 8>(x, y, square),
        }
    }

    #[inline(always)]
    fn put_means<const ROWS: usize, const B: usize>(
        &mut self,
        x: usize,
        y: usize,
        square: &Square<ROWS>,
    ) {
        let width = (ROWS - 1) / B;
        let first = y * width * self.plane.stride + x * width;
        for band in 0..width {
            let mut sums = [0u16; SIDE];
            for row in 0..B {
                for (sum, sample) in sums.iter_mut().zip(square.row(band * B + row)) {
                    *sum += u16::from(*sample);
                }
            }
            let means = &mut self.samples[first + band * self.plane.stride..][..width];
            for (mean, sums) in means.iter_mut().zip(sums.as_chunks::<B>().0) {
                let area = (B * B) as u16;
                *mean = ((sums.iter().sum::<u16>() + area / 2) / area) as u8;
            }
        }
    }
}
