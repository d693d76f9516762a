//! Every shape of JPEG that libjpeg-turbo writes, against what libjpeg-turbo itself shows of it.
//!
//! At full size, pixel by pixel; `scaled` has what is made smaller.

use imaging::{Error, Limits, Meter, OutputFormat, Scratch, Size, probe, render};
use jpeg_encoder::{ColorType as JpegColor, SamplingFactor};

use crate::{
    ideal::Picture,
    libjpeg::{COMPONENT, SUCCESSIVE, cjpeg, djpeg, jpegtran, require},
    make::{Pixels, jpeg_with, paint, photo, same_size, size},
};

/// The most that a picture may be off, in levels.
#[derive(Clone, Copy)]
struct Bound {
    max: f64,
    mean: f64,
}

/// One level in each component that is stored as it is shown.
const SAME: Bound = Bound {
    max: 1.0,
    mean: 0.2,
};
/// One level in each component, which the conversion to RGB makes up to 2.77 of.
const CONVERTED: Bound = Bound {
    max: 3.0,
    mean: 0.2,
};
/// The same filter between samples, but for its rounding.
const UPSAMPLED: Bound = Bound {
    max: 4.0,
    mean: 0.7,
};

/// One level in the ink, one in black, and the rounding of their product.
const INKS: Bound = Bound {
    max: 3.0,
    mean: 0.6,
};

const CODINGS: [&[&str]; 10] = [
    &["-baseline"],
    &["-optimize", "-quality", "95"],
    // Steps over 255 make the tables 16 bits wide and the file an extended one.
    &["-quality", "3"],
    &["-restart", "1"],
    &["-restart", "1B"],
    &["-restart", "3B", "-optimize"],
    &["-scans", COMPONENT],
    &["-scans", COMPONENT, "-restart", "5B"],
    &["-progressive"],
    &["-scans", SUCCESSIVE, "-restart", "7B", "-quality", "92"],
];

/// Sampling factors of luma, and of chroma where they are not 1x1.
const SAMPLINGS: [&str; 14] = [
    "1x1",
    "2x1",
    "2x2",
    "1x2",
    "4x1",
    "1x4",
    "3x1",
    "1x3",
    "4x2",
    "2x4",
    "3x2",
    "2x2,1x2,1x2",
    "2x2,1x2,2x1",
    "1x1,2x2,1x2",
];

const SIZES: [Size; 12] = [
    size(1, 1),
    size(1, 7),
    size(7, 1),
    size(2, 2),
    size(3, 5),
    size(8, 8),
    size(9, 8),
    size(16, 17),
    size(17, 33),
    size(1, 300),
    size(300, 1),
    size(64, 64),
];

/// Smooth colours, sharp edges, fine lines and grain.
pub(crate) fn scene(x: u32, y: u32) -> [u8; 4] {
    let [red, green, blue, _] = photo(x, y);
    let hash =
        (x.wrapping_mul(0x9e37_79b1) ^ y.wrapping_mul(0x85eb_ca77)).wrapping_mul(0xc2b2_ae3d);
    let grain = (hash >> 28) as u8;
    let (stripe, line) = ((x + 2 * y) / 40 % 4, (x / 3 + y / 5) % 2);
    let [red, green, blue] = match (stripe, line) {
        (1, 0) => [red / 2 + grain, green, 255 - blue],
        (2, _) => [230, 40 + grain, 60],
        _ => [red, green / 2 + 100 + grain, blue],
    };
    [red, green, blue, 255]
}

/// All failures of a test at once: one alone tells little of what a decoder gets wrong.
pub(crate) fn assert_none(failures: impl IntoIterator<Item = String>) {
    let failures: Vec<String> = failures.into_iter().collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// What is wrong with our decode at full size, if anything.
fn check_full(what: &str, bytes: &[u8], bound: Bound) -> Option<String> {
    let shown = djpeg(&[], bytes).unwrap();
    let operation = same_size(shown.picture.size, OutputFormat::Png);
    match render(bytes, &operation, &Limits::default(), &mut Scratch::new()) {
        Err(error) => Some(format!("{what}: {error}")),
        Ok(encoded) if encoded.truncated => Some(format!("{what}: marked as truncated")),
        Ok(encoded) => {
            let difference = Picture::of(&Pixels::of(&encoded)).difference(&shown.picture);
            let holds = difference.max <= bound.max && difference.mean <= bound.mean;
            (!holds).then(|| format!("{what}: {difference:?}"))
        }
    }
}

fn check_sampled(arguments: &[&str], sampling: &str, dimensions: Size) -> Option<String> {
    let arguments = [arguments, &["-sample", sampling]].concat();
    let bound = if sampling == "1x1" {
        CONVERTED
    } else {
        UPSAMPLED
    };
    let bytes = cjpeg(&arguments, dimensions, scene);
    let what = format!("{} x {} {arguments:?}", dimensions.width, dimensions.height);
    check_full(&what, &bytes, bound)
}

#[test]
fn every_coding_of_every_sampling_shows_what_libjpeg_shows() {
    if !require() {
        return;
    }
    let each = CODINGS
        .iter()
        .flat_map(|coding| SAMPLINGS.map(|sampling| (coding, sampling)));
    assert_none(
        each.filter_map(|(coding, sampling)| check_sampled(coding, sampling, size(97, 61))),
    );
}

#[test]
fn the_smallest_and_the_oddest_sizes_show_what_libjpeg_shows() {
    if !require() {
        return;
    }
    let mut failures = Vec::new();
    for dimensions in SIZES {
        for coding in [
            &["-baseline"][..],
            &["-progressive"],
            &["-scans", COMPONENT],
        ] {
            for sampling in ["1x1", "2x1", "2x2", "1x2", "4x1", "3x2"] {
                failures.extend(check_sampled(coding, sampling, dimensions));
            }
        }
    }
    assert_none(failures);
}

#[test]
fn gray_shows_what_libjpeg_shows() {
    if !require() {
        return;
    }
    let codings = [
        &["-baseline"][..],
        &["-progressive"],
        &["-quality", "3"],
        &["-restart", "2B"],
        // Meaningless for a single component, and ignored.
        &["-sample", "2x2"],
        &["-sample", "2x3", "-progressive"],
    ];
    let each = codings
        .iter()
        .flat_map(|coding| SIZES.map(|size| (coding, size)));
    assert_none(each.filter_map(|(coding, dimensions)| {
        let arguments = [*coding, &["-grayscale"]].concat();
        let bytes = cjpeg(&arguments, dimensions, scene);
        check_full(&format!("{dimensions:?} {arguments:?}"), &bytes, SAME)
    }));
}

#[test]
fn rgb_is_known_by_its_adobe_marker_or_by_its_letters() {
    if !require() {
        return;
    }
    let mut failures = Vec::new();
    for coding in [&["-baseline"][..], &["-progressive"], &["-restart", "2"]] {
        let both = cjpeg(&[coding, &["-rgb"]].concat(), size(97, 61), scene);
        let mut letters = both.clone();
        let name = both.windows(5).position(|name| name == b"Adobe").unwrap();
        letters.drain(name - 4..name + 12);
        for (what, bytes) in [
            ("letters", letters),
            ("the marker", numbered(&both)),
            ("both", both),
        ] {
            failures.extend(check_full(&format!("by {what}, {coding:?}"), &bytes, SAME));
        }
    }
    assert_none(failures);
}

/// The letters become numbers wherever they name a component: in the frame and in the scans.
fn numbered(jpeg: &[u8]) -> Vec<u8> {
    let mut numbered = jpeg.to_vec();
    for at in 0..jpeg.len() - 1 {
        let (first, step) = match jpeg[at..] {
            [0xff, 0xc0..=0xc2, ..] => (10, 3),
            [0xff, 0xda, ..] => (5, 2),
            _ => continue,
        };
        let count = usize::from(jpeg[at + first - 1]);
        let names = numbered[at + first..].iter_mut().step_by(step).take(count);
        for name in names {
            *name = b"RGB".iter().position(|letter| letter == name).unwrap() as u8 + 1;
        }
    }
    numbered
}

#[test]
fn inks_show_what_libjpeg_shows() {
    if !require() {
        return;
    }
    let mut failures = Vec::new();
    for color in [JpegColor::Cmyk, JpegColor::CmykAsYcck] {
        for (sampling, bound) in [
            (SamplingFactor::F_1_1, INKS),
            (SamplingFactor::F_2_2, UPSAMPLED),
        ] {
            let dimensions = size(97, 61);
            let pixels = paint::<4>(dimensions, scene);
            let plain = jpeg_with(dimensions, &pixels, color, |encoder| {
                encoder.set_sampling_factor(sampling);
            });
            // libjpeg writes the same coefficients in its own ways, with its own markers.
            for coding in [&["-optimize"][..], &["-progressive"], &["-restart", "3B"]] {
                let bytes = jpegtran(coding, &plain);
                let what = format!("{color:?} {sampling:?} {coding:?}");
                failures.extend(check_full(&what, &bytes, bound));
            }
        }
    }
    assert_none(failures);
}

#[test]
fn a_frame_of_motion_jpeg_is_shown_though_it_has_no_huffman_tables() {
    if !require() {
        return;
    }
    let whole = cjpeg(&["-sample", "2x2"], size(120, 90), scene);
    let mut frame = Vec::new();
    let mut rest = &whole[..];
    // The start marker, then segments up to the coded data.
    frame.extend_from_slice(&rest[..2]);
    rest = &rest[2..];
    while rest[1] != 0xda {
        let length = 2 + usize::from(u16::from_be_bytes([rest[2], rest[3]]));
        if rest[1] != 0xc4 {
            frame.extend_from_slice(&rest[..length]);
        }
        rest = &rest[length..];
    }
    frame.extend_from_slice(rest);
    assert!(frame.len() + 400 < whole.len());
    assert_none(check_full("without tables", &frame, UPSAMPLED));
}

#[test]
fn arithmetic_coding_is_refused_by_name() {
    if !require() {
        return;
    }
    for coding in [&["-arithmetic"][..], &["-arithmetic", "-progressive"]] {
        let refused = probe(
            &cjpeg(coding, size(40, 30), scene),
            &Limits::default(),
            &Meter::default(),
        );
        assert!(
            matches!(&refused, Err(Error::UnsupportedFeature { feature, .. }) if feature.contains("arithmetic")),
            "{coding:?}: {refused:?}"
        );
    }
}
