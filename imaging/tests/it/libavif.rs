//! libavif's programs: an encoder and a decoder of AVIF that owe nothing to ours.
//!
//! They read and write files, so each call has a folder of its own.

use std::{fs, process::Command};

use imaging::Size;

use crate::{
    make::{Paint, Pixels, paint, png_with},
    programs,
};

/// Whether the programs are there: [`programs::require`].
pub(crate) fn require() -> bool {
    programs::require(&["avifenc", "avifdec"], "--version")
}

/// An AVIF of `picture`, with alpha if the picture has any. A speed and quantizers near the best are chosen already.
pub(crate) fn avifenc(arguments: &[&str], dimensions: Size, picture: Paint) -> Vec<u8> {
    let rgba = paint::<4>(dimensions, picture);
    let png = if rgba.iter().skip(3).step_by(4).all(|alpha| *alpha == 255) {
        let rgb = paint::<3>(dimensions, picture);
        png_with(dimensions, png::ColorType::Rgb, &rgb, |_| {})
    } else {
        png_with(dimensions, png::ColorType::Rgba, &rgba, |_| {})
    };
    let usual = ["--speed", "8", "--min", "2", "--max", "8"];
    convert(
        "avifenc",
        &[&usual, arguments].concat(),
        ("png", "avif"),
        &png,
    )
}

/// What `avifdec` shows of a file. It turns nothing by orientation and converts no colour space.
pub(crate) fn avifdec(avif: &[u8]) -> Pixels {
    let arguments = ["--depth", "8", "--upsampling", "bilinear"];
    Pixels::of_png(&convert("avifdec", &arguments, ("avif", "png"), avif))
}

fn convert(program: &str, arguments: &[&str], (from, to): (&str, &str), input: &[u8]) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = |suffix: &str| folder.path().join("picture").with_extension(suffix);
    fs::write(path(from), input).unwrap();
    let mut command = Command::new(program);
    command.args(arguments).arg(path(from)).arg(path(to));
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {said}");
    fs::read(path(to)).unwrap()
}
