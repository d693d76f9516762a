//! The arithmetic of resizing: weights of a filter, and passes that apply them along one axis.
//!
//! Knows rows of bytes and nothing of colours. Loops are written so that the compiler makes vector instructions of them.

use crate::{Size, bytes::round_to_byte};

/// Half the width of the Lanczos3 kernel, in pixels of the smaller picture.
const SUPPORT: f64 = 3.0;

/// How much of its neighbours a block's mean has too much in it, against a sample that Lanczos3 would have made. Found by
/// quality over a sweep of factors.
const DROOP: f64 = 0.055;

/// A stretch of an axis, in pixels of the source.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    begin: f64,
    /// Its length.
    pub length: f64,
}

impl Span {
    /// A `share` (0 to 1) of an axis that is `side` long. `focus` says how much of the rest lies before it.
    pub(crate) fn part(side: f64, share: f64, focus: f64) -> Self {
        let length = (side * share).min(side);
        Self {
            begin: (side - length) * focus,
            length,
        }
    }

    /// The same stretch after blocks of `block` pixels became one.
    pub(crate) fn shrunk(self, block: u32) -> Self {
        Self {
            begin: self.begin / f64::from(block),
            length: self.length / f64::from(block),
        }
    }
}

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

/// For each pixel of the result: where its source pixels begin and how much each counts. The weights of one add up to 1.
pub(crate) struct Weights {
    /// Begin in the source, and begin and end in `values`.
    ranges: Vec<(usize, usize, usize)>,
    values: Vec<f32>,
}

impl Weights {
    /// Lanczos3 from `span` of a source that is `side` long to `target` pixels. When enlarging, the kernel interpolates;
    /// when shrinking, it is stretched so that it averages. `exact` is how much of `target` the span covers: half a pixel
    /// less at most. `droop` is for sources of block means.
    pub(crate) fn lanczos3(span: Span, side: u32, target: u32, exact: f64, droop: bool) -> Self {
        let scale = span.length / exact;
        let stretch = scale.max(1.0);
        let (extra, correction) = if droop { (1.0, DROOP) } else { (0.0, 0.0) };
        let reach = SUPPORT * stretch + extra;
        let mut weights = Self {
            ranges: Vec::with_capacity(target as usize),
            values: Vec::new(),
        };
        for x in 0..target {
            let centre = span.begin + (f64::from(x) + 0.5) * scale;
            let first = (centre - reach).floor().clamp(0.0, f64::from(side) - 1.0) as usize;
            let last = ((centre + reach).ceil() as usize).clamp(first + 1, side.max(1) as usize);
            let first = first.min(last - 1);
            let begin = weights.values.len();
            let before = (first as f64 - 0.5 - centre) / stretch;
            let mut kernel = Kernel::new(before, 1.0 / stretch);
            let (mut left, mut middle) = (kernel.next(), kernel.next());
            for _ in first..last {
                let right = kernel.next();
                let value = (1.0 + 2.0 * correction) * middle - correction * (left + right);
                weights.values.push(value as f32);
                (left, middle) = (middle, right);
            }
            let taps = &mut weights.values[begin..];
            let sum: f32 = taps.iter().sum();
            if sum.abs() > f32::EPSILON {
                for weight in taps.iter_mut() {
                    *weight /= sum;
                }
            } else {
                // Cannot happen with a kernel that is 1 in its middle; the nearest pixel would be right.
                taps[0] = 1.0;
            }
            weights.ranges.push((first, begin, weights.values.len()));
        }
        weights
    }

    fn of(&self, index: usize) -> (usize, &[f32]) {
        let (first, begin, end) = self.ranges[index];
        (first, &self.values[begin..end])
    }
}

/// sinc(x) sinc(x / 3) within three pixels of the middle, at equal steps.
///
/// The sines follow from those of the step before: a rotation by a fixed angle each.
struct Kernel {
    x: f64,
    step: f64,
    fast: Rotation,
    slow: Rotation,
}

impl Kernel {
    fn new(x: f64, step: f64) -> Self {
        let pi = std::f64::consts::PI;
        Self {
            x,
            step,
            fast: Rotation::new(pi * x, pi * step),
            slow: Rotation::new(pi * x / SUPPORT, pi * step / SUPPORT),
        }
    }

    /// The value at the next position.
    fn next(&mut self) -> f64 {
        let angle = std::f64::consts::PI * self.x;
        let value = if self.x.abs() < 1e-6 {
            1.0
        } else if self.x.abs() >= SUPPORT {
            0.0
        } else {
            SUPPORT * self.fast.sine * self.slow.sine / (angle * angle)
        };
        self.x += self.step;
        self.fast.turn();
        self.slow.turn();
        value
    }
}

/// Sine and cosine of an angle that grows by a fixed step.
struct Rotation {
    sine: f64,
    cosine: f64,
    step: (f64, f64),
}

impl Rotation {
    fn new(angle: f64, step: f64) -> Self {
        let (sine, cosine) = angle.sin_cos();
        Self {
            sine,
            cosine,
            step: step.sin_cos(),
        }
    }

    fn turn(&mut self) {
        let (sine, cosine) = self.step;
        (self.sine, self.cosine) = (
            self.sine * cosine + self.cosine * sine,
            self.cosine * cosine - self.sine * sine,
        );
    }
}

/// Filters downwards: each row of `target` is a weighted sum of rows of `source`.
pub(crate) fn columns(source: Rows, target: &mut [u8], weights: &Weights) {
    let mut sums = vec![0.0f32; source.length];
    for (y, target) in target.chunks_exact_mut(source.length).enumerate() {
        let (mut row, taps) = weights.of(y);
        sums.fill(0.0);
        // Four rows at a time: the sums are read and written once for all of them.
        let (quads, rest) = taps.as_chunks::<4>();
        for quad in quads {
            let [a, b, c, d] = [0, 1, 2, 3].map(|i| source.row(row + i));
            for ((((sum, a), b), c), d) in sums.iter_mut().zip(a).zip(b).zip(c).zip(d) {
                *sum += quad[0] * f32::from(*a)
                    + quad[1] * f32::from(*b)
                    + quad[2] * f32::from(*c)
                    + quad[3] * f32::from(*d);
            }
            row += 4;
        }
        for weight in rest {
            for (sum, value) in sums.iter_mut().zip(source.row(row)) {
                *sum += weight * f32::from(*value);
            }
            row += 1;
        }
        for (value, sum) in target.iter_mut().zip(&sums) {
            *value = round_to_byte(*sum);
        }
    }
}

/// One vector: the channels of a pixel, or the same pixel of several rows.
type Lanes = [f32; 4];

/// Filters along each row of pixels of `C` channels; `target` has rows without gaps.
pub(crate) fn rows<const C: usize>(source: Rows, target: &mut [u8], weights: &Weights) {
    let width = weights.ranges.len();
    let mut lanes = vec![Lanes::default(); source.length / C];
    if C == 1 {
        // Four rows at a time; what is missing of the last four is the last row again.
        let last = source.count() - 1;
        for (band, target) in target.chunks_mut(4 * width).enumerate() {
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
        return;
    }
    for (y, target) in target.chunks_exact_mut(width * C).enumerate() {
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
) {
    let mut sums = vec![0u32; source.length];
    let targets = target.chunks_exact_mut(shrunk.width as usize * C);
    for (band, target) in targets.enumerate() {
        sums.fill(0);
        let first = band as u32 * block_height;
        let last = (first + block_height).min(height);
        for y in first..last {
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
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn the_weights_of_a_pixel_add_up_to_one() {
        for (side, target) in [
            (1, 1),
            (1, 9),
            (9, 1),
            (1000, 333),
            (333, 1000),
            (16_384, 3),
        ] {
            for droop in [false, true] {
                let span = Span::part(f64::from(side) - 0.4, 1.0, 0.5);
                let weights = Weights::lanczos3(span, side, target, f64::from(target) - 0.5, droop);
                for x in 0..target as usize {
                    let (first, taps) = weights.of(x);
                    let sum: f32 = taps.iter().sum();
                    assert!((sum - 1.0).abs() < 1e-4, "{side} -> {target}");
                    assert!(first + taps.len() <= side as usize, "{side} -> {target}");
                }
            }
        }
    }

    #[test]
    fn a_part_of_an_axis_lies_where_the_focus_is() {
        for (focus, begin) in [(0.0, 0.0), (0.5, 37.5), (1.0, 75.0)] {
            let span = Span::part(100.0, 0.25, focus);
            assert!((span.begin - begin).abs() < 1e-9 && (span.length - 25.0).abs() < 1e-9);
        }
    }

    #[test]
    fn the_same_size_changes_nothing() {
        let source: Vec<u8> = (0..30).map(|n| n * 8).collect();
        let mut target = vec![0; 30];
        rows::<3>(packed(&source, 30), &mut target, &whole(10, 10));
        assert_eq!(target, source);
        rows::<1>(packed(&source, 10), &mut target, &whole(10, 10));
        assert_eq!(target, source);
        columns(packed(&source, 3), &mut target, &whole(10, 10));
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
        rows::<1>(gap, &mut target, &whole(2, 2));
        assert_eq!(target, [10, 20, 30, 40]);
        columns(gap, &mut target, &whole(2, 2));
        assert_eq!(target, [10, 20, 30, 40]);
    }

    #[test]
    fn an_edge_neither_wraps_nor_leaves_the_range() {
        let source = [[0; 8], [255; 8]].concat();
        let mut target = vec![0; 32];
        rows::<1>(packed(&source, 16), &mut target, &whole(16, 32));
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
        shrink::<1>(packed(&source, 3), &mut target, shrunk, 3, (2, 2));
        assert_eq!(target, [25, 40, 8, 200]);
    }
}
