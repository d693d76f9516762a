//! An operation applied to one size of picture: which part is shown, how large, on what canvas.

use super::{Fit, Operation};
use crate::{Error, Limits, Orientation, Size};

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
    /// What to do with a picture of the size `source`, as it is displayed.
    pub(crate) fn plan(&self, source: Size, limits: &Limits) -> Result<Plan, Error> {
        self.validate()?;
        let bound = self.bound(limits);
        let is_whole_box = self.width.is_some() && self.height.is_some();
        let enlarged = source.scale_into(bound);
        let whole = |scaled: Size| Plan {
            visible: (1.0, 1.0),
            focus: self.gravity.focus(),
            scaled,
            canvas: scaled,
        };
        let plan = match self.fit {
            Fit::Inside => whole(source.scaled(enlarged.min(1.0), bound)),
            _ if !is_whole_box => whole(source.scaled(enlarged, bound)),
            Fit::Contain => Plan {
                canvas: bound,
                ..whole(source.scaled(enlarged, bound))
            },
            Fit::Cover => Plan {
                visible: source.covering(bound),
                ..whole(bound)
            },
            Fit::Fill => whole(bound),
        };
        limits.check_output(plan.canvas, self.format.longest_side())?;
        Ok(plan)
    }

    /// The box in pixels of the result. A side that is missing bounds nothing; nor does one of [`Fit::Inside`] that no
    /// result could have.
    fn bound(&self, limits: &Limits) -> Size {
        let longest = match self.fit {
            Fit::Inside => self.format.longest_side().min(limits.side),
            _ => u32::MAX,
        };
        let side = |side: Option<u32>| {
            side.map_or(longest, |side| {
                // Saturates, so what is too large is refused and never wraps around.
                ((f64::from(side) * self.dpr).round() as u32).min(longest)
            })
        };
        Size {
            width: side(self.width),
            height: side(self.height),
        }
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

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail")]
mod tests {
    use super::*;
    use crate::OutputFormat;

    #[test]
    fn the_size_of_a_result_is_known_before_it_is_made() {
        let source = Size {
            width: 100,
            height: 50,
        };
        let limits = Limits::default();
        let inside = Operation::inside(16_384, OutputFormat::Webp);
        assert_eq!(inside.result_size(source, &limits).unwrap(), source);
        let too_large = Operation {
            fit: Fit::Fill,
            ..Operation::inside(10_000, OutputFormat::Webp)
        };
        assert!(too_large.result_size(source, &limits).is_err());
    }

    fn plan(fit: Fit, source: (u32, u32), target: (u32, u32)) -> Result<Plan, Error> {
        let size = |(width, height)| Size { width, height };
        let operation = Operation {
            fit,
            ..Operation::inside_box(size(target), OutputFormat::Webp)
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

    /// The result's size for a box of which a side may be missing.
    fn made(
        fit: Fit,
        source: (u32, u32),
        target: (Option<u32>, Option<u32>),
        dpr: f64,
    ) -> (u32, u32) {
        let operation = Operation {
            width: target.0,
            height: target.1,
            dpr,
            fit,
            ..Operation::inside(1, OutputFormat::Webp)
        };
        let (width, height) = source;
        let plan = operation.plan(Size { width, height }, &Limits::default());
        let canvas = plan.unwrap().canvas;
        (canvas.width, canvas.height)
    }

    #[test]
    fn a_side_that_is_missing_follows_from_the_aspect_ratio() {
        for fit in [Fit::Contain, Fit::Cover, Fit::Fill] {
            assert_eq!(made(fit, (301, 200), (Some(100), None), 1.0), (100, 66));
            assert_eq!(made(fit, (301, 200), (None, Some(100)), 1.0), (151, 100));
            assert_eq!(
                made(fit, (30, 20), (Some(300), None), 1.0),
                (300, 200),
                "{fit:?} enlarges"
            );
            assert_eq!(
                made(fit, (301, 200), (Some(100), None), 3.0),
                (300, 199),
                "the ratio is the picture's, not that of a rounded box"
            );
            assert_eq!(made(fit, (9000, 2), (Some(100), None), 1.0), (100, 1));
        }
        let inside = |source, target| made(Fit::Inside, source, target, 1.0);
        assert_eq!(inside((301, 200), (Some(100), None)), (100, 66));
        assert_eq!(inside((301, 200), (None, Some(100))), (151, 100));
        assert_eq!(
            inside((30, 20), (Some(300), None)),
            (30, 20),
            "never enlarged"
        );
    }

    #[test]
    fn a_device_pixel_ratio_multiplies_the_box() {
        let both = (Some(100), Some(51));
        for (dpr, expected) in [
            (1.0, (100, 51)),
            (1.5, (150, 77)),
            (2.0, (200, 102)),
            (4.0, (400, 204)),
        ] {
            for fit in [Fit::Contain, Fit::Cover, Fit::Fill] {
                assert_eq!(made(fit, (40, 30), both, dpr), expected, "{fit:?} at {dpr}");
            }
        }
        assert_eq!(made(Fit::Inside, (4000, 2000), both, 1.0), (100, 50));
        assert_eq!(made(Fit::Inside, (4000, 2000), both, 2.0), (200, 100));
        assert_eq!(
            made(Fit::Inside, (150, 75), both, 4.0),
            (150, 75),
            "never enlarged"
        );
        let longest = (Some(u32::MAX), None);
        assert_eq!(
            made(Fit::Inside, (400, 300), longest, 4.0),
            (400, 300),
            "no box is too large to be inside of"
        );
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
        for error in [too_wide, too_big] {
            assert_eq!(
                error.kind(),
                crate::ErrorKind::BadOperation,
                "not the picture's fault"
            );
        }
    }

    #[test]
    fn a_senseless_operation_is_refused_by_its_field() {
        let sane = Operation::inside(10, OutputFormat::Jpeg);
        let dpr = |dpr| Operation { dpr, ..sane };
        let quality = |quality| Operation { quality, ..sane };
        let sides = |width, height| Operation {
            width,
            height,
            ..sane
        };
        for (operation, field) in [
            (sides(Some(0), Some(10)), "width"),
            (sides(Some(10), Some(0)), "height"),
            (sides(None, Some(0)), "height"),
            (sides(None, None), "width"),
            (dpr(0.99), "dpr"),
            (dpr(4.01), "dpr"),
            (dpr(-1.0), "dpr"),
            (dpr(f64::NAN), "dpr"),
            (dpr(f64::INFINITY), "dpr"),
            (quality(0), "quality"),
            (quality(101), "quality"),
        ] {
            let source = Size {
                width: 1,
                height: 1,
            };
            let refused = operation.plan(source, &Limits::default());
            assert!(
                matches!(&refused, Err(Error::BadOperation { field: named, .. }) if *named == field),
                "{operation:?}: {refused:?}"
            );
        }
    }
}
