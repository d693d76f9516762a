//! Where macroblocks go: to channels that hold the means of their samples.

use super::{SIDE, predict::Square};
use crate::{Error, Size, raster::Plane, scratch::filled};

/// A channel, each sample the mean of a square. In squares that the picture's edge cuts, what the encoder put behind the edge counts too,
/// as in JPEG: encoders repeat the last samples there.
pub(super) struct Averages<'a> {
    samples: &'a mut [u8],
    pub plane: Plane,
    /// 1, 2, 4 or 8.
    side: usize,
}

/// A channel of a picture.
pub(super) struct Channel {
    /// Samples that show picture.
    pub size: Size,
    /// How many of these are picture, exactly.
    pub extent: (f64, f64),
    /// Samples to a side of a macroblock.
    pub macroblock: usize,
}

impl<'a> Averages<'a> {
    /// For so many macroblocks across and down, and squares of this side.
    pub(super) fn new(
        samples: &'a mut Vec<u8>,
        channel: &Channel,
        (across, down): (usize, usize),
        side: usize,
    ) -> Result<Self, Error> {
        debug_assert!(matches!(side, 1 | 2 | 4 | 8), "{side}");
        let stride = across * channel.macroblock / side;
        filled(samples, stride * (down * channel.macroblock / side), 0)?;
        let Size { width, height } = channel.size;
        let plane = Plane {
            stride,
            size: Size {
                width: width.div_ceil(side as u32),
                height: height.div_ceil(side as u32),
            },
            extent: (
                channel.extent.0 / side as f64,
                channel.extent.1 / side as f64,
            ),
            block_means: side > 1,
        };
        Ok(Self {
            samples,
            plane,
            side,
        })
    }

    /// Takes the samples of a macroblock.
    #[inline(always)]
    pub(super) fn put<const ROWS: usize>(&mut self, (x, y): (usize, usize), square: &Square<ROWS>) {
        match self.side {
            1 => self.put_means::<ROWS, 1>(x, y, square),
            2 => self.put_means::<ROWS, 2>(x, y, square),
            4 => self.put_means::<ROWS, 4>(x, y, square),
            _ => self.put_means::<ROWS, 8>(x, y, square),
        }
    }

    #[inline(always)]
    fn put_means<const ROWS: usize, const N: usize>(
        &mut self,
        x: usize,
        y: usize,
        square: &Square<ROWS>,
    ) {
        let width = (ROWS - 1) / N;
        let first = y * width * self.plane.stride + x * width;
        for line in 0..width {
            let mut sums = [0u16; SIDE];
            for row in 0..N {
                for (sum, sample) in sums.iter_mut().zip(square.row(line * N + row)) {
                    *sum += u16::from(*sample);
                }
            }
            let means = &mut self.samples[first + line * self.plane.stride..][..width];
            for (mean, sums) in means.iter_mut().zip(sums.as_chunks::<N>().0) {
                let area = (N * N) as u16;
                *mean = ((sums.iter().sum::<u16>() + area / 2) / area) as u8;
            }
        }
    }
}
