//! AVIF in and out, against libavif: what it shows of a file is what a file shows.

use std::{fs, path::Path};

use imaging::{
    Error, InputFormat, Limits, Meter, Operation, Orientation, OutputFormat, Quantity, Scratch,
    Size, probe, render,
};
use moxcms::ColorProfile;

use crate::{
    ideal::Picture,
    libavif::{avifdec, avifenc, require},
    make::{Paint, Pixels, near, photo, png, rendered, same_size, size},
    memory::peak,
};

const SIZE: Size = size(97, 61);

fn see_through(x: u32, y: u32) -> [u8; 4] {
    let [red, green, blue, _] = photo(x, y);
    [red, green, blue, (x * 3).min(255) as u8]
}

/// The path of a profile of Display P3, written into `folder`.
fn p3_profile(folder: &Path) -> String {
    let path = folder.join("p3.icc");
    fs::write(&path, ColorProfile::new_display_p3().encode().unwrap()).unwrap();
    path.to_str().unwrap().to_owned()
}

fn refusal(bytes: &[u8]) -> Error {
    probe(bytes, &Limits::default(), &Meter::default()).unwrap_err()
}

fn assert_shown_as_by_libavif(what: &str, avif: &[u8]) {
    assert_same(what, avif, avif);
}

/// What we show of one file is what libavif shows of the other.
fn assert_same(what: &str, ours: &[u8], theirs: &[u8]) {
    let ours = Picture::of(&Pixels::shown_by(ours));
    let difference = ours.difference(&Picture::of(&avifdec(theirs)));
    assert!(
        difference.mean < 0.6 && difference.max < 6.0,
        "{what}: {difference:?}"
    );
}

#[test]
fn what_is_more_than_one_picture_or_more_than_8_bits_can_show_is_refused_by_name() {
    if !require() {
        return;
    }
    let even = size(128, 64);
    let cases: [(&str, &[&str]); 5] = [
        ("a grid of several pictures", &["--grid", "2x1"]),
        ("a clean aperture", &["--crop", "0,0,64,64"]),
        ("a transfer function of HDR", &["--cicp", "9/16/9"]),
        ("a transfer function of HDR", &["--cicp", "9/18/9"]),
        ("a rare matrix of colours", &["--cicp", "1/13/8"]),
    ];
    for (feature, arguments) in cases {
        let avif = avifenc(&[&["--yuv", "444"], arguments].concat(), even, photo);
        let expected = Error::UnsupportedFeature {
            format: InputFormat::Avif,
            feature,
        };
        assert_eq!(refusal(&avif), expected, "{arguments:?}");
    }
}

#[test]
fn a_profile_over_its_limit_is_refused() {
    if !require() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let profile = p3_profile(folder.path());
    let avif = avifenc(&["--icc", &profile], SIZE, photo);
    let limits = Limits {
        icc_bytes: 100,
        ..Limits::default()
    };
    assert!(matches!(
        probe(&avif, &limits, &Meter::default()),
        Err(Error::TooLarge {
            what: Quantity::IccBytes,
            limit: 100,
            ..
        })
    ));
}

#[test]
fn a_file_cut_anywhere_is_refused_and_takes_next_to_no_memory() {
    if !require() {
        return;
    }
    let avif = avifenc(&[], SIZE, see_through);
    for length in (12..avif.len()).step_by(23) {
        let cut = &avif[..length];
        let (result, bytes) = peak(|| probe(cut, &Limits::default(), &Meter::default()));
        assert!(
            matches!(
                result,
                Err(Error::Damaged {
                    offset: Some(_),
                    ..
                })
            ),
            "{length} bytes: {result:?}"
        );
        assert!(bytes < 4096, "{length} bytes: took {bytes}");
    }
}

#[test]
fn every_depth_and_sampling_and_range_shows_what_libavif_shows() {
    if !require() {
        return;
    }
    for yuv in ["444", "422", "420", "400"] {
        for depth in ["8", "10", "12"] {
            for range in ["full", "limited"] {
                let arguments = ["--yuv", yuv, "--depth", depth, "--range", range];
                let avif = avifenc(&arguments, SIZE, photo);
                // It forgets the range of grey of 8 bits, and of no other.
                let theirs = if (yuv, depth, range) == ("400", "8", "limited") {
                    avifenc(
                        &["--yuv", yuv, "--depth", "10", "--range", range],
                        SIZE,
                        photo,
                    )
                } else {
                    avif.clone()
                };
                assert_same(&arguments.join(" "), &avif, &theirs);
            }
        }
    }
}

#[test]
fn every_matrix_shows_the_picture_as_well_as_libavif_does() {
    if !require() {
        return;
    }
    let painted = Picture::painted(SIZE, photo);
    for matrix in ["0", "1", "2", "4", "5", "6", "7", "9"] {
        for range in ["full", "limited"] {
            let cicp = format!("1/13/{matrix}");
            let arguments = ["--yuv", "444", "--range", range, "--cicp", &cicp];
            let avif = avifenc(&arguments, SIZE, photo);
            let away = |shown: &Pixels| painted.difference(&Picture::of(shown)).mean;
            let (ours, theirs) = (away(&Pixels::shown_by(&avif)), away(&avifdec(&avif)));
            // It is up to 12 levels off in blue for BT.709 and BT.2020 in the limited range.
            assert!(
                ours < 1.5 && ours < theirs + 0.1,
                "{cicp}, {range}: {ours:.2} levels from the picture, libavif {theirs:.2}"
            );
        }
    }
}

#[test]
fn the_tools_of_other_encoders_show_what_libavif_shows() {
    if !require() {
        return;
    }
    let cases: [&[&str]; 7] = [
        &["--lossless"],
        &["--speed", "2", "--min", "20", "--max", "40"],
        &["--tilerowslog2", "1", "--tilecolslog2", "1"],
        &["-a", "film-grain-test=5"],
        &["-a", "tune-content=screen"],
        &["-a", "enable-qm=1", "--min", "30", "--max", "50"],
        &["--codec", "rav1e"],
    ];
    for arguments in cases {
        let avif = avifenc(arguments, size(300, 200), photo);
        assert_shown_as_by_libavif(&arguments.join(" "), &avif);
    }
}

#[test]
fn a_side_of_one_pixel_is_a_picture() {
    if !require() {
        return;
    }
    for size in [size(1, 1), size(1, 70), size(70, 1), size(3, 5)] {
        for yuv in ["420", "422", "444"] {
            let avif = avifenc(&["--yuv", yuv], size, photo);
            assert_eq!(Pixels::shown_by(&avif).size, size);
            assert_shown_as_by_libavif(&format!("{size:?} {yuv}"), &avif);
        }
    }
}

#[test]
fn transparency_is_read_whether_colors_were_multiplied_by_it_or_not() {
    if !require() {
        return;
    }
    for arguments in [
        &["--yuv", "444"][..],
        &["--yuv", "444", "--premultiply"],
        &["--yuv", "400"],
    ] {
        let avif = avifenc(arguments, SIZE, see_through);
        let (ours, theirs) = (Pixels::shown_by(&avif), avifdec(&avif));
        assert!(
            probe(&avif, &Limits::default(), &Meter::default())
                .unwrap()
                .has_alpha
        );
        for (ours, theirs) in ours.iter().zip(theirs.iter()) {
            // Where little shows, multiplied colours are coarse.
            let tolerance = if ours[3] < 60 { 255 } else { 6 };
            assert!(
                near(ours, theirs, tolerance) && ours[3].abs_diff(theirs[3]) < 3,
                "{arguments:?}: {ours:?}, not {theirs:?}"
            );
        }
    }
}

#[test]
fn turns_and_mirrors_are_an_orientation() {
    use Orientation as O;
    if !require() {
        return;
    }
    // Turned counter-clockwise first, mirrored then: from top to bottom (0), from left to right (1).
    let cases: [(&[&str], Orientation); 12] = [
        (&["--irot", "0"], O::Normal),
        (&["--irot", "1"], O::Rotate270),
        (&["--irot", "2"], O::Rotate180),
        (&["--irot", "3"], O::Rotate90),
        (&["--imir", "0"], O::FlipVertical),
        (&["--imir", "1"], O::FlipHorizontal),
        (&["--irot", "1", "--imir", "0"], O::Transpose),
        (&["--irot", "1", "--imir", "1"], O::Transverse),
        (&["--irot", "2", "--imir", "0"], O::FlipHorizontal),
        (&["--irot", "2", "--imir", "1"], O::FlipVertical),
        (&["--irot", "3", "--imir", "0"], O::Transverse),
        (&["--irot", "3", "--imir", "1"], O::Transpose),
    ];
    for (arguments, orientation) in cases {
        let avif = avifenc(arguments, SIZE, photo);
        let info = probe(&avif, &Limits::default(), &Meter::default()).unwrap();
        assert_eq!(info.orientation, orientation, "{arguments:?}");
        assert_eq!(info.stored, SIZE);
        assert_eq!(Pixels::shown_by(&avif).size, info.displayed);
    }
}

#[test]
fn wide_colors_are_converted_whether_a_profile_or_code_points_say_so() {
    const WIDE: Paint = |_, _| [200, 60, 90, 255];
    if !require() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let profile = p3_profile(folder.path());
    let arguments = [["--icc", &profile], ["--cicp", "12/13/6"]];
    for arguments in arguments {
        let shown = Pixels::shown_by(&avifenc(&arguments, size(32, 32), WIDE)).at(16, 16);
        // By the library that converts the other formats' profiles, see `color.rs`.
        assert!(
            near(shown, [219, 42, 87, 255], 3),
            "{arguments:?}: {shown:?}"
        );
    }
    let wider = Pixels::shown_by(&avifenc(&["--cicp", "9/13/9"], size(32, 32), WIDE)).at(16, 16);
    assert!(wider[0] > 235 && wider[1] < 30, "BT.2020: {wider:?}");
}

#[test]
fn a_decode_takes_no_more_memory_than_was_announced() {
    if !require() {
        return;
    }
    let cases: [&[&str]; 8] = [
        &["--yuv", "400"],
        &["--yuv", "420"],
        &["--yuv", "422"],
        &["--yuv", "444"],
        &["--yuv", "444", "--depth", "12"],
        &["--lossless"],
        &["--yuv", "420", "-a", "film-grain-test=5"],
        &["--yuv", "444", "-a", "film-grain-test=5"],
    ];
    for arguments in cases {
        for picture in [photo as Paint, see_through] {
            let avif = avifenc(arguments, size(900, 700), picture);
            let limits = Limits::default();
            let announced = probe(&avif, &limits, &Meter::default())
                .unwrap()
                .decoded_bytes;
            let thumbnail = Operation::inside(100, OutputFormat::Png);
            let (result, took) =
                peak(|| render(&avif, &thumbnail, &limits, &mut Scratch::new()).map(drop));
            assert_eq!(result, Ok(()));
            assert!(
                took <= announced && 2 * took > announced,
                "{arguments:?}: {took} bytes, announced {announced}"
            );
        }
    }
}

#[test]
fn what_is_written_is_what_libavif_reads() {
    if !require() {
        return;
    }
    for picture in [photo as Paint, see_through, |_, _| [90, 90, 90, 255]] {
        let avif = rendered(&png(SIZE, picture), &same_size(SIZE, OutputFormat::Avif)).bytes;
        let theirs = avifdec(&avif);
        assert_eq!(theirs.size, SIZE);
        let distance = theirs.distance_from(picture);
        assert!(distance < 4.0, "{distance:.2} levels");
        assert_eq!(
            theirs.iter().any(|pixel| pixel[3] < 255),
            picture(0, 0)[3] < 255
        );
        assert_shown_as_by_libavif("ours", &avif);
    }
}

#[test]
fn a_higher_quality_is_nearer_and_larger() {
    let source = png(SIZE, photo);
    let of = |quality| {
        let operation = Operation {
            quality,
            ..same_size(SIZE, OutputFormat::Avif)
        };
        let avif = rendered(&source, &operation).bytes;
        (avif.len(), Pixels::shown_by(&avif).distance_from(photo))
    };
    let (low, high) = (of(10), of(95));
    assert!(low.0 < high.0 && low.1 > high.1, "{low:?} and {high:?}");
}

#[test]
fn what_would_take_too_long_to_write_is_refused_or_made_smaller() {
    let source = png(size(20, 1), photo);
    let mut operation = Operation::inside(4000, OutputFormat::Avif);
    operation.fit = imaging::Fit::Fill;
    let refused = render(&source, &operation, &Limits::default(), &mut Scratch::new());
    let expected = Error::TooLarge {
        what: Quantity::OutputWidth,
        value: 4000,
        limit: 2048,
    };
    assert_eq!(refused, Err(expected));
    let wide = png(size(3000, 2), photo);
    let written = rendered(&wide, &Operation::inside(4000, OutputFormat::Avif));
    assert_eq!(written.size, size(2048, 1));
}

fn boxed(kind: &[u8; 4], content: &[u8]) -> Vec<u8> {
    let length = (content.len() as u32 + 8).to_be_bytes();
    [&length[..], kind, content].concat()
}

/// A file whose primary picture is item 1, with these locations, properties and associations.
fn container(iloc: &[u8], ipco: &[u8], ipma: &[u8]) -> Vec<u8> {
    let entry = boxed(b"infe", b"\x02\0\0\0\0\x01\0\0av01\0");
    let properties = [boxed(b"ipco", ipco), boxed(b"ipma", ipma)].concat();
    let meta = [
        vec![0; 4],
        boxed(b"pitm", &[0, 0, 0, 0, 0, 1]),
        boxed(b"iinf", &[&[0, 0, 0, 0, 0, 1][..], &entry].concat()),
        boxed(b"iprp", &properties),
        boxed(b"iloc", iloc),
    ];
    let brands = boxed(b"ftyp", b"avif\0\0\0\0avif");
    [brands, boxed(b"meta", &meta.concat())].concat()
}

/// Steps of a probe that refuses the file.
fn steps(file: &[u8]) -> u64 {
    let meter = Meter::default();
    let refused = probe(file, &Limits::default(), &meter).unwrap_err();
    assert!(!refused.to_string().contains("more work"), "{refused}");
    meter.steps()
}

#[test]
fn properties_that_are_far_behind_are_found_in_one_walk() {
    let of = |properties: usize| {
        let index = (properties as u16 | 0x8000).to_be_bytes();
        let associations = [&[0, 0, 0, 1, 0, 0, 0, 1, 0, 1, 64][..], &index.repeat(64)].concat();
        let free = boxed(b"free", b"").repeat(properties);
        steps(&container(&[0; 8], &free, &associations))
    };
    let (few, many) = (of(500), of(32_000));
    assert!(many < few + 2 * 32_000, "{few}, {many}");
}

#[test]
fn pieces_of_no_bytes_are_not_counted_one_by_one() {
    let of = |items: u16| {
        let items_of_many_pieces = b"\0\x02\0\0\xff\xff".repeat(items.into());
        let iloc = [&[0; 6][..], &items.to_be_bytes(), &items_of_many_pieces].concat();
        let began = std::time::Instant::now();
        let steps = steps(&container(&iloc, &[], &[0; 8]));
        // One by one, these are four thousand million.
        assert!(
            began.elapsed() < std::time::Duration::from_secs(2),
            "{items}"
        );
        steps
    };
    let (few, many) = (of(1_000), of(u16::MAX));
    assert!(many < few + 2 * 65_535, "{few}, {many}");
}
