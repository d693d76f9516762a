//! From pixels to a file: one file per format below this one. No metadata is written.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::{Error, Operation, OutputFormat, Size, color, raster::Layout};

mod jpeg;
mod png;
mod webp;

/// Encodes `pixels`, which may be changed on the way (JPEG is flattened on white).
pub(crate) fn encode(
    pixels: &mut Vec<u8>,
    size: Size,
    layout: Layout,
    operation: &Operation,
) -> Result<Vec<u8>, Error> {
    let format = operation.format;
    let attempt = AssertUnwindSafe(|| match format {
        OutputFormat::Jpeg if layout == Layout::Rgba => {
            color::flatten_on_white(pixels);
            jpeg::encode(pixels, size, Layout::Rgb, operation.quality)
        }
        OutputFormat::Jpeg => jpeg::encode(pixels, size, layout, operation.quality),
        OutputFormat::Png => png::encode(pixels, size, layout),
        OutputFormat::Webp => webp::encode(pixels, size, layout, operation.quality),
    });
    let encoded = catch_unwind(attempt).unwrap_or_else(|_| Err("the encoder gave up".to_owned()));
    encoded.map_err(|reason| Error::Encode { format, reason })
}
