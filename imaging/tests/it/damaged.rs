//! JPEGs that end early or are damaged inside: they show what libjpeg-turbo shows of them, and say so.

use std::ops::Range;

use imaging::{Encoded, Error, Limits, Operation, OutputFormat, Scratch, Size, render};

use crate::{
    corpus,
    ideal::Picture,
    libjpeg::{COMPONENT, SUCCESSIVE, cjpeg, djpeg, jpegtran, require},
    make::{Pixels, photo, size},
};

const DIMENSIONS: Size = size(160, 120);
/// Levels that two right decoders may be apart, with and without upsampling.
const LEVELS: f64 = 4.0;

fn full_size(bytes: &[u8]) -> Result<Encoded, Error> {
    let limits = Limits::default();
    let operation = Operation::inside(limits.side, OutputFormat::Png);
    render(bytes, &operation, &limits, &mut Scratch::new())
}

/// Checks that what is shown of a damaged file is what libjpeg shows, but for `allowed` pixels around the damage, and
/// is marked as libjpeg marks it.
fn check(what: &str, bytes: &[u8], allowed: usize) -> Result<(), String> {
    let shown = djpeg(&[], bytes).unwrap();
    let encoded = full_size(bytes).map_err(|error| format!("{what}: {error}"))?;
    if encoded.truncated != shown.complained {
        return Err(format!("{what}: libjpeg complains: {}", shown.complained));
    }
    // libjpeg smooths over the borders of blocks as long as a progressive picture lacks coefficients, which is a matter of
    // taste. The same coefficients in a sequential file are shown as they are.
    let plain = djpeg(&[], &jpegtran(&[], bytes)).unwrap().picture;
    let differing = Picture::of(&Pixels::of(&encoded)).differing(&plain, LEVELS);
    if differing.len() > allowed {
        let (first, last) = (differing.first(), differing.last());
        let count = differing.len();
        return Err(format!(
            "{what}: {count} pixels differ, from {first:?} to {last:?}"
        ));
    }
    Ok(())
}

fn assert_none(failures: &[String]) {
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// The coded data of the scan whose marker is at `scan`.
fn data_of(bytes: &[u8], scan: usize) -> Range<usize> {
    let length = u16::from_be_bytes([bytes[scan + 2], bytes[scan + 3]]);
    let start = scan + 2 + usize::from(length);
    let is_marker = |pair: &[u8]| pair[0] == 0xff && !matches!(pair[1], 0 | 0xd0..=0xd7);
    let length = bytes[start..].windows(2).position(is_marker).unwrap();
    start..start + length
}

fn last_scan(bytes: &[u8]) -> Range<usize> {
    let mut pairs = bytes.windows(2);
    data_of(bytes, pairs.rposition(|pair| pair == [0xff, 0xda]).unwrap())
}

/// `thousandths` of the last scan's data are left.
fn cut(bytes: &[u8], thousandths: usize) -> &[u8] {
    let data = last_scan(bytes);
    &bytes[..data.start + data.len() * thousandths / 1000]
}

#[test]
fn a_file_cut_anywhere_shows_the_rows_that_libjpeg_shows() {
    if !require() {
        return;
    }
    let mut failures = Vec::new();
    // The unit that was cut is anybody's guess; chroma's neighbours see it too when it is upsampled.
    for (sampling, allowed) in [("1x1", 8 * 8), ("2x1", 20 * 10), ("2x2", 20 * 20)] {
        for coding in [
            &["-baseline"][..],
            &["-restart", "4B"],
            &["-scans", COMPONENT],
        ] {
            let arguments = [coding, &["-sample", sampling]].concat();
            let bytes = cjpeg(&arguments, DIMENSIONS, photo);
            for thousandths in [0, 1, 120, 333, 500, 777, 999, 1000] {
                let what = format!("{arguments:?} cut at {thousandths} thousandths");
                failures.extend(check(&what, cut(&bytes, thousandths), allowed).err());
            }
        }
    }
    assert_none(&failures);
}

#[test]
fn what_is_missing_of_a_cut_file_is_gray() {
    if !require() {
        return;
    }
    let bytes = cjpeg(&["-sample", "2x2"], DIMENSIONS, photo);
    let pixels = Pixels::of(&full_size(cut(&bytes, 400)).unwrap());
    assert_eq!(pixels.at(159, 119), [128, 128, 128, 255]);
}

#[test]
fn a_progressive_file_cut_in_any_scan_shows_the_coefficients_it_has() {
    if !require() {
        return;
    }
    let mut failures = Vec::new();
    for coding in [&["-progressive"][..], &["-scans", SUCCESSIVE]] {
        let bytes = cjpeg(coding, DIMENSIONS, photo);
        for scan in 0..bytes.len() - 1 {
            if bytes[scan..].starts_with(&[0xff, 0xda]) {
                let data = data_of(&bytes, scan);
                let cut = data.start.midpoint(data.end);
                let what = format!("{coding:?} cut at {cut}");
                // The block that was cut, in each component, twice as large in chroma.
                failures.extend(check(&what, &bytes[..cut], 20 * 20).err());
            }
        }
    }
    assert_none(&failures);
}

#[test]
fn damage_between_restart_markers_stays_between_them() {
    if !require() {
        return;
    }
    let bytes = cjpeg(&["-sample", "1x1", "-restart", "1"], DIMENSIONS, photo);
    let markers: Vec<usize> = last_scan(&bytes)
        .filter(|at| bytes[*at] == 0xff && bytes[at + 1] != 0)
        .collect();
    assert_eq!(
        markers.len(),
        14,
        "one behind each row of blocks but the last"
    );
    // A row of blocks is the interval; how a decoder stumbles inside of it is its own affair.
    let row = 160 * 8;

    let (begin, end) = (markers[4] + 2, markers[5]);
    let without = |range: Range<usize>| [&bytes[..range.start], &bytes[range.end..]].concat();
    let mut noisy = bytes.clone();
    for (index, byte) in noisy[begin..end].iter_mut().enumerate() {
        *byte = (index * 37 % 251) as u8;
    }
    let damaged = [
        ("noise", noisy),
        ("an empty interval", without(begin..end)),
        ("half an interval", without(begin..begin.midpoint(end))),
        ("an interval lost with its marker", without(begin - 2..end)),
    ];
    let failures = damaged
        .iter()
        .flat_map(|(what, bytes)| [check(what, bytes, row), check_elsewhere(what, bytes, 5)])
        .filter_map(Result::err);
    assert_none(&failures.collect::<Vec<_>>());
}

/// Rows of blocks other than the `damaged` one are those of libjpeg.
fn check_elsewhere(what: &str, bytes: &[u8], damaged: u32) -> Result<(), String> {
    let shown = djpeg(&[], bytes).unwrap();
    let ours = full_size(bytes).map_err(|error| format!("{what}: {error}"))?;
    let differing = Picture::of(&Pixels::of(&ours)).differing(&shown.picture, LEVELS);
    match differing.iter().find(|(_, y)| y / 8 != damaged) {
        Some(place) => Err(format!("{what}: differs elsewhere too, at {place:?}")),
        None => Ok(()),
    }
}

#[test]
fn bytes_behind_the_end_are_not_damage() {
    if !require() {
        return;
    }
    let bytes = cjpeg(&["-baseline"], DIMENSIONS, photo);
    for bytes in [bytes.clone(), jpegtran(&["-progressive"], &bytes)] {
        let longer = [&bytes[..], &[0; 100], b"\xff\xda\xff\xd8 whatever"].concat();
        assert_eq!(check("bytes behind the end", &longer, 0), Ok(()));
        assert!(!full_size(&longer).unwrap().truncated);
    }
}

#[test]
fn the_odd_and_damaged_jpegs_of_the_corpus_show_what_libjpeg_shows() {
    if !require() {
        return;
    }
    let mut failures = Vec::new();
    for case in corpus::cases() {
        if !case.file.starts_with("jpeg/") || !matches!(&case.outcome[..], "ok" | "truncated") {
            continue;
        }
        // What libjpeg does not show has nothing to be compared with.
        let Ok(shown) = djpeg(&[], &case.bytes) else {
            continue;
        };
        let ours = Picture::of(&Pixels::of(&full_size(&case.bytes).unwrap()));
        let differing = ours.differing(&shown.picture, LEVELS).len();
        if differing > 8 * 8 {
            failures.push(format!("{}: {differing} pixels differ", case.file));
        }
    }
    assert_none(&failures);
}
