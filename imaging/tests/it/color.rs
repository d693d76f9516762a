//! Colours come out as sRGB, whatever they were, and transparency leaves no dark edges.

use imaging::{Limits, Meter, Operation, OutputFormat, Scratch, dominant_color};
use jpeg_encoder::ColorType as JpegColor;
use moxcms::{ColorProfile, Layout, TransformOptions};

use crate::make::{
    Paint, Pixels, jpeg_with, near, paint, png, png_with, rendered, riff_chunk, same_size, size,
    webp_body, webp_lossless, webp_of,
};

const WIDE: Paint = |_, _| [200, 60, 90, 255];

/// `WIDE` in Display P3, converted by the library directly.
fn expected() -> [u8; 4] {
    let transform = ColorProfile::new_display_p3()
        .create_transform_8bit(
            Layout::Rgba,
            &ColorProfile::new_srgb(),
            Layout::Rgba,
            TransformOptions::default(),
        )
        .unwrap();
    let mut converted = [0; 4];
    transform.transform(&WIDE(0, 0), &mut converted).unwrap();
    assert!(
        converted[0] > 205 && converted[1] < 50,
        "P3 is wider: {converted:?}"
    );
    converted
}

#[test]
fn a_wide_gamut_profile_is_converted_in_every_format() {
    let profile = ColorProfile::new_display_p3().encode().unwrap();
    let s = size(32, 32);
    let jpeg = jpeg_with(s, &paint::<3>(s, WIDE), JpegColor::Rgb, |encoder| {
        encoder.add_icc_profile(&profile).unwrap();
    });
    let png = png_with(s, png::ColorType::Rgba, &paint::<4>(s, WIDE), |info| {
        info.icc_profile = Some(profile.clone().into());
    });
    let webp = webp_lossless(s, WIDE);
    let webp = webp_of(0x30, s, &[&riff_chunk(b"ICCP", &profile), webp_body(&webp)]);
    for bytes in [jpeg, png, webp] {
        let shown = Pixels::shown_by(&bytes).at(16, 16);
        assert!(
            near(shown, expected(), 3),
            "{shown:?}, not {:?}",
            expected()
        );
    }
}

#[test]
fn a_broken_profile_is_ignored() {
    let s = size(16, 16);
    let profile = ColorProfile::new_display_p3().encode().unwrap();
    for broken in [&profile[..60], &profile[..profile.len() / 2], b"nonsense"] {
        let bytes = png_with(s, png::ColorType::Rgb, &paint::<3>(s, WIDE), |info| {
            info.icc_profile = Some(broken.to_vec().into());
        });
        assert_eq!(Pixels::shown_by(&bytes).at(8, 8), WIDE(0, 0));
    }
}

#[test]
fn cmyk_and_ycck_jpegs_show_the_colors_of_their_inks() {
    let s = size(32, 32);
    let inks: [([u8; 4], [u8; 4]); 5] = [
        ([0, 0, 0, 0], [255, 255, 255, 255]),
        ([255, 0, 0, 0], [0, 255, 255, 255]),
        ([0, 255, 0, 0], [255, 0, 255, 255]),
        ([0, 0, 0, 255], [0, 0, 0, 255]),
        ([0, 128, 255, 64], [191, 95, 0, 255]),
    ];
    for (ink, rgb) in inks {
        let pixels: Vec<u8> = (0..s.pixels()).flat_map(|_| ink).collect();
        for color in [JpegColor::Cmyk, JpegColor::CmykAsYcck] {
            let bytes = jpeg_with(s, &pixels, color, |_| {});
            let shown = Pixels::shown_by(&bytes).at(16, 16);
            assert!(
                near(shown, rgb, 6),
                "{color:?} of {ink:?} shows {shown:?}, not {rgb:?}"
            );
        }
    }
}

#[test]
fn a_cmyk_jpeg_without_an_adobe_marker_is_not_inverted() {
    let s = size(16, 16);
    // The encoder inverts and says so by the marker; inverted beforehand and with the marker gone, it is plain.
    let inverted: Vec<u8> = (0..s.pixels()).flat_map(|_| [255, 255, 0, 255]).collect();
    let mut bytes = jpeg_with(s, &inverted, JpegColor::Cmyk, |_| {});
    let name = bytes
        .windows(5)
        .position(|window| window == b"Adobe")
        .unwrap();
    bytes.drain(name - 4..name + 12);
    let shown = Pixels::shown_by(&bytes).at(8, 8);
    assert!(
        near(shown, [255, 255, 0, 255], 6),
        "yellow ink only, but {shown:?}"
    );
}

#[test]
fn the_edge_of_a_transparent_picture_has_no_dark_fringe() {
    let disc: Paint = |x, y| {
        let (dx, dy) = (f64::from(x) - 100.0, f64::from(y) - 100.0);
        if dx.hypot(dy) < 71.3 {
            [250, 240, 60, 255]
        } else {
            [0, 0, 0, 0]
        }
    };
    for bytes in [
        png(size(200, 200), disc),
        webp_lossless(size(200, 200), disc),
    ] {
        let pixels = Pixels::of(&rendered(&bytes, &Operation::inside(47, OutputFormat::Png)));
        let edge: Vec<_> = pixels
            .iter()
            .filter(|pixel| (24..=230).contains(&pixel[3]))
            .collect();
        assert!(edge.len() > 40, "there is an edge to look at");
        for pixel in edge {
            assert!(
                pixel[0] >= 240 && pixel[1] >= 228 && pixel[2] <= 75,
                "{pixel:?}"
            );
        }
    }
}

#[test]
fn a_transparent_picture_is_laid_on_white_in_a_jpeg() {
    let bytes = png(size(32, 32), |x, _| {
        if x < 16 { [0, 0, 0, 0] } else { [0, 0, 0, 128] }
    });
    let pixels = Pixels::of(&rendered(
        &bytes,
        &same_size(size(32, 32), OutputFormat::Jpeg),
    ));
    assert!(near(pixels.at(4, 16), [255; 4], 4));
    assert!(near(pixels.at(28, 16), [127, 127, 127, 255], 4));
}

#[test]
fn the_dominant_color_is_that_of_the_largest_area() {
    let bytes = png(size(300, 200), |x, _| {
        if x < 200 {
            [30, 90, 200, 255]
        } else {
            [255, 255, 0, 255]
        }
    });
    let color = dominant_color(
        &bytes,
        &Limits::default(),
        &mut Scratch::new(),
        &Meter::default(),
    )
    .unwrap();
    assert!(
        near([color[0], color[1], color[2], 0], [30, 90, 200, 0], 4),
        "{color:?}"
    );
}
