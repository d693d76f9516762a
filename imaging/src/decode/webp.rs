//! WebP: the container by our own walk, the pixels by libwebp, but for those of lossy pictures that are made much smaller: these are
//! [`vp8`]'s.

use super::peak_bytes;
use crate::{
    Error, Info, InputFormat, Limits, Orientation, Scratch, Size,
    bytes::{le_u16, le_u24, le_u32},
    decode::{gif::place, vp8},
    encode::color_size,
    exif,
    operation::Detail,
    raster::{Encoding, Layout, Pixels, Raster},
    scratch::blank,
    webp::ffi::{self, DecodeFailure},
};

const CHUNKS_OFFSET: usize = 12;
const FRAME_HEADER_BYTES: usize = 16;
const ALPHA_FLAG: u8 = 0x10;
/// Averages of areas, by libwebp's scaler or ours, are crude: at twice the size wanted the resize after them has the last word.
const OVERSAMPLING: u32 = 2;

pub(super) fn probe(bytes: &[u8], limits: &Limits) -> Result<Info, Error> {
    let container = Container::read(bytes, limits)?;
    let pixels = container.frame.size.pixels();
    // A lossless picture is decoded whole before it is converted; alpha has a plane of its own.
    let decoder_bytes = if container.frame.lossless {
        pixels * 4
    } else {
        pixels
    };
    Ok(Info {
        format: InputFormat::Webp,
        stored: container.canvas,
        displayed: container.orientation.display(container.canvas),
        orientation: container.orientation,
        has_alpha: container.has_alpha(),
        frames: container.frames,
        decoded_bytes: peak_bytes(
            container.canvas,
            container.layout().channels(),
            decoder_bytes,
        ),
    })
}

pub(super) fn decode(
    bytes: &[u8],
    info: &Info,
    target: Size,
    detail: Detail,
    limits: &Limits,
    scratch: &mut Scratch,
) -> Result<Raster, Error> {
    let container = Container::read(bytes, limits)?;
    let layout = container.layout();
    let frame = container.frame.size;
    let alpha = layout == Layout::Rgba;
    let icc = container.icc.map(<[u8]>::to_vec);
    if container.covers_canvas() {
        let size = scaled_for(frame, target);
        // Our decoder smooths no edges, so it is for pictures of which little remains.
        let pixels = if size == frame || container.frame.lossless || alpha {
            packed(&container, size, layout, scratch)?
        } else {
            channels(&container, target, detail, scratch)?
        };
        return Ok(Raster {
            pixels,
            layout,
            icc,
            truncated: false,
        });
    }
    blank(&mut scratch.spare, frame.bytes(layout.channels()))?;
    ffi::decode(
        container.frame.data,
        frame,
        frame,
        alpha,
        &mut scratch.spare,
    )
    .map_err(damaged_pixels)?;
    blank(&mut scratch.pixels, info.stored.bytes(layout.channels()))?;
    place(
        &scratch.spare,
        frame,
        &mut scratch.pixels,
        info.stored,
        container.frame.position,
    );
    Ok(Raster {
        pixels: Pixels::Packed(info.stored),
        layout,
        icc,
        truncated: false,
    })
}

/// Decodes the first frame to pixels, which libwebp scales to `size`.
fn packed(
    container: &Container,
    size: Size,
    layout: Layout,
    scratch: &mut Scratch,
) -> Result<Pixels, Error> {
    let Frame {
        data, size: frame, ..
    } = container.frame;
    blank(&mut scratch.pixels, size.bytes(layout.channels()))?;
    ffi::decode(
        data,
        frame,
        size,
        layout == Layout::Rgba,
        &mut scratch.pixels,
    )
    .map_err(damaged_pixels)?;
    Ok(Pixels::Packed(size))
}

/// Decodes a lossy first frame to the channels that it is coded in, each sample the mean of a square.
fn channels(
    container: &Container,
    target: Size,
    detail: Detail,
    scratch: &mut Scratch,
) -> Result<Pixels, Error> {
    let Frame {
        picture, at, size, ..
    } = container.frame;
    // As libwebp has it, which would decode the rest of a chunk that says too little of itself.
    let frame = picture.ok_or_else(|| damaged(at, "ends before its last pixel"))?;
    let luma = square_for(size, target);
    let color = square_for(
        color_size(size, true),
        color_size(target, detail.halves_color),
    );
    let [of_luma, of_blue, of_red, _] = &mut scratch.planes;
    let planes = vp8::decode(frame, size, [luma, color], [of_luma, of_blue, of_red]);
    let planes = planes.map_err(|failure| match failure {
        vp8::Failure::Damaged(reason) => damaged(at, reason),
        vp8::Failure::OutOfMemory(error) => error,
    })?;
    Ok(Pixels::Planar {
        planes: planes.to_vec(),
        encoding: Encoding::VideoYCbCr,
    })
}

/// The side of the squares of which one sample is left: the largest that leaves [`OVERSAMPLING`] times the target.
fn square_for(stored: Size, target: Size) -> usize {
    let leaves =
        |stored: u32, target: u32, side: u32| stored / side >= target.saturating_mul(OVERSAMPLING);
    [8, 4, 2]
        .into_iter()
        .find(|side| {
            leaves(stored.width, target.width, *side) && leaves(stored.height, target.height, *side)
        })
        .map_or(1, |side| side as usize)
}

/// The size to decode to: [`OVERSAMPLING`] times the target, or the full size if that is not much larger.
fn scaled_for(stored: Size, target: Size) -> Size {
    let wanted =
        |stored: u32, target: u32| f64::from(target) * f64::from(OVERSAMPLING) / f64::from(stored);
    let scale = wanted(stored.width, target.width).max(wanted(stored.height, target.height));
    if scale > 0.75 {
        return stored;
    }
    let side = |side: u32| ((f64::from(side) * scale).ceil() as u32).clamp(1, side);
    Size {
        width: side(stored.width),
        height: side(stored.height),
    }
}

/// What the container says.
struct Container<'a> {
    canvas: Size,
    /// The picture, or the first frame.
    frame: Frame<'a>,
    alpha_flag: bool,
    orientation: Orientation,
    icc: Option<&'a [u8]>,
    frames: u32,
}

/// A coded picture.
#[derive(Clone, Copy)]
struct Frame<'a> {
    /// From its `ALPH` or `VP8 ` chunk on, as libwebp takes it.
    data: &'a [u8],
    /// What its `VP8 ` or `VP8L` chunk holds and all that follows; nothing if the file ends before that chunk does.
    picture: Option<&'a [u8]>,
    /// Where that is in the file; of an animation, where its frame begins.
    at: usize,
    size: Size,
    /// Distance from the canvas' left and top.
    position: (usize, usize),
    lossless: bool,
    alpha: bool,
}

impl<'a> Container<'a> {
    fn read(bytes: &'a [u8], limits: &Limits) -> Result<Self, Error> {
        let mut canvas = None;
        let mut frame = None;
        let (mut alpha_flag, mut orientation, mut icc) = (false, Orientation::Normal, None);
        let (mut frames, mut metadata_bytes) = (0, 0);
        let mut chunks = Chunks {
            bytes,
            at: CHUNKS_OFFSET,
        };
        for chunk in chunks.by_ref() {
            let content = chunk.content;
            match chunk.kind {
                b"VP8X" => {
                    let side = |at| le_u24(content, at).map(|side| side + 1);
                    let (width, height) = side(4)
                        .zip(side(7))
                        .ok_or_else(|| damaged(chunk.at, "its header is too short"))?;
                    limits.check_input(Size { width, height })?;
                    canvas = Some(Size { width, height });
                    alpha_flag = content[0] & ALPHA_FLAG != 0;
                }
                b"ALPH" | b"VP8 " | b"VP8L" if frame.is_none() => {
                    // libwebp wants what follows the alpha plane too, so it gets everything from here on.
                    frame = Some(Frame::read(&bytes[chunk.at..], chunk.at)?);
                    frames += 1;
                }
                b"ANMF" => {
                    if frame.is_none() {
                        frame = Some(Frame::read_animated(content, chunk.at)?);
                    }
                    frames += 1;
                }
                b"ICCP" => {
                    limits.check_icc(content.len() as u64)?;
                    icc = Some(content);
                }
                b"EXIF" => orientation = exif::orientation(content),
                _ => {}
            }
            if !matches!(
                chunk.kind,
                b"VP8X" | b"ALPH" | b"VP8 " | b"VP8L" | b"ANMF" | b"ICCP"
            ) {
                metadata_bytes += content.len() as u64;
                limits.check_metadata(metadata_bytes)?;
            }
        }
        let frame =
            frame.ok_or_else(|| damaged(chunks.at.min(bytes.len()), "ends before its pixels"))?;
        let canvas = canvas.unwrap_or(frame.size);
        limits.check_input(frame.size)?;
        limits.check_input(canvas)?;
        // As every decoder has it; memory is then bounded by the canvas, which is what the header announces.
        if !frame.is_inside(canvas) {
            let reason = "its picture reaches beyond its canvas";
            return Err(damaged(chunks.at.min(bytes.len()), reason));
        }
        limits.check_animation(canvas, frames)?;
        Ok(Self {
            canvas,
            frame,
            alpha_flag,
            orientation,
            icc,
            frames,
        })
    }

    fn covers_canvas(&self) -> bool {
        self.frame.position == (0, 0) && self.frame.size == self.canvas
    }

    fn has_alpha(&self) -> bool {
        self.alpha_flag || self.frame.alpha || !self.covers_canvas()
    }

    fn layout(&self) -> Layout {
        if self.has_alpha() {
            Layout::Rgba
        } else {
            Layout::Rgb
        }
    }
}

impl<'a> Frame<'a> {
    fn is_inside(&self, canvas: Size) -> bool {
        let (left, top) = self.position;
        left + self.size.width as usize <= canvas.width as usize
            && top + self.size.height as usize <= canvas.height as usize
    }

    /// Reads the header of a lossy or lossless picture, behind its alpha plane if there is one.
    fn read(data: &'a [u8], at: usize) -> Result<Self, Error> {
        let mut alpha = false;
        for chunk in (Chunks { bytes: data, at: 0 }) {
            let size = match chunk.kind {
                b"VP8 " => lossy_size(chunk.content),
                b"VP8L" => lossless_size(chunk.content),
                _ => {
                    alpha |= chunk.kind == b"ALPH";
                    continue;
                }
            };
            let size = size.ok_or_else(|| damaged(at, "its picture's header is damaged"))?;
            let lossless = chunk.kind == b"VP8L";
            let alpha = alpha || (lossless && chunk.content[4] & 0x10 != 0);
            return Ok(Self {
                data,
                picture: data.get(chunk.at + 8..).filter(|_| chunk.is_whole),
                at,
                size,
                position: (0, 0),
                lossless,
                alpha,
            });
        }
        Err(damaged(at, "ends before its pixels"))
    }

    fn read_animated(content: &'a [u8], at: usize) -> Result<Self, Error> {
        let field = |offset| {
            le_u24(content, offset).ok_or_else(|| damaged(at, "its first frame is cut off"))
        };
        let position = (2 * field(0)? as usize, 2 * field(3)? as usize);
        let size = Size {
            width: field(6)? + 1,
            height: field(9)? + 1,
        };
        let frame = Self::read(content.get(FRAME_HEADER_BYTES..).unwrap_or_default(), at)?;
        if frame.size != size {
            return Err(damaged(at, "its first frame contradicts itself"));
        }
        Ok(Self { position, ..frame })
    }
}

/// Width and height, 14 bits each, behind a key frame's start code.
fn lossy_size(content: &[u8]) -> Option<Size> {
    let start_code = content.get(3..6)?;
    let side = |at| {
        le_u16(content, at)
            .map(|side| u32::from(side & 0x3fff))
            .filter(|side| *side > 0)
    };
    let size = Size {
        width: side(6)?,
        height: side(8)?,
    };
    (start_code == [0x9d, 0x01, 0x2a]).then_some(size)
}

/// Width and height less one, 14 bits each, behind the signature.
fn lossless_size(content: &[u8]) -> Option<Size> {
    let bits = le_u32(content, 1)?;
    let size = Size {
        width: (bits & 0x3fff) + 1,
        height: ((bits >> 14) & 0x3fff) + 1,
    };
    (content[0] == 0x2f).then_some(size)
}

/// The chunks of a RIFF file, cut off where the file is.
struct Chunks<'a> {
    bytes: &'a [u8],
    at: usize,
}

struct Chunk<'a> {
    kind: &'a [u8; 4],
    content: &'a [u8],
    /// Whether the content is as long as the chunk says.
    is_whole: bool,
    at: usize,
}

impl<'a> Iterator for Chunks<'a> {
    type Item = Chunk<'a>;

    fn next(&mut self) -> Option<Chunk<'a>> {
        let at = self.at;
        let kind = self.bytes.get(at..)?.first_chunk()?;
        let length = le_u32(self.bytes, at + 4)? as usize;
        let content = self.bytes.get(at + 8..)?;
        let is_whole = content.len() >= length;
        let content = &content[..content.len().min(length)];
        self.at = at + 8 + length + (length & 1);
        Some(Chunk {
            kind,
            content,
            is_whole,
            at,
        })
    }
}

fn damaged(at: usize, reason: &str) -> Error {
    Error::damaged(InputFormat::Webp, at, reason)
}

fn damaged_pixels(failure: DecodeFailure) -> Error {
    match failure {
        DecodeFailure::OutOfMemory(bytes) => Error::OutOfMemory { bytes },
        DecodeFailure::Damaged(reason) => Error::damaged(InputFormat::Webp, None, reason),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn size(width: u32, height: u32) -> Size {
        Size { width, height }
    }

    #[test]
    fn as_much_is_left_as_the_resize_needs_to_have_the_last_word() {
        let stored = size(1600, 1200);
        for (target, side) in [
            (size(500, 375), 1),
            (size(401, 301), 1),
            (size(400, 300), 2),
            (size(200, 150), 4),
            (size(100, 75), 8),
            (size(1, 1), 8),
            // The side that needs more decides.
            (size(100, 400), 1),
            (size(u32::MAX, 1), 1),
        ] {
            assert_eq!(square_for(stored, target), side, "{target:?}");
        }
        assert_eq!(square_for(size(1600, 1), size(100, 1)), 1);
    }

    #[test]
    fn what_is_made_little_smaller_is_decoded_in_full() {
        let stored = size(1600, 1200);
        assert_eq!(scaled_for(stored, size(601, 451)), stored);
        assert_eq!(scaled_for(stored, size(600, 450)), size(1200, 900));
        assert_eq!(scaled_for(stored, size(u32::MAX, u32::MAX)), stored);
        assert_eq!(scaled_for(size(1600, 1), size(100, 1)), size(1600, 1));
    }
}
