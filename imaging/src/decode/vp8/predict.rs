//! Prediction of samples from those above and to the left (RFC 6386, section 12).

use wide::{i16x8, i16x16, u8x16};

use super::{
    blocks::{self, Edge},
    inverse::Strip,
    modes::{BlockMode, Mode},
};

/// What lies above the picture.
const ABOVE: u8 = 127;
/// What lies to the left of it.
const LEFT: u8 = 129;
/// Where a macroblock begins in a row: behind room for the sample to its left, and in front of room for those above and to its right.
const BEGIN: usize = 8;
const WIDTH: usize = 32;

/// One channel of a macroblock with what surrounds it: row 0 is what is above, the others are the macroblock's.
pub(super) struct Square<const ROWS: usize> {
    rows: [[u8; WIDTH]; ROWS],
}

/// Luma: 16 x 16 samples.
pub(super) type LumaSquare = Square<17>;
/// A colour: 8 x 8 samples.
pub(super) type ColorSquare = Square<9>;

impl<const ROWS: usize> Square<ROWS> {
    /// Samples to a side.
    const SIDE: usize = ROWS - 1;

    /// At the left edge of the picture.
    pub(super) fn new(is_top: bool) -> Self {
        let mut rows = [[LEFT; WIDTH]; ROWS];
        if is_top {
            rows[0] = [ABOVE; WIDTH];
        }
        Self { rows }
    }

    /// Goes to the next macroblock on the right: what was the last column is to its left.
    pub(super) fn advance(&mut self) {
        for row in &mut self.rows {
            row[BEGIN - 1] = row[BEGIN + Self::SIDE - 1];
        }
    }

    /// Takes what is above, and above to the right.
    pub(super) fn put_above(&mut self, above: &[u8], right: [u8; 4]) {
        self.rows[0][BEGIN..][..Self::SIDE].copy_from_slice(above);
        self.rows[0][BEGIN + Self::SIDE..][..4].copy_from_slice(&right);
    }

    /// A row of samples.
    #[inline(always)]
    pub(super) fn row(&self, y: usize) -> &[u8] {
        &self.rows[y + 1][BEGIN..][..Self::SIDE]
    }

    /// Predicts all of it. At the edges of the picture the mean is one of what there is.
    pub(super) fn predict(&mut self, mode: Mode, (is_left, is_top): (bool, bool)) {
        let above: [u8; WIDTH] = self.rows[0];
        let above = &above[BEGIN..][..Self::SIDE];
        match mode {
            Mode::Vertical => {
                for row in &mut self.rows[1..] {
                    row[BEGIN..][..Self::SIDE].copy_from_slice(above);
                }
            }
            Mode::Horizontal => {
                for row in &mut self.rows[1..] {
                    let left = row[BEGIN - 1];
                    row[BEGIN..][..Self::SIDE].fill(left);
                }
            }
            Mode::TrueMotion => {
                let corner = i16::from(self.rows[0][BEGIN - 1]);
                for row in &mut self.rows[1..] {
                    let difference = i16::from(row[BEGIN - 1]) - corner;
                    for (sample, above) in row[BEGIN..][..Self::SIDE].iter_mut().zip(above) {
                        *sample = (i16::from(*above) + difference).clamp(0, 255) as u8;
                    }
                }
            }
            Mode::Dc => {
                let above = above.iter().map(|above| u32::from(*above)).sum::<u32>();
                let left = self.rows[1..].iter().map(|row| u32::from(row[BEGIN - 1]));
                let left = left.sum::<u32>();
                let side = Self::SIDE as u32;
                let mean = match (is_left, is_top) {
                    (false, false) => (above + left + side) / (2 * side),
                    (false, true) => (left + side / 2) / side,
                    (true, false) => (above + side / 2) / side,
                    (true, true) => 128,
                };
                for row in &mut self.rows[1..] {
                    row[BEGIN..][..Self::SIDE].fill(mean as u8);
                }
            }
        }
    }
}

impl LumaSquare {
    /// What is above and to the right of the macroblock serves all of its rows of blocks, since what is to the right of them is not
    /// decoded yet.
    pub(super) fn repeat_right(&mut self) {
        let above = self.rows[0];
        for y in [4, 8, 12] {
            self.rows[y][BEGIN + 16..][..4].copy_from_slice(&above[BEGIN + 16..][..4]);
        }
    }

    /// Adds to the blocks of row `y`.
    #[inline(always)]
    pub(super) fn add(&mut self, y: usize, strip: &Strip) {
        for (row, residue) in self.rows[4 * y + 1..][..4].iter_mut().zip(strip) {
            if let Some(samples) = row[BEGIN..].first_chunk_mut() {
                let sum = i16x16::from(u8x16::new(*samples)) + i16x16::new(*residue);
                *samples = narrowed(sum).to_array();
            }
        }
    }

    /// Predicts the block whose first sample is there, and adds its part of a strip.
    #[inline(always)]
    pub(super) fn put_block(
        &mut self,
        (x, y): (usize, usize),
        mode: BlockMode,
        strip: Option<&Strip>,
    ) {
        let Some(rows) = self.rows[y..].first_chunk_mut::<5>() else {
            return;
        };
        let mut samples = blocks::predict(mode, edge(rows, BEGIN + x));
        if let Some(strip) = strip {
            let residue = strip.map(|row| row.as_chunks::<4>().0[x / 4]);
            let residue: [i16; 16] = wide::bytemuck::cast(residue);
            samples = narrowed(i16x16::from(samples) + i16x16::new(residue));
        }
        for (row, samples) in rows[1..]
            .iter_mut()
            .zip(samples.to_array().as_chunks::<4>().0)
        {
            row[BEGIN + x..][..4].copy_from_slice(samples);
        }
    }
}

impl ColorSquare {
    /// Adds to the blocks of row `y`; those of the colour begin there in the strip.
    #[inline(always)]
    pub(super) fn add(&mut self, y: usize, strip: &Strip, begin: usize) {
        for (row, residue) in self.rows[4 * y + 1..][..4].iter_mut().zip(strip) {
            for (sample, residue) in row[BEGIN..][..8].iter_mut().zip(&residue[begin..][..8]) {
                // A residue has 13 bits.
                *sample = (i16::from(*sample) + residue).clamp(0, 255) as u8;
            }
        }
    }
}

/// The nearest bytes.
#[inline(always)]
pub(super) fn narrowed(values: i16x16) -> u8x16 {
    let values = values.to_array();
    let half = |begin: usize| i16x8::new(std::array::from_fn(|at| values[begin + at]));
    u8x16::narrow_i16x8(half(0), half(8))
}

/// What surrounds the block whose samples begin in the second of five rows.
#[inline(always)]
fn edge(rows: &[[u8; WIDTH]; 5], x: usize) -> Edge {
    let [.., first, second, third, fourth] = rows;
    let left = [first[x - 1], second[x - 1], third[x - 1], fourth[x - 1]];
    let above = rows[0][x - 1..].first_chunk().copied().unwrap_or_default();
    Edge::new(left, above, rows[0][x + 7])
}
