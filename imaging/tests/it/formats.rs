//! Every kind of input shows the picture that was put into it, and every output holds it.

use imaging::{
    Error, Info, InputFormat, Limits, Meter, Operation, Orientation, OutputFormat, Scratch, probe,
    render,
};
use jpeg_encoder::{ColorType as JpegColor, SamplingFactor};

use crate::make::{
    Paint, Pixels, gif, jpeg, jpeg_with, near, paint, photo, png, png_interlaced, png_with,
    rendered, riff_chunk, same_size, size, webp_frame, webp_lossless, webp_lossy, webp_of,
};

fn info(bytes: &[u8]) -> Info {
    probe(bytes, &Limits::default(), &Meter::default()).unwrap()
}

fn gray_photo(x: u32, y: u32) -> [u8; 4] {
    let [value, ..] = photo(x, y);
    [value, value, value, 255]
}

fn half_transparent(x: u32, y: u32) -> [u8; 4] {
    let [red, green, blue, _] = photo(x, y);
    if x < 40 {
        [red, green, blue, 255]
    } else {
        [0, 0, 0, 0]
    }
}

fn check(what: &str, bytes: &[u8], picture: Paint, tolerance: f64) {
    let distance = Pixels::shown_by(bytes).distance_from(picture);
    assert!(
        distance <= tolerance,
        "{what} differs by {distance:.2} levels on average"
    );
}

#[test]
fn jpegs_of_every_sampling_and_coding_show_their_picture() {
    use SamplingFactor as F;
    for (width, height) in [(96, 64), (97, 61), (9, 130)] {
        let size = size(width, height);
        let pixels = paint::<3>(size, photo);
        for sampling in [F::F_1_1, F::F_2_1, F::F_1_2, F::F_2_2, F::F_4_1] {
            for progressive in [false, true] {
                for restart in [0, 3] {
                    let bytes = jpeg_with(size, &pixels, JpegColor::Rgb, |encoder| {
                        encoder.set_sampling_factor(sampling);
                        encoder.set_progressive(progressive);
                        encoder.set_restart_interval(restart);
                    });
                    let what = format!(
                        "{width} x {height}, {sampling:?}, progressive {progressive}, restart {restart}"
                    );
                    check(&what, &bytes, photo, 4.0);
                }
            }
        }
    }
}

#[test]
fn a_gray_jpeg_stays_gray() {
    let size = size(90, 50);
    let bytes = jpeg_with(size, &paint::<1>(size, photo), JpegColor::Luma, |_| {});
    check("grey", &bytes, gray_photo, 1.0);
    let again = rendered(&bytes, &same_size(size, OutputFormat::Jpeg)).bytes;
    assert_eq!(
        info(&again).decoded_bytes,
        info(&bytes).decoded_bytes,
        "one channel in, one channel out"
    );
    check("grey again", &again, gray_photo, 2.0);
}

#[test]
fn pngs_of_every_color_type_and_depth_show_their_picture() {
    let s = size(80, 60);
    let gray_alpha: Vec<u8> = paint::<4>(s, half_transparent)
        .chunks(4)
        .flat_map(|p| [p[0], p[3]])
        .collect();
    let faded = png_with(s, png::ColorType::GrayscaleAlpha, &gray_alpha, |_| {});
    assert!(info(&faded).has_alpha);
    let pixels = Pixels::shown_by(&faded);
    assert!(near(pixels.at(10, 10), gray_photo(10, 10), 0) && pixels.at(60, 10)[3] == 0);

    check("RGBA", &png(s, photo), photo, 0.0);
    check(
        "RGB",
        &png_with(s, png::ColorType::Rgb, &paint::<3>(s, photo), |_| {}),
        photo,
        0.0,
    );
    check(
        "grey",
        &png_with(s, png::ColorType::Grayscale, &paint::<1>(s, photo), |_| {}),
        gray_photo,
        0.0,
    );
    let deep: Vec<u8> = paint::<3>(s, photo)
        .iter()
        .flat_map(|value| [*value, 77])
        .collect();
    let sixteen = png_with(s, png::ColorType::Rgb, &deep, |info| {
        info.bit_depth = png::BitDepth::Sixteen;
    });
    check("16 bits", &sixteen, photo, 0.0);

    // Two pixels a byte, black but for the third one, which is a transparent red.
    let palette = png_with(size(4, 1), png::ColorType::Indexed, &[0x00, 0x10], |info| {
        info.bit_depth = png::BitDepth::Four;
        info.palette = Some(vec![0, 0, 0, 250, 0, 0].into());
        info.trns = Some(vec![255, 100].into());
    });
    assert!(info(&palette).has_alpha);
    let pixels = Pixels::shown_by(&palette);
    assert_eq!(
        [pixels.at(1, 0), pixels.at(2, 0)],
        [[0, 0, 0, 255], [250, 0, 0, 100]]
    );
    let bits = png_with(
        size(8, 1),
        png::ColorType::Grayscale,
        &[0b0100_0000],
        |info| {
            info.bit_depth = png::BitDepth::One;
        },
    );
    let pixels = Pixels::shown_by(&bits);
    assert_eq!([pixels.at(0, 0)[0], pixels.at(1, 0)[0]], [0, 255]);
}

#[test]
fn an_interlaced_png_shows_its_picture() {
    for (width, height) in [(1, 1), (3, 2), (33, 41)] {
        let s = size(width, height);
        check("interlaced", &png_interlaced(s, photo), photo, 0.0);
    }
}

#[test]
fn webps_of_every_kind_show_their_picture() {
    let s = size(80, 60);
    check("lossless", &webp_lossless(s, photo), photo, 0.0);
    check("lossy", &webp_lossy(s, photo), photo, 3.0);
    assert!(!info(&webp_lossy(s, photo)).has_alpha);
    for bytes in [
        webp_lossless(s, half_transparent),
        webp_lossy(s, half_transparent),
    ] {
        assert!(info(&bytes).has_alpha);
        let pixels = Pixels::shown_by(&bytes);
        assert!(near(pixels.at(10, 10), photo(10, 10), 25) && pixels.at(60, 10)[3] == 0);
    }
}

#[test]
fn a_large_webp_made_small_looks_like_the_same_picture_resized_in_full() {
    // Around every step at which less is decoded, and with sides that nothing divides.
    let cases = [
        (1200, 900, 440),
        (1200, 900, 300),
        (1200, 900, 150),
        (1200, 900, 70),
        (1201, 899, 449),
        (1201, 899, 280),
        (899, 1201, 149),
        (1201, 899, 75),
        (1200, 7, 40),
    ];
    for (width, height, target) in cases {
        let s = size(width, height);
        let operation = Operation::inside(target, OutputFormat::Png);
        let expected = Pixels::of(&rendered(&png(s, photo), &operation));
        for bytes in [webp_lossy(s, photo), webp_lossless(s, photo)] {
            let small = Pixels::of(&rendered(&bytes, &operation));
            assert_eq!(small.size, expected.size);
            let sum: u64 = small
                .iter()
                .zip(expected.iter())
                .flat_map(|(a, b)| (0..4).map(move |i| u64::from(a[i].abs_diff(b[i]))))
                .sum();
            let mean = sum as f64 / (small.size.pixels() * 4) as f64;
            assert!(mean < 2.0, "{s:?} at {target} differs by {mean} levels");
        }
    }
}

#[test]
fn a_webp_without_its_last_bytes_is_refused_at_every_size() {
    let s = size(400, 300);
    let whole = webp_lossy(s, photo);
    let animated = webp_of(
        0x02,
        s,
        &[
            &riff_chunk(b"ANIM", &[0; 6]),
            &webp_frame((0, 0), s, &whole),
        ],
    );
    for (file, padding) in [(whole, 1), (animated, 2)] {
        for missing in 1 + padding..64 {
            for side in [400, 150, 40] {
                let refused = render(
                    &file[..file.len() - missing],
                    &Operation::inside(side, OutputFormat::Jpeg),
                    &Limits::default(),
                    &mut Scratch::new(),
                );
                assert!(
                    matches!(refused, Err(Error::Damaged { .. })),
                    "{missing} bytes less, {side} wide: {refused:?}"
                );
            }
        }
    }
}

#[test]
fn of_an_animation_the_first_frame_is_shown() {
    let (canvas, small) = (size(60, 40), size(20, 10));
    let red: Paint = |_, _| [204, 0, 0, 255];
    let blue: Paint = |_, _| [0, 0, 204, 255];
    let gif = gif(canvas, &[((20, 10), small, red), ((0, 0), canvas, blue)]);
    let frames = [
        webp_frame((20, 10), small, &webp_lossless(small, red)),
        webp_frame((0, 0), canvas, &webp_lossy(canvas, blue)),
    ];
    let webp = webp_of(
        0x02,
        canvas,
        &[&riff_chunk(b"ANIM", &[0; 6]), &frames[0], &frames[1]],
    );
    for bytes in [gif, webp] {
        let info = info(&bytes);
        assert_eq!(
            (info.frames, info.animated(), info.stored),
            (2, true, canvas),
            "{}",
            info.format
        );
        let pixels = Pixels::shown_by(&bytes);
        assert_eq!(
            pixels.at(5, 5)[3],
            0,
            "{}: nothing beside the frame",
            info.format
        );
        assert_eq!(pixels.at(25, 15), [204, 0, 0, 255], "{}", info.format);
        assert_eq!(pixels.at(45, 15)[3], 0, "{}", info.format);
    }
}

#[test]
fn a_gif_frame_that_leaves_its_screen_is_cut_off() {
    let red: Paint = |_, _| [204, 0, 0, 255];
    let pixels = Pixels::shown_by(&gif(size(10, 10), &[((6, 7), size(20, 20), red)]));
    assert_eq!(
        (pixels.size, pixels.at(9, 9), pixels.at(5, 5)[3]),
        (size(10, 10), [204, 0, 0, 255], 0)
    );
    let outside = Pixels::shown_by(&gif(size(10, 10), &[((60, 70), size(20, 20), red)]));
    assert!(outside.iter().all(|pixel| pixel[3] == 0));
}

#[test]
fn every_output_format_holds_the_picture_and_no_metadata() {
    let s = size(90, 70);
    let source = jpeg_with(s, &paint::<3>(s, photo), JpegColor::Rgb, |encoder| {
        encoder
            .add_app_segment(1, b"Exif\0\0secret place".to_vec())
            .unwrap();
    });
    for format in [OutputFormat::Jpeg, OutputFormat::Png, OutputFormat::Webp] {
        let operation = Operation {
            quality: 92,
            ..same_size(s, format)
        };
        let encoded = rendered(&source, &operation);
        assert_eq!(
            (encoded.format, encoded.size, encoded.truncated),
            (format, s, false)
        );
        assert_eq!(info(&encoded.bytes).format.to_string(), format.to_string());
        assert!(
            !encoded.bytes.windows(6).any(|window| window == b"secret"),
            "{format}"
        );
        check(&format.to_string(), &encoded.bytes, photo, 4.0);
    }
}

#[test]
fn a_header_is_read_without_decoding() {
    let expected = [
        (InputFormat::Jpeg, jpeg(size(30, 20), photo), false),
        (InputFormat::Png, png(size(30, 20), photo), true),
        (InputFormat::Webp, webp_lossy(size(30, 20), photo), false),
        (
            InputFormat::Gif,
            gif(size(30, 20), &[((0, 0), size(30, 20), photo)]),
            false,
        ),
    ];
    for (format, bytes, has_alpha) in expected {
        let info = info(&bytes);
        assert_eq!(
            (info.format, info.stored, info.displayed),
            (format, size(30, 20), size(30, 20))
        );
        assert_eq!(
            (info.has_alpha, info.frames, info.orientation),
            (has_alpha, 1, Orientation::Normal),
            "{format}"
        );
    }
}

#[test]
fn a_truncated_picture_is_shown_as_far_as_it_goes_and_marked() {
    let s = size(200, 200);
    for whole in [jpeg(s, photo), png(s, photo), gif(s, &[((0, 0), s, photo)])] {
        let cut = &whole[..whole.len() * 2 / 3];
        let encoded = rendered(cut, &same_size(s, OutputFormat::Png));
        let format = info(cut).format;
        assert!(encoded.truncated, "{format}");
        assert!(
            near(Pixels::of(&encoded).at(20, 20), photo(20, 20), 40),
            "{format}: the top is there"
        );
        assert!(
            !rendered(&whole, &same_size(s, OutputFormat::Png)).truncated,
            "{format}"
        );
    }
    let webp = webp_lossy(s, photo);
    let refused = render(
        &webp[..webp.len() / 2],
        &same_size(s, OutputFormat::Png),
        &Limits::default(),
        &mut Scratch::new(),
    );
    assert!(
        matches!(
            refused,
            Err(Error::Damaged {
                format: InputFormat::Webp,
                ..
            })
        ),
        "{refused:?}"
    );
}

#[test]
fn jpeg_varieties_that_are_not_read_are_named() {
    let whole = jpeg(size(16, 16), photo);
    let frame = whole
        .windows(2)
        .position(|pair| pair == [0xff, 0xc0])
        .unwrap();
    let patched = |at: usize, value: u8| {
        let mut bytes = whole.clone();
        bytes[frame + at] = value;
        probe(&bytes, &Limits::default(), &Meter::default())
            .unwrap_err()
            .to_string()
    };
    assert_eq!(
        patched(1, 0xc9),
        "this JPEG uses arithmetic coding, which is not supported"
    );
    assert_eq!(
        patched(1, 0xc3),
        "this JPEG uses lossless coding, which is not supported"
    );
    assert_eq!(
        patched(4, 12),
        "this JPEG uses 12 bits a sample, which is not supported"
    );
}
