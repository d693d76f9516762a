//! One render, start to end: plan, decode, resize, colours, orientation, letterbox, encode.

use crate::{
    Error, Info, Limits, Operation, Orientation, OutputFormat, Scratch, Size, color, decode,
    encode::{self, Content},
    operation::Plan,
    probe::probe,
    raster::{Encoding, Layout, Pixels, Raster},
    resize::{Destination, resize},
    scratch::blank,
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
        let content = match picture.content {
            Content::Pixels(layout) if picture.size != picture.canvas => {
                Content::Pixels(letterbox(scratch, &picture, layout, operation.format)?)
            }
            content => content,
        };
        let size = picture.canvas;
        let bytes = encode::encode(scratch, size, content, operation)?;
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

/// A picture as it will be seen, before letterboxing.
pub(crate) struct Picture {
    pub size: Size,
    /// Never CMYK.
    pub content: Content,
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
    let to = destination(&raster, &info, operation, &plan);
    resize(scratch, &raster, &stored, to)?;
    let (size, content) = match to {
        Destination::Channels => turned_channels(scratch, &info, stored.scaled)?,
        Destination::Pixels => turned_pixels(scratch, &info, &raster, stored.scaled)?,
    };
    let Plan { canvas, .. } = plan;
    Ok(Picture {
        size,
        content,
        canvas,
        truncated: raster.truncated,
    })
}

/// Whether luma and colours can stay apart: from JPEG to JPEG, where nothing needs to see whole pixels.
fn destination(raster: &Raster, info: &Info, operation: &Operation, plan: &Plan) -> Destination {
    let is_ycbcr = matches!(
        raster.pixels,
        Pixels::Planar {
            encoding: Encoding::YCbCr,
            ..
        }
    );
    let halves_color = operation.format == OutputFormat::Jpeg && operation.detail().halves_color;
    // Turned around, the half that an odd side has too much would be on the other side.
    let Size { width, height } = plan.scaled;
    let is_turnable = info.orientation == Orientation::Normal || (width | height) & 1 == 0;
    let is_whole = plan.canvas == plan.scaled && raster.icc.is_none();
    if is_ycbcr && halves_color && is_turnable && is_whole {
        Destination::Channels
    } else {
        Destination::Pixels
    }
}

fn turned_channels(
    scratch: &mut Scratch,
    info: &Info,
    size: Size,
) -> Result<(Size, Content), Error> {
    let Scratch { spare, planes, .. } = scratch;
    let [luma, blue, red, _] = planes;
    let turned = info.orientation.apply(luma, spare, size, 1)?;
    for color in [blue, red] {
        info.orientation
            .apply(color, spare, encode::color_size(size, true), 1)?;
    }
    Ok((turned, Content::Channels))
}

fn turned_pixels(
    scratch: &mut Scratch,
    info: &Info,
    raster: &Raster,
    size: Size,
) -> Result<(Size, Content), Error> {
    let Scratch { spare, resized, .. } = scratch;
    let mut layout = color::to_srgb(resized, spare, raster.layout, raster.icc.as_deref())?;
    let turned = info
        .orientation
        .apply(resized, spare, size, layout.channels())?;
    if layout == Layout::Rgba && color::drop_opaque_alpha(resized) {
        layout = Layout::Rgb;
    }
    Ok((turned, Content::Pixels(layout)))
}

/// Puts the picture in the middle of a larger canvas, if that is what the fit wants: transparent where the
/// format can, else white.
fn letterbox(
    scratch: &mut Scratch,
    picture: &Picture,
    layout: Layout,
    format: OutputFormat,
) -> Result<Layout, Error> {
    let Picture { size, canvas, .. } = *picture;
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
