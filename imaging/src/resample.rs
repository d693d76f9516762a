//! The arithmetic of resizing: weights of a filter, and passes that apply them along one axis.
//!
//! Knows rows of bytes and nothing of colours. Loops are written so that the compiler makes vector instructions of them.

use crate::Size;

/// Half the width of the Lanczos3 kernel, in pixels of the smaller picture.
const SUPPORT: f64 = 3.0;

/// A stretch of an axis, in pixels of the source.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    begin: f64,
    /// Its length.
    pub length: f64,
}

impl Span {
    /// The middle `share` (0 to 1) of an axis.
    pub(crate) fn middle(side: u32, share: f64) -> Self {
        let side = f64::from(side);
        let length = (side * share).min(side);
        Self {
            begin: (side - length) / 2.0,
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

/// For each pixel of the result: where its source pixels begin and how much each counts. The weights of one add up to 1.
pub(crate) struct Weights {
    /// Begin in the source, and begin and end in `values`.
    ranges: Vec<(usize, usize, usize)>,
    values: Vec<f32>,
}

impl Weights {
    /// Lanczos3 from `span` of a source that is `side` long to `target` pixels. When enlarging, the kernel interpolates;
    /// when shrinking, it is stretched so that it averages.
    pub(crate) fn lanczos3(span: Span, side: u32, target: u32) -> Self {
        let scale = span.length / f64::from(target);
        let stretch = scale.max(1.0);
        let reach = SUPPORT * stretch;
        let mut weights = Self {
            ranges: Vec::with_capacity(target as usize),
            values: Vec::new(),
        };
        for x in 0..target {
            let centre = span.begin + (f64::from(x) + 0.5) * scale;
            let first = (centre - reach).floor().max(0.0) as usize;
            let last = ((centre + reach).ceil() as usize).clamp(first + 1, side.max(1) as usize);
            let first = first.min(last - 1);
            let begin = weights.values.len();
            let raw = (first..last).map(|i| kernel((i as f64 + 0.5 - centre) / stretch));
            weights.values.extend(raw.map(|weight| weight as f32));
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

/// sinc(x) sinc(x / 3) within three pixels of the middle.
fn kernel(x: f64) -> f64 {
    if x.abs() < 1e-9 {
        return 1.0;
    }
    if x.abs() >= SUPPORT {
        return 0.0;
    }
    let angle = std::f64::consts::PI * x;
    SUPPORT * angle.sin() * (angle / SUPPORT).sin() / (angle * angle)
}

/// Filters downwards: each row of `target` is a weighted sum of rows of `source`. Rows are `stride` bytes.
pub(crate) fn columns(source: &[u8], target: &mut [u8], stride: usize, weights: &Weights) {
    let mut sum = vec![0.0f32; stride];
    for (y, row) in target.chunks_exact_mut(stride).enumerate() {
        let (first, taps) = weights.of(y);
        sum.fill(0.5);
        for (source, &weight) in source.chunks_exact(stride).skip(first).zip(taps) {
            for (sum, &value) in sum.iter_mut().zip(source) {
                *sum += weight * f32::from(value);
            }
        }
        for (value, &sum) in row.iter_mut().zip(&sum) {
            // Saturates at both ends.
            *value = sum as u8;
        }
    }
}

/// Filters along each row of `width` pixels of `C` channels.
pub(crate) fn rows<const C: usize>(
    source: &[u8],
    target: &mut [u8],
    width: u32,
    weights: &Weights,
) {
    let stride = width as usize * C;
    let target_stride = weights.ranges.len() * C;
    // Four lanes for each pixel, whatever its channels: that is one vector.
    let mut lanes = vec![[0.0f32; 4]; width as usize];
    for (source, target) in source
        .chunks_exact(stride)
        .zip(target.chunks_exact_mut(target_stride))
    {
        for (lane, pixel) in lanes.iter_mut().zip(source.as_chunks::<C>().0) {
            for (lane, &value) in lane.iter_mut().zip(pixel) {
                *lane = f32::from(value);
            }
        }
        for (x, pixel) in target.as_chunks_mut::<C>().0.iter_mut().enumerate() {
            let (first, taps) = weights.of(x);
            let mut sum = [0.5f32; 4];
            for (lane, &weight) in lanes[first..].iter().zip(taps) {
                for (sum, value) in sum.iter_mut().zip(lane) {
                    *sum += weight * value;
                }
            }
            for (value, sum) in pixel.iter_mut().zip(sum) {
                *value = sum as u8;
            }
        }
    }
}

/// Averages blocks of pixels; the last of a row or column may be cut off by the edge.
pub(crate) fn shrink<const C: usize>(
    source: &[u8],
    size: Size,
    target: &mut [u8],
    shrunk: Size,
    (block_width, block_height): (u32, u32),
) {
    let stride = size.width as usize * C;
    let block_width = block_width as usize;
    let mut sums = vec![0u32; stride];
    let bands = source.chunks(stride * block_height as usize);
    for (band, row) in bands.zip(target.chunks_exact_mut(shrunk.width as usize * C)) {
        sums.fill(0);
        for source in band.chunks_exact(stride) {
            for (sum, &value) in sums.iter_mut().zip(source) {
                *sum += u32::from(value);
            }
        }
        let height = band.len() / stride;
        let blocks = sums.as_chunks::<C>().0.chunks(block_width);
        for (block, pixel) in blocks.zip(row.as_chunks_mut::<C>().0) {
            let count = (block.len() * height) as u32;
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
            let weights = Weights::lanczos3(Span::middle(side, 1.0), side, target);
            for x in 0..target as usize {
                let (first, taps) = weights.of(x);
                assert!(
                    (taps.iter().sum::<f32>() - 1.0).abs() < 1e-4,
                    "{side} -> {target}"
                );
                assert!(first + taps.len() <= side as usize, "{side} -> {target}");
            }
        }
    }

    #[test]
    fn the_same_size_changes_nothing() {
        let source: Vec<u8> = (0..30).map(|n| n * 8).collect();
        let weights = Weights::lanczos3(Span::middle(10, 1.0), 10, 10);
        let mut target = vec![0; 30];
        rows::<3>(&source, &mut target, 10, &weights);
        assert_eq!(target, source);
        columns(&source, &mut target, 3, &weights);
        assert_eq!(target, source);
    }

    #[test]
    fn an_edge_neither_wraps_nor_leaves_the_range() {
        let source = [[0; 8], [255; 8]].concat();
        let weights = Weights::lanczos3(Span::middle(16, 1.0), 16, 32);
        let mut target = vec![0; 32];
        rows::<1>(&source, &mut target, 16, &weights);
        assert_eq!((target[0], target[31]), (0, 255));
        assert!(target[..14].iter().all(|&value| value < 60), "{target:?}");
    }

    #[test]
    fn a_block_cut_off_by_the_edge_is_the_mean_of_what_there_is() {
        let size = Size {
            width: 3,
            height: 3,
        };
        let shrunk = Size {
            width: 2,
            height: 2,
        };
        let mut target = [0; 4];
        shrink::<1>(
            &[10, 20, 30, 30, 40, 50, 7, 9, 200],
            size,
            &mut target,
            shrunk,
            (2, 2),
        );
        assert_eq!(target, [25, 40, 8, 200]);
    }
}
