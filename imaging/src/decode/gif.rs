//! GIF: the blocks by our own walk, the first frame's pixels by the `gif` crate.

use gif::{ColorOutput, DecodeOptions, DecodingError};

use super::peak_bytes;
use crate::{
    Error, Info, InputFormat, Limits, Meter, Orientation, Scratch, Size,
    bytes::le_u16,
    meter::Pieces,
    raster::{Layout, Pixels, Raster},
    scratch::blank,
};

const SCREEN_OFFSET: usize = 6;
const BLOCKS_OFFSET: usize = 13;
const RGBA: usize = 4;

pub(super) fn probe(bytes: &[u8], limits: &Limits, meter: &Meter) -> Result<Info, Error> {
    let blocks = Blocks::read(bytes, limits, meter)?;
    let frame_bytes = if blocks.frame == blocks.canvas {
        0
    } else {
        blocks.frame.pixels() * RGBA as u64
    };
    Ok(Info {
        format: InputFormat::Gif,
        stored: blocks.canvas,
        displayed: blocks.canvas,
        orientation: Orientation::Normal,
        has_alpha: blocks.transparency || blocks.frame != blocks.canvas,
        frames: blocks.frames,
        decoded_bytes: peak_bytes(blocks.canvas, RGBA, frame_bytes),
    })
}

pub(super) fn decode(
    bytes: &[u8],
    info: &Info,
    limits: &Limits,
    scratch: &mut Scratch,
    meter: &Meter,
) -> Result<Raster, Error> {
    let blocks = Blocks::read(bytes, limits, meter)?;
    let mut options = DecodeOptions::new();
    options.set_color_output(ColorOutput::RGBA);
    options.allow_unknown_blocks(true);
    let mut decoder = options
        .read_info(Pieces::new(bytes, meter))
        .map_err(|error| library(&error))?;
    let frame = decoder.next_frame_info().map_err(|error| library(&error))?;
    let frame = frame.ok_or_else(|| damaged(None, "has no frame"))?;
    let (left, top) = (usize::from(frame.left), usize::from(frame.top));
    let found = Size {
        width: frame.width.into(),
        height: frame.height.into(),
    };
    if found != blocks.frame {
        return Err(damaged(None, "its first frame contradicts itself"));
    }

    blank(&mut scratch.spare, found.bytes(RGBA))?;
    let truncated = match decoder.read_into_buffer(&mut scratch.spare) {
        Ok(()) => false,
        Err(DecodingError::UnexpectedEof) => true,
        Err(error) => return Err(library(&error)),
    };
    if (left, top) == (0, 0) && found == info.stored {
        std::mem::swap(&mut scratch.pixels, &mut scratch.spare);
    } else {
        blank(&mut scratch.pixels, info.stored.bytes(RGBA))?;
        place(
            &scratch.spare,
            found,
            &mut scratch.pixels,
            info.stored,
            (left, top),
        );
    }
    Ok(Raster {
        pixels: Pixels::Packed(info.stored),
        layout: Layout::Rgba,
        icc: None,
        truncated,
    })
}

/// Copies a frame to its place on a canvas of RGBA; what lies outside is cut off.
pub(super) fn place(
    frame: &[u8],
    size: Size,
    canvas: &mut [u8],
    canvas_size: Size,
    (left, top): (usize, usize),
) {
    let (frame_row, canvas_row) = (
        size.width as usize * RGBA,
        canvas_size.width as usize * RGBA,
    );
    let start = (left * RGBA).min(canvas_row);
    let shown = frame_row.min(canvas_row - start);
    for (from, to) in frame
        .chunks_exact(frame_row)
        .zip(canvas.chunks_exact_mut(canvas_row).skip(top))
    {
        to[start..start + shown].copy_from_slice(&from[..shown]);
    }
}

/// What the blocks say.
struct Blocks {
    canvas: Size,
    /// Size of the first frame.
    frame: Size,
    /// Whether the first frame has a transparent colour.
    transparency: bool,
    frames: u32,
}

impl Blocks {
    /// Walks all blocks. Damage behind the first frame only ends the count: that frame can still be shown.
    fn read(bytes: &[u8], limits: &Limits, meter: &Meter) -> Result<Self, Error> {
        let screen = read_size(bytes, SCREEN_OFFSET)
            .ok_or_else(|| damaged(bytes.len(), "ends inside its header"))?;
        let flags = *bytes
            .get(SCREEN_OFFSET + 4)
            .ok_or_else(|| damaged(bytes.len(), "ends inside its header"))?;
        let mut at = BLOCKS_OFFSET + color_table_bytes(flags);
        let mut first = None;
        let (mut frames, mut metadata_bytes, mut transparency) = (0, 0, false);
        while let Some(&introducer) = bytes.get(at) {
            let data = match introducer {
                0x21 => {
                    if bytes.get(at + 1) == Some(&0xf9) && first.is_none() {
                        transparency = bytes.get(at + 3).is_some_and(|flags| flags & 1 == 1);
                    }
                    at + 2
                }
                0x2c => {
                    let Some((size, flags)) = read_size(bytes, at + 5).zip(bytes.get(at + 9))
                    else {
                        break;
                    };
                    if first.is_none() {
                        limits.check_input(size)?;
                        first = Some(size);
                    }
                    frames += 1;
                    at + 11 + color_table_bytes(*flags)
                }
                _ => break,
            };
            let begin = at;
            at = skip_sub_blocks(bytes, data);
            meter.step((at - begin) as u64)?;
            if introducer == 0x21 {
                metadata_bytes += (at - data) as u64;
                limits.check_metadata(metadata_bytes)?;
            }
        }
        let frame =
            first.ok_or_else(|| damaged(at.min(bytes.len()), "ends before its first frame"))?;
        if frame.pixels() == 0 {
            return Err(damaged(None, "its first frame is empty"));
        }
        // Some writers leave the screen empty; then it is as large as its first frame.
        let canvas = if screen.pixels() == 0 { frame } else { screen };
        limits.check_input(canvas)?;
        limits.check_animation(canvas, frames)?;
        Ok(Self {
            canvas,
            frame,
            transparency,
            frames,
        })
    }
}

fn read_size(bytes: &[u8], at: usize) -> Option<Size> {
    Some(Size {
        width: le_u16(bytes, at)?.into(),
        height: le_u16(bytes, at + 2)?.into(),
    })
}

fn color_table_bytes(flags: u8) -> usize {
    if flags & 0x80 == 0 {
        0
    } else {
        3 << ((flags & 7) + 1)
    }
}

/// The offset after a chain of sub-blocks, which an empty one ends.
fn skip_sub_blocks(bytes: &[u8], mut at: usize) -> usize {
    while let Some(&length) = bytes.get(at) {
        at += 1 + usize::from(length);
        if length == 0 {
            break;
        }
    }
    at
}

fn damaged(at: impl Into<Option<usize>>, reason: &str) -> Error {
    Error::damaged(InputFormat::Gif, at, reason)
}

fn library(error: &DecodingError) -> Error {
    Error::damaged(InputFormat::Gif, None, error.to_string())
}
