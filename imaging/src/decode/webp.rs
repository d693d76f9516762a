//! WebP: the container by our own walk, the pixels by libwebp, but for those of lossy pictures that are made much smaller: these are
//! [`vp8`]'s.

use super::peak_bytes;
use crate::{
    Error, Info, InputFormat, Limits, Meter, Scratch, Size,
    decode::{gif::place, vp8},
    encode::color_size,
    operation::Detail,
    raster::{Encoding, Layout, Pixels, Raster},
    scratch::blank,
    webp::ffi::{self, DecodeFailure},
};

mod container;

use container::{Container, Frame, damaged};

/// Averages of areas, by libwebp's scaler or ours, are crude: at twice the size wanted the resize after them has the last word.
const OVERSAMPLING: u32 = 2;

pub(super) fn probe(bytes: &[u8], limits: &Limits, meter: &Meter) -> Result<Info, Error> {
    let container = Container::read(bytes, limits, meter)?;
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
    meter: &Meter,
) -> Result<Raster, Error> {
    let container = Container::read(bytes, limits, meter)?;
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
            channels(&container, target, detail, scratch, meter)?
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
    meter: &Meter,
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
    let samples = [of_luma, of_blue, of_red];
    let planes = vp8::decode(frame, at, size, [luma, color], samples, meter)?;
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
