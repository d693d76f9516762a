//! Smaller or larger: block averages down to about twice the target, then Lanczos3 along each axis.
//!
//! On gamma-encoded values as libvips' thumbnail does, with alpha premultiplied. Averaging whole blocks first reads each
//! pixel of a large picture once; what is left to the filter is at most a factor of four, where its quality shows.
//! The arithmetic is ours since the libraries that have it compile for longer than everything else in the pipeline.

use crate::{
    Error, Meter, Scratch, Size,
    encode::color_size,
    operation::Plan,
    planar::interleave,
    raster::{Layout, Pixels, Raster},
    resample::{Rows, columns, rows, shrink},
    scratch::blank,
    weights::{Span, Weights},
};

/// What a block average leaves to the filter at least: libvips calls it the gap, and found 2 to be invisible.
const GAP: f64 = 2.0;

/// What a picture of several channels is resized to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Destination {
    /// Pixels in `scratch.resized`.
    Pixels,
    /// Channels in `scratch.planes`, colours at half size.
    Channels,
}

/// Resizes what `plan` shows of the decoded picture.
pub(crate) fn resize(
    scratch: &mut Scratch,
    raster: &Raster,
    plan: &Plan,
    to: Destination,
    meter: &Meter,
) -> Result<(), Error> {
    let Scratch {
        pixels,
        spare,
        resized,
        planes: channels,
        ..
    } = scratch;
    match &raster.pixels {
        Pixels::Packed(size) if *size == plan.scaled && plan.visible == (1.0, 1.0) => {
            std::mem::swap(pixels, resized);
            Ok(())
        }
        Pixels::Packed(size) => {
            let source = Source {
                stride: size.width as usize * raster.layout.channels(),
                size: *size,
                extent: (size.width.into(), size.height.into()),
                averaged: raster.layout != Layout::Rgba,
                block_means: false,
            };
            match raster.layout {
                Layout::Gray => source.resize::<1>(pixels, spare, resized, plan, meter),
                Layout::Rgb => source.resize::<3>(pixels, spare, resized, plan, meter),
                Layout::Cmyk => source.resize::<4>(pixels, spare, resized, plan, meter),
                Layout::Rgba => {
                    premultiply(pixels);
                    source.resize::<4>(pixels, spare, resized, plan, meter)?;
                    unpremultiply(resized);
                    Ok(())
                }
            }
        }
        Pixels::Planar { planes, encoding } => {
            for (index, (plane, samples)) in planes.iter().zip(&mut *channels).enumerate() {
                let source = Source {
                    stride: plane.stride,
                    size: plane.size,
                    extent: plane.extent,
                    averaged: true,
                    block_means: plane.block_means,
                };
                if to == Destination::Channels && index > 0 {
                    source.halved(samples, spare, resized, plan, meter)?;
                } else {
                    source.resize::<1>(samples, spare, resized, plan, meter)?;
                }
                std::mem::swap(samples, resized);
            }
            if to == Destination::Channels {
                return Ok(());
            }
            let width = plan.scaled.width as usize;
            let pixel = raster.layout.channels();
            blank(resized, plan.scaled.bytes(pixel))?;
            for (y, row) in resized.chunks_exact_mut(width * pixel).enumerate() {
                meter.step(width as u64)?;
                let channels = channels.each_ref();
                let channels = channels.map(|channel| channel.get(y * width..).unwrap_or_default());
                interleave(&channels[..planes.len()], *encoding, row);
            }
            Ok(())
        }
    }
}

/// What is resized: rows of pixels.
struct Source {
    /// Bytes from one row to the next.
    stride: usize,
    size: Size,
    /// How much of `size` is picture.
    extent: (f64, f64),
    /// Whether blocks may be averaged first. Not with alpha: each rounding of a premultiplied value shows at faint edges,
    /// and two passes are enough of them. One more costs two points of SSIMULACRA2 in a PNG.
    averaged: bool,
    /// Whether each sample is the mean of a block of a larger picture.
    block_means: bool,
}

impl Source {
    /// A channel at half the size of the plan.
    fn halved(
        self,
        samples: &mut Vec<u8>,
        spare: &mut Vec<u8>,
        resized: &mut Vec<u8>,
        plan: &Plan,
        meter: &Meter,
    ) -> Result<(), Error> {
        let exact = |side: u32| f64::from(side) / 2.0;
        let exact = (exact(plan.scaled.width), exact(plan.scaled.height));
        self.resize_to::<1>(
            samples,
            spare,
            resized,
            plan,
            (color_size(plan.scaled, true), exact),
            meter,
        )
    }

    /// `pixels` to `resized`, by way of `spare`.
    fn resize<const C: usize>(
        self,
        pixels: &mut Vec<u8>,
        spare: &mut Vec<u8>,
        resized: &mut Vec<u8>,
        plan: &Plan,
        meter: &Meter,
    ) -> Result<(), Error> {
        let exact = (plan.scaled.width.into(), plan.scaled.height.into());
        self.resize_to::<C>(pixels, spare, resized, plan, (plan.scaled, exact), meter)
    }

    /// The same to `target`, of which `exact` is picture.
    fn resize_to<const C: usize>(
        mut self,
        pixels: &mut Vec<u8>,
        spare: &mut Vec<u8>,
        resized: &mut Vec<u8>,
        plan: &Plan,
        (target, exact): (Size, (f64, f64)),
        meter: &Meter,
    ) -> Result<(), Error> {
        let across = Span::part(self.extent.0, plan.visible.0, plan.focus.0);
        let down = Span::part(self.extent.1, plan.visible.1, plan.focus.1);
        let block = if self.averaged {
            (
                block(across.length, target.width),
                block(down.length, target.height),
            )
        } else {
            (1, 1)
        };
        let extent = (self.extent.0, self.extent.1);
        if target == self.size && plan.visible == (1.0, 1.0) && extent == exact && !self.block_means
        {
            self.packed(pixels, C);
            std::mem::swap(pixels, resized);
            return Ok(());
        }
        if block != (1, 1) {
            self.average::<C>(pixels, spare, block, meter)?;
        }
        let weights = |span: Span, block: u32, side: u32, target: u32, exact: f64| {
            let droop = self.block_means && block == 1;
            Weights::lanczos3(span.shrunk(block), side, target, exact, droop)
        };
        let across = weights(across, block.0, self.size.width, target.width, exact.0);
        let down = weights(down, block.1, self.size.height, target.height, exact.1);

        // The order that leaves less between the passes: a tall picture made wide could need more than any limit allows.
        let columns_first = Size {
            width: self.size.width,
            height: target.height,
        };
        let rows_first = Size {
            width: target.width,
            height: self.size.height,
        };
        blank(resized, target.bytes(C))?;
        if columns_first.pixels() <= rows_first.pixels() {
            blank(spare, columns_first.bytes(C))?;
            columns(self.rows(pixels, C), spare, &down, meter)?;
            let source = packed(spare, self.size.width, C);
            rows::<C>(source, resized, &across, meter)
        } else {
            blank(spare, rows_first.bytes(C))?;
            rows::<C>(self.rows(pixels, C), spare, &across, meter)?;
            columns(packed(spare, target.width, C), resized, &down, meter)
        }
    }

    /// What has the right size already: only moved together, so that nothing is between the rows.
    fn packed(&self, pixels: &mut Vec<u8>, channels: usize) {
        let length = self.size.width as usize * channels;
        for y in 1..self.size.height as usize {
            pixels.copy_within(y * self.stride..y * self.stride + length, y * length);
        }
        pixels.truncate(self.size.bytes(channels));
    }

    /// Averages blocks of `pixels`, in place of it.
    fn average<const C: usize>(
        &mut self,
        pixels: &mut Vec<u8>,
        spare: &mut Vec<u8>,
        block: (u32, u32),
        meter: &Meter,
    ) -> Result<(), Error> {
        let shrunk = Size {
            width: self.size.width.div_ceil(block.0),
            height: self.size.height.div_ceil(block.1),
        };
        blank(spare, shrunk.bytes(C))?;
        let rows = self.rows(pixels, C);
        shrink::<C>(rows, spare, shrunk, self.size.height, block, meter)?;
        std::mem::swap(pixels, spare);
        self.size = shrunk;
        self.stride = shrunk.width as usize * C;
        Ok(())
    }

    fn rows<'a>(&self, pixels: &'a [u8], channels: usize) -> Rows<'a> {
        let length = self.size.width as usize * channels;
        Rows {
            // Without the padding below the picture.
            bytes: &pixels[..(self.size.height as usize - 1) * self.stride + length],
            stride: self.stride,
            length,
        }
    }
}

fn packed(bytes: &[u8], width: u32, channels: usize) -> Rows<'_> {
    let length = width as usize * channels;
    Rows {
        bytes,
        stride: length,
        length,
    }
}

/// The side of a block that leaves at least [`GAP`] to the filter.
fn block(length: f64, target: u32) -> u32 {
    ((length / f64::from(target) / GAP) as u32).max(1)
}

/// Times opacity. All four channels alike, opacity by 255, so that it becomes vector instructions.
fn premultiply(pixels: &mut [u8]) {
    for pixel in pixels.as_chunks_mut::<4>().0 {
        let alpha = u16::from(pixel[3]);
        for (channel, factor) in pixel.iter_mut().zip([alpha, alpha, alpha, 255]) {
            // Rounded division by 255 of a product of two bytes, without dividing.
            let product = u16::from(*channel) * factor + 128;
            *channel = ((product + (product >> 8)) >> 8) as u8;
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
