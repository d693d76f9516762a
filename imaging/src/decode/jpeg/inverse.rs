//! The inverse cosine transform (T.81 A.3.3), at eight sizes.
//!
//! The N x N lowest coefficients of a block, transformed by N points instead of 8, are the block at N/8 of its size: what
//! is left out are the frequencies that a picture of that size can't show. The
//! normalisation is that of 8 points, so that all sizes have the same scale.

use std::ops::{Add, Mul, Sub};

use wide::{f32x4, f32x8, i32x4, i32x8};

use super::channel::Steps;
use crate::cosines::{Cosines, ZIGZAG};

/// A block's coefficients, quantised: eight times the column (horizontal frequency) plus the row is where each is, so that
/// the second pass of the transform ends with rows of samples.
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
    for column in block.as_chunks_mut::<8>().0.iter_mut().take(N) {
        column[..lanes(N)].fill(0);
    }
}

/// How many coefficients of a column are read: N rounded up to what fills vector registers.
const fn lanes(n: usize) -> usize {
    if n <= 4 { 4 } else { 8 }
}

/// Writes N x N samples to `plane` from `at` on. Only the block's first N rows and columns are read.
#[inline(always)]
pub(super) fn inverse<const N: usize>(
    block: &Block,
    steps: &Steps,
    plane: &mut [u8],
    at: usize,
    stride: usize,
) {
    match N {
        1 => plane[at] = mean(steps.dequantised(0, block[0])),
        2 => {
            // Two points are a sum and a difference, and the normalisation is the same for all four.
            let [a, b, c, d] = [0, 8, 1, 9].map(|place| steps.dequantised(place, block[place]));
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
        3 | 4 => separable::<N, 4, f32x4>(block, steps, plane, at, stride),
        _ => separable::<N, 8, f32x8>(block, steps, plane, at, stride),
    }
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

/// Along the rows, then down the columns.
#[inline(always)]
fn separable<const N: usize, const LANES: usize, V: Lanes<LANES>>(
    block: &Block,
    steps: &Steps,
    plane: &mut [u8],
    at: usize,
    stride: usize,
) {
    let (columns, factors) = (block.as_chunks::<8>().0, steps.factors.as_chunks::<8>().0);
    let columns = std::array::from_fn(|u| V::dequantised(&columns[u], &factors[u]));
    let columns = transform::<N, V>(columns);
    let padded = std::array::from_fn(|x| columns.get(x).copied().unwrap_or(V::ZERO));
    let rows = V::transposed(padded);
    let rows = transform::<N, V>(std::array::from_fn(|v| rows[v % LANES]));
    for (y, row) in rows.into_iter().enumerate() {
        plane[at + y * stride..][..N].copy_from_slice(&row.samples()[..N]);
    }
}

/// A vector register: a row of the block, or a column.
trait Lanes<const LANES: usize>:
    Copy + Add<Output = Self> + Sub<Output = Self> + Mul<f32, Output = Self>
{
    const ZERO: Self;
    /// The first coefficients of a column, times their factors.
    fn dequantised(column: &[i32; 8], factors: &[f32; 8]) -> Self;
    fn transposed(rows: [Self; LANES]) -> [Self; LANES];
    /// To the nearest sample; beyond both ends, the end.
    fn samples(self) -> [u8; LANES];
}

impl Lanes<4> for f32x4 {
    const ZERO: Self = Self::ZERO;

    #[inline(always)]
    fn dequantised(column: &[i32; 8], factors: &[f32; 8]) -> Self {
        let column = i32x4::new(std::array::from_fn(|row| column[row]));
        Self::from_i32x4(column) * Self::new(std::array::from_fn(|row| factors[row]))
    }

    #[inline(always)]
    fn transposed(rows: [Self; 4]) -> [Self; 4] {
        Self::transpose(rows)
    }

    #[inline(always)]
    fn samples(self) -> [u8; 4] {
        let levels = (self + LEVEL_SHIFT).fast_max(Self::ZERO);
        let levels = levels.fast_min(Self::splat(255.0)).fast_round_int();
        levels.to_array().map(|level| level as u8)
    }
}

impl Lanes<8> for f32x8 {
    const ZERO: Self = Self::ZERO;

    #[inline(always)]
    fn dequantised(column: &[i32; 8], factors: &[f32; 8]) -> Self {
        Self::from_i32x8(i32x8::new(*column)) * Self::new(*factors)
    }

    #[inline(always)]
    fn transposed(rows: [Self; 8]) -> [Self; 8] {
        Self::transpose(rows)
    }

    #[inline(always)]
    fn samples(self) -> [u8; 8] {
        let levels = (self + LEVEL_SHIFT).fast_max(Self::ZERO);
        let levels = levels.fast_min(Self::splat(255.0)).fast_round_int();
        levels.to_array().map(|level| level as u8)
    }
}

/// An N-point inverse transform of each lane. Even frequencies are symmetric about the middle and odd ones antisymmetric,
/// so half the sums serve for both halves.
#[inline(always)]
fn transform<const N: usize, V>(frequencies: [V; N]) -> [V; N]
where
    V: Copy + Add<Output = V> + Sub<Output = V> + Mul<f32, Output = V>,
{
    let mut samples = frequencies;
    for x in 0..N.div_ceil(2) {
        let term = |frequency: usize| frequencies[frequency] * Cosines::<N>::TABLE[frequency][x];
        let (mut even, mut odd) = (frequencies[0], term(1));
        for frequency in 2..N {
            if frequency % 2 == 0 {
                even = even + term(frequency);
            } else {
                odd = odd + term(frequency);
            }
        }
        samples[x] = even + odd;
        samples[N - 1 - x] = even - odd;
    }
    samples
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cosines::normalisation;

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
                            2.0 * f64::from(block[8 * u + v]) * f64::from(normalisation(8 * v + u));
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
        let steps = Steps::new(&[2; 64], N);
        for strength in [80.0, 800.0, 12_000.0] {
            let block: Block = std::array::from_fn(|_| (random() * strength) as i32);
            let mut plane = vec![0; 12 * N + 1];
            inverse::<N>(&block, &steps, &mut plane, 1, 12);
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
