//! Lanczos3 in one pass per axis, on gamma-encoded values as libvips' thumbnail does, alpha premultiplied.

use fast_image_resize::{
    MulDiv, PixelTrait, ResizeOptions, Resizer,
    images::{TypedImage, TypedImageRef},
    pixels::{InnerPixel, U8, U8x3, U8x4},
};

use crate::{
    Error, InputFormat, Scratch, Size,
    raster::{Layout, Raster},
    scratch::blank,
};

/// Resizes the middle `visible` part of `scratch.pixels` to `target`, into `scratch.resized`.
///
/// The pixel types are spelled out: the library's untyped entry points compile every type it knows into this crate,
/// which takes minutes.
pub(crate) fn resize(
    scratch: &mut Scratch,
    raster: &Raster,
    visible: (f64, f64),
    target: Size,
    format: InputFormat,
) -> Result<(), Error> {
    let resized = match raster.layout {
        Layout::Gray => resize_typed::<U8>(scratch, raster, visible, target),
        Layout::Rgb => resize_typed::<U8x3>(scratch, raster, visible, target),
        Layout::Rgba | Layout::Cmyk => resize_typed::<U8x4>(scratch, raster, visible, target),
    };
    resized.map_err(|error| match error {
        Failure::Refused(error) => error,
        Failure::Library(reason) => {
            Error::damaged(format, None, format!("it can't be resized: {reason}"))
        }
    })
}

/// Why a resize failed: refused by us, or by the library for a reason that it tells.
enum Failure {
    Refused(Error),
    Library(String),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Refused(error)
    }
}

fn library(error: impl std::fmt::Display) -> Failure {
    Failure::Library(error.to_string())
}

fn resize_typed<P: PixelTrait>(
    scratch: &mut Scratch,
    raster: &Raster,
    visible: (f64, f64),
    target: Size,
) -> Result<(), Failure> {
    let channels = raster.layout.channels();
    let premultiplied = raster.layout == Layout::Rgba;
    if premultiplied {
        // In place, for the library's own premultiplying would copy the whole picture.
        let mut picture = view::<P>(&mut scratch.pixels, raster.size)?;
        MulDiv::new()
            .multiply_alpha_inplace_typed(&mut picture)
            .map_err(library)?;
    }
    let (width, height) = (f64::from(raster.size.width), f64::from(raster.size.height));
    let (shown_width, shown_height) = (
        (width * visible.0).min(width),
        (height * visible.1).min(height),
    );
    let crop = (
        ((width - shown_width) / 2.0, shown_width),
        ((height - shown_height) / 2.0, shown_height),
    );

    blank(&mut scratch.resized, target.bytes(channels))?;
    let Scratch {
        pixels,
        spare,
        resized,
        resizer,
    } = scratch;
    let mut result = view::<P>(resized, target)?;

    // The library goes down the columns first. If that leaves far more between the passes than going along the
    // rows first, as for a tall picture made wide, its intermediate could be larger than any limit.
    let columns_first = shown_width * f64::from(target.height);
    let rows_first = f64::from(target.width) * height;
    if columns_first <= 2.0 * rows_first {
        pass(resizer, (pixels, raster.size), &mut result, crop)?;
    } else {
        let between = Size {
            width: target.width,
            height: raster.size.height,
        };
        blank(spare, between.bytes(channels))?;
        let mut rows = view::<P>(spare, between)?;
        pass(
            resizer,
            (pixels, raster.size),
            &mut rows,
            (crop.0, (0.0, height)),
        )?;
        pass(
            resizer,
            (spare, between),
            &mut result,
            ((0.0, f64::from(target.width)), crop.1),
        )?;
    }
    if premultiplied {
        MulDiv::new()
            .divide_alpha_inplace_typed(&mut result)
            .map_err(library)?;
    }
    Ok(())
}

/// One run of the library; `crop` is offset and length on each axis.
fn pass<P: PixelTrait>(
    resizer: &mut Resizer,
    (pixels, size): (&[u8], Size),
    result: &mut TypedImage<'_, P>,
    crop: ((f64, f64), (f64, f64)),
) -> Result<(), Failure> {
    let ((left, width), (top, height)) = crop;
    let options = ResizeOptions::new()
        .use_alpha(false)
        .crop(left, top, width, height);
    let source =
        TypedImageRef::<P>::from_buffer(size.width, size.height, pixels).map_err(library)?;
    resizer
        .resize_typed(&source, result, &options)
        .map_err(library)
}

fn view<P: InnerPixel>(pixels: &mut [u8], size: Size) -> Result<TypedImage<'_, P>, Failure> {
    TypedImage::from_buffer(size.width, size.height, pixels).map_err(library)
}
