//! A lossy WebP's picture: one key frame of VP8 (RFC 6386), decoded for a result that is much smaller.
//!
//! A sample can only be decoded after those above and to the left, so that all of them are; but each macroblock is averaged as
//! soon as it is there, and of a result that is a quarter as large or less the picture is never held. The edges of blocks are not
//! smoothed (section 15): nothing of a still picture is predicted from smoothed samples, and libwebp, too, leaves that out when it makes
//! a picture smaller than three quarters. What each file is for:
//!
//! | file | concern |
//! |---|---|
//! | `header`, `tables` | what the frame says of itself, and what it need not say |
//! | `bools` | coded data: one decision after the other |
//! | `modes`, `coefficients` | what a macroblock's decisions mean |
//! | `predict`, `blocks`, `inverse` | from these to samples |
//! | `macroblocks` | all of it, from the first macroblock to the last |
//! | `averages` | where the samples go |

use crate::{Error, InputFormat, Meter, Size, encode::color_size, raster::Plane};

mod averages;
mod blocks;
mod bools;
mod coefficients;
mod header;
mod inverse;
mod macroblocks;
mod modes;
mod predict;
mod tables;
#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail")]
mod tests;

use averages::{Averages, Channel};
use header::Header;
use macroblocks::Decoder;

/// Samples of luma to a side of a macroblock.
const SIDE: usize = 16;
/// Steps of a macroblock: its samples, luma and colours.
const MACROBLOCK_STEPS: usize = SIDE * SIDE * 3 / 2;

/// Decodes the content of a `VP8 ` chunk, whose picture has this size, to luma and two colours at half its size. One sample is left of
/// each square of so many: 1, 2, 4 or 8 to a side, for luma and for the colours. Errors name `at`, where
/// the frame is in the file.
pub(super) fn decode(
    frame: &[u8],
    at: usize,
    size: Size,
    [of_luma, of_colors]: [usize; 2],
    [luma, blue, red]: [&mut Vec<u8>; 3],
    meter: &Meter,
) -> Result<[Plane; 3], Error> {
    let damaged = |reason| Error::damaged(InputFormat::Webp, at, reason);
    let header = Header::read(frame).map_err(damaged)?;
    let across = (size.width as usize).div_ceil(SIDE);
    let down = (size.height as usize).div_ceil(SIDE);
    let whole = Channel {
        size,
        extent: (size.width.into(), size.height.into()),
        macroblock: SIDE,
    };
    let half = Channel {
        size: color_size(size, true),
        extent: (whole.extent.0 / 2.0, whole.extent.1 / 2.0),
        macroblock: SIDE / 2,
    };
    let averages = |samples, channel, side| Averages::new(samples, channel, (across, down), side);
    let mut picture = [
        averages(luma, &whole, of_luma)?,
        averages(blue, &half, of_colors)?,
        averages(red, &half, of_colors)?,
    ];
    let mut decoder = Decoder::new(header, across);
    for y in 0..down {
        meter.step((across * MACROBLOCK_STEPS) as u64)?;
        decoder.decode_row(y, &mut picture).map_err(damaged)?;
    }
    Ok(picture.map(|averages| averages.plane))
}
