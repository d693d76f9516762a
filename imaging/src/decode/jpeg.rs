//! JPEG (ITU-T T.81, JFIF 1.02), decoded only as far as the result needs.
//!
//! A picture that is shown at an eighth of its size needs one number of each block of 8 x 8, at a quarter four, and so on.
//! [`samples_a_block`] chooses N for each channel, and everything below decodes N x N samples of each block. What each file is for:
//!
//! | file | concern |
//! |---|---|
//! | `markers`, `header`, `tables`, `standard` | segments: what the file says of itself, and what scans are read with |
//! | `bits`, `huffman`, `restarts` | coded data: stuffing, codes, and finding one's place again |
//! | `sequential`, `progressive` | scans: which coefficients come when |
//! | `channel`, `inverse`, `upsample` | from coefficients to samples, to rows of a picture |
//! | `decoder` | all of it, in the order of the file |

use crate::{
    Error, Fidelity, Info, InputFormat, Limits, Meter, Scratch, Size,
    operation::Detail,
    planar::interleave,
    raster::{Encoding, Pixels, Raster},
    scratch::blank,
};

mod bits;
mod channel;
mod decoder;
mod header;
mod huffman;
mod inverse;
mod markers;
mod progressive;
mod restarts;
mod sequential;
mod standard;
mod tables;
mod upsample;

use header::{Frame, Header};
use upsample::Upsampled;

pub(super) fn probe(bytes: &[u8], limits: &Limits, meter: &Meter) -> Result<Info, Error> {
    let Header {
        frame,
        orientation,
        encoding,
        ..
    } = Header::read(bytes, limits, meter)?;
    Ok(Info {
        format: InputFormat::Jpeg,
        stored: frame.size,
        displayed: orientation.display(frame.size),
        orientation,
        has_alpha: false,
        frames: 1,
        decoded_bytes: full_size_bytes(&frame, encoding.layout().channels()),
    })
}

/// Decodes for a result in which the whole picture would be `target` large.
pub(super) fn decode(
    bytes: &[u8],
    target: Size,
    detail: Detail,
    limits: &Limits,
    scratch: &mut Scratch,
    meter: &Meter,
) -> Result<Raster, Error> {
    let header = Header::read(bytes, limits, meter)?;
    let is_unscaled = target == header.frame.size;
    let samples = if is_unscaled {
        [8; 4]
    } else {
        samples_a_block(&header, target, detail)
    };
    let decoded = decoder::decode(bytes, &header, &samples, scratch, meter)?;
    let pixels = if is_unscaled && !(detail.halves_color && is_halved(&header)) {
        put_together(&header, &decoded, scratch, meter)?;
        Pixels::Packed(target)
    } else {
        Pixels::Planar {
            planes: decoded.planes,
            encoding: header.encoding,
        }
    };
    Ok(Raster {
        pixels,
        layout: header.encoding.layout(),
        icc: header.icc(),
        truncated: decoded.truncated,
    })
}

/// Whether the picture has its colours at half size, as a result of the same size would.
fn is_halved(header: &Header) -> bool {
    let sampling = header
        .frame
        .components
        .iter()
        .map(|component| component.sampling);
    header.encoding == Encoding::YCbCr && sampling.eq([(2, 2), (1, 1), (1, 1)])
}

/// For each component the smallest number of samples to a block's side that leaves the resize enough to work with.
///
/// The mean of a block is not a sample of a picture that was filtered as the resize would have done it: it shows unless
/// corrected. It serves for colour, where the fidelity allows it, and where it saves nearly everything: the scans of a
/// progressive picture that hold the rest are then not read.
fn samples_a_block(header: &Header, target: Size, detail: Detail) -> [usize; 4] {
    let frame = &header.frame;
    let is_subsampled =
        |index| index > 0 && header.encoding == Encoding::YCbCr && detail.halves_color;
    std::array::from_fn(|index| {
        let Some(component) = frame.components.get(index) else {
            return 8;
        };
        let share = if is_subsampled(index) { 0.5 } else { 1.0 };
        let samples = frame.samples(component);
        let wanted = |samples: usize, target: u32| {
            let wanted = share * f64::from(target) * detail.oversampling;
            (8.0 * wanted / samples as f64).ceil() as usize
        };
        let means_suffice =
            index > 0 || frame.is_progressive || detail.fidelity == Fidelity::NearEqual;
        let least = if means_suffice { 1 } else { 2 };
        wanted(samples.0, target.width)
            .max(wanted(samples.1, target.height))
            .clamp(least, 8)
    })
}

/// The pixels of a picture at its own size, row by row.
fn put_together(
    header: &Header,
    decoded: &decoder::Decoded,
    scratch: &mut Scratch,
    meter: &Meter,
) -> Result<(), Error> {
    let Frame {
        size,
        components,
        largest,
        ..
    } = &header.frame;
    let channels = header.encoding.layout().channels();
    blank(&mut scratch.pixels, size.bytes(channels))?;
    let mut upsampled: Vec<_> = scratch
        .planes
        .iter()
        .zip(&decoded.planes)
        .zip(components)
        .map(|((samples, plane), component)| {
            Upsampled::new(samples, *plane, *largest, component.sampling)
        })
        .collect();
    let width = size.width as usize;
    let mut rows = vec![vec![0; width]; upsampled.len()];
    for (y, pixels) in scratch
        .pixels
        .chunks_exact_mut(width * channels)
        .enumerate()
    {
        meter.step((width * channels) as u64)?;
        for (channel, row) in upsampled.iter_mut().zip(&mut rows) {
            channel.row(y, row);
        }
        let rows: [&[u8]; 4] = std::array::from_fn(|i| rows.get(i).map_or(&[][..], |row| row));
        interleave(&rows[..components.len()], header.encoding, pixels);
    }
    Ok(())
}

/// Memory of a render at full size: samples with their padding, coefficients, pixels, and a resize's intermediate.
fn full_size_bytes(frame: &Frame, channels: usize) -> u64 {
    let samples = frame.components.iter().map(|component| {
        let (across, down) = frame.blocks(component);
        64 * (across * down) as u64
    });
    super::peak_bytes(
        frame.size,
        channels,
        samples.sum::<u64>() + decoder::coefficient_bytes(frame, 8),
    )
}

fn damaged(at: usize, reason: impl Into<String>) -> Error {
    Error::damaged(InputFormat::Jpeg, at, reason)
}

fn unsupported(feature: &'static str) -> Error {
    Error::UnsupportedFeature {
        format: InputFormat::Jpeg,
        feature,
    }
}
