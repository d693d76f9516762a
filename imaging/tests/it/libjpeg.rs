//! libjpeg-turbo's programs: an encoder and a decoder that owe nothing to ours.
//!
//! They read their standard input and write their standard output, so no file is made.

use std::{
    io::Write,
    process::{Command, Output, Stdio},
    thread,
};

use imaging::Size;

use crate::{
    ideal::Picture,
    make::{Paint, paint, size},
    programs,
};

/// Scan scripts, for `-scans`.
pub(crate) const SUCCESSIVE: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/tests/scans/successive.txt");
pub(crate) const COMPONENT: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/tests/scans/component.txt");

/// What `djpeg` shows of a file.
pub(crate) struct Shown {
    pub picture: Picture,
    /// Whether it complained: the file is damaged, and this is what could be made of it.
    pub complained: bool,
}

/// Whether the programs are there: [`programs::require`].
pub(crate) fn require() -> bool {
    programs::require(&["cjpeg", "djpeg", "jpegtran"], "-version")
}

/// A JPEG of `picture`.
pub(crate) fn cjpeg(arguments: &[&str], dimensions: Size, picture: Paint) -> Vec<u8> {
    let mut input = format!("P6\n{} {}\n255\n", dimensions.width, dimensions.height).into_bytes();
    input.extend(paint::<3>(dimensions, picture));
    succeeded("cjpeg", arguments, run("cjpeg", arguments, &input))
}

/// The same coefficients, coded in another way. Of a damaged file, those that can be had.
pub(crate) fn jpegtran(arguments: &[&str], jpeg: &[u8]) -> Vec<u8> {
    succeeded("jpegtran", arguments, run("jpegtran", arguments, jpeg))
}

/// What a file shows, or why it shows nothing.
pub(crate) fn djpeg(arguments: &[&str], jpeg: &[u8]) -> Result<Shown, String> {
    let output = run("djpeg", arguments, jpeg);
    if !is_picture(&output) {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    let complained = !output.status.success();
    let picture = read_pnm(&output.stdout).ok_or("djpeg wrote no whole PNM")?;
    Ok(Shown {
        picture,
        complained,
    })
}

fn succeeded(program: &str, arguments: &[&str], output: Output) -> Vec<u8> {
    assert!(
        is_picture(&output),
        "{program} {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    output.stdout
}

/// 0: all is well; 2: there were warnings; 1: there is no picture, or a part of one and then an error.
fn is_picture(output: &Output) -> bool {
    matches!(output.status.code(), Some(0 | 2))
}

fn run(program: &str, arguments: &[&str], input: &[u8]) -> Output {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    thread::scope(|scope| {
        // A program that refuses its input reads no further; its status says so.
        scope.spawn(move || {
            let _ = stdin.write_all(input);
        });
        child.wait_with_output().unwrap()
    })
}

/// Reads `P5` (grey) or `P6` (RGB) of 8 bits, as `djpeg` writes them: one line each for kind, sides and maximum.
fn read_pnm(bytes: &[u8]) -> Option<Picture> {
    let mut parts = bytes.splitn(4, |byte| *byte == b'\n');
    let kind = parts.next()?;
    let sides = std::str::from_utf8(parts.next()?).ok()?;
    let (width, height) = sides.split_once(' ')?;
    let dimensions = size(width.parse().ok()?, height.parse().ok()?);
    let samples = parts.nth(1)?;
    let rgb: Vec<[f64; 3]> = if kind == b"P5" {
        samples.iter().map(|gray| [f64::from(*gray); 3]).collect()
    } else {
        let pixels = samples.as_chunks::<3>().0.iter();
        pixels.map(|pixel| pixel.map(f64::from)).collect()
    };
    (rgb.len() as u64 == dimensions.pixels()).then_some(Picture {
        size: dimensions,
        rgb,
    })
}
