//! A picture in the middle of a larger canvas.

use crate::{Error, Meter, OutputFormat, Scratch, Size, color, raster::Layout, scratch::blank};

/// Puts the pixels in `scratch.resized`, of `size`, in the middle of `canvas`, which is at least as large: transparent
/// around them where `format` can, else white. Returns the new layout.
pub(crate) fn letterbox(
    scratch: &mut Scratch,
    size: Size,
    layout: Layout,
    canvas: Size,
    format: OutputFormat,
    meter: &Meter,
) -> Result<Layout, Error> {
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
        meter.step(width as u64)?;
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
