//! AVIF by ravif, an encoder in Rust, on the caller's thread.

use ravif::{BitDepth, Encoder, Img, RGB8, RGBA8};

use crate::{Size, raster::Layout};

/// Of 1 (smallest) to 10 (fastest).
const SPEED: u8 = 8;

pub(super) fn encode(
    pixels: &[u8],
    size: Size,
    layout: Layout,
    quality: u8,
) -> Result<Vec<u8>, String> {
    let quality = f32::from(quality);
    let encoder = Encoder::new()
        .with_quality(quality)
        .with_alpha_quality(quality)
        .with_speed(SPEED)
        .with_bit_depth(BitDepth::Eight)
        .with_num_threads(Some(1));
    let (width, height) = (size.width as usize, size.height as usize);
    let encoded = match layout {
        Layout::Rgba | Layout::Cmyk => {
            let pixels = pixels.as_chunks::<4>().0.iter();
            let pixels: Vec<RGBA8> = pixels.map(|&[r, g, b, a]| RGBA8::new(r, g, b, a)).collect();
            encoder.encode_rgba(Img::new(&pixels, width, height))
        }
        Layout::Rgb => {
            let pixels = pixels.as_chunks::<3>().0.iter();
            let pixels: Vec<RGB8> = pixels.map(|&[r, g, b]| RGB8::new(r, g, b)).collect();
            encoder.encode_rgb(Img::new(&pixels, width, height))
        }
        Layout::Gray => {
            let pixels: Vec<RGB8> = pixels
                .iter()
                .map(|&gray| RGB8::new(gray, gray, gray))
                .collect();
            encoder.encode_rgb(Img::new(&pixels, width, height))
        }
    };
    encoded
        .map(|encoded| encoded.avif_file)
        .map_err(|error| error.to_string())
}
