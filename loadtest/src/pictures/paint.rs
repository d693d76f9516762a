//! Paints: a background and a foreground of layered noise over a gradient, hard-edged shapes in which the foreground shows,
//! and grain over all.
//!
//! Only integers are used, so that the same seed gives the same pixels on every machine. Noise is made on a coarse grid;
//! the full-size rows are interpolated from it eight bytes at a time, so that a build without optimisation is quick enough.

use super::grid::{Grid, Tone};
use crate::mix::{Sequence, mix};

/// Painted values stay at or below this, so that grain of four bits never overflows a byte.
const BRIGHTEST: i32 = 239;

/// What a picture is made of besides its size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Layers {
    /// With an alpha channel, in which the background has holes.
    pub(super) alpha: bool,
    /// Bits of grain in each colour channel, at most 4.
    pub(super) grain_bits: u32,
}

/// A finished picture, 8 bits a channel, 3 or 4 channels, rows without padding.
pub(super) struct Painting {
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) pixels: Vec<u8>,
}

pub(super) fn paint(width: u32, height: u32, layers: Layers, seed: u64) -> Painting {
    let channels = if layers.alpha { 4 } else { 3 };
    let background = Grid::noise(
        width,
        height,
        &tones(mix(seed, 1), layers.alpha.then_some(150)),
        mix(seed, 1),
    );
    let foreground = Grid::noise(
        width,
        height,
        &tones(mix(seed, 2), layers.alpha.then_some(0)),
        mix(seed, 2),
    );
    let mut draw = Sequence::new(mix(seed, 3));
    let count = 6 + draw.below(5);
    let shapes: Vec<Shape> = (0..count)
        .map(|_| Shape::draw(&mut draw, width, height))
        .collect();
    let mut grain = Grain::new(layers, mix(seed, 4));
    let (mut row, mut front) = (background.rows(), foreground.rows());
    let mut pixels = Vec::with_capacity(width as usize * height as usize * channels);
    for y in 0..height {
        let row = row.interpolate(y);
        let spans: Vec<(usize, usize)> = shapes
            .iter()
            .filter_map(|shape| shape.span(y, width))
            .collect();
        if !spans.is_empty() {
            let front_row = front.interpolate(y);
            for (begin, end) in spans
                .into_iter()
                .map(|(begin, end)| (begin * channels, end * channels))
            {
                row[begin..end].copy_from_slice(&front_row[begin..end]);
            }
        }
        grain.add_to(row);
        pixels.extend_from_slice(&row[..width as usize * channels]);
    }
    Painting {
        width,
        height,
        pixels,
    }
}

/// Two colours for a gradient; with an alpha channel, how far that one varies.
fn tones(seed: u64, alpha_variation: Option<i32>) -> Vec<Tone> {
    let mut draw = Sequence::new(mix(seed, 99));
    let mut shade = || draw.between(30, 210) as i32;
    let mut tones: Vec<Tone> = (0..3)
        .map(|_| Tone {
            top: shade(),
            bottom: shade(),
            variation: 70,
            ceiling: BRIGHTEST,
        })
        .collect();
    tones.extend(alpha_variation.map(|variation| Tone {
        top: if variation == 0 { 255 } else { 190 },
        bottom: if variation == 0 { 255 } else { 190 },
        variation,
        ceiling: 255,
    }));
    tones
}

/// A shape with hard edges, in pixels.
enum Shape {
    Disc {
        x: i64,
        y: i64,
        radius: i64,
    },
    /// A bar that leans: at row y it begins at `x + (y - top) * lean / 256`.
    Bar {
        x: i64,
        width: i64,
        top: i64,
        bottom: i64,
        lean: i64,
    },
}

impl Shape {
    fn draw(draw: &mut Sequence, width: u32, height: u32) -> Self {
        let (width, height) = (i64::from(width), i64::from(height));
        if draw.below(2) == 0 {
            let radius = draw.between(height / 24 + 1, height / 5 + 1);
            Self::Disc {
                x: draw.between(0, width),
                y: draw.between(0, height),
                radius,
            }
        } else {
            let top = draw.between(0, height * 3 / 4);
            Self::Bar {
                x: draw.between(0, width),
                width: draw.between(width / 40 + 1, width / 6 + 1),
                top,
                bottom: draw.between(top, height),
                lean: draw.between(-120, 120),
            }
        }
    }

    /// The columns of row `y` that it covers, `None` when there are none.
    fn span(&self, y: u32, width: u32) -> Option<(usize, usize)> {
        let y = i64::from(y);
        let (begin, end) = match *self {
            Self::Disc {
                x,
                y: centre,
                radius,
            } => {
                let rest = u64::try_from(radius * radius - (y - centre) * (y - centre)).ok()?;
                let half = rest.isqrt() as i64;
                (x - half, x + half)
            }
            Self::Bar {
                x,
                width,
                top,
                bottom,
                lean,
            } if (top..bottom).contains(&y) => {
                let begin = x + (y - top) * lean / 256;
                (begin, begin + width)
            }
            Self::Bar { .. } => return None,
        };
        let clip = |x: i64| x.clamp(0, i64::from(width)) as usize;
        (clip(begin) < clip(end)).then(|| (clip(begin), clip(end)))
    }
}

/// A little noise in every colour channel, as a sensor has it.
struct Grain {
    pattern: Vec<u64>,
    at: usize,
}

impl Grain {
    fn new(layers: Layers, seed: u64) -> Self {
        // A prime length, so that the pattern does not line up with the rows.
        const PATTERN: u64 = 8_191;
        let bits = u64::from((1_u8 << layers.grain_bits.min(4)) - 1) * 0x0101_0101_0101_0101;
        // Little-endian words: with alpha, the fourth and eighth byte stay as they are.
        let mask = if layers.alpha {
            bits & 0x00ff_ffff_00ff_ffff
        } else {
            bits
        };
        Self {
            pattern: (0..PATTERN).map(|index| mix(seed, index) & mask).collect(),
            at: 0,
        }
    }

    /// `row` is a whole number of words; none of its colour bytes exceeds [`BRIGHTEST`].
    fn add_to(&mut self, row: &mut [u8]) {
        for word in row.as_chunks_mut::<8>().0 {
            *word = u64::from_le_bytes(*word)
                .wrapping_add(self.pattern[self.at])
                .to_le_bytes();
            self.at += 1;
            if self.at == self.pattern.len() {
                self.at = 0;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(width: u32, height: u32, layers: Layers) -> String {
        let painting = paint(width, height, layers, 42);
        assert_eq!(
            painting.pixels.len(),
            (width * height) as usize * if layers.alpha { 4 } else { 3 }
        );
        blake3::hash(&painting.pixels).to_hex()[..16].to_owned()
    }

    #[test]
    fn the_same_seed_paints_the_same_pixels_on_every_machine() {
        let opaque = hash(
            331,
            217,
            Layers {
                alpha: false,
                grain_bits: 4,
            },
        );
        let see_through = hash(
            331,
            217,
            Layers {
                alpha: true,
                grain_bits: 2,
            },
        );
        assert_eq!(
            (opaque.as_str(), see_through.as_str()),
            ("10f3d9516fee3415", "5062c8be1ef52f6a")
        );
    }

    #[test]
    fn a_painting_has_shades_edges_and_with_alpha_holes() {
        let painting = paint(
            400,
            300,
            Layers {
                alpha: true,
                grain_bits: 2,
            },
            9,
        );
        let alphas: Vec<u8> = painting
            .pixels
            .chunks_exact(4)
            .map(|pixel| pixel[3])
            .collect();
        assert!(alphas.iter().any(|&a| a < 64) && alphas.contains(&255));
        let reds: std::collections::BTreeSet<u8> = painting
            .pixels
            .chunks_exact(4)
            .map(|pixel| pixel[0])
            .collect();
        assert!(reds.len() > 60, "{} shades of red", reds.len());
        let edges = painting
            .pixels
            .chunks_exact(4)
            .zip(painting.pixels.chunks_exact(4).skip(1));
        assert!(edges.filter(|(a, b)| a[1].abs_diff(b[1]) > 30).count() > 50);
    }
}
