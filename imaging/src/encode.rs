//! From pixels to a file: one file per format below this one. No metadata is written.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::{Error, Meter, Operation, OutputFormat, Scratch, Size, color, raster::Layout};

#[cfg(feature = "avif")]
mod avif;
mod jpeg;
mod png;
mod webp;

pub(crate) use jpeg::color_size;

/// What is encoded.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Content {
    /// Pixels in `scratch.resized`, which may be changed on the way (JPEG is flattened on white).
    Pixels(Layout),
    /// Luma and two colours in `scratch.planes`, the colours at half size: for a JPEG only.
    Channels,
}

pub(crate) fn encode(
    scratch: &mut Scratch,
    size: Size,
    content: Content,
    operation: &Operation,
    meter: &Meter,
) -> Result<Vec<u8>, Error> {
    let Operation {
        format, quality, ..
    } = *operation;
    meter.step(0)?;
    let attempt = AssertUnwindSafe(|| match (content, format) {
        (Content::Channels, _) => jpeg::encode_channels(scratch, size, Layout::Rgb, quality, meter),
        (Content::Pixels(Layout::Rgba), OutputFormat::Jpeg) => {
            color::flatten_on_white(&mut scratch.resized);
            jpeg::encode(scratch, size, Layout::Rgb, quality, meter)
        }
        (Content::Pixels(layout), OutputFormat::Jpeg) => {
            jpeg::encode(scratch, size, layout, quality, meter)
        }
        (Content::Pixels(layout), OutputFormat::Png) => png::encode(&scratch.resized, size, layout),
        (Content::Pixels(layout), OutputFormat::Webp) => {
            webp::encode(&scratch.resized, size, layout, quality, meter)
        }
        #[cfg(feature = "avif")]
        (Content::Pixels(layout), OutputFormat::Avif) => {
            avif::encode(&scratch.resized, size, layout, quality)
        }
    });
    let encoded = catch_unwind(attempt).unwrap_or_else(|_| Err("the encoder gave up".to_owned()));
    // An encoder that was stopped says so in its own words.
    encoded.or_else(|reason| meter.step(0).and(Err(Error::Encode { format, reason })))
}
