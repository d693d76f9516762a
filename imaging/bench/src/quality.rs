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
