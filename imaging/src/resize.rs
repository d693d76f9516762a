//! Smaller or larger: block averages down to about twice the target, then Lanczos3 along each axis.
//!
//! On gamma-encoded values as libvips' thumbnail does, with alpha premultiplied. Averaging whole blocks first reads each
//! pixel of a large picture once; what is left to the filter is at most a factor of four, where its quality shows.
//! The arithmetic is ours since the libraries that have it compile for longer than everything else in the pipeline.

use crate::{
    Error, Scratch, Size,
    raster::{Layout, Raster},
    resample::{Span, Weights, columns, rows, shrink},
    scratch::blank,
};

/// What a block average leaves to the filter at least: libvips calls it the gap, and found 2 to be invisible.
const GAP: f64 = 2.0;

/// Resizes the middle `visible` part (a share of width and height) of `scratch.pixels` to `target`, into
/// `scratch.resized`.
pub(crate) fn resize(
    scratch: &mut Scratch,
    raster: &Raster,
    visible: (f64, f64),
    target: Size,
) -> Result<(), Error> {
    if raster.layout == Layout::Rgba {
        premultiply(&mut scratch.pixels);
    }
    let averaged = raster.layout != Layout::Rgba;
    match raster.layout {
        Layout::Gray => resize_channels::<1>(scratch, raster.size, visible, target, averaged),
        Layout::Rgb => resize_channels::<3>(scratch, raster.size, visible, target, averaged),
        Layout::Rgba | Layout::Cmyk => {
            resize_channels::<4>(scratch, raster.size, visible, target, averaged)
        }
    }?;
    if raster.layout == Layout::Rgba {
        unpremultiply(&mut scratch.resized);
    }
    Ok(())
}

fn resize_channels<const C: usize>(
    scratch: &mut Scratch,
    size: Size,
    visible: (f64, f64),
    target: Size,
    averaged: bool,
) -> Result<(), Error> {
    let across = Span::middle(size.width, visible.0);
    let down = Span::middle(size.height, visible.1);
    // With alpha each rounding of a premultiplied value shows at faint edges: two passes are enough of them.
    let block = if averaged {
        (
            block(across.length, target.width),
            block(down.length, target.height),
        )
    } else {
        (1, 1)
    };
    let Scratch {
        pixels,
        spare,
        resized,
        ..
    } = scratch;

    let mut size = size;
    if block != (1, 1) {
        let shrunk = Size {
            width: size.width.div_ceil(block.0),
            height: size.height.div_ceil(block.1),
        };
        blank(spare, shrunk.bytes(C))?;
        shrink::<C>(pixels, size, spare, shrunk, block);
        std::mem::swap(pixels, spare);
        size = shrunk;
    }
    let across = Weights::lanczos3(across.shrunk(block.0), size.width, target.width);
    let down = Weights::lanczos3(down.shrunk(block.1), size.height, target.height);

    // The order that leaves less between the passes: a tall picture made wide could need more than any limit allows.
    let columns_first = Size {
        width: size.width,
        height: target.height,
    };
    let rows_first = Size {
        width: target.width,
        height: size.height,
    };
    blank(resized, target.bytes(C))?;
    if columns_first.pixels() <= rows_first.pixels() {
        blank(spare, columns_first.bytes(C))?;
        columns(pixels, spare, size.width as usize * C, &down);
        rows::<C>(spare, resized, columns_first.width, &across);
    } else {
        blank(spare, rows_first.bytes(C))?;
        rows::<C>(pixels, spare, size.width, &across);
        columns(spare, resized, target.width as usize * C, &down);
    }
    Ok(())
}

/// The side of a block that leaves at least [`GAP`] to the filter.
fn block(length: f64, target: u32) -> u32 {
    ((length / f64::from(target) / GAP) as u32).max(1)
}

fn premultiply(pixels: &mut [u8]) {
    for [red, green, blue, alpha] in pixels.as_chunks_mut::<4>().0 {
        for channel in [red, green, blue] {
            let product = u32::from(*channel) * u32::from(*alpha) + 127;
            *channel = (product / 255) as u8;
        }
    }
}

fn unpremultiply(pixels: &mut [u8]) {
    for [red, green, blue, alpha] in pixels.as_chunks_mut::<4>().0 {
        if (1..255).contains(alpha) {
            for channel in [red, green, blue] {
                let value = (u32::from(*channel) * 255 + u32::from(*alpha) / 2) / u32::from(*alpha);
                *channel = value.min(255) as u8;
            }
        }
    }
}
