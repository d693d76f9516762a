//! Subsampled channels at full size (T.81 leaves the filter open): rows of a picture that is shown at its own size.
//!
//! Twice as many samples come from the triangle filter that libjpeg has made the usual one; other ratios repeat samples.
//! A picture that is resized does not need this: its channels are resized separately.

use crate::raster::Plane;

/// A channel, and how much denser the picture's pixels are, across and down.
pub(super) struct Upsampled<'a> {
    samples: &'a [u8],
    plane: Plane,
    /// Sampling factors of the picture and of the channel, across.
    across: (usize, usize),
    /// The same, down.
    down: (usize, usize),
    /// Sums of two rows.
    sums: Vec<u16>,
}

impl<'a> Upsampled<'a> {
    pub(super) fn new(
        samples: &'a [u8],
        plane: Plane,
        largest: (usize, usize),
        sampling: (usize, usize),
    ) -> Self {
        Self {
            samples,
            plane,
            across: (largest.0, sampling.0),
            down: (largest.1, sampling.1),
            sums: Vec::new(),
        }
    }

    /// Row `y` of the picture.
    pub(super) fn row(&mut self, y: usize, row: &mut [u8]) {
        let twice_across = self.across.0 == 2 * self.across.1 && self.plane.size.width > 2;
        let twice_down = self.down.0 == 2 * self.down.1;
        let near = y * self.down.1 / self.down.0;
        let far = if y.is_multiple_of(2) {
            near.saturating_sub(1)
        } else {
            (near + 1).min(self.plane.size.height as usize - 1)
        };
        if twice_across && twice_down {
            self.sum_rows(near, far);
            widen(&self.sums, row, 4, (8, 7));
        } else if twice_across && self.down.0 == self.down.1 {
            self.sums.clear();
            let near = self.samples_of(near);
            self.sums
                .extend(near.iter().map(|sample| u16::from(*sample)));
            widen(&self.sums, row, 2, (1, 2));
        } else if twice_down && self.across.0 == self.across.1 {
            self.sum_rows(near, far);
            let half = if y.is_multiple_of(2) { 1 } else { 2 };
            for (value, sum) in row.iter_mut().zip(&self.sums) {
                *value = ((sum + half) >> 2) as u8;
            }
        } else {
            let samples = self.samples_of(near);
            if self.across.0 == self.across.1 {
                row.copy_from_slice(&samples[..row.len()]);
            } else {
                for (x, value) in row.iter_mut().enumerate() {
                    *value = samples[x * self.across.1 / self.across.0];
                }
            }
        }
    }

    fn samples_of(&self, row: usize) -> &'a [u8] {
        &self.samples[row * self.plane.stride..][..self.plane.size.width as usize]
    }

    /// Three parts of the nearer row and one of the farther.
    fn sum_rows(&mut self, near: usize, far: usize) {
        let (near, far) = (self.samples_of(near), self.samples_of(far));
        self.sums.clear();
        let pairs = near.iter().zip(far);
        self.sums
            .extend(pairs.map(|(near, far)| 3 * u16::from(*near) + u16::from(*far)));
    }
}

/// Two values for each sum: three parts of it and one of its neighbour, in units of 2 to the power of `shift`. `halves`
/// round the left and the right value, in turns up and down, so that no bias is left.
fn widen(sums: &[u16], row: &mut [u8], shift: u32, halves: (u16, u16)) {
    for (x, pair) in row.chunks_mut(2).enumerate() {
        let sum = sums[x];
        let left = sums[x.saturating_sub(1)];
        let right = sums[(x + 1).min(sums.len() - 1)];
        let values = [3 * sum + left + halves.0, 3 * sum + right + halves.1];
        for (value, scaled) in pair.iter_mut().zip(values) {
            *value = (scaled >> shift) as u8;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Size;

    fn rows(
        samples: &[u8],
        size: (u32, u32),
        largest: (usize, usize),
        full: (usize, usize),
    ) -> Vec<Vec<u8>> {
        let plane = Plane {
            stride: size.0 as usize,
            size: Size {
                width: size.0,
                height: size.1,
            },
            extent: (0.0, 0.0),
            block_means: false,
        };
        let mut upsampled = Upsampled::new(samples, plane, largest, (1, 1));
        let rows = (0..full.1).map(|y| {
            let mut row = vec![0; full.0];
            upsampled.row(y, &mut row);
            row
        });
        rows.collect()
    }

    #[test]
    fn twice_as_many_samples_are_interpolated() {
        assert_eq!(
            rows(&[0, 100, 200], (3, 1), (2, 1), (5, 1)),
            [[0, 25, 75, 125, 175]]
        );
        assert_eq!(
            rows(&[0, 100], (1, 2), (1, 2), (1, 4)),
            [[0], [25], [75], [100]]
        );
        let both = rows(&[0, 0, 0, 160, 160, 160], (3, 2), (2, 2), (6, 4));
        assert_eq!(both[1], [40; 6]);
        assert_eq!(both[3], [160; 6]);
    }

    #[test]
    fn other_ratios_and_tiny_channels_repeat_samples() {
        assert_eq!(rows(&[1, 2], (2, 1), (3, 1), (5, 1)), [[1, 1, 1, 2, 2]]);
        assert_eq!(rows(&[1, 9], (2, 1), (2, 1), (4, 1)), [[1, 1, 9, 9]]);
    }
}
