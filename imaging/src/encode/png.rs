//! PNG by the `png` crate: 8 bits a channel.

use png::{BitDepth, ColorType, Compression, Encoder};

use crate::{Size, raster::Layout};

pub(super) fn encode(pixels: &[u8], size: Size, layout: Layout) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, size.width, size.height);
    encoder.set_depth(BitDepth::Eight);
    // A third off the time of a whole render, for 5 to 10 % more bytes than at the balanced setting.
    encoder.set_compression(Compression::Fast);
    encoder.set_color(match layout {
        Layout::Gray => ColorType::Grayscale,
        Layout::Rgb => ColorType::Rgb,
        Layout::Rgba | Layout::Cmyk => ColorType::Rgba,
    });
    let written = encoder.write_header().and_then(|mut writer| {
        writer.write_image_data(pixels)?;
        writer.finish()
    });
    written.map_err(|error| error.to_string())?;
    Ok(bytes)
}
