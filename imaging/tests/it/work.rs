//! Work: whatever a file is, the steps that it takes are in proportion to its bytes and pixels; and each stage ends soon
//! after it is cancelled.

use std::time::{Duration, Instant};

use imaging::{
    Cancel, Encoded, Error, ErrorKind, Limits, Meter, Operation, OutputFormat, Scratch, Size,
    decode, dominant_color, probe,
};
use jpeg_encoder::ColorType as JpegColor;
use moxcms::ColorProfile;

use crate::make::{
    gif, jpeg, jpeg_with, paint, photo, png, png_of, png_with, riff_chunk, size, webp_lossy,
    webp_of,
};

/// What a test may take at most: a thousand times what it does take, and a hundredth of what a quadratic search takes.
const PATIENCE: Duration = Duration::from_mins(1);

const END: &[u8] = &[0xff, 0xd9];

/// A coding of JPEG.
#[derive(Clone, Copy)]
enum Coding {
    Sequential,
    Progressive,
}

fn segment(marker: u8, content: &[u8]) -> Vec<u8> {
    let length = (content.len() as u16 + 2).to_be_bytes();
    [&[0xff, marker], &length[..], content].concat()
}

/// All of a JPEG of `components` channels before its first scan.
fn head(coding: Coding, frame: Size, components: u8, interval: u16) -> Vec<u8> {
    let [height, width] = [frame.height, frame.width].map(|side| (side as u16).to_be_bytes());
    let mut header = [&[8][..], &height, &width, &[components]].concat();
    for id in 1..=components {
        header.extend([id, 0x11, 0]);
    }
    let start = match coding {
        Coding::Sequential => 0xc0,
        Coding::Progressive => 0xc2,
    };
    // One code of a bit for each: a difference of nothing, and the longest run of blocks that have ended (14) or,
    // in sequential scans, the end of a block (0).
    let ended = match coding {
        Coding::Sequential => 0,
        Coding::Progressive => 0xe0,
    };
    let table = |class: u8, value: u8| {
        let mut table = vec![class, 1];
        table.extend([0; 15]);
        table.push(value);
        segment(0xc4, &table)
    };
    [
        vec![0xff, 0xd8],
        segment(0xdb, &[&[0][..], &[1; 64]].concat()),
        segment(start, &header),
        table(0x00, 0),
        table(0x10, ended),
        segment(0xdd, &interval.to_be_bytes()),
    ]
    .concat()
}

/// A scan header for components 1 to `components`.
fn scan(components: u8, [first, last, bits]: [u8; 3]) -> Vec<u8> {
    let mut header = vec![components];
    for id in 1..=components {
        header.extend([id, 0]);
    }
    header.extend([first, last, bits]);
    segment(0xda, &header)
}

/// Steps of everything that an upload's inspection does, and of a small render. Every outcome is fine but one that takes
/// more work than the file deserves.
fn steps(what: &str, file: &[u8]) -> u64 {
    let began = Instant::now();
    let limits = Limits::default();
    let meter = Meter::default();
    let pixels = probe(file, &limits, &meter).map_or(0, |info| info.stored.pixels());
    let _ = dominant_color(file, &limits, &mut Scratch::new(), &meter);
    let most = 3 * Meter::most_steps(file.len() as u64, pixels);
    assert!(meter.steps() <= most, "{what}: {} steps", meter.steps());
    assert!(began.elapsed() < PATIENCE, "{what}: {:?}", began.elapsed());
    meter.steps()
}

/// Checks that sixteen times as many units take at most sixteen times as many steps, whatever else there is.
fn assert_linear(what: &str, make: impl Fn(usize) -> Vec<u8>) {
    let [none, few, many] = [0, 2_000, 32_000].map(|count| {
        let file = make(count);
        steps(&format!("{count} times {what}"), &file)
    });
    // Half as many again, for what begins only beyond some size.
    let most = 24 * (few.saturating_sub(none)) + 1000;
    assert!(
        many.saturating_sub(none) <= most,
        "{what}: {none}, {few}, {many} steps"
    );
}

#[test]
fn a_jpeg_whose_restarts_are_lost_takes_steps_for_its_bytes() {
    let frame = size(16_384, 3_051);
    let dc = |coding| match coding {
        Coding::Sequential => [0, 63, 0],
        Coding::Progressive => [0, 0, 0],
    };
    for coding in [Coding::Sequential, Coding::Progressive] {
        for interval in [1, 2, 13, 2_048] {
            for (what, junk) in [
                ("a marker of nothing", &[0xff, 1][..]),
                ("the highest marker of nothing", &[0xff, 0xbf]),
                ("a marker after fill bytes", &[0xff, 0xff, 0xff, 1]),
                ("a wrong restart", &[0xff, 0xd7]),
                ("two wrong restarts", &[0xff, 0xd6, 0xff, 0xd2]),
                ("a marker in data", &[0x55, 0xff, 1]),
            ] {
                assert_linear(&format!("{what}, interval {interval}"), |count| {
                    let begin = head(coding, frame, 1, interval);
                    [
                        &begin[..],
                        &scan(1, dc(coding))[..],
                        &[0xa0],
                        &junk.repeat(count),
                        END,
                    ]
                    .concat()
                });
                assert_linear(&format!("{what} in scans, interval {interval}"), |count| {
                    let mut file = head(coding, frame, 1, interval);
                    for _ in 0..8 {
                        file.extend(scan(1, dc(coding)));
                        file.push(0xa0);
                        file.extend(junk.repeat(count / 8));
                    }
                    [&file, END].concat()
                });
            }
        }
        assert_linear("a marker before the first scan", |count| {
            let begin = head(coding, frame, 1, 1);
            [
                &begin[..],
                &[0xff, 1].repeat(count)[..],
                &scan(1, dc(coding)),
                END,
            ]
            .concat()
        });
        assert_linear("a comment", |count| {
            let comments = segment(0xfe, b"").repeat(count);
            let begin = head(coding, frame, 1, 1);
            [
                &begin[..],
                &comments[..],
                &scan(1, dc(coding)),
                &comments,
                END,
            ]
            .concat()
        });
    }
}

#[test]
fn scans_without_data_cost_next_to_nothing_however_large_the_frame() {
    let frame = size(16_384, 3_051);
    for (coding, components, bands) in [
        (Coding::Sequential, 3, &[[0, 63, 0]][..]),
        (Coding::Progressive, 3, &[[0, 0, 0], [0, 0, 0x10]]),
        (
            Coding::Progressive,
            1,
            &[[0, 0, 0], [1, 63, 0], [1, 63, 0x10]],
        ),
    ] {
        for interval in [0, 1, 100] {
            let of = |scans: usize| {
                let mut file = head(coding, frame, components, interval);
                for band in bands.iter().cycle().take(scans) {
                    file.extend(scan(components, *band));
                }
                let meter = Meter::default();
                let file = [&file, END].concat();
                let operation = Operation::inside(2_000, OutputFormat::Jpeg);
                let limits = Limits::default();
                let mut scratch = Scratch::new();
                decode(&file, &operation, &limits, &mut scratch, &meter).unwrap();
                meter.steps()
            };
            let (few, many) = (of(3), of(63));
            assert!(
                many - few < 200_000,
                "{components} {interval}: {few}, {many}"
            );
        }
    }
}

#[test]
fn runs_of_ended_blocks_cost_a_step_for_each_of_them_and_no_more() {
    let frame = size(8_192, 6_000);
    let mut file = head(Coding::Progressive, frame, 1, 0);
    file.extend(scan(1, [0, 0, 0]));
    let blocks = frame.pixels() / 64;
    for turn in 0..62 {
        file.extend(scan(1, [1, 63, if turn == 0 { 1 } else { 0x10 }]));
        // A code of a bit and fourteen bits of ones: 32,767 blocks.
        let run = [0x7f, 0xff, 0x00, 0x7f];
        file.extend(run.repeat(2 * blocks as usize / 32_767 + 1));
    }
    file.extend(END);
    let operation = Operation::inside(8_192, OutputFormat::Jpeg);
    let meter = Meter::default();
    let limits = Limits::default();
    decode(&file, &operation, &limits, &mut Scratch::new(), &meter).unwrap();
    assert!(meter.steps() < 32 * frame.pixels(), "{}", meter.steps());
}

#[test]
fn a_file_that_takes_more_work_than_it_deserves_is_undecodable() {
    // The same flat picture again and again, at two bits a block.
    let frame = size(4_096, 4_096);
    let mut file = head(Coding::Sequential, frame, 3, 0);
    let mcus = frame.pixels() / 64;
    for _ in 0..60 {
        file.extend(scan(3, [0, 63, 0]));
        file.extend(vec![0; mcus as usize * 6 / 8]);
    }
    file.extend(END);
    let operation = Operation::inside(4_096, OutputFormat::Png);
    let meter = Meter::default();
    let limits = Limits::default();
    let error = decode(&file, &operation, &limits, &mut Scratch::new(), &meter).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Undecodable, "{error}");
    assert!(error.to_string().contains("more work"), "{error}");
}

#[test]
fn tables_and_profiles_of_a_jpeg_take_steps_for_their_bytes() {
    let frame = size(64, 64);
    let table = segment(0xc4, &[&[0x10, 1][..], &[0; 15], &[0]].concat());
    let quantisation = segment(0xdb, &[&[0][..], &[1; 64]].concat());
    let exif = [&b"Exif\0\0II*\0\x08\0\0\0\xff\xff"[..], &[0; 1000]].concat();
    for (what, unit) in [
        ("a Huffman table", table),
        ("a quantisation", quantisation),
        ("EXIF", segment(0xe1, &exif)),
        ("a restart interval", segment(0xdd, &[0, 1])),
    ] {
        assert_linear(what, |count| {
            let begin = head(Coding::Sequential, frame, 1, 0);
            let units = unit.repeat(count / 16);
            [
                &begin[..],
                &units[..],
                &scan(1, [0, 63, 0]),
                &[0],
                &units,
                END,
            ]
            .concat()
        });
    }
}

#[test]
fn chunks_of_a_png_take_steps_for_their_bytes() {
    let header = b"\0\0\0\x40\0\0\0\x40\x08\x02\0\0\0";
    // A stream of zlib that expands a thousand times, and goes on behind the last pixel.
    let bomb = zlib_zeros(24 << 20);
    for (what, kind, content) in [
        ("an empty IDAT", b"IDAT", &b""[..]),
        ("an empty tEXt", b"tEXt", b""),
        ("an empty tRNS", b"tRNS", b""),
        ("an EXIF", b"eXIf", b"II*\0\x08\0\0\0\xff\xff"),
        ("an unknown chunk", b"puNk", b""),
    ] {
        assert_linear(what, |count| {
            let mut chunks: Vec<(&[u8; 4], &[u8])> = vec![(b"IHDR", header)];
            chunks.extend(std::iter::repeat_n((kind, content), count / 2));
            chunks.push((b"IDAT", &bomb));
            chunks.extend(std::iter::repeat_n((kind, content), count / 2));
            chunks.push((b"IEND", b""));
            png_of(&chunks)
        });
    }
    // The same as a profile.
    let profile = [&b"x\0\0"[..], &bomb].concat();
    let chunks: [(&[u8; 4], &[u8]); 4] = [
        (b"IHDR", header),
        (b"iCCP", &profile),
        (b"IDAT", &bomb),
        (b"IEND", b""),
    ];
    steps("a profile that inflates", &png_of(&chunks));
}

#[test]
fn blocks_of_a_gif_take_steps_for_their_bytes() {
    let picture = gif(size(8, 8), &[((0, 0), size(8, 8), photo)]);
    // The screen and its colours end where the first block begins.
    let blocks = 13
        + if picture[10] & 0x80 == 0 {
            0
        } else {
            3 << ((picture[10] & 7) + 1)
        };
    let (begin, rest) = picture.split_at(blocks);
    for (what, unit) in [
        ("an empty extension", &b"\x21\xfe\0"[..]),
        ("a control extension", b"\x21\xf9\x04\0\0\0\0\0"),
        ("an extension of one byte", b"\x21\xff\x01x\0"),
    ] {
        assert_linear(what, |count| [begin, &unit.repeat(count), rest].concat());
    }
    assert_linear("a sub-block of one byte", |count| {
        [begin, b"\x21\xfe", &b"\x01x".repeat(count), b"\0", rest].concat()
    });
    assert_linear("a frame", |count| {
        let frame = b"\x2c\0\0\0\0\x01\0\x01\0\0\x02\x02\x4c\x01\0";
        [begin, &frame.repeat(count), b"\x3b"].concat()
    });
}

#[test]
fn chunks_of_a_webp_take_steps_for_their_bytes() {
    let s = size(16, 16);
    let picture = webp_lossy(s, photo);
    for kind in [b"ICCP", b"EXIF", b"ALPH", b"ANMF", b"UNKN"] {
        assert_linear(&String::from_utf8_lossy(kind), |count| {
            let chunks = riff_chunk(kind, b"").repeat(count);
            webp_of(0, s, &[&chunks, &picture[12..], &chunks])
        });
    }
}

/// Zeros deflated: a stored header and one dynamic block would be smaller, but this is what an encoder writes.
fn zlib_zeros(length: usize) -> Vec<u8> {
    // The rows of a PNG of grey with as many bytes; its IDAT is the stream.
    let side = size(8_192, (length / 8_192) as u32);
    let zeros = vec![0; side.pixels() as usize];
    let file = png_with(side, png::ColorType::Grayscale, &zeros, |_| {});
    let at = file.windows(4).position(|four| four == b"IDAT").unwrap();
    let length = u32::from_be_bytes(file[at - 4..at].try_into().unwrap()) as usize;
    file[at + 4..at + 4 + length].to_vec()
}

/// A render with this meter.
fn render(file: &[u8], operation: &Operation, meter: &Meter) -> Result<Encoded, Error> {
    decode(
        file,
        operation,
        &Limits::default(),
        &mut Scratch::new(),
        meter,
    )?
    .transform()?
    .encode()
}

#[test]
fn work_that_is_cancelled_ends_within_a_few_rows_wherever_it_is() {
    let s = size(800, 600);
    let rgb = paint::<3>(s, photo);
    let profile = ColorProfile::new_display_p3().encode().unwrap();
    let faded = |x: u32, y: u32| [x as u8, y as u8, 99, (x * y) as u8];
    let progressive = jpeg_with(s, &rgb, JpegColor::Rgb, |encoder| {
        encoder.set_progressive(true);
    });
    let restarts = jpeg_with(s, &rgb, JpegColor::Rgb, |encoder| {
        encoder.set_restart_interval(1);
    });
    let profiled = png_with(s, png::ColorType::Rgb, &rgb, |info| {
        info.icc_profile = Some(profile.clone().into());
    });
    let files = [
        ("JPEG", jpeg(s, photo)),
        ("progressive JPEG", progressive),
        ("JPEG with restarts", restarts),
        ("PNG", png(s, faded)),
        ("PNG with a profile", profiled),
        ("GIF", gif(s, &[((0, 0), s, photo)])),
        ("WebP", webp_lossy(s, photo)),
    ];
    for (label, file) in files {
        for format in [OutputFormat::Jpeg, OutputFormat::Png, OutputFormat::Webp] {
            for side in [150, 800, 1_100] {
                let operation = Operation::inside(side, format);
                let whole = Meter::default();
                render(&file, &operation, &whole).unwrap();
                for eighth in 0..8 {
                    let after = whole.steps() * eighth / 8;
                    let meter = Meter::new(Cancel::after(after));
                    let result = render(&file, &operation, &meter);
                    let what = format!("{label} to {format:?} at {side}, after {after} steps");
                    assert_eq!(result.err(), Some(Error::Cancelled), "{what}");
                    // A piece of a file, a row of macroblocks, a piece of pixels.
                    let beyond = meter.steps() - after;
                    assert!(beyond <= 300_000, "{what}: {beyond} more");
                }
            }
        }
    }
}

#[test]
fn nothing_begins_once_it_is_cancelled() {
    let cancel = Cancel::default();
    let file = jpeg(size(64, 48), photo);
    let operation = Operation::inside(32, OutputFormat::Webp);
    let (limits, mut scratch) = (Limits::default(), Scratch::new());
    let meter = Meter::new(cancel.clone());
    let decoded = decode(&file, &operation, &limits, &mut scratch, &meter).unwrap();
    let transformed = decoded.transform().unwrap();
    cancel.cancel();
    assert_eq!(transformed.encode().err(), Some(Error::Cancelled));
    assert_eq!(probe(&file, &limits, &meter).err(), Some(Error::Cancelled));
    let color = dominant_color(&file, &limits, &mut scratch, &meter);
    assert_eq!(color.err(), Some(Error::Cancelled));
    assert_eq!(Error::Cancelled.kind(), ErrorKind::Cancelled);
}
