//! From samples to quantised coefficients: the forward cosine transform (T.81 A.3.3) and the steps of a quality.

use wide::{f32x8, i16x8};

use crate::cosines::{Cosines, ZIGZAG, normalisation, transposed};

/// 8 x 8 samples, row by row, shifted to be around zero.
pub(super) type Samples = [f32x8; 8];

/// The quantised coefficients of a block.
pub(super) struct Coefficients {
    /// As the transform leaves them: eight times the column (horizontal frequency) plus the row.
    values: [i16; 64],
    /// Which are not zero: a bit for each number of the zigzag order.
    pub occurring: u64,
}

impl Coefficients {
    fn new(columns: [[i16; 8]; 8], places: [u8; 8]) -> Self {
        let mut occurring = 0;
        for (column, places) in places.into_iter().enumerate() {
            occurring |= IN_ZIGZAG_ORDER[2 * column][usize::from(places & 15)]
                | IN_ZIGZAG_ORDER[2 * column + 1][usize::from(places >> 4)];
        }
        Self {
            values: *columns.as_flattened().first_chunk().unwrap_or(&[0; 64]),
            occurring,
        }
    }

    /// Those with these numbers of the zigzag order; the others are zero.
    #[cfg(test)]
    pub(super) fn of(some: &[(usize, i16)]) -> Self {
        let mut coefficients = Self::new([[0; 8]; 8], [0; 8]);
        for (k, value) in some {
            coefficients.values[usize::from(transposed(ZIGZAG[*k]))] = *value;
            coefficients.occurring |= 1 << k;
        }
        coefficients
    }

    /// Coefficient `k` of the zigzag order.
    #[inline(always)]
    pub(super) fn get(&self, k: u32) -> i16 {
        const PLACES: [u8; 64] = {
            let mut places = ZIGZAG;
            let mut k = 0;
            while k < 64 {
                places[k] = transposed(ZIGZAG[k]);
                k += 1;
            }
            places
        };
        self.values[usize::from(PLACES[k as usize % 64]) % 64]
    }
}

/// For each four neighbours of [`Coefficients::values`], and each choice of them, their bits in zigzag order: sixteen
/// look-ups instead of a look at each of the 64.
static IN_ZIGZAG_ORDER: [[u64; 16]; 16] = {
    let mut table = [[0; 16]; 16];
    let mut k = 0;
    while k < 64 {
        let place = transposed(ZIGZAG[k]) as usize;
        let mut choice = 0;
        while choice < 16 {
            if choice >> (place % 4) & 1 == 1 {
                table[place / 4][choice] |= 1 << k;
            }
            choice += 1;
        }
        k += 1;
    }
    table
};

/// Steps for luma at quality 50, by the sum of row and column: what a descent over the steps found to give the most
/// SSIMULACRA2 for as many bytes as the standard's example tables (T.81 annex K) take, on nine photographs at 320 and 640
/// pixels and quality 80. On twelve others it is two points better than those; docs/benchmarks.md has the figures.
const LUMA: [u8; 15] = [8, 13, 22, 29, 30, 30, 30, 32, 35, 41, 46, 52, 59, 65, 72];
/// Steps for colour, likewise.
const COLOR: [u8; 15] = [
    8, 20, 22, 22, 30, 84, 138, 138, 138, 138, 138, 138, 138, 138, 138,
];

/// The steps of one table at one quality.
pub(super) struct Quantisation {
    /// In zigzag order, as they are written.
    pub steps: [u8; 64],
    /// What each coefficient of a block is multiplied with, column by column: normalised, divided by its step.
    factors: [f32x8; 8],
}

impl Quantisation {
    pub(super) fn luma(quality: u8) -> Self {
        Self::scaled(&LUMA, quality)
    }

    pub(super) fn color(quality: u8) -> Self {
        Self::scaled(&COLOR, quality)
    }

    /// The scale of qualities is libjpeg's, which everybody's numbers mean: at 80 a file is as large as it would be there.
    fn scaled(table: &[u8; 15], quality: u8) -> Self {
        let quality = u32::from(quality.clamp(1, 100));
        let percent = if quality < 50 {
            5000 / quality
        } else {
            200 - 2 * quality
        };
        let step = |place: usize| {
            let step = u32::from(table[place / 8 + place % 8]);
            ((step * percent + 50) / 100).clamp(1, 255)
        };
        Self {
            steps: ZIGZAG.map(|place| step(place.into()) as u8),
            factors: std::array::from_fn(|column| {
                f32x8::new(std::array::from_fn(|row| {
                    let place = 8 * row + column;
                    normalisation(place) / step(place) as f32
                }))
            }),
        }
    }

    /// Transforms a block and quantises it.
    #[inline(always)]
    pub(super) fn apply(&self, samples: &Samples) -> Coefficients {
        let rows = transform(samples);
        let columns = transform(&f32x8::transpose(rows));
        let mut quantised = [[0; 8]; 8];
        let mut places = [0; 8];
        for (column, values) in columns.into_iter().enumerate() {
            let nearest = (values * self.factors[column]).fast_round_int();
            let nearest = i16x8::from_i32x8_saturate(nearest);
            quantised[column] = nearest.to_array();
            places[column] = nearest.simd_ne(i16x8::ZERO).to_bitmask() as u8;
        }
        Coefficients::new(quantised, places)
    }
}

/// Transforms each lane, not normalised. Even frequencies see sums of opposite samples, odd ones differences.
#[inline(always)]
fn transform(samples: &Samples) -> Samples {
    const COSINES: [[f32; 8]; 8] = Cosines::<8>::TABLE;
    let sums: [f32x8; 4] = std::array::from_fn(|x| samples[x] + samples[7 - x]);
    let differences: [f32x8; 4] = std::array::from_fn(|x| samples[x] - samples[7 - x]);
    let mut frequencies = [f32x8::ZERO; 8];
    for (u, frequency) in frequencies.iter_mut().enumerate() {
        let [a, b, c, d] = if u % 2 == 0 { sums } else { differences };
        let [first, second, third, fourth, ..] = COSINES[u];
        *frequency = (a * first + b * second) + (c * third + d * fourth);
    }
    frequencies
}

#[cfg(test)]
mod tests {
    use super::*;

    fn in_zigzag_order(coefficients: &Coefficients) -> Vec<i16> {
        let values: Vec<_> = (0..64).map(|k| coefficients.get(k)).collect();
        for (k, value) in values.iter().enumerate() {
            assert_eq!(coefficients.occurring >> k & 1 == 1, *value != 0, "{k}");
        }
        values
    }

    #[test]
    fn a_flat_block_has_nothing_but_its_mean() {
        let quantised = Quantisation::luma(100).apply(&[f32x8::splat(10.0); 8]);
        let quantised = in_zigzag_order(&quantised);
        assert_eq!(quantised[0], 80);
        assert_eq!(quantised[1..], [0; 63]);
    }

    #[test]
    fn a_frequency_ends_up_in_its_place() {
        for (k, place) in ZIGZAG.iter().enumerate() {
            let (v, u) = (usize::from(place / 8), usize::from(place % 8));
            let table = Cosines::<8>::TABLE;
            let wave = std::array::from_fn(|y| {
                f32x8::new(std::array::from_fn(|x| 50.0 * table[v][y] * table[u][x]))
            });
            let quantised = in_zigzag_order(&Quantisation::luma(100).apply(&wave));
            // The squares of a frequency's cosines add up to 4, of the mean's to 8.
            let energy = |frequency| if frequency == 0 { 8.0 } else { 4.0 };
            let expected = 50.0 * energy(u) * energy(v) * normalisation((*place).into());
            let expected = expected.round() as i16;
            assert_eq!(quantised[k], expected, "{v}, {u}");
            assert_eq!(quantised.iter().filter(|value| **value != 0).count(), 1);
        }
    }

    #[test]
    fn steps_are_scaled_by_quality_as_libjpeg_does() {
        assert_eq!(Quantisation::luma(50).steps[..4], [8, 13, 13, 22]);
        assert_eq!(Quantisation::luma(80).steps[..4], [3, 5, 5, 9]);
        assert_eq!(Quantisation::color(1).steps, [255; 64]);
        assert_eq!(Quantisation::color(100).steps, [1; 64]);
    }
}
