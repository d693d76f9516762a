//! The inverse cosine transform (T.81 A.3.3), at eight sizes.
//!
//! The N x N lowest coefficients of a block, transformed by N points instead of 8, are the block at N/8 of its size: what
//! is left out are the frequencies that a picture of that size can't show. The
//! normalisation is that of 8 points, so that all sizes have the same scale.

use crate::{
    bytes::round_to_byte,
    cosines::{Cosines, ZIGZAG, normalisation},
};

/// A block's coefficients: eight times the row (vertical frequency) plus the column is where each is.
pub(super) type Block = [i32; 64];

/// Samples are stored shifted down by half their range (T.81 A.3.1).
const LEVEL_SHIFT: f32 = 128.0;

/// The last coefficient in zigzag order that a block of N x N samples needs.
pub(super) const fn last_needed(n: usize) -> usize {
    let mut k = 63;
    while ZIGZAG[k] as usize / 8 >= n || ZIGZAG[k] as usize % 8 >= n {
        k -= 1;
    }
    k
}

/// Makes the coefficients zero that [`inverse`] reads.
#[inline(always)]
pub(super) fn clear<const N: usize>(block: &mut Block) {
    for row in block.as_chunks_mut::<8>().0.iter_mut().take(N) {
        row[..lanes(N)].fill(0);
    }
}

/// How many coefficients of a row are read: N rounded up to what fills vector registers.
const fn lanes(n: usize) -> usize {
    if n <= 4 { 4 } else { 8 }
}

/// Writes N x N samples to `plane` from `at` on. Only the block's first N rows and columns are read.
#[inline(always)]
pub(super) fn inverse<const N: usize>(block: &Block, plane: &mut [u8], at: usize, stride: usize) {
    match N {
        1 => plane[at] = mean(block[0]),
        2 => {
            // Two points are a sum and a difference, and the normalisation is the same for all four.
            let [a, b, c, d] = [block[0], block[1], block[8], block[9]];
            let (left, right) = (a.wrapping_add(b), a.wrapping_sub(b));
            let (left_change, right_change) = (c.wrapping_add(d), c.wrapping_sub(d));
            plane[at..at + 2].copy_from_slice(&[
                mean(left.wrapping_add(left_change)),
                mean(right.wrapping_add(right_change)),
            ]);
            plane[at + stride..at + stride + 2].copy_from_slice(&[
                mean(left.wrapping_sub(left_change)),
                mean(right.wrapping_sub(right_change)),
            ]);
        }
        3 | 4 => separable::<N, 4>(block, plane, at, stride),
        _ => separable::<N, 8>(block, plane, at, stride),
    }
}

/// What each coefficient is multiplied with before the transform.
const fn normalisations() -> [[f32; 8]; 8] {
    let mut table = [[0.0; 8]; 8];
    let mut place = 0;
    while place < 64 {
        table[place / 8][place % 8] = normalisation(place);
        place += 1;
    }
    table
}

/// Writes N x N samples of a block that has a mean and nothing else.
#[inline(always)]
pub(super) fn flat<const N: usize>(coefficient: i32, plane: &mut [u8], at: usize, stride: usize) {
    let value = mean(coefficient);
    for row in 0..N {
        plane[at + row * stride..][..N].fill(value);
    }
}

/// The sample of a block that has a mean and nothing else: an eighth of the coefficient.
#[inline(always)]
fn mean(coefficient: i32) -> u8 {
    ((coefficient.wrapping_add(4) >> 3) + LEVEL_SHIFT as i32).clamp(0, 255) as u8
}

#[inline(always)]
fn sample(value: f32) -> u8 {
    round_to_byte(value + LEVEL_SHIFT)
}

/// Down the columns, then along the rows.
#[inline(always)]
fn separable<const N: usize, const LANES: usize>(
    block: &Block,
    plane: &mut [u8],
    at: usize,
    stride: usize,
) {
    let mut rows = [[0.0; LANES]; N];
    for (y, (row, coefficients)) in rows.iter_mut().zip(block.as_chunks::<8>().0).enumerate() {
        for (x, (value, coefficient)) in row.iter_mut().zip(coefficients).enumerate() {
            *value = *coefficient as f32 * const { normalisations() }[y][x];
        }
    }
    let columns = transform(&rows);
    let mut turned = [[0.0; LANES]; N];
    for (x, turned) in turned.iter_mut().enumerate() {
        for (y, value) in turned.iter_mut().take(N).enumerate() {
            *value = columns[y][x];
        }
    }
    // Now each entry is a column of the block, with one lane for each of its rows.
    let columns = transform(&turned);
    let mut samples = [[0; LANES]; N];
    for (x, column) in columns.iter().enumerate() {
        for (sampled, value) in samples[x].iter_mut().zip(column) {
            *sampled = sample(*value);
        }
    }
    for y in 0..N {
        let row = &mut plane[at + y * stride..][..N];
        for (value, column) in row.iter_mut().zip(&samples) {
            *value = column[y];
        }
    }
}

/// An N-point inverse transform of each lane. Even frequencies are symmetric about the middle and odd ones antisymmetric,
/// so half the sums serve for both halves.
#[inline(always)]
fn transform<const N: usize, const LANES: usize>(input: &[[f32; LANES]; N]) -> [[f32; LANES]; N] {
    let mut output = [[0.0; LANES]; N];
    for x in 0..N.div_ceil(2) {
        let (mut even, mut odd) = ([0.0; LANES], [0.0; LANES]);
        for (frequency, row) in input.iter().enumerate() {
            let cosine = Cosines::<N>::TABLE[frequency][x];
            let sum = if frequency % 2 == 0 {
                &mut even
            } else {
                &mut odd
            };
            for (sum, value) in sum.iter_mut().zip(row) {
                *sum += cosine * value;
            }
        }
        for lane in 0..LANES {
            output[x][lane] = even[lane] + odd[lane];
            output[N - 1 - x][lane] = even[lane] - odd[lane];
        }
    }
    output
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The definition, in double precision, without any short cut.
    fn by_definition<const N: usize>(block: &Block) -> Vec<u8> {
        let cosine = |x: usize, u: usize| {
            ((2 * x + 1) as f64 * u as f64 * std::f64::consts::PI / (2 * N) as f64).cos()
        };
        let mut samples = Vec::new();
        for y in 0..N {
            for x in 0..N {
                let mut sum = 128.0;
                for v in 0..N {
                    for u in 0..N {
                        let coefficient =
                            f64::from(block[8 * v + u]) * f64::from(normalisation(8 * v + u));
                        sum += coefficient * cosine(x, u) * cosine(y, v);
                    }
                }
                samples.push(sum.round().clamp(0.0, 255.0) as u8);
            }
        }
        samples
    }

    fn check<const N: usize>() {
        let mut state = 1u32;
        let mut random = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 16) as f32 / 65_536.0 - 0.5
        };
        for strength in [160.0, 1600.0, 24_000.0] {
            let block: Block = std::array::from_fn(|_| (random() * strength) as i32);
            let mut plane = vec![0; 12 * N + 1];
            inverse::<N>(&block, &mut plane, 1, 12);
            for (y, row) in by_definition::<N>(&block).chunks(N).enumerate() {
                for (x, expected) in row.iter().enumerate() {
                    let got = plane[1 + y * 12 + x];
                    assert!(
                        got.abs_diff(*expected) <= 1,
                        "{N}: {got} and {expected} at {x}, {y}"
                    );
                }
            }
        }
    }

    #[test]
    fn every_size_is_the_transform_by_definition() {
        check::<1>();
        check::<2>();
        check::<3>();
        check::<4>();
        check::<5>();
        check::<6>();
        check::<7>();
        check::<8>();
    }

    #[test]
    fn a_size_needs_the_coefficients_of_its_corner() {
        assert_eq!(
            [1, 2, 3, 4, 5, 6, 7, 8].map(last_needed),
            [0, 4, 12, 24, 39, 51, 59, 63]
        );
    }
}
