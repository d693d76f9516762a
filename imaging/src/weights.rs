//! Which source pixels make a pixel of the result, and how much each counts: Lanczos3.

/// Half the width of the Lanczos3 kernel, in pixels of the smaller picture.
const SUPPORT: f64 = 3.0;

/// How much of its neighbours a block's mean has too much in it, against a sample that Lanczos3 would have made. The
/// best of three that were tried on a photograph of 12 megapixels made 300 wide.
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

/// For each pixel of the result: where its source pixels begin and how much each counts. The weights of one add up to 1.
pub(crate) struct Weights {
    /// Begin in the source, and begin and end in `values`.
    ranges: Vec<(usize, usize, usize)>,
    values: Vec<f32>,
    /// The same in units of one over two to the power of [`FIXED_BITS`].
    fixed: Vec<i16>,
}

/// A weight is between -1 and 2, so that 14 bits behind the point are as many as 16 have room for.
pub(crate) const FIXED_BITS: i32 = 14;

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
            fixed: Vec::new(),
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
            weights.fixed.extend(to_fixed(&weights.values[begin..]));
        }
        weights
    }

    /// How many pixels the result has.
    pub(crate) fn count(&self) -> usize {
        self.ranges.len()
    }

    /// The same in fixed point.
    pub(crate) fn fixed(&self, index: usize) -> (usize, &[i16]) {
        let (first, begin, end) = self.ranges[index];
        (first, &self.fixed[begin..end])
    }

    /// Where the source pixels of a pixel begin, and their weights.
    pub(crate) fn of(&self, index: usize) -> (usize, &[f32]) {
        let (first, begin, end) = self.ranges[index];
        (first, &self.values[begin..end])
    }
}

/// Weights in fixed point. What is rounded off of one is given to the next, so that they add up to 1 as before.
fn to_fixed(weights: &[f32]) -> impl Iterator<Item = i16> {
    let one = (1 << FIXED_BITS) as f32;
    let mut owed = 0.0;
    weights.iter().map(move |weight| {
        let exact = weight * one + owed;
        let rounded = exact.round_ties_even();
        owed = exact - rounded;
        rounded as i16
    })
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
            for droop in [false, true] {
                let span = Span::part(f64::from(side) - 0.4, 1.0, 0.5);
                let weights = Weights::lanczos3(span, side, target, f64::from(target) - 0.5, droop);
                for x in 0..target as usize {
                    let (first, taps) = weights.of(x);
                    let sum: f32 = taps.iter().sum();
                    assert!((sum - 1.0).abs() < 1e-4, "{side} -> {target}");
                    assert!(first + taps.len() <= side as usize, "{side} -> {target}");
                    let fixed: i32 = weights.fixed(x).1.iter().map(|w| i32::from(*w)).sum();
                    let off = (fixed - (1 << FIXED_BITS)).abs();
                    assert!(off <= 1, "{side} -> {target}: {fixed}");
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
}
