//! AVIF: the container and the sequence header by our own walk, the frame by a decoder in safe Rust.
//!
//! One picture coded as AV1, and one more for its transparency. What is a picture only together with others (a grid, an
//! overlay, layers) is refused by name, and so is what no display of 8 bits can show as it is meant (HDR).

use moxcms::{
    CicpColorPrimaries, CicpProfile, ColorProfile, MatrixCoefficients, TransferCharacteristics,
};
use oxideav_av1::{
    Error as FrameError,
    decoder::{SpecDecodeSession, SpecFrame},
};

use self::{
    boxes::damaged,
    items::{Items, unsupported},
    pixels::Conversion,
    properties::Properties,
    stream::{CodePoints, Sequence},
};
use super::{peak_bytes, same_size};
use crate::{
    Error, Info, InputFormat, Limits, Meter, Orientation, Scratch, Size,
    raster::{Layout, Pixels, Raster},
    scratch::blank,
};

mod boxes;
mod items;
mod pixels;
mod properties;
mod stream;

/// What an auxiliary picture says of itself if it is transparency: as MIAF has it, and as the first files had it.
const ALPHA: [&[u8]; 2] = [
    b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha",
    b"urn:mpeg:hevc:2015:auxid:1",
];

pub(super) fn probe(bytes: &[u8], limits: &Limits, meter: &Meter) -> Result<Info, Error> {
    let picture = Picture::read(bytes, limits, meter)?;
    let size = picture.color.sequence.size;
    let alpha = picture.alpha.as_ref().map(|alpha| alpha.sequence);
    let coded = [Some(picture.color.sequence), alpha];
    // One after the other, so the larger one counts.
    let decoder_bytes = coded.iter().flatten().map(decoder_bytes).max();
    Ok(Info {
        format: InputFormat::Avif,
        stored: size,
        displayed: picture.orientation.display(size),
        orientation: picture.orientation,
        has_alpha: picture.alpha.is_some(),
        frames: 1,
        decoded_bytes: peak_bytes(
            size,
            picture.layout().channels(),
            decoder_bytes.unwrap_or(0),
        ),
    })
}

pub(super) fn decode(
    bytes: &[u8],
    info: &Info,
    limits: &Limits,
    scratch: &mut Scratch,
    meter: &Meter,
) -> Result<Raster, Error> {
    let picture = Picture::read(bytes, limits, meter)?;
    let layout = picture.layout();
    blank(&mut scratch.pixels, info.stored.bytes(layout.channels()))?;

    let frame = picture.color.decode(info)?;
    meter.step(info.stored.pixels())?;
    picture
        .conversion
        .colors(&frame, layout, &mut scratch.pixels);
    drop(frame);
    if let Some(alpha) = &picture.alpha {
        // Only its range counts: whatever matrix it names, there are no colours.
        let code_points = CodePoints {
            matrix: 2,
            ..alpha.sequence.color.code_points
        };
        let conversion = conversion(&alpha.sequence, code_points)?;
        let frame = alpha.decode(info)?;
        meter.step(info.stored.pixels())?;
        conversion.alpha(&frame, picture.is_premultiplied, &mut scratch.pixels);
    }
    Ok(Raster {
        pixels: Pixels::Packed(info.stored),
        layout,
        icc: picture.profile(),
        truncated: false,
    })
}

/// What the decoder takes for a picture at its peak. Measured: 12.5 bytes for each pixel of grey, 14.5, 16.6 and 22.7 with
/// colours at a quarter, at half and at full resolution; and 4.2 for each sample if grain is laid over it.
fn decoder_bytes(sequence: &Sequence) -> u64 {
    let color = &sequence.color;
    let half_samples = match color.subsampling {
        _ if color.monochrome => 2,
        (true, true) => 3,
        (true, false) => 4,
        (false, _) => 6,
    };
    let for_each = if sequence.grain { 10 } else { 5 };
    sequence.size.pixels() * (17 + for_each * half_samples) / 2
}

fn conversion(sequence: &Sequence, code_points: CodePoints) -> Result<Conversion, Error> {
    Conversion::new(&sequence.color, code_points)
        .ok_or_else(|| unsupported("a rare matrix of colours"))
}

/// What the container says of its primary picture.
struct Picture<'a> {
    color: Coded<'a>,
    alpha: Option<Coded<'a>>,
    is_premultiplied: bool,
    conversion: Conversion,
    code_points: CodePoints,
    orientation: Orientation,
    icc: Option<&'a [u8]>,
}

/// A coded picture.
struct Coded<'a> {
    data: &'a [u8],
    /// Where it begins in the file.
    at: usize,
    sequence: Sequence,
    properties: Properties<'a>,
}

impl<'a> Picture<'a> {
    fn read(bytes: &'a [u8], limits: &Limits, meter: &'a Meter) -> Result<Self, Error> {
        let items = Items::read(bytes, limits, meter)?;
        let primary = items.primary()?;
        let color = Coded::read(&items, primary, limits)?;
        let alpha = items.auxiliary(primary, |name| ALPHA.contains(&name))?;
        let is_premultiplied = match alpha {
            Some(alpha) => items.refers(*b"prem", primary, alpha)?,
            None => false,
        };
        let alpha = alpha
            .map(|alpha| Coded::read(&items, alpha, limits))
            .transpose()?;
        if let Some(alpha) = &alpha
            && alpha.sequence.size != color.sequence.size
        {
            return Err(damaged(alpha.at, "its transparency has another size"));
        }
        let Properties {
            code_points, icc, ..
        } = color.properties;
        let code_points = code_points.unwrap_or(color.sequence.color.code_points);
        if icc.is_none() && matches!(code_points.transfer, 16 | 18) {
            return Err(unsupported("a transfer function of HDR"));
        }
        Ok(Self {
            orientation: color.properties.turns.orientation(),
            conversion: conversion(&color.sequence, code_points)?,
            color,
            alpha,
            is_premultiplied,
            code_points,
            icc,
        })
    }

    fn layout(&self) -> Layout {
        match &self.alpha {
            Some(_) => Layout::Rgba,
            None if self.color.sequence.color.monochrome => Layout::Gray,
            None => Layout::Rgb,
        }
    }

    /// The colour profile: the embedded one, or one made of code points that are not sRGB's.
    fn profile(&self) -> Option<Vec<u8>> {
        if let Some(icc) = self.icc {
            return Some(icc.to_vec());
        }
        let CodePoints {
            primaries,
            transfer,
            ..
        } = self.code_points;
        let primaries = match primaries {
            9 => CicpColorPrimaries::Bt2020,
            11 => CicpColorPrimaries::Smpte431,
            12 => CicpColorPrimaries::Smpte432,
            _ => CicpColorPrimaries::Bt709,
        };
        // Cameras' functions are shown as sRGB's, as browsers do.
        let transfer = match transfer {
            4 => TransferCharacteristics::Bt470M,
            5 => TransferCharacteristics::Bt470Bg,
            8 => TransferCharacteristics::Linear,
            _ => TransferCharacteristics::Srgb,
        };
        let is_srgb =
            primaries == CicpColorPrimaries::Bt709 && transfer == TransferCharacteristics::Srgb;
        let profile = ColorProfile::new_from_cicp(CicpProfile {
            color_primaries: primaries,
            transfer_characteristics: transfer,
            matrix_coefficients: MatrixCoefficients::Identity,
            full_range: true,
        });
        (!is_srgb).then(|| profile.encode().ok()).flatten()
    }
}

impl<'a> Coded<'a> {
    fn read(items: &Items<'a>, item: u32, limits: &Limits) -> Result<Self, Error> {
        items.check_kind(item)?;
        let mut properties = Properties::default();
        items.properties(item, |property, is_essential| {
            properties.add(property, is_essential, limits)
        })?;
        let (data, at) = items.data(item)?;
        let size = properties
            .size
            .ok_or_else(|| damaged(at, "its picture has no size (an 'ispe' property)"))?;
        limits.check_input(size)?;
        let sequence = stream::sequence(data, at)?;
        if sequence.size != size {
            let Size { width, height } = sequence.size;
            let reason = format!(
                "its headers contradict each other ({} x {} and {width} x {height} pixels)",
                size.width, size.height
            );
            return Err(damaged(at, reason));
        }
        if properties.configuration != Some(configuration(&sequence)) {
            let reason =
                "its codec's configuration (the 'av1C' property) is missing or is another one's";
            return Err(damaged(at, reason));
        }
        Ok(Self {
            data,
            at,
            sequence,
            properties,
        })
    }

    /// Decodes the frame, which must have the size of the picture and the channels that its header says.
    fn decode(&self, info: &Info) -> Result<SpecFrame, Error> {
        let bytes = decoder_bytes(&self.sequence);
        // The decoder can't say that memory is short.
        if Vec::<u8>::new().try_reserve_exact(bytes as usize).is_err() {
            return Err(Error::OutOfMemory { bytes });
        }
        let mut session = SpecDecodeSession::new();
        session.set_max_picture_size(u32::try_from(info.stored.pixels()).unwrap_or(u32::MAX));
        let frames = session
            .decode_temporal_unit(self.data)
            .map_err(|error| self.damaged(error))?;
        let [frame] = <[SpecFrame; 1]>::try_from(frames)
            .map_err(|_| damaged(self.at, "it shows no picture"))?;
        same_size(info, (frame.width, frame.height))?;
        let color = &self.sequence.color;
        let channels = if color.monochrome { 1 } else { 3 };
        if frame.bit_depth != color.bit_depth || frame.planes.len() != channels {
            return Err(damaged(self.at, "its headers contradict each other"));
        }
        Ok(frame)
    }

    fn damaged(&self, error: FrameError) -> Error {
        let reason = match error {
            FrameError::UnexpectedEnd => "its picture ends before its last pixel",
            FrameError::PictureSizeExceedsLimit => "its headers contradict each other",
            _ => "its coded data breaks the rules",
        };
        damaged(self.at, reason)
    }
}

/// What `av1C` must say of a sequence: the profile, and behind the tier how its channels are.
fn configuration(sequence: &Sequence) -> [u8; 2] {
    let color = &sequence.color;
    let (across, down) = color.subsampling;
    let flag = |flag: bool, bit: u8| u8::from(flag) << bit;
    let channels = flag(color.bit_depth > 8, 6)
        | flag(color.bit_depth == 12, 5)
        | flag(color.monochrome, 4)
        | flag(across, 3)
        | flag(down, 2);
    [sequence.profile << 5, channels]
}
