//! The passes of a resize: each applies weights along one axis.
//!
//! Knows rows of bytes and nothing of colours. Columns use vector types; the other loops are written so that the compiler makes
//! vector instructions of them.

use wide::{i16x8, i16x16, i32x8, u8x16};

use crate::{
    Error, Meter, Size,
    bytes::round_to_byte,
    weights::{FIXED_BITS, Weights},
};

/// Rows of bytes, with anything behind each of them.
#[derive(Clone, Copy)]
pub(crate) struct Rows<'a> {
    pub bytes: &'a [u8],
    /// Bytes from one row to the next.
    pub stride: usize,
    /// Bytes of a row that count.
    pub length: usize,
}

impl<'a> Rows<'a> {
    fn row(self, y: usize) -> &'a [u8] {
        &self.bytes[y * self.stride..][..self.length]
    }

    fn count(self) -> usize {
        (self.bytes.len() + self.stride - self.length) / self.stride
    }
}

/// Bytes that are filtered downwards at a time.
const ACROSS: usize = 16;

/// Filters downwards: each row of `target` is a weighted sum of rows of `source`.
///
/// In fixed point: two rows are multiplied and added by one instruction, twice as fast as in floating point.
pub(crate) fn columns(
    source: Rows,
    target: &mut [u8],
    weights: &Weights,
    meter: &Meter,
) -> Result<(), Error> {
    let mut sums = vec![[i32x8::ZERO; 2]; source.length.div_ceil(ACROSS)];
    for (y, target) in target.chunks_exact_mut(source.length).enumerate() {
        let (mut row, taps) = weights.fixed(y);
        meter.step((source.length * (1 + taps.len() / ACROSS)) as u64)?;
        sums.fill([i32x8::splat(1 << (FIXED_BITS - 1)); 2]);
        // Four rows at a time: the sums are read and written once for all of them.
        let (quads, rest) = taps.as_chunks::<4>();
        for quad in quads {
            add(&mut sums, [0, 1, 2, 3].map(|i| source.row(row + i)), *quad);
            row += 4;
        }
        for weight in rest {
            add(&mut sums, [source.row(row), source.row(row)], [*weight, 0]);
            row += 1;
        }
        for (values, [low, high]) in target.chunks_mut(ACROSS).zip(&sums) {
            let [low, high] =
                [low, high].map(|sums| i16x8::from_i32x8_saturate(*sums >> FIXED_BITS));
            let rounded = u8x16::narrow_i16x8(low, high).to_array();
            values.copy_from_slice(&rounded[..values.len()]);
        }
    }
    Ok(())
}

/// Adds an even number of rows, each times its weight.
#[inline(always)]
fn add<const R: usize>(sums: &mut [[i32x8; 2]], rows: [&[u8]; R], weights: [i16; R]) {
    let pairs: [i16x16; R] = std::array::from_fn(|pair| {
        let [even, odd] = [0, 1].map(|row| weights[(2 * pair + row) % R]);
        i16x16::new(std::array::from_fn(
            |at| if at % 2 == 0 { even } else { odd },
        ))
    });
    let whole = rows.map(|row| row.as_chunks::<ACROSS>().0);
    let (inside, edge) = sums.split_at_mut(whole[0].len());
    for (x, sums) in inside.iter_mut().enumerate() {
        accumulate(sums, whole.map(|row| row[x]), &pairs);
    }
    if let [sums] = edge {
        let rows = rows.map(|row| {
            let mut padded = [0; ACROSS];
            let rest = row.as_chunks::<ACROSS>().1;
            padded[..rest.len()].copy_from_slice(rest);
            padded
        });
        accumulate(sums, rows, &pairs);
    }
}

#[inline(always)]
fn accumulate<const R: usize>(
    [low, high]: &mut [i32x8; 2],
    rows: [[u8; ACROSS]; R],
    weights: &[i16x16; R],
) {
    for pair in 0..R / 2 {
        let [a, b] = [0, 1].map(|row| u8x16::new(rows[2 * pair + row]));
        *low += i16x16::from(u8x16::unpack_low(a, b)).dot(weights[pair]);
        *high += i16x16::from(u8x16::unpack_high(a, b)).dot(weights[pair]);
    }
}

/// One vector: the channels of a pixel, or the same pixel of several rows.
type Lanes = [f32; 4];

/// Filters along each row of pixels of `C` channels; `target` has rows without gaps.
pub(crate) fn rows<const C: usize>(
    source: Rows,
    target: &mut [u8],
    weights: &Weights,
    meter: &Meter,
) -> Result<(), Error> {
    let width = weights.count();
    let mut lanes = vec![Lanes::default(); source.length / C];
    if C == 1 {
        // Four rows at a time; what is missing of the last four is the last row again.
        let last = source.count() - 1;
        for (band, target) in target.chunks_mut(4 * width).enumerate() {
            meter.step(4 * source.length.max(width) as u64)?;
            let rows = [0, 1, 2, 3].map(|i| source.row((4 * band + i).min(last)));
            let [a, b, c, d] = rows;
            for ((((lanes, a), b), c), d) in lanes.iter_mut().zip(a).zip(b).zip(c).zip(d) {
                *lanes = [*a, *b, *c, *d].map(f32::from);
            }
            for x in 0..width {
                let sums = weighted_sum(&lanes, weights.of(x));
                for (row, sum) in target.chunks_exact_mut(width).zip(sums) {
                    row[x] = round_to_byte(sum);
                }
            }
        }
        return Ok(());
    }
    for (y, target) in target.chunks_exact_mut(width * C).enumerate() {
        meter.step(source.length.max(width * C) as u64)?;
        for (lanes, pixel) in lanes.iter_mut().zip(source.row(y).as_chunks::<C>().0) {
            for (lane, value) in lanes.iter_mut().zip(pixel) {
                *lane = f32::from(*value);
            }
        }
        for (x, pixel) in target.as_chunks_mut::<C>().0.iter_mut().enumerate() {
            let sums = weighted_sum(&lanes, weights.of(x));
            for (value, sum) in pixel.iter_mut().zip(sums) {
                *value = round_to_byte(sum);
            }
        }
    }
    Ok(())
}

/// Four sums that do not wait for each other, then their sum.
#[inline(always)]
fn weighted_sum(lanes: &[Lanes], (first, taps): (usize, &[f32])) -> Lanes {
    let mut sums = [Lanes::default(); 4];
    let (lanes, rest_of_lanes) = lanes[first..first + taps.len()].as_chunks::<4>();
    let (taps, rest_of_taps) = taps.as_chunks::<4>();
    for (lanes, taps) in lanes.iter().zip(taps) {
        for ((sum, lanes), weight) in sums.iter_mut().zip(lanes).zip(taps) {
            for (sum, value) in sum.iter_mut().zip(lanes) {
                *sum += weight * value;
            }
        }
    }
    for ((sum, lanes), weight) in sums.iter_mut().zip(rest_of_lanes).zip(rest_of_taps) {
        for (sum, value) in sum.iter_mut().zip(lanes) {
            *sum += weight * value;
        }
    }
    std::array::from_fn(|lane| (sums[0][lane] + sums[1][lane]) + (sums[2][lane] + sums[3][lane]))
}

/// Averages blocks of pixels; the last of a row or column may be cut off by the edge.
pub(crate) fn shrink<const C: usize>(
    source: Rows,
    target: &mut [u8],
    shrunk: Size,
    height: u32,
    (block_width, block_height): (u32, u32),
    meter: &Meter,
) -> Result<(), Error> {
    let mut sums = vec![0u32; source.length];
    let targets = target.chunks_exact_mut(shrunk.width as usize * C);
    for (band, target) in targets.enumerate() {
        sums.fill(0);
        let first = band as u32 * block_height;
        let last = (first + block_height).min(height);
        for y in first..last {
            meter.step(source.length as u64)?;
            for (sum, value) in sums.iter_mut().zip(source.row(y as usize)) {
                *sum += u32::from(*value);
            }
        }
        let blocks = sums.as_chunks::<C>().0.chunks(block_width as usize);
        for (block, pixel) in blocks.zip(target.as_chunks_mut::<C>().0) {
            let count = block.len() as u32 * (last - first);
            for (channel, value) in pixel.iter_mut().enumerate() {
                let sum: u32 = block.iter().map(|pixel| pixel[channel]).sum();
                *value = ((sum + count / 2) / count) as u8;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail")]
mod tests {
    use super::*;
    use crate::weights::Span;

    fn whole(side: u32, target: u32) -> Weights {
        let exact = f64::from(target);
        Weights::lanczos3(
            Span::part(f64::from(side), 1.0, 0.5),
            side,
            target,
            exact,
            false,
        )
    }

    const fn packed(bytes: &[u8], length: usize) -> Rows<'_> {
        Rows {
            bytes,
            stride: length,
            length,
        }
    }

    #[test]
    fn the_same_size_changes_nothing() {
        let source: Vec<u8> = (0..30).map(|n| n * 8).collect();
        let mut target = vec![0; 30];
        rows::<3>(
            packed(&source, 30),
            &mut target,
            &whole(10, 10),
            &Meter::default(),
        )
        .unwrap();
        assert_eq!(target, source);
        rows::<1>(
            packed(&source, 10),
            &mut target,
            &whole(10, 10),
            &Meter::default(),
        )
        .unwrap();
        assert_eq!(target, source);
        columns(
            packed(&source, 3),
            &mut target,
            &whole(10, 10),
            &Meter::default(),
        )
        .unwrap();
        assert_eq!(target, source);
    }

    #[test]
    fn what_lies_behind_a_row_is_not_read() {
        let gap = Rows {
            bytes: &[10, 20, 255, 255, 30, 40, 255],
            stride: 4,
            length: 2,
        };
        let mut target = vec![0; 4];
        rows::<1>(gap, &mut target, &whole(2, 2), &Meter::default()).unwrap();
        assert_eq!(target, [10, 20, 30, 40]);
        columns(gap, &mut target, &whole(2, 2), &Meter::default()).unwrap();
        assert_eq!(target, [10, 20, 30, 40]);
    }

    #[test]
    fn an_edge_neither_wraps_nor_leaves_the_range() {
        let source = [[0; 8], [255; 8]].concat();
        let mut target = vec![0; 32];
        rows::<1>(
            packed(&source, 16),
            &mut target,
            &whole(16, 32),
            &Meter::default(),
        )
        .unwrap();
        assert_eq!((target[0], target[31]), (0, 255));
        assert!(target[..14].iter().all(|&value| value < 60), "{target:?}");
    }

    #[test]
    fn a_block_cut_off_by_the_edge_is_the_mean_of_what_there_is() {
        let shrunk = Size {
            width: 2,
            height: 2,
        };
        let mut target = [0; 4];
        let source = [10, 20, 30, 30, 40, 50, 7, 9, 200];
        shrink::<1>(
            packed(&source, 3),
            &mut target,
            shrunk,
            3,
            (2, 2),
            &Meter::default(),
        )
        .unwrap();
        assert_eq!(target, [25, 40, 8, 200]);
    }
}
