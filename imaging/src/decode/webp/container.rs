//! A WebP's container: its chunks, and what they say of the picture. Knows nothing of samples.

use crate::{
    Error, InputFormat, Limits, Meter, Orientation, Size,
    bytes::{le_u16, le_u24, le_u32},
    exif,
    raster::Layout,
};

const CHUNKS_OFFSET: usize = 12;
const FRAME_HEADER_BYTES: usize = 16;
const ALPHA_FLAG: u8 = 0x10;

/// What the container says.
pub(super) struct Container<'a> {
    pub canvas: Size,
    /// The picture, or the first frame.
    pub frame: Frame<'a>,
    alpha_flag: bool,
    pub orientation: Orientation,
    pub icc: Option<&'a [u8]>,
    pub frames: u32,
}

/// A coded picture.
#[derive(Clone, Copy)]
pub(super) struct Frame<'a> {
    /// From its `ALPH` or `VP8 ` chunk on, as libwebp takes it.
    pub data: &'a [u8],
    /// What its `VP8 ` or `VP8L` chunk holds and all that follows; nothing if the file ends before that chunk does.
    pub picture: Option<&'a [u8]>,
    /// Where that is in the file; of an animation, where its frame begins.
    pub at: usize,
    pub size: Size,
    /// Distance from the canvas' left and top.
    pub position: (usize, usize),
    pub lossless: bool,
    alpha: bool,
}

impl<'a> Container<'a> {
    pub(super) fn read(bytes: &'a [u8], limits: &Limits, meter: &Meter) -> Result<Self, Error> {
        let mut canvas = None;
        let mut frame = None;
        let (mut alpha_flag, mut orientation, mut icc) = (false, Orientation::Normal, None);
        let (mut frames, mut metadata_bytes) = (0, 0);
        let mut chunks = Chunks {
            bytes,
            at: CHUNKS_OFFSET,
        };
        for chunk in chunks.by_ref() {
            meter.step(1)?;
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
                    frame = Some(Frame::read(&bytes[chunk.at..], chunk.at, meter)?);
                    frames += 1;
                }
                b"ANMF" => {
                    if frame.is_none() {
                        frame = Some(Frame::read_animated(content, chunk.at, meter)?);
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

    pub(super) fn covers_canvas(&self) -> bool {
        self.frame.position == (0, 0) && self.frame.size == self.canvas
    }

    pub(super) fn has_alpha(&self) -> bool {
        self.alpha_flag || self.frame.alpha || !self.covers_canvas()
    }

    pub(super) fn layout(&self) -> Layout {
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
    fn read(data: &'a [u8], at: usize, meter: &Meter) -> Result<Self, Error> {
        let mut alpha = false;
        for chunk in (Chunks { bytes: data, at: 0 }) {
            meter.step(1)?;
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

    fn read_animated(content: &'a [u8], at: usize, meter: &Meter) -> Result<Self, Error> {
        let field = |offset| {
            le_u24(content, offset).ok_or_else(|| damaged(at, "its first frame is cut off"))
        };
        let position = (2 * field(0)? as usize, 2 * field(3)? as usize);
        let size = Size {
            width: field(6)? + 1,
            height: field(9)? + 1,
        };
        let data = content.get(FRAME_HEADER_BYTES..).unwrap_or_default();
        let frame = Self::read(data, at, meter)?;
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

pub(super) fn damaged(at: usize, reason: &str) -> Error {
    Error::damaged(InputFormat::Webp, at, reason)
}
