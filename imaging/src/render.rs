//! A render as three steps through which a picture goes one way: [`decode`], [`Decoded::transform`] and
//! [`Transformed::encode`]. [`render`] is all three.
//!
//! They are apart so that a caller can see, or say, where the time goes; this crate knows no clock.

use crate::{
    Error, Info, Limits, Meter, Operation, Orientation, OutputFormat, Scratch, Size, color,
    encode::{self, Content},
    letterbox::letterbox,
    operation::Plan,
    probe::probe,
    raster::{Encoding, Layout, Pixels, Raster},
    resize::{Destination, resize},
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

/// A picture of which as much is decoded as its operation needs. The first step's result.
#[derive(Debug)]
pub struct Decoded<'a> {
    scratch: Lease<'a>,
    meter: &'a Meter,
    operation: Operation,
    info: Info,
    plan: Plan,
    raster: Raster,
}

/// A picture of the size, colours and orientation of the result. The second step's result.
#[derive(Debug)]
pub struct Transformed<'a> {
    scratch: Lease<'a>,
    meter: &'a Meter,
    operation: Operation,
    size: Size,
    content: Content,
    truncated: bool,
}

/// sRGB pixels the right way up, before letterboxing.
#[derive(Debug)]
pub(crate) struct Painted<'a> {
    scratch: Lease<'a>,
    pub size: Size,
    /// Never CMYK.
    pub layout: Layout,
}

/// A scratch in use. However the steps end, it gives back what a huge picture took.
#[derive(Debug)]
struct Lease<'a>(&'a mut Scratch);

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        self.0.trim();
    }
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
    decode(bytes, operation, limits, scratch, &Meter::default())?
        .transform()?
        .encode()
}

/// Decodes as much of the picture in `bytes` as `operation` needs. Whatever can be refused is refused here, from the
/// header.
///
/// `scratch` holds the pixels until the last step; what it was used for before makes no difference. `meter` counts the work
/// of all three steps, and can end each of them.
pub fn decode<'a>(
    bytes: &[u8],
    operation: &Operation,
    limits: &Limits,
    scratch: &'a mut Scratch,
    meter: &'a Meter,
) -> Result<Decoded<'a>, Error> {
    let info = probe(bytes, limits, meter)?;
    let plan = operation.plan(info.displayed, limits)?;
    let whole = plan.stored(info.orientation).whole();
    let scratch = Lease(scratch);
    let detail = operation.detail();
    let raster = crate::decode::decode(bytes, &info, whole, detail, limits, scratch.0, meter)?;
    Ok(Decoded {
        scratch,
        meter,
        operation: *operation,
        info,
        plan,
        raster,
    })
}

impl<'a> Decoded<'a> {
    /// Resizes, turns colours into sRGB and the picture the right way up, and puts it on its canvas.
    pub fn transform(self) -> Result<Transformed<'a>, Error> {
        if self.can_stay_apart() {
            return self.channels();
        }
        let Self {
            meter,
            operation,
            plan,
            ..
        } = self;
        let truncated = self.raster.truncated;
        let Painted {
            scratch,
            size,
            layout,
        } = self.pixels()?;
        let layout = if size == plan.canvas {
            layout
        } else {
            letterbox(
                scratch.0,
                size,
                layout,
                plan.canvas,
                operation.format,
                meter,
            )?
        };
        Ok(Transformed {
            scratch,
            meter,
            operation,
            size: plan.canvas,
            content: Content::Pixels(layout),
            truncated,
        })
    }

    /// Everything but the canvas, as pixels whatever the format asked for.
    pub(crate) fn pixels(self) -> Result<Painted<'a>, Error> {
        let Self {
            scratch,
            meter,
            info,
            plan,
            raster,
            ..
        } = self;
        let stored = plan.stored(info.orientation);
        resize(scratch.0, &raster, &stored, Destination::Pixels, meter)?;
        let Scratch { spare, resized, .. } = &mut *scratch.0;
        let mut layout =
            color::to_srgb(resized, spare, raster.layout, raster.icc.as_deref(), meter)?;
        let size =
            info.orientation
                .apply(resized, spare, stored.scaled, layout.channels(), meter)?;
        if layout == Layout::Rgba && color::drop_opaque_alpha(resized) {
            layout = Layout::Rgb;
        }
        Ok(Painted {
            scratch,
            size,
            layout,
        })
    }

    /// Everything, of luma and colours that stay apart.
    fn channels(self) -> Result<Transformed<'a>, Error> {
        let Self {
            scratch,
            meter,
            operation,
            info,
            plan,
            raster,
        } = self;
        let stored = plan.stored(info.orientation);
        resize(scratch.0, &raster, &stored, Destination::Channels, meter)?;
        let Scratch { spare, planes, .. } = &mut *scratch.0;
        let [luma, blue, red, _] = planes;
        let size = info
            .orientation
            .apply(luma, spare, stored.scaled, 1, meter)?;
        let half = encode::color_size(stored.scaled, true);
        for color in [blue, red] {
            info.orientation.apply(color, spare, half, 1, meter)?;
        }
        Ok(Transformed {
            scratch,
            meter,
            operation,
            size,
            content: Content::Channels,
            truncated: raster.truncated,
        })
    }

    /// Whether luma and colours can stay apart: from JPEG to JPEG, where nothing needs to see whole pixels.
    fn can_stay_apart(&self) -> bool {
        let Self {
            operation,
            info,
            plan,
            raster,
            ..
        } = self;
        let is_ycbcr = matches!(
            raster.pixels,
            Pixels::Planar {
                encoding: Encoding::YCbCr,
                ..
            }
        );
        let halves_color =
            operation.format == OutputFormat::Jpeg && operation.detail().halves_color;
        // Turned around, the half that an odd side has too much would be on the other side.
        let Size { width, height } = plan.scaled;
        let is_turnable = info.orientation == Orientation::Normal || (width | height) & 1 == 0;
        let is_whole = plan.canvas == plan.scaled && raster.icc.is_none();
        is_ycbcr && halves_color && is_turnable && is_whole
    }
}

impl Painted<'_> {
    /// Top to bottom, without gaps.
    pub(crate) fn rows(&self) -> &[u8] {
        &self.scratch.0.resized
    }
}

impl Transformed<'_> {
    /// Writes the file.
    pub fn encode(self) -> Result<Encoded, Error> {
        let Self {
            scratch,
            meter,
            operation,
            size,
            content,
            truncated,
        } = self;
        let bytes = encode::encode(scratch.0, size, content, &operation, meter)?;
        Ok(Encoded {
            bytes,
            format: operation.format,
            size,
            truncated,
        })
    }
}
