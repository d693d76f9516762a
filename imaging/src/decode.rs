//! From a file's bytes to pixels: one file per format below this one, each with the same two functions.
//!
//! - `probe(bytes, limits, meter)` reads the header by our own bounded parser and checks every limit;
//! - `decode(bytes, info, limits, scratch, meter)` leaves pixels, or channels, in the scratch. Where a decoder can deliver less
//!   for less work, it also takes the size that the whole picture will have in the result.
//!
//! The libraries behind `decode` parse the header again, in their own way. Each `decode` therefore compares
//! what its library found with what was probed, so that no file can show one size to the limits and another
//! to the allocator.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::{
    Error, Info, InputFormat, Limits, Meter, Scratch, Size, operation::Detail, raster::Raster,
};

#[cfg(feature = "avif")]
mod avif;
mod gif;
mod jpeg;
mod png;
mod vp8;
mod webp;

/// The longest side of what presets make of a picture; only used to estimate memory.
pub(crate) const USUAL_TARGET: u32 = 2048;

pub(crate) fn probe(
    format: InputFormat,
    bytes: &[u8],
    limits: &Limits,
    meter: &Meter,
) -> Result<Info, Error> {
    meter.bounded(format, bytes.len(), 0, || match format {
        InputFormat::Jpeg => jpeg::probe(bytes, limits, meter),
        InputFormat::Png => png::probe(bytes, limits, meter),
        InputFormat::Webp => webp::probe(bytes, limits, meter),
        InputFormat::Gif => gif::probe(bytes, limits, meter),
        #[cfg(feature = "avif")]
        InputFormat::Avif => avif::probe(bytes, limits, meter),
    })
}

/// Decodes what was probed. A panic in a library is a damaged file to us, and not the end of the process.
pub(crate) fn decode(
    bytes: &[u8],
    info: &Info,
    target: Size,
    detail: Detail,
    limits: &Limits,
    scratch: &mut Scratch,
    meter: &Meter,
) -> Result<Raster, Error> {
    // The scratch holds plain bytes that each render overwrites, so a half-done decode leaves nothing broken.
    let attempt = AssertUnwindSafe(|| match info.format {
        InputFormat::Jpeg => jpeg::decode(bytes, target, detail, limits, scratch, meter),
        InputFormat::Png => png::decode(bytes, info, limits, scratch, meter),
        InputFormat::Webp => webp::decode(bytes, info, target, detail, limits, scratch, meter),
        InputFormat::Gif => gif::decode(bytes, info, limits, scratch, meter),
        #[cfg(feature = "avif")]
        InputFormat::Avif => avif::decode(bytes, info, limits, scratch, meter),
    });
    meter.bounded(info.format, bytes.len(), info.stored.pixels(), || {
        catch_unwind(attempt).unwrap_or_else(|_| {
            let reason = "the decoder gave up on it";
            Err(Error::damaged(info.format, None, reason))
        })
    })
}

/// Memory of a render: the pixels, what the decoder holds besides them, and the resize's intermediate.
fn peak_bytes(size: Size, channels: usize, decoder_bytes: u64) -> u64 {
    let rows = u64::from(size.width) * u64::from(size.height.min(USUAL_TARGET));
    (size.pixels() + rows) * channels as u64 + decoder_bytes
}

/// Refuses a file that shows its library another size than it showed us.
fn same_size(info: &Info, found: (u32, u32)) -> Result<(), Error> {
    let Size { width, height } = info.stored;
    if found == (width, height) {
        return Ok(());
    }
    let reason = format!(
        "its headers contradict each other ({width} x {height} and {} x {} pixels)",
        found.0, found.1
    );
    Err(Error::damaged(info.format, None, reason))
}
