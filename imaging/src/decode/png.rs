//! PNG: the chunks by our own walk, the pixels by the `png` crate, as 8-bit grey, RGB or RGBA.

use std::io::ErrorKind;

use png::{ColorType, Decoder, DecodingError, Transformations};

use super::{peak_bytes, same_size};
use crate::{
    Error, Info, InputFormat, Limits, Meter, Orientation, Scratch, Size,
    bytes::be_u32,
    exif,
    meter::Pieces,
    raster::{Layout, Pixels, Raster},
    scratch::blank,
};

const SIGNATURE_BYTES: usize = 8;
/// Length, type and checksum around a chunk's content.
const FRAME_BYTES: usize = 12;
/// What the library may take besides profile, EXIF and our buffer: a few small chunks.
const LIBRARY_BYTES: u64 = 1 << 20;

pub(super) fn probe(bytes: &[u8], limits: &Limits, meter: &Meter) -> Result<Info, Error> {
    let chunks = Chunks::read(bytes, limits, meter)?;
    let orientation = chunks.orientation;
    Ok(Info {
        format: InputFormat::Png,
        stored: chunks.size,
        displayed: orientation.display(chunks.size),
        orientation,
        has_alpha: chunks.has_alpha(),
        frames: chunks.frames,
        decoded_bytes: peak_bytes(chunks.size, chunks.channels(), 0),
    })
}

pub(super) fn decode(
    bytes: &[u8],
    info: &Info,
    limits: &Limits,
    scratch: &mut Scratch,
    meter: &Meter,
) -> Result<Raster, Error> {
    // The library's limit covers what it allocates for chunks and what they inflate to; the buffer of the
    // pixels is ours, and bounded by the probed size.
    let exif_bytes = Chunks::read(bytes, limits, meter)?.exif_bytes;
    let allowed = 2 * limits.icc_bytes + 2 * exif_bytes + LIBRARY_BYTES;
    let library_limits = png::Limits {
        bytes: usize::try_from(allowed).unwrap_or(usize::MAX),
    };
    let mut decoder = Decoder::new_with_limits(Pieces::new(bytes, meter), library_limits);
    decoder.set_ignore_text_chunk(true);
    decoder.set_transformations(Transformations::EXPAND | Transformations::STRIP_16);
    let mut reader = decoder.read_info().map_err(|error| library(&error))?;
    same_size(info, reader.info().size())?;

    let color = reader.output_color_type().0;
    let layout = match color {
        ColorType::Grayscale => Layout::Gray,
        ColorType::Rgb => Layout::Rgb,
        _ => Layout::Rgba,
    };
    blank(&mut scratch.pixels, info.stored.bytes(layout.channels()))?;
    let truncated = match reader.next_frame(&mut scratch.pixels) {
        Ok(_) => false,
        Err(DecodingError::IoError(error)) if error.kind() == ErrorKind::UnexpectedEof => true,
        Err(error) => return Err(library(&error)),
    };
    if color == ColorType::GrayscaleAlpha {
        spread_gray_alpha(&mut scratch.pixels);
    }
    // A profile that inflates to more than the limit was left out by the library: sRGB, then.
    let icc = reader.info().icc_profile.as_deref().map(<[u8]>::to_vec);
    let icc = icc.filter(|profile| profile.len() as u64 <= limits.icc_bytes);
    Ok(Raster {
        pixels: Pixels::Packed(info.stored),
        layout,
        icc,
        truncated,
    })
}

/// Makes RGBA of grey and alpha that fill the first half of the buffer, from the back so that nothing is
/// overwritten before it is read.
fn spread_gray_alpha(pixels: &mut [u8]) {
    for index in (0..pixels.len() / 4).rev() {
        let (gray, alpha) = (pixels[2 * index], pixels[2 * index + 1]);
        pixels[4 * index..4 * index + 4].copy_from_slice(&[gray, gray, gray, alpha]);
    }
}

/// What the chunks say.
struct Chunks {
    size: Size,
    color_type: u8,
    /// Whether one colour or some palette entries are transparent.
    transparency: bool,
    orientation: Orientation,
    exif_bytes: u64,
    frames: u32,
}

impl Chunks {
    fn read(bytes: &[u8], limits: &Limits, meter: &Meter) -> Result<Self, Error> {
        let mut found = Self::header(bytes, limits)?;
        let mut metadata_bytes = 0;
        let mut data_seen = false;
        let mut at = SIGNATURE_BYTES;
        while let (Some(length), Some(kind)) = (be_u32(bytes, at), bytes.get(at + 4..at + 8)) {
            meter.step(1)?;
            let start = at + 8;
            let content = bytes.get(start..).unwrap_or_default();
            let content = &content[..content.len().min(length as usize)];
            match kind {
                b"IDAT" => data_seen = true,
                b"IEND" => break,
                b"tRNS" => found.transparency = true,
                b"acTL" => found.frames = be_u32(content, 0).unwrap_or(1).max(1),
                b"eXIf" => {
                    found.orientation = exif::orientation(content);
                    found.exif_bytes += u64::from(length);
                }
                b"iCCP" => limits.check_icc(length.into())?,
                _ => {}
            }
            // An upper-case first letter marks what is needed for the pixels; frames of an animation are not metadata either.
            if kind[0].is_ascii_lowercase() && !matches!(kind, b"iCCP" | b"fdAT") {
                metadata_bytes += u64::from(length);
                limits.check_metadata(metadata_bytes)?;
            }
            at = start + length as usize + (FRAME_BYTES - 8);
        }
        if !data_seen {
            return Err(damaged(at.min(bytes.len()), "ends before its pixels"));
        }
        limits.check_animation(found.size, found.frames)?;
        Ok(found)
    }

    fn header(bytes: &[u8], limits: &Limits) -> Result<Self, Error> {
        let at = SIGNATURE_BYTES;
        let header = bytes
            .get(at + 8..at + 8 + 13)
            .ok_or_else(|| damaged(at, "ends inside its header"))?;
        if bytes[at..at + 8] != *b"\0\0\0\x0dIHDR" {
            return Err(damaged(at, "does not begin with an IHDR chunk of 13 bytes"));
        }
        let side = |at| be_u32(header, at).unwrap_or(0);
        let size = Size {
            width: side(0),
            height: side(4),
        };
        if size.width == 0 || size.height == 0 {
            return Err(damaged(at + 8, "a width or height of zero"));
        }
        limits.check_input(size)?;
        Ok(Self {
            size,
            color_type: header[9],
            transparency: false,
            orientation: Orientation::Normal,
            exif_bytes: 0,
            frames: 1,
        })
    }

    const fn has_alpha(&self) -> bool {
        self.transparency || self.color_type & 4 != 0
    }

    fn channels(&self) -> usize {
        match self.color_type {
            _ if self.has_alpha() => Layout::Rgba.channels(),
            0 => Layout::Gray.channels(),
            _ => Layout::Rgb.channels(),
        }
    }
}

fn damaged(at: usize, reason: impl Into<String>) -> Error {
    Error::damaged(InputFormat::Png, at, reason)
}

fn library(error: &DecodingError) -> Error {
    Error::damaged(InputFormat::Png, None, error.to_string())
}
