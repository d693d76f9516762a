//! Every render has the size its operation promises, from the smallest picture to the longest.

use imaging::{Error, Fit, Limits, Meter, Operation, OutputFormat, Scratch, Size, probe, render};

use crate::make::{Pixels, jpeg, near, photo, png, png_with, rendered, size, webp_lossless};

const SOURCES: [Size; 9] = [
    size(1, 1),
    size(1, 7),
    size(9, 1),
    size(3, 5),
    size(640, 480),
    size(33, 1000),
    size(1, 16_384),
    size(16_384, 1),
    size(16_384, 3),
];
const BOXES: [Size; 6] = [
    size(1, 1),
    size(200, 200),
    size(5, 300),
    size(301, 7),
    size(160, 120),
    size(16_384, 2),
];

/// Runs every box, fit and format on one picture.
fn check(bytes: &[u8], source: Size, scratch: &mut Scratch) {
    for target in BOXES {
        for fit in [Fit::Inside, Fit::Contain, Fit::Cover, Fit::Fill] {
            for format in [OutputFormat::Jpeg, OutputFormat::Png, OutputFormat::Webp] {
                let operation = Operation {
                    fit,
                    quality: 70,
                    ..Operation::inside_box(target, format)
                };
                let what = format!("{source:?} {operation:?}");
                match render(bytes, &operation, &Limits::default(), scratch) {
                    Ok(encoded) => {
                        assert_eq!(
                            probe(&encoded.bytes, &Limits::default(), &Meter::default())
                                .unwrap()
                                .stored,
                            encoded.size,
                            "{what}"
                        );
                        assert!(
                            promised(source, target, fit, encoded.size),
                            "{what}: {:?}",
                            encoded.size
                        );
                    }
                    Err(Error::TooLarge { .. }) => {
                        assert!(
                            target.width > 16_383 && format == OutputFormat::Webp,
                            "{what}"
                        );
                    }
                    Err(error) => panic!("{what}: {error}"),
                }
            }
        }
    }
}

fn promised(source: Size, target: Size, fit: Fit, got: Size) -> bool {
    if fit != Fit::Inside {
        return got == target;
    }
    let fits = got.width <= target.width.min(source.width)
        && got.height <= target.height.min(source.height);
    let touches = got.width == target.width
        || got.height == target.height
        || got == source
        || got.width == 16_383;
    // Each side is that of the exact scale, give or take the rounding, but never less than one.
    let scale = f64::from(got.width.max(got.height)) / f64::from(source.width.max(source.height));
    let near = |got: u32, source: u32| {
        (f64::from(got) - (f64::from(source) * scale).max(1.0)).abs() <= 1.0
    };
    fits && touches && near(got.width, source.width) && near(got.height, source.height)
}

#[test]
fn every_fit_of_every_size_keeps_its_promise() {
    let mut scratch = Scratch::new();
    for source in SOURCES {
        check(&png(source, photo), source, &mut scratch);
    }
}

#[test]
fn the_smallest_and_longest_of_the_other_formats_are_resized_too() {
    let mut scratch = Scratch::new();
    for source in [
        size(1, 1),
        size(2, 1),
        size(16_383, 1),
        size(1, 16_383),
        size(333, 222),
    ] {
        check(&jpeg(source, photo), source, &mut scratch);
        check(&webp_lossless(source, photo), source, &mut scratch);
    }
}

#[test]
fn contain_centers_the_picture_between_transparent_bars() {
    let bytes = png(size(100, 50), |_, _| [10, 200, 30, 255]);
    let operation = Operation {
        fit: Fit::Contain,
        ..Operation::inside(80, OutputFormat::Png)
    };
    let pixels = Pixels::of(&rendered(&bytes, &operation));
    assert_eq!([pixels.at(40, 10)[3], pixels.at(40, 70)[3]], [0, 0]);
    assert_eq!(
        [pixels.at(0, 40), pixels.at(79, 40)],
        [[10, 200, 30, 255]; 2]
    );
    let jpeg = Operation {
        format: OutputFormat::Jpeg,
        ..operation
    };
    assert!(
        near(Pixels::of(&rendered(&bytes, &jpeg)).at(40, 5), [255; 4], 3),
        "white in a JPEG"
    );
}

#[test]
fn cover_shows_the_middle_of_the_picture() {
    let bytes = png(size(300, 100), |x, _| {
        if (100..200).contains(&x) {
            [9, 9, 220, 255]
        } else {
            [220, 9, 9, 255]
        }
    });
    let operation = Operation {
        fit: Fit::Cover,
        ..Operation::inside(50, OutputFormat::Png)
    };
    let pixels = Pixels::of(&rendered(&bytes, &operation));
    assert!(
        [4, 25, 45]
            .into_iter()
            .all(|x| near(pixels.at(x, 25), [9, 9, 220, 255], 8))
    );
}

#[test]
fn a_tall_picture_made_wide_takes_no_more_memory_than_the_larger_of_the_two() {
    let source = size(100, 16_000);
    let pixels: Vec<u8> = (0..source.pixels())
        .map(|index| (index / 100 / 100) as u8)
        .collect();
    let bytes = png_with(source, png::ColorType::Grayscale, &pixels, |_| {});
    for target in [size(16_000, 100), size(100, 100), size(16_000, 300)] {
        let operation = Operation {
            fit: Fit::Fill,
            ..Operation::inside_box(target, OutputFormat::Png)
        };
        let (encoded, peak) = crate::memory::peak(|| rendered(&bytes, &operation));
        assert_eq!(encoded.size, target);
        assert!(
            peak < 4 * target.pixels().max(source.pixels()) + (8 << 20),
            "{target:?} took {peak} bytes"
        );
    }
}

#[test]
fn a_render_depends_on_nothing_but_its_arguments() {
    let bytes = jpeg(size(321, 123), photo);
    let other = png(size(500, 400), |x, y| [(x * y) as u8, 7, 9, (x + y) as u8]);
    let mut used = Scratch::new();
    for format in [OutputFormat::Jpeg, OutputFormat::Png, OutputFormat::Webp] {
        let operation = Operation::inside(100, format);
        let fresh = rendered(&bytes, &operation);
        render(&other, &operation, &Limits::default(), &mut used).unwrap();
        let again = render(&bytes, &operation, &Limits::default(), &mut used).unwrap();
        assert!(fresh == again, "{format}");
    }
}
