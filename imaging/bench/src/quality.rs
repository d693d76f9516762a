//! How close a result comes to the ideal, by SSIMULACRA2: 100 is the same, 90 can't be told apart, 70 is good.

use imaging::Size;
use ssimulacra2::{ColorPrimaries, Rgb, TransferCharacteristic, compute_frame_ssimulacra2};

use crate::{
    Result,
    ideal::{Ideal, ideal},
    pixels::Pixels,
};

/// SSIMULACRA2 looks at six scales, each half the last, and leaves out those below 8 pixels; its weights are then those of other
/// scales and the score means nothing (it can be far below 0). Smaller pictures are made this large by mirroring.
const LEAST_SIDE: usize = 8 << 5;

/// What transparent pictures are laid on: a dark grey and a light one, so that no edge goes unseen. The worse counts.
const BACKGROUNDS: [f64; 2] = [0.1, 0.9];

/// One ideal, to judge several results by.
pub(crate) struct Judge {
    ideal: Ideal,
}

impl Judge {
    /// Of results of the size `size`, made of `source`.
    pub(crate) fn new(source: &Pixels, size: Size) -> Self {
        Self {
            ideal: ideal(source, size),
        }
    }

    /// The score of an encoded file. Its size must be the ideal's.
    pub(crate) fn score(&self, file: &[u8]) -> Result<f64> {
        let Ideal {
            size,
            channels,
            ref samples,
        } = self.ideal;
        let result = Pixels::decode(file, channels)?;
        if result.size != size {
            return Err(format!("the result is {:?}, not {size:?}", result.size).into());
        }
        let result = result.samples.iter();
        let result: Vec<f64> = result.map(|&sample| f64::from(sample) / 255.0).collect();
        let backgrounds = if channels == 4 {
            &BACKGROUNDS[..]
        } else {
            &BACKGROUNDS[..1]
        };
        let mut worst = f64::INFINITY;
        for &background in backgrounds {
            let ideal = opaque(samples, channels, background, Alpha::Premultiplied);
            let result = opaque(&result, channels, background, Alpha::Straight);
            worst = worst.min(ssimulacra2(ideal, result, size)?);
        }
        Ok(worst)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Alpha {
    Straight,
    Premultiplied,
}

/// Lays a picture on a background; one without alpha stays as it is.
fn opaque(samples: &[f64], channels: usize, background: f64, kind: Alpha) -> Vec<[f32; 3]> {
    let pixel = |pixel: &[f64]| {
        let alpha = if channels == 4 { pixel[3] } else { 1.0 };
        let own = if kind == Alpha::Straight { alpha } else { 1.0 };
        [pixel[0], pixel[1], pixel[2]].map(|sample| {
            let laid = sample * own + background * (1.0 - alpha);
            laid.clamp(0.0, 1.0) as f32
        })
    };
    samples.chunks_exact(channels).map(pixel).collect()
}

fn ssimulacra2(ideal: Vec<[f32; 3]>, result: Vec<[f32; 3]>, size: Size) -> Result<f64> {
    let rgb = |pixels| {
        let (pixels, width, height) = mirrored(pixels, size.width as usize, size.height as usize);
        Rgb::new(
            pixels,
            width,
            height,
            TransferCharacteristic::SRGB,
            ColorPrimaries::BT709,
        )
    };
    Ok(compute_frame_ssimulacra2(rgb(ideal)?, rgb(result)?)?)
}

/// Sides below [`LEAST_SIDE`] become that long: the picture, its mirror image, the picture again and so on.
fn mirrored(pixels: Vec<[f32; 3]>, width: usize, height: usize) -> (Vec<[f32; 3]>, usize, usize) {
    let (wide, high) = (width.max(LEAST_SIDE), height.max(LEAST_SIDE));
    if (wide, high) == (width, height) {
        return (pixels, width, height);
    }
    let fold = |at: usize, side: usize| {
        let at = at % (2 * side);
        at.min(2 * side - 1 - at)
    };
    let row = |y: usize| {
        let pixels = &pixels;
        let y = fold(y, height);
        (0..wide).map(move |x| pixels[y * width + fold(x, width)])
    };
    ((0..high).flat_map(row).collect(), wide, high)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail")]
mod tests {
    use std::io::Cursor;

    use image::{ImageFormat, RgbaImage};

    use super::*;

    /// Too small for all six scales, with something in it.
    const SIDE: u32 = 40;

    fn picture(of: impl Fn(u32, u32) -> [u8; 4]) -> (Pixels, Vec<u8>) {
        let image = RgbaImage::from_fn(SIDE, SIDE, |x, y| image::Rgba(of(x, y)));
        let mut file = Vec::new();
        let written = image.write_to(&mut Cursor::new(&mut file), ImageFormat::Png);
        written.unwrap();
        (Pixels::decode(&file, 4).unwrap(), file)
    }

    #[test]
    fn a_copy_is_perfect_and_what_is_worse_scores_worse() {
        let wave = |x: u32, y: u32| (f64::from(x * y) / 30.0).sin().mul_add(100.0, 128.0) as u8;
        let size = Size {
            width: SIDE,
            height: SIDE,
        };
        let (source, copy) = picture(|x, y| [wave(x, y), wave(y, 3), 90, 255 - (x * 5) as u8]);
        let judge = Judge::new(&source, size);
        let score = judge.score(&copy).unwrap();
        assert!(score > 99.0, "of a copy: {score}");

        let off = |by: u8| {
            let worse = |x, y| [wave(x, y) ^ by, wave(y, 3), 90, 255 - (x * 5) as u8];
            judge.score(&picture(worse).1).unwrap()
        };
        let (little, much) = (off(4), off(64));
        assert!(score > little && little > much, "{score} {little} {much}");
    }

    #[test]
    fn a_small_picture_is_mirrored() {
        let pixels = vec![[1.0; 3], [2.0; 3], [3.0; 3]];
        let (mirrored, width, height) = mirrored(pixels, 3, 1);
        assert_eq!((width, height), (LEAST_SIDE, LEAST_SIDE));
        let begin: Vec<f32> = mirrored[..8].iter().map(|pixel| pixel[0]).collect();
        assert_eq!(begin, [1.0, 2.0, 3.0, 3.0, 2.0, 1.0, 1.0, 2.0]);
        assert_eq!(mirrored[..width], mirrored[width..2 * width]);
    }
}
