//! What is to be made of a picture. Knows nothing of pixels.

use crate::{Error, Limits, Orientation, OutputFormat, Size};

/// How a picture is fitted to a box.
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
    /// Half a point of SSIMULACRA2 may be lost where it saves a fifth of the time: large JPEGs made into small ones.
    NearEqual,
}

/// One render: a box, how to fit it, and how to write the result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Operation {
    /// The box.
    pub size: Size,
    /// How the picture fits it.
    pub fit: Fit,
    /// What is written.
    pub format: OutputFormat,
    /// 1 to 100; PNG ignores it.
    pub quality: u8,
    /// What [`Fit::Cover`] keeps.
    pub gravity: Gravity,
    /// How much a decoder may leave out.
    pub fidelity: Fidelity,
}

/// From this quality on, a JPEG keeps colour at full resolution: whoever asks for it wants to see every pixel.
pub(crate) const FULL_COLOR_QUALITY: u8 = 90;

/// How much of a picture a decoder must deliver.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Detail {
    /// Whether the result has colour at half the resolution only.
    pub halves_color: bool,
    pub fidelity: Fidelity,
}

/// An [`Operation`] applied to one size of picture.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Plan {
    /// How much of the picture's width and height is shown; 1.0 is all.
    pub visible: (f64, f64),
    /// Where the hidden rest lies: 0.0 is all to the right (below), 1.0 all to the left (above).
    pub focus: (f64, f64),
    /// Size that the visible part is resized to.
    pub scaled: Size,
    /// Size of the result; larger than `scaled` only when letterboxed.
    pub canvas: Size,
}

impl Operation {
    /// Quality when nobody asks for one.
    pub const DEFAULT_QUALITY: u8 = 80;

    /// A picture that fits into a square of `side` pixels: what a preset does.
    #[must_use]
    pub const fn inside(side: u32, format: OutputFormat) -> Self {
        let size = Size {
            width: side,
            height: side,
        };
        Self {
            size,
            fit: Fit::Inside,
            format,
            quality: Self::DEFAULT_QUALITY,
            gravity: Gravity::Center,
            fidelity: Fidelity::Full,
        }
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
            fidelity: self.fidelity,
        }
    }

    /// What to do with a picture of the size `source`, as it is displayed.
    pub(crate) fn plan(&self, source: Size, limits: &Limits) -> Result<Plan, Error> {
        self.validate()?;
        let whole = (1.0, 1.0);
        let focus = self.gravity.focus();
        let plan = match self.fit {
            Fit::Inside => {
                let longest = self.format.longest_side().min(limits.side);
                let bound = Size {
                    width: self.size.width.min(longest),
                    height: self.size.height.min(longest),
                };
                let scaled = source.scaled(source.scale_into(bound).min(1.0), bound);
                Plan {
                    visible: whole,
                    focus,
                    scaled,
                    canvas: scaled,
                }
            }
            Fit::Contain => {
                let scaled = source.scaled(source.scale_into(self.size), self.size);
                Plan {
                    visible: whole,
                    focus,
                    scaled,
                    canvas: self.size,
                }
            }
            Fit::Cover => Plan {
                visible: source.covering(self.size),
                focus,
                scaled: self.size,
                canvas: self.size,
            },
            Fit::Fill => Plan {
                visible: whole,
                focus,
                scaled: self.size,
                canvas: self.size,
            },
        };
        limits.check_output(plan.canvas, self.format.longest_side())?;
        Ok(plan)
    }

    fn validate(&self) -> Result<(), Error> {
        let bad = |field, reason: &str| {
            Err(Error::BadOperation {
                field,
                reason: reason.to_owned(),
            })
        };
        if self.size.width == 0 {
            return bad("width", "must be at least 1");
        }
        if self.size.height == 0 {
            return bad("height", "must be at least 1");
        }
        if !(1..=100).contains(&self.quality) {
            return bad("quality", "must be from 1 to 100");
        }
        Ok(())
    }
}

impl Plan {
    /// The same plan for the picture as it is stored.
    pub(crate) fn stored(self, orientation: Orientation) -> Self {
        let focus = orientation.stored_point(self.focus);
        if !orientation.transposes() {
            return Self { focus, ..self };
        }
        Self {
            visible: (self.visible.1, self.visible.0),
            focus,
            scaled: self.scaled.transposed(),
            canvas: self.canvas.transposed(),
        }
    }

    /// The size that the whole picture would have, were its hidden part resized too: what a decoder that
    /// scales must at least deliver.
    pub(crate) fn whole(&self) -> Size {
        Size {
            width: (f64::from(self.scaled.width) / self.visible.0).ceil() as u32,
            height: (f64::from(self.scaled.height) / self.visible.1).ceil() as u32,
        }
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

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail")]
mod tests {
    use super::*;

    fn plan(fit: Fit, source: (u32, u32), target: (u32, u32)) -> Result<Plan, Error> {
        let size = |(width, height)| Size { width, height };
        let operation = Operation {
            fit,
            size: size(target),
            ..Operation::inside(1, OutputFormat::Webp)
        };
        operation.plan(size(source), &Limits::default())
    }

    fn canvas(fit: Fit, source: (u32, u32), target: (u32, u32)) -> (u32, u32) {
        let canvas = plan(fit, source, target).unwrap().canvas;
        (canvas.width, canvas.height)
    }

    #[test]
    fn inside_keeps_the_aspect_ratio_and_never_enlarges() {
        assert_eq!(canvas(Fit::Inside, (4000, 3000), (1024, 1024)), (1024, 768));
        assert_eq!(canvas(Fit::Inside, (3000, 4000), (1024, 1024)), (768, 1024));
        assert_eq!(canvas(Fit::Inside, (100, 50), (1024, 1024)), (100, 50));
        assert_eq!(
            canvas(Fit::Inside, (16_384, 1), (200, 200)),
            (200, 1),
            "never less than one pixel"
        );
        assert_eq!(
            canvas(Fit::Inside, (16_384, 100), (20_000, 20_000)).0,
            16_383,
            "the most WebP can hold"
        );
    }

    #[test]
    fn the_other_fits_fill_the_box_exactly() {
        for fit in [Fit::Contain, Fit::Cover, Fit::Fill] {
            for source in [(1, 1), (1, 500), (500, 1), (640, 480)] {
                assert_eq!(
                    canvas(fit, source, (300, 200)),
                    (300, 200),
                    "{fit:?} of {source:?}"
                );
            }
        }
    }

    #[test]
    fn cover_shows_the_middle() {
        assert_eq!(
            plan(Fit::Cover, (400, 100), (100, 100)).unwrap().visible,
            (0.25, 1.0)
        );
        assert_eq!(
            plan(Fit::Cover, (100, 400), (100, 100)).unwrap().visible,
            (1.0, 0.25)
        );
        let whole = plan(Fit::Cover, (400, 100), (50, 50)).unwrap().whole();
        assert_eq!(
            whole,
            Size {
                width: 200,
                height: 50
            }
        );
    }

    #[test]
    fn an_output_over_a_limit_is_refused() {
        let too_wide = plan(Fit::Fill, (10, 10), (20_000, 10)).unwrap_err();
        assert!(
            matches!(
                too_wide,
                Error::TooLarge {
                    what: crate::Quantity::OutputWidth,
                    ..
                }
            ),
            "{too_wide}"
        );
        let too_big = plan(Fit::Fill, (10, 10), (10_000, 10_000)).unwrap_err();
        assert!(
            matches!(
                too_big,
                Error::TooLarge {
                    what: crate::Quantity::OutputPixels,
                    ..
                }
            ),
            "{too_big}"
        );
    }

    #[test]
    fn a_senseless_operation_is_refused() {
        assert!(matches!(
            plan(Fit::Fill, (10, 10), (0, 10)),
            Err(Error::BadOperation { field: "width", .. })
        ));
        let quality = Operation {
            quality: 0,
            ..Operation::inside(10, OutputFormat::Jpeg)
        };
        let refused = quality.plan(
            Size {
                width: 1,
                height: 1,
            },
            &Limits::default(),
        );
        assert!(matches!(
            refused,
            Err(Error::BadOperation {
                field: "quality",
                ..
            })
        ));
    }
}
