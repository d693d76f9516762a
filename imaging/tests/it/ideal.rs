//! Pictures in real numbers, and the plain and slow way to make one smaller that the pipeline is measured against.

use std::f64::consts::PI;

use imaging::Size;

use crate::make::{Paint, Pixels, paint, size};

/// Levels of 0 to 255, not rounded.
#[derive(Clone)]
pub(crate) struct Picture {
    pub size: Size,
    pub rgb: Vec<[f64; 3]>,
}

/// How far two pictures are apart, in levels, over all channels of all pixels.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Difference {
    pub max: f64,
    pub mean: f64,
    /// Root of the mean square.
    rms: f64,
}

impl Picture {
    pub(crate) fn of(pixels: &Pixels) -> Self {
        let rgb = pixels.iter().map(|[r, g, b, _]| [r, g, b].map(f64::from));
        Self {
            size: pixels.size,
            rgb: rgb.collect(),
        }
    }

    pub(crate) fn painted(size: Size, picture: Paint) -> Self {
        let samples = paint::<3>(size, picture);
        let pixels = samples.as_chunks::<3>().0.iter();
        Self {
            size,
            rgb: pixels.map(|pixel| pixel.map(f64::from)).collect(),
        }
    }

    /// The ideal smaller picture: Lanczos with three lobes, scaled to the target's pixels, one axis after the other.
    pub(crate) fn resized(&self, target: Size) -> Self {
        let Size { width, height } = self.size;
        self.resized_from((width.into(), height.into()), target)
    }

    /// The same of a picture whose last column and row are only partly there: `extent` is how many are.
    pub(crate) fn resized_from(&self, extent: (f64, f64), target: Size) -> Self {
        let narrow = self.resized_rows(extent.0, target.width).transposed();
        narrow.resized_rows(extent.1, target.height).transposed()
    }

    /// As it is when written with eight bits a channel.
    pub(crate) fn rounded(mut self) -> Self {
        for pixel in &mut self.rgb {
            *pixel = pixel.map(|level| level.clamp(0.0, 255.0).round());
        }
        self
    }

    pub(crate) fn difference(&self, other: &Self) -> Difference {
        assert_eq!(self.size, other.size);
        let levels = self.rgb.as_flattened().iter();
        let pairs = levels.zip(other.rgb.as_flattened());
        let (max, sum, squares) = pairs.map(|(a, b)| (a - b).abs()).fold(
            (0.0, 0.0, 0.0),
            |(max, sum, squares): (f64, f64, f64), d| (max.max(d), sum + d, squares + d * d),
        );
        let count = self.rgb.as_flattened().len() as f64;
        Difference {
            max,
            mean: sum / count,
            rms: (squares / count).sqrt(),
        }
    }

    /// Pixels of which some channel differs by more than `levels`, as their coordinates.
    pub(crate) fn differing(&self, other: &Self, levels: f64) -> Vec<(u32, u32)> {
        assert_eq!(self.size, other.size);
        let far =
            |(a, b): (&[f64; 3], &[f64; 3])| a.iter().zip(b).any(|(a, b)| (a - b).abs() > levels);
        let indices = self
            .rgb
            .iter()
            .zip(&other.rgb)
            .enumerate()
            .filter(|(_, pair)| far(*pair));
        let width = self.size.width;
        indices
            .map(|(index, _)| (index as u32 % width, index as u32 / width))
            .collect()
    }

    fn resized_rows(&self, extent: f64, width: u32) -> Self {
        let kernels: Vec<Kernel> = (0..width)
            .map(|x| Kernel::new(x, extent, self.size.width, width))
            .collect();
        let rows = self.rgb.chunks_exact(self.size.width as usize);
        let rgb = rows.flat_map(|row| kernels.iter().map(|kernel| kernel.apply(row)));
        Self {
            size: size(width, self.size.height),
            rgb: rgb.collect(),
        }
    }

    fn transposed(&self) -> Self {
        let Size { width, height } = self.size;
        let (columns, width) = (0..width as usize, width as usize);
        let rgb = columns.flat_map(|x| self.rgb.iter().skip(x).step_by(width).copied());
        Self {
            rgb: rgb.collect(),
            size: size(height, self.size.width),
        }
    }
}

impl Difference {
    /// Peak signal-to-noise ratio, in decibels.
    pub(crate) fn psnr(&self) -> f64 {
        20.0 * (255.0 / self.rms).log10()
    }
}

/// The pixels that make one pixel, from `first` on, and how much each counts.
struct Kernel {
    first: usize,
    weights: Vec<f64>,
}

impl Kernel {
    /// For the pixel `at` of `target` pixels made of `extent` out of `source` ones. Beyond the edges there is nothing to
    /// count.
    fn new(at: u32, extent: f64, source: u32, target: u32) -> Self {
        let scale = extent / f64::from(target);
        let reach = 3.0 * scale.max(1.0);
        let center = (f64::from(at) + 0.5) * scale;
        let first = (center - reach).max(0.0) as usize;
        let last = ((center + reach).ceil() as usize).min(source as usize);
        let weight = |index: usize| lanczos((index as f64 + 0.5 - center) / scale.max(1.0));
        let weights: Vec<f64> = (first..last).map(weight).collect();
        let sum: f64 = weights.iter().sum();
        Self {
            first,
            weights: weights.into_iter().map(|weight| weight / sum).collect(),
        }
    }

    fn apply(&self, row: &[[f64; 3]]) -> [f64; 3] {
        let pixels = row[self.first..].iter().zip(&self.weights);
        pixels.fold([0.0; 3], |[r, g, b], (pixel, weight)| {
            [
                r + pixel[0] * weight,
                g + pixel[1] * weight,
                b + pixel[2] * weight,
            ]
        })
    }
}

fn lanczos(x: f64) -> f64 {
    let sinc = |x: f64| {
        if x == 0.0 {
            1.0
        } else {
            (PI * x).sin() / (PI * x)
        }
    };
    if x.abs() < 3.0 {
        sinc(x) * sinc(x / 3.0)
    } else {
        0.0
    }
}
