//! The corpus of odd, malformed and malicious files: each becomes what the table beside it says, in bounded memory
//! and time.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use imaging::{
    Encoded, Error, ErrorKind, Fit, Limits, Meter, Operation, OutputFormat, Scratch,
    dominant_color, probe, render,
};

use crate::{make::size, memory::peak};

/// Tight, so that small files can break them.
const LIMITS: Limits = Limits {
    pixels: 4_000_000,
    side: 16_384,
    animation_pixels: 16_000_000,
    icc_bytes: 64 << 10,
    metadata_bytes: 64 << 10,
};
/// What an error and a parser's vectors take.
const HEADER_BYTES: u64 = 16 << 10;
/// What a render takes besides what the header announced: the libraries' own buffers, the encoder, the profile's tables.
const RENDER_BYTES: u64 = 4 << 20;
/// Many times what the slowest file takes on a busy machine, and nothing to what a bomb would.
const DEADLINE: Duration = Duration::from_secs(10);

/// A file and what must become of it.
pub(crate) struct Case {
    /// Its name, with its format's folder.
    pub file: String,
    pub outcome: String,
    words: String,
    pub bytes: Vec<u8>,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus")
}

pub(crate) fn cases() -> Vec<Case> {
    let table = fs::read_to_string(folder().join("expected.txt")).unwrap();
    let is_read = |line: &&str| cfg!(feature = "avif") || !line.starts_with("avif/");
    let lines = table.lines().filter(|line| !line.starts_with('#'));
    let lines = lines.filter(is_read);
    lines
        .map(|line| {
            let mut columns = line.split_whitespace();
            let file = columns.next().unwrap().to_owned();
            Case {
                outcome: columns.next().unwrap().to_owned(),
                words: columns.collect::<Vec<_>>().join(" "),
                bytes: fs::read(folder().join(&file)).unwrap(),
                file,
            }
        })
        .collect()
}

/// Sizes and formats that take every way through a decoder: full, a little smaller, much smaller, a part.
fn operations() -> [Operation; 4] {
    let inside = |side, format| Operation::inside(side, format);
    let mut cover = Operation::inside_box(size(40, 9), OutputFormat::Webp);
    cover.fit = Fit::Cover;
    [
        inside(LIMITS.side, OutputFormat::Png),
        inside(20, OutputFormat::Jpeg),
        inside(3, OutputFormat::Png),
        cover,
    ]
}

fn outcome(result: &Result<Encoded, Error>, exact: bool) -> &'static str {
    match result {
        Ok(encoded) if encoded.truncated => "truncated",
        Ok(_) => "ok",
        Err(Error::Damaged { offset, .. }) if exact && offset.is_some() => "undecodable@",
        Err(error) => match error.kind() {
            ErrorKind::Unsupported => "unsupported",
            ErrorKind::Undecodable => "undecodable",
            ErrorKind::OverLimit => "over-limit",
            // Not an answer to a file.
            _ => "neither",
        },
    }
}

fn check(case: &Case, operation: &Operation, scratch: &mut Scratch) -> Result<(), String> {
    let Case {
        file,
        outcome: expected,
        words,
        bytes,
    } = case;
    let start = Instant::now();
    let (probed, probe_peak) = peak(|| probe(bytes, &LIMITS, &Meter::default()));
    let (result, render_peak) = peak(|| render(bytes, operation, &LIMITS, scratch));
    let took = start.elapsed();

    let found = outcome(&result, expected.ends_with('@'));
    let said = result
        .as_ref()
        .err()
        .map_or(String::new(), Error::to_string);
    if found != expected || !said.contains(words.as_str()) {
        return Err(format!(
            "{file}: {found} {said:?}, not {expected} {words:?}"
        ));
    }
    if let (Err(error), Ok(_)) = (&probed, &result) {
        return Err(format!("{file}: rendered, but probed: {error}"));
    }
    let canvas = result
        .as_ref()
        .map_or(0, |encoded| 8 * encoded.size.pixels());
    let allowed = probed.map_or(HEADER_BYTES, |info| {
        info.decoded_bytes + canvas + RENDER_BYTES
    });
    if probe_peak > HEADER_BYTES || render_peak > allowed {
        return Err(format!(
            "{file}: took {probe_peak} and {render_peak} bytes, not {HEADER_BYTES} and {allowed}"
        ));
    }
    if took > DEADLINE {
        return Err(format!("{file}: took {took:?}"));
    }
    Ok(())
}

#[test]
fn every_file_of_the_corpus_becomes_what_its_table_says() {
    let mut wrong = Vec::new();
    for case in cases() {
        for operation in operations() {
            // A new one each time, so that each call is seen to take all its memory.
            wrong.extend(check(&case, &operation, &mut Scratch::new()).err());
        }
        let _ = dominant_color(&case.bytes, &LIMITS, &mut Scratch::new(), &Meter::default());
    }
    wrong.dedup();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_file_of_the_corpus_is_in_its_table() {
    let listed: Vec<String> = cases().into_iter().map(|case| case.file).collect();
    let avif: &[_] = if cfg!(feature = "avif") {
        &["avif"]
    } else {
        &[]
    };
    for format in ["jpeg", "png", "webp", "gif"].iter().chain(avif) {
        for entry in fs::read_dir(folder().join(format)).unwrap() {
            let file = format!("{format}/{}", entry.unwrap().file_name().display());
            assert!(listed.contains(&file), "{file} has no line in expected.txt");
        }
    }
    assert!(listed.len() > 150, "{} files", listed.len());
}
