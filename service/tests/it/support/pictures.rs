//! Small real pictures, and files that only look like pictures.

use imaging::{Limits, Operation, OutputFormat, Scratch};

/// A PNG of this size; another `seed` gives other bytes. With `alpha`, half of it is transparent.
pub(crate) fn png(seed: u8, width: u32, height: u32, alpha: bool) -> Vec<u8> {
    let (color, channels) = if alpha {
        (png::ColorType::Rgba, 4)
    } else {
        (png::ColorType::Rgb, 3)
    };
    let mut pixels = Vec::with_capacity((width * height * channels) as usize);
    for y in 0..height {
        for x in 0..width {
            pixels.extend_from_slice(&[(x * 255 / width) as u8, (y * 255 / height) as u8, seed]);
            if alpha {
                pixels.push(if x < width / 2 { 0 } else { 255 });
            }
        }
    }
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, width, height);
    encoder.set_color(color);
    let mut writer = encoder.write_header().expect("a header");
    writer.write_image_data(&pixels).expect("pixels");
    writer.finish().expect("an end");
    file
}

/// A JPEG of at most this size.
pub(crate) fn jpeg(seed: u8, side: u32) -> Vec<u8> {
    let source = png(seed, side, side * 3 / 4, false);
    let operation = Operation::inside(side, OutputFormat::Jpeg);
    imaging::render(&source, &operation, &Limits::default(), &mut Scratch::new())
        .expect("a JPEG")
        .bytes
}

/// The beginning of a PNG that says it is this large; there are no pixels behind it.
pub(crate) fn png_header(width: u32, height: u32) -> Vec<u8> {
    let mut file = Vec::new();
    drop(
        png::Encoder::new(&mut file, width, height)
            .write_header()
            .expect("a header"),
    );
    file
}

/// An opaque PNG in which nothing repeats, so that it is as large as its pixels.
pub(crate) fn noise(seed: u64, width: u32, height: u32) -> Vec<u8> {
    let mut state = seed | 1;
    let pixels: Vec<u8> = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    })
    .take((width * height * 3) as usize)
    .collect();
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_compression(png::Compression::NoCompression);
    let mut writer = encoder.write_header().expect("a header");
    writer.write_image_data(&pixels).expect("pixels");
    writer.finish().expect("an end");
    file
}
