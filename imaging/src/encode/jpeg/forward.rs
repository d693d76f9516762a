//! From samples to quantised coefficients: the forward cosine transform (T.81 A.3.3) and the steps of a quality.

use crate::cosines::{Cosines, ZIGZAG, normalisation};

/// 8 x 8 samples, row by row, shifted to be around zero.
pub(super) type Samples = [[f32; 8]; 8];
/// Quantised coefficients in zigzag order.
pub(super) type Coefficients = [i16; 64];

/// Steps for luma at quality 50, row by row: T.81 table K.1, found by experiments with eyes.
const LUMA: [u8; 64] = [
    16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56,
    14, 17, 22, 29, 51, 87, 80, 62, 18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113,
    92, 49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99,
];
/// Steps for colour at quality 50: T.81 table K.2.
const COLOR: [u8; 64] = [
    17, 18, 24, 47, 99, 99, 99, 99, 18, 21, 26, 66, 99, 99, 99, 99, 24, 26, 56, 99, 99, 99, 99, 99,
    47, 66, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99,
    99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99,
];

/// The steps of one table at one quality.
pub(super) struct Quantisation {
    /// In zigzag order, as they are written.
    pub steps: [u8; 64],
    /// What each coefficient of a block is multiplied with, row by row: normalised, divided by its step.
    factors: [[f32; 8]; 8],
}

impl Quantisation {
    pub(super) fn luma(quality: u8) -> Self {
        Self::scaled(&LUMA, quality)
    }

    pub(super) fn color(quality: u8) -> Self {
        Self::scaled(&COLOR, quality)
    }

    /// The scale of qualities is libjpeg's, which everybody's numbers mean.
    fn scaled(table: &[u8; 64], quality: u8) -> Self {
        let quality = u32::from(quality.clamp(1, 100));
        let percent = if quality < 50 {
            5000 / quality
        } else {
            200 - 2 * quality
        };
        let step = |place: usize| ((u32::from(table[place]) * percent + 50) / 100).clamp(1, 255);
        Self {
            steps: ZIGZAG.map(|place| step(place.into()) as u8),
            factors: std::array::from_fn(|row| {
                std::array::from_fn(|column| {
                    let place = 8 * row + column;
                    normalisation(place) / step(place) as f32
                })
            }),
        }
    }

    /// Transforms a block and quantises it.
    pub(super) fn apply(&self, samples: &Samples) -> Coefficients {
        let columns = transform(samples);
        let block = transform(&transposed(&columns));
        // The second pass left frequencies along the rows in columns: turn back while rounding.
        let mut quantised = [[0i16; 8]; 8];
        for (row, values) in transposed(&block).iter().enumerate() {
            for (column, value) in values.iter().enumerate() {
                quantised[row][column] = round(value * self.factors[row][column]);
            }
        }
        let flat = quantised.as_flattened();
        ZIGZAG.map(|place| flat[usize::from(place)])
    }
}

/// The nearest integer. In a float between 2^23 and 2^24 the last bit is worth 1, and its bits can be taken as they are.
#[inline(always)]
fn round(value: f32) -> i16 {
    (value + 12_582_912.0).to_bits() as i16
}

fn transposed(block: &Samples) -> Samples {
    std::array::from_fn(|row| std::array::from_fn(|column| block[column][row]))
}

/// Transforms each column, not normalised. Even frequencies see sums of opposite rows, odd ones differences.
#[inline(always)]
fn transform(rows: &Samples) -> Samples {
    let mut sums = [[0.0; 8]; 4];
    let mut differences = [[0.0; 8]; 4];
    for x in 0..4 {
        for lane in 0..8 {
            sums[x][lane] = rows[x][lane] + rows[7 - x][lane];
            differences[x][lane] = rows[x][lane] - rows[7 - x][lane];
        }
    }
    let mut output = [[0.0; 8]; 8];
    for (u, output) in output.iter_mut().enumerate() {
        let halves = if u % 2 == 0 { &sums } else { &differences };
        for (x, half) in halves.iter().enumerate() {
            let cosine = Cosines::<8>::TABLE[u][x];
            for (value, half) in output.iter_mut().zip(half) {
                *value += cosine * half;
            }
        }
    }
    output
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flat_block_has_nothing_but_its_mean() {
        let quantised = Quantisation::luma(100).apply(&[[10.0; 8]; 8]);
        assert_eq!(quantised[0], 80);
        assert_eq!(quantised[1..], [0; 63]);
    }

    #[test]
    fn a_frequency_ends_up_in_its_place() {
        for (k, place) in ZIGZAG.iter().enumerate() {
            let (v, u) = (usize::from(place / 8), usize::from(place % 8));
            let table = Cosines::<8>::TABLE;
            let wave =
                std::array::from_fn(|y| std::array::from_fn(|x| 50.0 * table[v][y] * table[u][x]));
            let quantised = Quantisation::luma(100).apply(&wave);
            // The squares of a frequency's cosines add up to 4, of the mean's to 8.
            let energy = |frequency| if frequency == 0 { 8.0 } else { 4.0 };
            let expected = 50.0 * energy(u) * energy(v) * normalisation((*place).into());
            let expected = expected.round() as i16;
            assert_eq!(quantised[k], expected, "{v}, {u}");
            assert_eq!(quantised.iter().filter(|value| **value != 0).count(), 1);
        }
    }

    #[test]
    fn the_steps_of_a_quality_are_libjpegs() {
        assert_eq!(Quantisation::luma(50).steps[..4], [16, 11, 12, 14]);
        assert_eq!(Quantisation::luma(80).steps[..4], [6, 4, 5, 6]);
        assert_eq!(Quantisation::color(1).steps, [255; 64]);
        assert_eq!(Quantisation::color(100).steps, [1; 64]);
    }
}
