//! What holds of every picture and every operation, tried on random ones: the promised size, one result for the same
//! arguments, and an answer in bounded memory to damaged files.
//!
//! The seed is fixed, so that a failure is the same for everybody; the fuzz targets are for looking further.

use imaging::{
    Encoded, Error, ErrorKind, Fidelity, Fit, Gravity, Limits, Meter, Operation, Orientation,
    OutputFormat, Scratch, Size, probe, render,
};
use jpeg_encoder::{ColorType as JpegColor, SamplingFactor};
use proptest::{
    prelude::*,
    sample::{Index, select},
    test_runner::{Config, RngSeed},
};

use crate::{
    make::{gif, jpeg_with, paint, photo, png_with, size, webp_lossless, webp_lossy},
    memory::peak,
    orientation::exif,
};

/// Low, so that tall results of wide boxes and sizes that a flipped bit claims are over them, and cheap.
const LIMITS: Limits = Limits {
    pixels: 1 << 20,
    side: 4_096,
    animation_pixels: 1 << 22,
    icc_bytes: 1 << 20,
    metadata_bytes: 1 << 20,
};
/// What a render takes besides what it announced: the libraries' own buffers, the encoder.
const BESIDES: u64 = 4 << 20;
/// What an error and a parser's vectors take.
const HEADER_BYTES: u64 = 64 << 10;

fn config(cases: u32) -> Config {
    Config {
        cases,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(0x1c47),
        ..Config::default()
    }
}

/// A kind of file, in which pictures of any size can be written.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Jpeg,
    HalvedJpeg,
    ProgressiveJpeg,
    GrayJpeg,
    YcckJpeg,
    TurnedJpeg(Orientation),
    Png,
    FadedPng,
    Webp,
    LosslessWebp,
    Gif,
}

impl Kind {
    const ALL: [Self; 12] = [
        Self::Jpeg,
        Self::HalvedJpeg,
        Self::ProgressiveJpeg,
        Self::GrayJpeg,
        Self::YcckJpeg,
        Self::TurnedJpeg(Orientation::Rotate90),
        Self::TurnedJpeg(Orientation::FlipVertical),
        Self::Png,
        Self::FadedPng,
        Self::Webp,
        Self::LosslessWebp,
        Self::Gif,
    ];

    /// A file that is displayed with the size `displayed`.
    fn file(self, displayed: Size) -> Vec<u8> {
        let faded = |x: u32, y: u32| {
            let [red, green, blue, _] = photo(x, y);
            [red, green, blue, (x * y) as u8]
        };
        let rgb = paint::<3>(displayed, photo);
        let jpeg = |settings: fn(&mut jpeg_encoder::Encoder<&mut Vec<u8>>)| {
            jpeg_with(displayed, &rgb, JpegColor::Rgb, settings)
        };
        match self {
            Self::Jpeg => jpeg(|encoder| encoder.set_sampling_factor(SamplingFactor::F_1_1)),
            Self::HalvedJpeg => jpeg(|encoder| encoder.set_sampling_factor(SamplingFactor::F_2_2)),
            Self::ProgressiveJpeg => jpeg(|encoder| encoder.set_progressive(true)),
            Self::GrayJpeg => {
                let gray = paint::<1>(displayed, photo);
                jpeg_with(displayed, &gray, JpegColor::Luma, |_| {})
            }
            Self::YcckJpeg => {
                let inks = paint::<4>(displayed, photo);
                jpeg_with(displayed, &inks, JpegColor::CmykAsYcck, |_| {})
            }
            Self::TurnedJpeg(orientation) => {
                let stored = match orientation {
                    Orientation::Rotate90 => size(displayed.height, displayed.width),
                    _ => displayed,
                };
                let rgb = paint::<3>(stored, photo);
                jpeg_with(stored, &rgb, JpegColor::Rgb, |encoder| {
                    encoder.add_exif_metadata(&exif(orientation)).unwrap();
                })
            }
            Self::Png => png_with(displayed, png::ColorType::Rgb, &rgb, |_| {}),
            Self::FadedPng => {
                let rgba = paint::<4>(displayed, faded);
                png_with(displayed, png::ColorType::Rgba, &rgba, |_| {})
            }
            Self::Webp => webp_lossy(displayed, photo),
            Self::LosslessWebp => webp_lossless(displayed, faded),
            Self::Gif => gif(displayed, &[((0, 0), displayed, photo)]),
        }
    }
}

/// Most sides are short, so that many can be tried; some are long.
fn side() -> impl Strategy<Value = u32> {
    prop_oneof![4 => 1..=24_u32, 4 => 1..=130_u32, 1 => 1..=1_000_u32]
}

fn sizes() -> impl Strategy<Value = Size> {
    (side(), side()).prop_map(|(width, height)| size(width, height.min(120_000 / width)))
}

fn operations() -> impl Strategy<Value = Operation> {
    let box_of_any_sides = prop_oneof![
        4 => (side(), side()).prop_map(|(width, height)| (Some(width), Some(height))),
        1 => side().prop_map(|width| (Some(width), None)),
        1 => side().prop_map(|height| (None, Some(height))),
    ];
    let gravities = [
        Gravity::Center,
        Gravity::North,
        Gravity::NorthEast,
        Gravity::East,
        Gravity::SouthEast,
        Gravity::South,
        Gravity::SouthWest,
        Gravity::West,
        Gravity::NorthWest,
    ];
    (
        box_of_any_sides,
        prop_oneof![3 => Just(1.0), 1 => Just(2.0), 2 => Operation::DPR],
        select(&[Fit::Inside, Fit::Contain, Fit::Cover, Fit::Fill]),
        select(&[OutputFormat::Jpeg, OutputFormat::Png, OutputFormat::Webp]),
        Operation::QUALITY,
        select(gravities.to_vec()),
        select(&[Fidelity::Full, Fidelity::NearEqual]),
    )
        .prop_map(
            |((width, height), dpr, fit, format, quality, gravity, fidelity)| Operation {
                width,
                height,
                dpr,
                fit,
                format,
                quality,
                gravity,
                fidelity,
            },
        )
}

/// The size that the documentation of [`Fit`] and [`Operation`] promises.
fn promised(source: Size, operation: &Operation) -> Size {
    let scaled = |side: Option<u32>| side.map(|side| (f64::from(side) * operation.dpr).round());
    let (width, height) = (f64::from(source.width), f64::from(source.height));
    let made = match (scaled(operation.width), scaled(operation.height)) {
        (Some(right), Some(down)) if operation.fit != Fit::Inside => (right, down),
        (right, down) => {
            let factor = |wanted: Option<f64>, side: f64| wanted.map_or(f64::MAX, |w| w / side);
            let factor = factor(right, width).min(factor(down, height));
            let most = if operation.fit == Fit::Inside {
                1.0
            } else {
                f64::MAX
            };
            let factor = factor.min(most);
            ((width * factor).round(), (height * factor).round())
        }
    };
    size((made.0 as u32).max(1), (made.1 as u32).max(1))
}

/// What must hold of every answer, whatever was asked for.
fn check(
    file: &[u8],
    operation: &Operation,
    scratch: &mut Scratch,
) -> Result<Result<Encoded, Error>, TestCaseError> {
    let probed = probe(file, &LIMITS, &Meter::default());
    let announced = probed
        .and_then(|info| operation.peak_bytes(&info, &LIMITS))
        .map_or(HEADER_BYTES, |bytes| bytes + BESIDES);
    let (result, peak) = peak(|| render(file, operation, &LIMITS, scratch));
    prop_assert!(peak <= announced, "took {peak} bytes, not {announced}");
    match &result {
        Ok(encoded) => {
            prop_assert!(encoded.size.pixels() <= LIMITS.pixels);
            prop_assert!(encoded.size.width.max(encoded.size.height) <= LIMITS.side);
            let written = probe(&encoded.bytes, &Limits::default(), &Meter::default())
                .map(|info| info.stored);
            prop_assert_eq!(written, Ok(encoded.size));
        }
        Err(error) => prop_assert!(error.kind() != ErrorKind::Internal, "{}", error),
    }
    Ok(result)
}

proptest! {
    #![proptest_config(config(1_000))]

    #[test]
    fn any_fit_of_any_picture_in_any_box_has_the_promised_size(
        kind in select(&Kind::ALL[..]),
        source in sizes(),
        operation in operations(),
    ) {
        let made = check(&kind.file(source), &operation, &mut Scratch::new())?;
        let promised = promised(source, &operation);
        let is_over = promised.pixels() > LIMITS.pixels
            || promised.width.max(promised.height) > LIMITS.side;
        match made {
            Ok(encoded) => {
                prop_assert_eq!(encoded.size, promised);
                prop_assert!(!encoded.truncated);
            }
            Err(error) => prop_assert!(
                is_over && error.kind() == ErrorKind::BadOperation,
                "{promised:?}: {error}"
            ),
        }
    }
}

proptest! {
    #![proptest_config(config(1_000))]

    #[test]
    fn a_render_is_the_same_with_a_fresh_scratch_and_with_one_that_others_used(
        kind in select(&Kind::ALL[..]),
        source in sizes(),
        operation in operations(),
        (other_kind, other_source) in (select(&Kind::ALL[..]), sizes()),
        other_operation in operations(),
    ) {
        let file = kind.file(source);
        let fresh = render(&file, &operation, &LIMITS, &mut Scratch::new());
        let mut used = Scratch::new();
        let _ = render(&other_kind.file(other_source), &other_operation, &LIMITS, &mut used);
        for _ in 0..2 {
            let again = render(&file, &operation, &LIMITS, &mut used);
            prop_assert!(fresh == again, "{fresh:?} and then {again:?}");
        }
    }

    #[test]
    fn a_file_cut_anywhere_or_with_flipped_bytes_is_answered_within_the_limits(
        kind in select(&Kind::ALL[..]),
        source in sizes(),
        operation in operations(),
        cut in any::<Index>(),
        flips in prop::collection::vec((any::<Index>(), 1..=u8::MAX), 1..=6),
    ) {
        let whole = kind.file(source);
        let mut scratch = Scratch::new();
        let _ = check(&whole[..cut.index(whole.len())], &operation, &mut scratch)?;
        let mut flipped = whole;
        for (at, bits) in flips {
            let at = at.index(flipped.len());
            flipped[at] ^= bits;
        }
        let _ = check(&flipped, &operation, &mut scratch)?;
    }
}
