//! Layered value noise on a coarse grid, and full-size rows interpolated from it.

use crate::mix::mix;

/// Pixels between two nodes of the finest grid.
const SPACING: u32 = 8;
/// Cells along the longer side of the coarsest layer.
const COARSEST_CELLS: u32 = 3;

/// The range of one channel.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tone {
    /// At the upper edge.
    pub(super) top: i32,
    /// At the lower edge.
    pub(super) bottom: i32,
    /// How far the coarsest layer departs from the gradient; each finer layer departs half as far.
    pub(super) variation: i32,
    /// The largest value, at most 255.
    pub(super) ceiling: i32,
}

/// Values at the nodes, channels interleaved.
pub(super) struct Grid {
    columns: usize,
    rows: usize,
    channels: usize,
    values: Vec<u8>,
}

impl Grid {
    /// A gradient with noise of every size from the whole picture down to [`SPACING`] pixels.
    pub(super) fn noise(width: u32, height: u32, tones: &[Tone], seed: u64) -> Self {
        let (across, down) = (width.div_ceil(SPACING), height.div_ceil(SPACING));
        let refinements = (across.max(down) / COARSEST_CELLS).max(1).ilog2();
        let coarsest = |cells: u32| cells.div_ceil(1 << refinements) as usize + 1;
        let mut grid = Self::gradient(coarsest(across), coarsest(down), tones);
        grid.roughen(tones, 0, seed);
        for level in 1..=refinements {
            grid = grid.refined();
            grid.roughen(tones, level, mix(seed, level.into()));
        }
        grid
    }

    fn gradient(columns: usize, rows: usize, tones: &[Tone]) -> Self {
        let last = (rows - 1).max(1) as i32;
        let row = |y: i32| {
            tones
                .iter()
                .map(move |tone| (tone.top + (tone.bottom - tone.top) * y / last) as u8)
        };
        let values = (0..rows as i32)
            .flat_map(|y| std::iter::repeat_n((), columns).flat_map(move |()| row(y)))
            .collect();
        Self {
            columns,
            rows,
            channels: tones.len(),
            values,
        }
    }

    /// Twice as many cells each way: old nodes stay, new ones lie between.
    fn refined(&self) -> Self {
        let (columns, rows) = (self.columns * 2 - 1, self.rows * 2 - 1);
        let mut values = Vec::with_capacity(columns * rows * self.channels);
        for y in 0..rows {
            let (above, below) = (self.row(y / 2), self.row(y.div_ceil(2)));
            for x in 0..columns {
                let (left, right) = (x / 2 * self.channels, x.div_ceil(2) * self.channels);
                for channel in 0..self.channels {
                    let sum = u32::from(above[left + channel])
                        + u32::from(above[right + channel])
                        + u32::from(below[left + channel])
                        + u32::from(below[right + channel]);
                    values.push((sum / 4) as u8);
                }
            }
        }
        Self {
            columns,
            rows,
            channels: self.channels,
            values,
        }
    }

    /// Moves every value up or down at random.
    fn roughen(&mut self, tones: &[Tone], level: u32, seed: u64) {
        for (node, values) in self.values.chunks_exact_mut(tones.len()).enumerate() {
            // One draw a node: 16 bits for each of up to four channels.
            let mut random = mix(seed, node as u64);
            for (value, tone) in values.iter_mut().zip(tones) {
                let reach = tone.variation >> level;
                let detail = (random & 0xffff) as i32 % (2 * reach + 1) - reach;
                random >>= 16;
                *value = (i32::from(*value) + detail).clamp(0, tone.ceiling) as u8;
            }
        }
    }

    fn row(&self, y: usize) -> &[u8] {
        let length = self.columns * self.channels;
        &self.values[y * length..(y + 1) * length]
    }

    /// The picture's rows, from the first to the last.
    pub(super) fn rows(&self) -> Rows<'_> {
        let bytes = ((self.columns - 1) * SPACING as usize * self.channels).next_multiple_of(8);
        Rows {
            grid: self,
            nodes: None,
            above: vec![0; bytes],
            below: vec![0; bytes],
            row: vec![0; bytes],
        }
    }

    /// One row of nodes with the pixels between them.
    fn widen(&self, y: usize, into: &mut [u8]) {
        let nodes = self.row(y.min(self.rows - 1));
        let spacing = SPACING as usize;
        let cells = into.chunks_exact_mut(spacing * self.channels);
        let ends = nodes
            .chunks_exact(self.channels)
            .zip(nodes.chunks_exact(self.channels).skip(1));
        for (cell, (left, right)) in cells.zip(ends) {
            for channel in 0..self.channels {
                let step = i32::from(right[channel]) - i32::from(left[channel]);
                // In eighths, so that every pixel is one addition.
                let mut value = i32::from(left[channel]) * SPACING as i32;
                for pixel in 0..spacing {
                    cell[pixel * self.channels + channel] = (value / SPACING as i32) as u8;
                    value += step;
                }
            }
        }
    }
}

/// Full-size rows of a grid, each a whole number of 8-byte words, so a little longer than the picture's.
pub(super) struct Rows<'a> {
    grid: &'a Grid,
    /// The row of nodes that `above` holds.
    nodes: Option<usize>,
    above: Vec<u8>,
    below: Vec<u8>,
    row: Vec<u8>,
}

impl Rows<'_> {
    /// Row `y` of the picture; the caller may paint over it.
    pub(super) fn interpolate(&mut self, y: u32) -> &mut [u8] {
        let (nodes, part) = ((y / SPACING) as usize, u64::from(y % SPACING));
        if self.nodes != Some(nodes) {
            self.grid.widen(nodes, &mut self.above);
            self.grid.widen(nodes + 1, &mut self.below);
            self.nodes = Some(nodes);
        }
        let words = self
            .above
            .as_chunks::<8>()
            .0
            .iter()
            .zip(self.below.as_chunks::<8>().0);
        for (word, (above, below)) in self.row.as_chunks_mut::<8>().0.iter_mut().zip(words) {
            *word =
                blend(u64::from_le_bytes(*above), u64::from_le_bytes(*below), part).to_le_bytes();
        }
        &mut self.row
    }
}

/// Each of eight bytes: `part` eighths of `below` and the rest of `above`.
fn blend(above: u64, below: u64, part: u64) -> u64 {
    /// Every second byte, with room above it: 255 x 8 needs eleven bits.
    const LANES: u64 = 0x00ff_00ff_00ff_00ff;
    let lanes = |above: u64, below: u64| {
        ((above & LANES) * (8 - part) + (below & LANES) * part) >> 3 & LANES
    };
    lanes(above, below) | lanes(above >> 8, below >> 8) << 8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_blended_apart_from_each_other() {
        let (above, below) = (
            [0, 255, 8, 16, 255, 255, 0, 100],
            [255, 0, 16, 8, 255, 0, 0, 200],
        );
        for part in 0..8_u32 {
            let blended = blend(
                u64::from_le_bytes(above),
                u64::from_le_bytes(below),
                part.into(),
            )
            .to_le_bytes();
            for (byte, blended) in blended.into_iter().enumerate() {
                let expected =
                    (u32::from(above[byte]) * (8 - part) + u32::from(below[byte]) * part) / 8;
                assert_eq!(u32::from(blended), expected, "part {part}, byte {byte}");
            }
        }
    }

    #[test]
    fn a_grid_without_variation_is_its_gradient_at_every_size() {
        for (width, height) in [(1, 1), (7, 300), (640, 9), (333, 222)] {
            let grid = Grid::noise(
                width,
                height,
                &[Tone {
                    top: 200,
                    bottom: 0,
                    variation: 0,
                    ceiling: 239,
                }; 3],
                1,
            );
            let mut rows = grid.rows();
            let first = rows.interpolate(0).to_vec();
            assert!(
                first.len() >= width as usize * 3
                    && first.iter().take(width as usize * 3).all(|&v| v == 200)
            );
            let last = rows.interpolate(height - 1)[0];
            assert!(height < 16 || last < 100, "{width}x{height}: {last}");
        }
    }
}
