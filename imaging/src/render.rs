//! One render, start to end: plan, decode, resize, colours, orientation, letterbox, encode.

use crate::{
    Error, Limits, Operation, OutputFormat, Scratch, Size, color, decode, encode, operation::Plan,
    probe::probe, raster::Layout, resize::resize, scratch::blank,
};

/// A render's result: a complete file without any metadata, in sRGB.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoded {
    /// The file.
    pub bytes: Vec<u8>,
    /// Its format.
    pub format: OutputFormat,
    /// Its size in pixels.
    pub size: Size,
    /// Whether the input ended early, so that part of the picture is blank.
    pub truncated: bool,
}

/// Makes what `operation` asks for out of the picture in `bytes`.
///
/// The result depends on the arguments alone, not on what `scratch` was used for before.
pub fn render(
    bytes: &[u8],
    operation: &Operation,
    limits: &Limits,
    scratch: &mut Scratch,
) -> Result<Encoded, Error> {
    let result = paint(bytes, operation, limits, scratch).and_then(|picture| {
        let layout = letterbox(scratch, &picture, operation.format)?;
        let size = picture.canvas;
        let bytes = encode::encode(&mut scratch.resized, size, layout, operation)?;
        Ok(Encoded {
            bytes,
            format: operation.format,
            size,
            truncated: picture.truncated,
        })
    });
    scratch.trim();
    result
}

/// A picture as it will be seen, in `scratch.resized`, before letterboxing.
pub(crate) struct Picture {
    pub size: Size,
    /// Never CMYK.
    pub layout: Layout,
    canvas: Size,
    truncated: bool,
}

/// Everything up to the encoder, in sRGB and the right way up.
pub(crate) fn paint(
    bytes: &[u8],
    operation: &Operation,
    limits: &Limits,
    scratch: &mut Scratch,
) -> Result<Picture, Error> {
    let info = probe(bytes, limits)?;
    let plan = operation.plan(info.displayed, limits)?;
    let stored = plan.stored(info.orientation);
    let (whole, detail) = (stored.whole(), operation.detail());
    let raster = decode::decode(bytes, &info, whole, detail, limits, scratch)?;
    resize(scratch, &raster, &stored)?;

    let Scratch { spare, resized, .. } = scratch;
    let mut layout = color::to_srgb(resized, spare, raster.layout, raster.icc.as_deref())?;
    let size = info
        .orientation
        .apply(resized, spare, stored.scaled, layout.channels())?;
    if layout == Layout::Rgba && color::drop_opaque_alpha(resized) {
        layout = Layout::Rgb;
    }
    let Plan { canvas, .. } = plan;
    Ok(Picture {
        size,
        layout,
        canvas,
        truncated: raster.truncated,
    })
}

/// Puts the picture in the middle of a larger canvas, if that is what the fit wants: transparent where the
/// format can, else white.
fn letterbox(
    scratch: &mut Scratch,
    picture: &Picture,
    format: OutputFormat,
) -> Result<Layout, Error> {
    let Picture {
        size,
        layout,
        canvas,
        ..
    } = *picture;
    if size == canvas {
        return Ok(layout);
    }
    let Scratch { spare, resized, .. } = scratch;
    blank(spare, canvas.bytes(Layout::Rgba.channels()))?;
    let (left, top) = (
        (canvas.width - size.width) / 2,
        (canvas.height - size.height) / 2,
    );
    let width = size.width as usize;
    let rows = resized.chunks_exact(width * layout.channels());
    let canvas_rows = spare
        .as_chunks_mut::<4>()
        .0
        .chunks_exact_mut(canvas.width as usize)
        .skip(top as usize);
    for (row, canvas_row) in rows.zip(canvas_rows) {
        let shown = &mut canvas_row[left as usize..left as usize + width];
        for (pixel, shown) in row.chunks_exact(layout.channels()).zip(shown) {
            *shown = match *pixel {
                [gray] => [gray, gray, gray, 255],
                [red, green, blue] => [red, green, blue, 255],
                [red, green, blue, alpha, ..] => [red, green, blue, alpha],
                _ => [0; 4],
            };
        }
    }
    std::mem::swap(resized, spare);
    if format == OutputFormat::Jpeg {
        color::flatten_on_white(resized);
        return Ok(Layout::Rgb);
    }
    Ok(Layout::Rgba)
}
