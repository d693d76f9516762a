//! All eight EXIF orientations, in the three formats that can say them, by where the corners end up.

use imaging::{Fit, Limits, Meter, Operation, Orientation, OutputFormat, probe};
use jpeg_encoder::ColorType as JpegColor;

use crate::make::{
    Pixels, jpeg_with, near, paint, png_with, rendered, riff_chunk, size, webp_body, webp_lossless,
    webp_of,
};

const RED: [u8; 4] = [220, 20, 20, 255];
const GREEN: [u8; 4] = [20, 220, 20, 255];
const BLUE: [u8; 4] = [20, 20, 220, 255];
const GRAY: [u8; 4] = [120, 120, 120, 255];

fn quarters(x: u32, y: u32) -> [u8; 4] {
    match (x < 32, y < 16) {
        (true, true) => RED,
        (false, true) => GREEN,
        (true, false) => BLUE,
        (false, false) => GRAY,
    }
}

/// Top left, top right, bottom left, bottom right as displayed, for each orientation.
const DISPLAYED: [[[u8; 4]; 4]; 8] = [
    [RED, GREEN, BLUE, GRAY],
    [GREEN, RED, GRAY, BLUE],
    [GRAY, BLUE, GREEN, RED],
    [BLUE, GRAY, RED, GREEN],
    [RED, BLUE, GREEN, GRAY],
    [BLUE, RED, GRAY, GREEN],
    [GRAY, GREEN, BLUE, RED],
    [GREEN, GRAY, RED, BLUE],
];

pub(crate) fn exif(orientation: Orientation) -> Vec<u8> {
    let mut tiff = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0".to_vec();
    tiff.extend([orientation.exif(), 0, 0, 0, 0, 0, 0, 0]);
    tiff
}

fn files(orientation: Orientation) -> [Vec<u8>; 3] {
    let stored = size(64, 32);
    let tiff = exif(orientation);
    let jpeg = jpeg_with(
        stored,
        &paint::<3>(stored, quarters),
        JpegColor::Rgb,
        |encoder| {
            encoder.add_exif_metadata(&tiff).unwrap();
        },
    );
    let png = png_with(
        stored,
        png::ColorType::Rgba,
        &paint::<4>(stored, quarters),
        |info| {
            info.exif_metadata = Some(tiff.clone().into());
        },
    );
    let webp = webp_lossless(stored, quarters);
    let webp = webp_of(
        0x18,
        stored,
        &[webp_body(&webp), &riff_chunk(b"EXIF", &tiff)],
    );
    [jpeg, png, webp]
}

fn check(bytes: &[u8], operation: &Operation, orientation: Orientation) {
    let pixels = Pixels::of(&rendered(bytes, operation));
    let (right, bottom) = (pixels.size.width - 3, pixels.size.height - 3);
    let corners = [
        pixels.at(2, 2),
        pixels.at(right, 2),
        pixels.at(2, bottom),
        pixels.at(right, bottom),
    ];
    let expected = DISPLAYED[usize::from(orientation.exif()) - 1];
    let same = corners
        .iter()
        .zip(expected)
        .all(|(corner, expected)| near(*corner, expected, 12));
    assert!(same, "{orientation:?}, {operation:?}: {corners:?}");
}

#[test]
fn all_eight_orientations_are_applied_in_every_format() {
    for orientation in Orientation::ALL {
        for bytes in files(orientation) {
            let info = probe(&bytes, &Limits::default(), &Meter::default()).unwrap();
            let lying = orientation.exif() >= 5;
            let displayed = if lying { size(32, 64) } else { size(64, 32) };
            assert_eq!(
                (info.orientation, info.stored, info.displayed),
                (orientation, size(64, 32), displayed)
            );

            let inside = Operation::inside(48, OutputFormat::Png);
            let expected = if lying { size(24, 48) } else { size(48, 24) };
            assert_eq!(
                rendered(&bytes, &inside).size,
                expected,
                "{} {orientation:?}",
                info.format
            );
            for fit in [Fit::Inside, Fit::Cover, Fit::Fill] {
                let operation = Operation {
                    width: Some(40),
                    height: Some(36),
                    fit,
                    ..inside
                };
                check(&bytes, &operation, orientation);
            }
        }
    }
}

#[test]
fn a_render_is_not_turned_a_second_time() {
    let [jpeg, ..] = files(Orientation::Rotate90);
    let once = rendered(&jpeg, &Operation::inside(64, OutputFormat::Jpeg));
    assert_eq!(
        probe(&once.bytes, &Limits::default(), &Meter::default())
            .unwrap()
            .orientation,
        Orientation::Normal
    );
    check(
        &once.bytes,
        &Operation::inside(64, OutputFormat::Png),
        Orientation::Rotate90,
    );
}
