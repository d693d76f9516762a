//! What the query of a render asks for: a preset, or a box of the client's own and how to fit it.
//!
//! Parsed once, here. Everything that is wrong is said at once, each by the name of its parameter.

use std::fmt;

use imaging::{Fidelity, Fit, Gravity, Operation, OutputFormat};
use serde::Deserialize;

use crate::api::parameters::{Refusals, Words};
use crate::api::problem::Problem;
use crate::domain::{Format, Preset};

/// The query as it came.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct Query {
    preset: Option<String>,
    format: Option<String>,
    w: Option<String>,
    h: Option<String>,
    fit: Option<String>,
    gravity: Option<String>,
    q: Option<String>,
    dpr: Option<String>,
}

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Wanted {
    pub(super) shape: Shape,
    /// `None` is the best one that the client accepts.
    pub(super) format: Option<Format>,
}

/// Size and quality.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Shape {
    /// A stored one, or one that could be.
    Preset(Preset),
    /// The client's own.
    Custom(Custom),
}

/// A box of the client's own. At least one side is there.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Custom {
    width: Option<u32>,
    height: Option<u32>,
    fit: Fit,
    gravity: Gravity,
    quality: u8,
    dpr: f64,
}

const FITS: &Words<Fit> = &[
    ("inside", Fit::Inside),
    ("contain", Fit::Contain),
    ("cover", Fit::Cover),
    ("fill", Fit::Fill),
];
const GRAVITIES: &Words<Gravity> = &[
    ("center", Gravity::Center),
    ("north", Gravity::North),
    ("northeast", Gravity::NorthEast),
    ("east", Gravity::East),
    ("southeast", Gravity::SouthEast),
    ("south", Gravity::South),
    ("southwest", Gravity::SouthWest),
    ("west", Gravity::West),
    ("northwest", Gravity::NorthWest),
];
const FORMATS: &Words<Option<Format>> = &[
    ("auto", None),
    ("jpeg", Some(Format::Jpeg)),
    ("webp", Some(Format::Webp)),
    ("png", Some(Format::Png)),
    #[cfg(feature = "avif")]
    ("avif", Some(Format::Avif)),
];
const PRESETS: &Words<Preset> = &[
    (Preset::Thumb.name(), Preset::Thumb),
    (Preset::Small.name(), Preset::Small),
    (Preset::Medium.name(), Preset::Medium),
    (Preset::Large.name(), Preset::Large),
];

impl Query {
    /// What it asks for. `longest_side` bounds width and height, in pixels.
    pub(super) fn parse(&self, longest_side: u32) -> Result<Wanted, Problem> {
        let mut bad = Refusals::default();
        let format = self.format(&mut bad);
        let shape = match &self.preset {
            Some(_) => self.preset(&mut bad),
            None => Some(self.custom(longest_side, &mut bad)),
        };
        bad.finish(shape.map(|shape| Wanted { shape, format }))
    }

    fn format(&self, bad: &mut Refusals) -> Option<Format> {
        if cfg!(not(feature = "avif")) && self.format.as_deref() == Some("avif") {
            bad.push("format", "can't be avif: this build can't write AVIF");
            return None;
        }
        bad.word("format", self.format.as_deref(), FORMATS)
            .flatten()
    }

    fn preset(&self, bad: &mut Refusals) -> Option<Shape> {
        for (name, value) in [
            ("w", &self.w),
            ("h", &self.h),
            ("fit", &self.fit),
            ("gravity", &self.gravity),
            ("q", &self.q),
            ("dpr", &self.dpr),
        ] {
            if value.is_some() {
                bad.push(name, "can't go with preset, which sets it");
            }
        }
        let preset = bad.word("preset", self.preset.as_deref(), PRESETS);
        preset.map(Shape::Preset)
    }

    fn custom(&self, longest_side: u32, bad: &mut Refusals) -> Shape {
        if self.w.is_none() && self.h.is_none() {
            bad.push("preset", "must be given, or w, or h");
        }
        let sides = 1..=longest_side;
        Shape::Custom(Custom {
            width: bad.number("w", self.w.as_deref(), &sides),
            height: bad.number("h", self.h.as_deref(), &sides),
            fit: bad
                .word("fit", self.fit.as_deref(), FITS)
                .unwrap_or(Fit::Inside),
            gravity: bad
                .word("gravity", self.gravity.as_deref(), GRAVITIES)
                .unwrap_or_default(),
            quality: bad
                .number("q", self.q.as_deref(), &Operation::QUALITY)
                .unwrap_or(Operation::DEFAULT_QUALITY),
            dpr: bad
                .number("dpr", self.dpr.as_deref(), &Operation::DPR)
                .unwrap_or(1.0),
        })
    }
}

impl Custom {
    /// The same for the image pipeline.
    pub(super) fn operation(&self, format: OutputFormat) -> Operation {
        Operation {
            width: self.width,
            height: self.height,
            dpr: self.dpr,
            fit: self.fit,
            format,
            quality: self.quality,
            gravity: self.gravity,
            fidelity: Fidelity::Full,
        }
    }
}

/// As in entity tags: all that a result depends on besides picture and format, in one way of writing it.
impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let custom = match self {
            Self::Preset(preset) => return f.write_str(preset.name()),
            Self::Custom(custom) => custom,
        };
        for (name, side) in [("w", custom.width), ("h", custom.height)] {
            if let Some(side) = side {
                write!(f, "{name}{side}-")?;
            }
        }
        let (fit, gravity) = (
            word_of(FITS, &custom.fit),
            word_of(GRAVITIES, &custom.gravity),
        );
        write!(f, "{fit}-{gravity}-q{}-dpr{}", custom.quality, custom.dpr)
    }
}

fn word_of<T: PartialEq>(words: &Words<T>, value: &T) -> &'static str {
    let found = words.iter().find(|(_, other)| other == value);
    found.map_or("", |(word, _)| word)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(pairs: &[(&str, &str)]) -> Query {
        let mut query = Query::default();
        for (name, value) in pairs {
            let field = match *name {
                "preset" => &mut query.preset,
                "format" => &mut query.format,
                "w" => &mut query.w,
                "h" => &mut query.h,
                "fit" => &mut query.fit,
                "gravity" => &mut query.gravity,
                "q" => &mut query.q,
                "dpr" => &mut query.dpr,
                other => panic!("{other}"),
            };
            *field = Some((*value).to_owned());
        }
        query
    }

    fn refused(pairs: &[(&str, &str)]) -> Vec<String> {
        match query(pairs).parse(16_384) {
            Err(Problem::BadParameters(errors)) => {
                errors.iter().map(|error| error.detail.clone()).collect()
            }
            other => panic!("{pairs:?}: {other:?}"),
        }
    }

    #[test]
    fn a_refusal_names_its_parameter_and_says_what_it_must_be() {
        for (pairs, detail) in [
            (&[][..], "preset must be given, or w, or h"),
            (&[("fit", "cover")], "preset must be given, or w, or h"),
            (&[("w", "0")], "w must be a number from 1 to 16384"),
            (&[("w", "16385")], "w must be a number from 1 to 16384"),
            (&[("h", "-1")], "h must be a number from 1 to 16384"),
            (&[("h", "ten")], "h must be a number from 1 to 16384"),
            (
                &[("w", "9"), ("q", "0")],
                "q must be a number from 1 to 100",
            ),
            (
                &[("w", "9"), ("q", "101")],
                "q must be a number from 1 to 100",
            ),
            (
                &[("w", "9"), ("dpr", "0.5")],
                "dpr must be a number from 1 to 4",
            ),
            (
                &[("w", "9"), ("dpr", "NaN")],
                "dpr must be a number from 1 to 4",
            ),
            (
                &[("w", "9"), ("dpr", "inf")],
                "dpr must be a number from 1 to 4",
            ),
            (
                &[("w", "9"), ("fit", "stretch")],
                "fit must be one of inside, contain, cover, fill",
            ),
            #[cfg(not(feature = "avif"))]
            (
                &[("w", "9"), ("format", "gif")],
                "format must be one of auto, jpeg, webp, png",
            ),
            #[cfg(not(feature = "avif"))]
            (
                &[("preset", "thumb"), ("format", "avif")],
                "format can't be avif: this build can't write AVIF",
            ),
            (
                &[("preset", "huge")],
                "preset must be one of thumb, small, medium, large",
            ),
        ] {
            assert_eq!(refused(pairs), [detail], "{pairs:?}");
        }
        let gravity = refused(&[("w", "9"), ("gravity", "up")]);
        assert!(gravity[0].starts_with("gravity must be one of center, north,"));
    }

    #[test]
    fn everything_that_is_wrong_is_said_at_once() {
        let all = refused(&[
            ("w", "0"),
            ("h", "x"),
            ("fit", ""),
            ("q", "a"),
            ("dpr", "9"),
        ]);
        let names: Vec<_> = all.iter().map(|detail| detail.split(' ').next()).collect();
        assert_eq!(names, ["w", "h", "fit", "q", "dpr"].map(Some));
    }

    #[test]
    fn a_preset_sets_all_but_the_format() {
        for name in ["w", "h", "fit", "gravity", "q", "dpr"] {
            assert_eq!(
                refused(&[("preset", "thumb"), (name, "1")]),
                [format!("{name} can't go with preset, which sets it")]
            );
        }
        let wanted = query(&[("preset", "thumb"), ("format", "png")]).parse(16_384);
        let expected = Wanted {
            shape: Shape::Preset(Preset::Thumb),
            format: Some(Format::Png),
        };
        assert_eq!(wanted.expect("valid"), expected);
    }

    #[test]
    fn every_parameter_is_in_the_tag_and_each_value_is_written_in_one_way() {
        let tag = |pairs: &[(&str, &str)]| {
            let wanted = query(pairs).parse(16_384).expect("valid");
            wanted.shape.to_string()
        };
        assert_eq!(tag(&[("preset", "small")]), "small");
        assert_eq!(tag(&[("w", "300")]), "w300-inside-center-q80-dpr1");
        assert_eq!(tag(&[("w", "0300"), ("dpr", "1.0")]), tag(&[("w", "300")]));
        let all = [
            ("w", "300"),
            ("h", "200"),
            ("fit", "cover"),
            ("gravity", "northeast"),
            ("q", "75"),
            ("dpr", "1.50"),
        ];
        assert_eq!(tag(&all), "w300-h200-cover-northeast-q75-dpr1.5");
        for left_out in 0..all.len() {
            let mut fewer = all.to_vec();
            fewer.remove(left_out);
            assert_ne!(tag(&fewer), tag(&all), "{:?}", all[left_out]);
        }
    }
}
