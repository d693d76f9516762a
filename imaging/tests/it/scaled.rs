//! Shapes of JPEG made smaller, against the ideal downscale of the original, and no worse than libjpeg-turbo's own scaled
//! decode followed by that same downscale.

use imaging::{Fidelity, Limits, Operation, OutputFormat, Scratch, Size, render};

use crate::{
    ideal::Picture,
    libjpeg::{COMPONENT, cjpeg, djpeg, require},
    make::{Pixels, size},
    shapes::{assert_none, scene},
};

/// The sides of a 480-pixel-wide picture's renders: one to eight pixels of each block of eight are enough for them,
/// and some sides in between.
const SIDES: [u32; 13] = [24, 40, 60, 75, 80, 100, 120, 150, 160, 200, 240, 280, 320];

/// Of smaller pictures.
const SHAPES: [&[&str]; 8] = [
    &["-sample", "1x1"],
    &["-sample", "2x1"],
    &["-sample", "2x2"],
    &["-sample", "1x2"],
    &["-sample", "4x1"],
    &["-sample", "3x1"],
    &["-sample", "2x2,1x2,2x1"],
    &["-rgb"],
];

/// Decibels that a render may be below libjpeg's own scaled decode.
const TOLERANCE: f64 = 0.5;
/// Decibels that are good enough whatever libjpeg has: two or three levels here and there.
const PERFECT: f64 = 40.0;

/// The fewest pixels of each block of eight, but at `least` so many, that leave the resize a quarter more than it needs.
fn coarsest(source: Size, target: Size, least: u32) -> u32 {
    let enough = |n: &u32| {
        f64::from(n * source.width) >= 10.0 * f64::from(target.width)
            && f64::from(n * source.height) >= 10.0 * f64::from(target.height)
    };
    (least..8).find(enough).unwrap_or(8)
}

/// A file that shows `scene`, and how coarsely it may be decoded at least.
struct Smaller {
    what: String,
    bytes: Vec<u8>,
    dimensions: Size,
    fidelity: Fidelity,
    least: u32,
}

impl Smaller {
    /// What is wrong at each side. Measured against the picture before it became a JPEG: how the samples that it lacks
    /// should be made up is anybody's choice.
    fn check(&self) -> Vec<String> {
        let original = Picture::painted(self.dimensions, scene);
        let mut scaled: [Option<Picture>; 9] = Default::default();
        let mut check = |side| {
            let mut operation = Operation::inside(side, OutputFormat::Png);
            operation.fidelity = self.fidelity;
            let encoded = render(
                &self.bytes,
                &operation,
                &Limits::default(),
                &mut Scratch::new(),
            );
            let encoded = encoded.map_err(|error| format!("{} to {side}: {error}", self.what))?;
            let ideal = original.resized(encoded.size);
            let ours = Picture::of(&Pixels::of(&encoded)).difference(&ideal).psnr();

            let n = coarsest(self.dimensions, encoded.size, self.least);
            let scaled = scaled[n as usize].get_or_insert_with(|| {
                let scale = format!("{n}/8");
                djpeg(&["-scale", &scale], &self.bytes).unwrap().picture
            });
            let extent = |side: u32| f64::from(side * n) / 8.0;
            let extent = (
                extent(self.dimensions.width),
                extent(self.dimensions.height),
            );
            let theirs = scaled.resized_from(extent, encoded.size).rounded();
            let theirs = theirs.difference(&ideal).psnr();
            if ours >= theirs.min(PERFECT) - TOLERANCE {
                return Ok(());
            }
            Err(format!(
                "{} to {side}: {ours:.1} dB, libjpeg's {n}/8 has {theirs:.1} dB",
                self.what
            ))
        };
        SIDES
            .into_iter()
            .filter_map(|side| check(side).err())
            .collect()
    }
}

#[test]
fn smaller_pictures_are_as_near_to_the_original_as_libjpegs() {
    if !require() {
        return;
    }
    let mut failures = Vec::new();
    for dimensions in [size(480, 360), size(475, 333)] {
        for (fidelity, coding, least) in [
            (Fidelity::Full, &["-quality", "90"][..], 2),
            (Fidelity::NearEqual, &["-quality", "90"], 1),
            (Fidelity::Full, &["-progressive"], 1),
            (Fidelity::Full, &["-scans", COMPONENT], 2),
        ] {
            for shape in SHAPES {
                let arguments = [coding, shape].concat();
                let smaller = Smaller {
                    what: format!("{fidelity:?} {arguments:?}"),
                    bytes: cjpeg(&arguments, dimensions, scene),
                    dimensions,
                    fidelity,
                    least,
                };
                failures.extend(smaller.check());
            }
        }
    }
    assert_none(failures);
}
