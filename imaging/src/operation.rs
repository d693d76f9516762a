//! What is to be made of a picture. Knows nothing of pixels; `plan` below applies it to a size of picture.

use std::ops::RangeInclusive;

use crate::{Error, Info, Limits, OutputFormat, Size, decode::USUAL_TARGET};

mod plan;

pub(crate) use plan::Plan;

/// How a picture is fitted to a box. In a box of one side only there is nothing to fit: all but [`Fit::Inside`] then make
/// the picture exactly that wide (or high), aspect ratio kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fit {
    /// As large as fits into the box, aspect ratio kept, never enlarged.
    Inside,
    /// Exactly the box: the whole picture in its middle, enlarged if need be, the rest transparent (white in a JPEG).
    Contain,
    /// Exactly the box: filled by the middle of the picture, enlarged if need be.
    Cover,
    /// Exactly the box: the aspect ratio gives way.
    Fill,
}

/// Which part of a picture [`Fit::Cover`] keeps, as the picture is displayed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Gravity {
    /// The middle.
    #[default]
    Center,
    /// The top.
    North,
    /// The top right corner.
    NorthEast,
    /// The right side.
    East,
    /// The bottom right corner.
    SouthEast,
    /// The bottom.
    South,
    /// The bottom left corner.
    SouthWest,
    /// The left side.
    West,
    /// The top left corner.
    NorthWest,
}

/// How close a result must be to a downscale of every pixel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Fidelity {
    /// No difference that the measures of quality know.
    #[default]
    Full,
    /// A point of SSIMULACRA2 may be lost where it saves a fifth of the time: large JPEGs made into small ones.
    NearEqual,
}

/// One render: a box, how to fit it, and how to write the result.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Operation {
    /// Width of the box; without it, height and aspect ratio decide. At least one of the two must be there.
    pub width: Option<u32>,
    /// Height of the box; without it, width and aspect ratio decide.
    pub height: Option<u32>,
    /// Pixels of the result for each of the box, along either side, for screens whose pixels are smaller than those
    /// that a page counts in: within [`Self::DPR`].
    pub dpr: f64,
    /// How the picture fits the box.
    pub fit: Fit,
    /// What is written.
    pub format: OutputFormat,
    /// Within [`Self::QUALITY`]; PNG ignores it.
    pub quality: u8,
    /// What [`Fit::Cover`] keeps.
    pub gravity: Gravity,
    /// How much a decoder may leave out.
    pub fidelity: Fidelity,
}

/// From this quality on, a JPEG keeps colour at full resolution: whoever asks for it wants to see every pixel.
pub(crate) const FULL_COLOR_QUALITY: u8 = 90;

/// Bytes of memory for each pixel of a result: the result before and after it is turned or letterboxed, and the file.
const RESULT_BYTES: u64 = 16;
/// Bytes that the encoder of AVIF takes for each pixel besides.
#[cfg(feature = "avif")]
const AVIF_BYTES: u64 = 50;

/// How much of a picture a decoder must deliver.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Detail {
    /// Whether the result has colour at half the resolution only.
    pub halves_color: bool,
    /// Samples for each pixel of the result, each way, at least: with fewer, what is missing of the frequencies that were
    /// left out becomes visible.
    pub oversampling: f64,
    pub fidelity: Fidelity,
}

/// What is enough for every result. Found by a sweep of factors over photographs.
const OVERSAMPLING: f64 = 1.5;
/// What is enough for a JPEG of at most [`USUAL_QUALITY`]: it takes half a point to one of SSIMULACRA2, and a tenth to a sixth of
/// the time.
const USUAL_OVERSAMPLING: f64 = 1.25;
/// Up to this quality nobody asks for the last detail.
const USUAL_QUALITY: u8 = 85;

impl Operation {
    /// The qualities there are.
    pub const QUALITY: RangeInclusive<u8> = 1..=100;
    /// Quality when nobody asks for one.
    pub const DEFAULT_QUALITY: u8 = 80;
    /// The device pixel ratios there are: no screen shows more, and nobody would see it.
    pub const DPR: RangeInclusive<f64> = 1.0..=4.0;

    /// A picture that fits into a square of `side` pixels: what a preset does.
    #[must_use]
    pub const fn inside(side: u32, format: OutputFormat) -> Self {
        let square = Size {
            width: side,
            height: side,
        };
        Self::inside_box(square, format)
    }

    /// A picture that fits into a box.
    #[must_use]
    pub const fn inside_box(size: Size, format: OutputFormat) -> Self {
        Self {
            width: Some(size.width),
            height: Some(size.height),
            dpr: 1.0,
            fit: Fit::Inside,
            format,
            quality: Self::DEFAULT_QUALITY,
            gravity: Gravity::Center,
            fidelity: Fidelity::Full,
        }
    }

    /// About how many bytes of memory this render of a probed picture takes at its peak; admission weighs by it. The
    /// errors are those that [`crate::render()`] would find before it decodes.
    pub fn peak_bytes(&self, info: &Info, limits: &Limits) -> Result<u64, Error> {
        let canvas = self.plan(info.displayed, limits)?.canvas.pixels();
        // A result that is no larger than the picture nor than those of presets is in the header's figure already.
        let usual = u64::from(USUAL_TARGET).pow(2).min(info.stored.pixels());
        let encoder = match self.format {
            #[cfg(feature = "avif")]
            OutputFormat::Avif => AVIF_BYTES * canvas,
            _ => 0,
        };
        Ok(info.decoded_bytes + RESULT_BYTES * canvas.saturating_sub(usual) + encoder)
    }

    /// The size of the result for a picture that is displayed in the size `displayed`. The errors are those that
    /// [`crate::render()`] would find before it decodes.
    pub fn result_size(&self, displayed: Size, limits: &Limits) -> Result<Size, Error> {
        self.plan(displayed, limits).map(|plan| plan.canvas)
    }

    /// What a decoder may leave out.
    pub(crate) fn detail(&self) -> Detail {
        Detail {
            halves_color: match self.format {
                OutputFormat::Jpeg => self.quality < FULL_COLOR_QUALITY,
                OutputFormat::Png => false,
                OutputFormat::Webp => true,
                #[cfg(feature = "avif")]
                OutputFormat::Avif => false,
            },
            oversampling: match self.format {
                OutputFormat::Jpeg if self.quality <= USUAL_QUALITY => USUAL_OVERSAMPLING,
                _ => OVERSAMPLING,
            },
            fidelity: self.fidelity,
        }
    }

    fn validate(&self) -> Result<(), Error> {
        let bad = |field, reason: String| Err(Error::BadOperation { field, reason });
        if (self.width, self.height) == (None, None) {
            return bad("width", "or height must be given".to_owned());
        }
        for (field, side) in [("width", self.width), ("height", self.height)] {
            if side == Some(0) {
                return bad(field, "must be at least 1".to_owned());
            }
        }
        if !Self::DPR.contains(&self.dpr) {
            let (least, most) = Self::DPR.into_inner();
            return bad("dpr", format!("must be from {least} to {most}"));
        }
        if !Self::QUALITY.contains(&self.quality) {
            let (least, most) = Self::QUALITY.into_inner();
            return bad("quality", format!("must be from {least} to {most}"));
        }
        Ok(())
    }
}

impl Gravity {
    /// Left to right and top to bottom, 0 to 1.
    const fn focus(self) -> (f64, f64) {
        let across = match self {
            Self::NorthWest | Self::West | Self::SouthWest => 0.0,
            Self::North | Self::Center | Self::South => 0.5,
            Self::NorthEast | Self::East | Self::SouthEast => 1.0,
        };
        let down = match self {
            Self::NorthWest | Self::North | Self::NorthEast => 0.0,
            Self::West | Self::Center | Self::East => 0.5,
            Self::SouthWest | Self::South | Self::SouthEast => 1.0,
        };
        (across, down)
    }
}
