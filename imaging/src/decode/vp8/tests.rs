//! Ours beside libwebp, sample by sample.

use libwebp_sys::WebPConfig;

use super::{bools::Bools, *};
use crate::webp::ffi;

/// Numbers that are the same in every run (Knuth's generator, MMIX).
struct Random(u64);

impl Random {
    fn next(&mut self, below: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % below
    }
}

const fn size(width: u32, height: u32) -> Size {
    Size { width, height }
}

/// Slopes, edges and noise, so that every way of prediction is the best one somewhere.
fn picture(size: Size) -> Vec<u8> {
    let mut random = Random(u64::from(size.width) << 32 | u64::from(size.height));
    let mut pixels = Vec::new();
    for y in 0..size.height as usize {
        for x in 0..size.width as usize {
            let noise = if (x / 24 + y / 24) % 3 == 0 {
                random.next(90)
            } else {
                random.next(4)
            };
            let edge = if (2 * x + y) / 20 % 2 == 0 { 120 } else { 0 };
            let slope = (x * x / 7 + 3 * y) % 128;
            pixels.extend(
                [edge + slope, edge + noise, slope + noise].map(|value| value.min(255) as u8),
            );
        }
    }
    pixels
}

/// The content of the `VP8 ` chunk of a picture that libwebp made.
fn encoded(size: Size, configure: impl Fn(&mut WebPConfig)) -> Vec<u8> {
    let mut config = WebPConfig::new().unwrap();
    configure(&mut config);
    let file = ffi::encode_with(&picture(size), size, false, &config, &Meter::default()).unwrap();
    let chunk = file.windows(4).position(|kind| kind == b"VP8 ").unwrap();
    let length = u32::from_le_bytes(*file[chunk + 4..].first_chunk().unwrap());
    file[chunk + 8..][..length as usize].to_vec()
}

/// Luma and colours without padding.
type Channels = [Vec<u8>; 3];

fn ours(frame: &[u8], size: Size, sides: [usize; 2]) -> Result<Channels, Error> {
    let [mut luma, mut blue, mut red] = Channels::default();
    let planes = decode(
        frame,
        30,
        size,
        sides,
        [&mut luma, &mut blue, &mut red],
        &Meter::default(),
    )?;
    let cropped = |samples: &[u8], plane: &Plane| {
        let rows = samples
            .chunks(plane.stride)
            .take(plane.size.height as usize);
        rows.flat_map(|row| row[..plane.size.width as usize].to_vec())
            .collect()
    };
    let channels = [&luma, &blue, &red];
    Ok(std::array::from_fn(|channel| {
        cropped(channels[channel], &planes[channel])
    }))
}

/// `None` if libwebp refuses it.
fn theirs(frame: &[u8], size: Size) -> Option<Channels> {
    let mut chunk = b"VP8 ".to_vec();
    chunk.extend((frame.len() as u32).to_le_bytes());
    chunk.extend(frame);
    let color = color_size(size, true).bytes(1);
    let [mut luma, mut blue, mut red] = [size.bytes(1), color, color].map(|len| vec![0; len]);
    ffi::decode_channels(&chunk, size, [&mut luma, &mut blue, &mut red]).ok()?;
    Some([luma, blue, red])
}

#[test]
fn every_sample_is_the_one_that_libwebp_decodes() {
    let sizes = [(1, 1), (2, 35), (16, 16), (17, 33), (150, 97), (400, 64)];
    for (width, height) in sizes {
        let size = size(width, height);
        for (quality, method) in [(0.0, 4), (25.0, 0), (60.0, 3), (90.0, 6), (100.0, 4)] {
            for (segments, partitions) in [(1, 0), (4, 0), (3, 2), (4, 3)] {
                let frame = encoded(size, |config| {
                    config.quality = quality;
                    config.method = method;
                    config.segments = segments;
                    config.partitions = partitions;
                    config.filter_type = segments % 2;
                    config.filter_sharpness = partitions;
                });
                let case = format!("{size:?}, quality {quality}, {segments} segments");
                assert!(
                    ours(&frame, size, [1, 1]).ok() == theirs(&frame, size),
                    "{case}"
                );
            }
        }
    }
}

#[test]
fn each_sample_is_the_mean_of_a_square() {
    let size = size(64, 48);
    let frame = encoded(size, |config| config.quality = 70.0);
    let full = ours(&frame, size, [1, 1]).unwrap();
    for (block, of_colors) in [(2, 1), (4, 2), (8, 4), (8, 8)] {
        let means = ours(&frame, size, [block, of_colors]).unwrap();
        for (channel, (means, full)) in means.iter().zip(&full).enumerate() {
            let (width, block) = if channel == 0 {
                (64, block)
            } else {
                (32, of_colors)
            };
            for (i, mean) in means.iter().enumerate() {
                let (x, y) = (i % (width / block) * block, i / (width / block) * block);
                let square = (0..block * block).map(|i| (x + i % block, y + i / block));
                let sum: usize = square.map(|(x, y)| usize::from(full[y * width + x])).sum();
                let area = block * block;
                assert_eq!(
                    usize::from(*mean),
                    (sum + area / 2) / area,
                    "{channel}: {x}, {y}"
                );
            }
        }
    }
}

#[test]
fn what_the_edge_cuts_off_is_told() {
    let size = size(45, 50);
    let frame = encoded(size, |config| config.quality = 70.0);
    let (mut luma, mut blue, mut red) = (vec![], vec![], vec![]);
    let [of_luma, of_blue, _] = decode(
        &frame,
        30,
        size,
        [8, 4],
        [&mut luma, &mut blue, &mut red],
        &Meter::default(),
    )
    .unwrap();
    assert_eq!(
        (of_luma.size, of_luma.extent),
        (self::size(6, 7), (5.625, 6.25))
    );
    assert_eq!(
        (of_blue.size, of_blue.extent),
        (self::size(6, 7), (5.625, 6.25))
    );
}

#[test]
fn a_frame_that_is_cut_off_is_refused_wherever_libwebp_refuses_it() {
    let size = size(90, 70);
    for partitions in [0, 2] {
        let frame = encoded(size, |config| config.partitions = partitions);
        for length in 0..frame.len() {
            let cut_off = ours(&frame[..length], size, [1, 1]).ok();
            assert!(cut_off == theirs(&frame[..length], size), "{length}");
            // libwebp's encoder ends with bits that nobody needs.
            assert!(cut_off.is_none() || length + 2 >= frame.len(), "{length}");
        }
    }
}

#[test]
fn a_damaged_frame_is_shown_as_libwebp_shows_it_or_refused_where_libwebp_refuses_it() {
    let size = size(90, 70);
    let mut random = Random(1);
    let mut shown = 0;
    for round in 0..3000 {
        let mut frame = encoded_once(round % 4, size);
        // The first ten bytes are the tag and the size.
        for _ in 0..=random.next(3) {
            let at = 10 + random.next(frame.len() - 10);
            frame[at] ^= 1 << random.next(8);
        }
        let ours = ours(&frame, size, [1, 1]).ok();
        assert!(ours == theirs(&frame, size), "round {round}");
        shown += usize::from(ours.is_some());
    }
    assert!(shown > 500, "{shown} of 3000 were shown");
}

/// A frame of each of four kinds, made once.
fn encoded_once(kind: usize, size: Size) -> Vec<u8> {
    static FRAMES: std::sync::OnceLock<[Vec<u8>; 4]> = std::sync::OnceLock::new();
    let frames = FRAMES.get_or_init(|| {
        [(10.0, 0), (50.0, 1), (75.0, 3), (98.0, 0)].map(|(quality, partitions)| {
            encoded(size, |config| {
                (config.quality, config.partitions) = (quality, partitions);
                config.segments = 4;
            })
        })
    });
    frames[kind].clone()
}

#[test]
fn what_is_not_a_key_frame_that_is_shown_is_refused() {
    let frame = encoded(size(16, 16), |_| {});
    // A frame that depends on others, one of an unknown version, one that is not shown.
    for bits in [0x01, 0x08, 0x10] {
        let mut other = frame.clone();
        other[0] ^= bits;
        let error = ours(&other, size(16, 16), [1, 1]).unwrap_err().to_string();
        assert!(
            error.contains("byte 30: its picture is not a key frame"),
            "{error}"
        );
    }
}

/// The decoder of RFC 6386, section 7.3, as it is written there: bit by bit.
struct Literal<'a> {
    bytes: std::slice::Iter<'a, u8>,
    value: u32,
    range: u32,
    shifted: u32,
}

impl Literal<'_> {
    fn next(&mut self, probability: u8) -> bool {
        let split = 1 + (((self.range - 1) * u32::from(probability)) >> 8);
        let yes = self.value >= split << 8;
        if yes {
            self.range -= split;
            self.value -= split << 8;
        } else {
            self.range = split;
        }
        while self.range < 128 {
            self.value <<= 1;
            self.range <<= 1;
            self.shifted += 1;
            if self.shifted == 8 {
                self.shifted = 0;
                self.value |= self.bytes.next().map_or(0, |byte| u32::from(*byte));
            }
        }
        yes
    }
}

#[test]
fn decisions_are_those_of_the_standard_also_behind_the_end() {
    let mut random = Random(2);
    for length in [0, 1, 7, 8, 9, 1000] {
        let bytes: Vec<u8> = (0..length).map(|_| random.next(256) as u8).collect();
        let mut rest = bytes.iter();
        let first = [(); 2].map(|()| rest.next().map_or(0, |byte| u32::from(*byte)));
        let mut literal = Literal {
            bytes: rest,
            value: first[0] << 8 | first[1],
            range: 255,
            shifted: 0,
        };
        let mut bools = Bools::new(&bytes);
        let mut decisions = 0;
        while !bools.is_overrun() && decisions < 20_000 {
            bools.refill();
            for _ in 0..=random.next(6) {
                // Both ends are the longest shifts.
                let probability = [0, 255, 128, random.next(256) as u8][random.next(4)];
                if probability == 128 {
                    assert_eq!(bools.sign(1) < 0, literal.next(128));
                } else {
                    assert_eq!(bools.next(probability), literal.next(probability));
                }
                decisions += 1;
            }
        }
        assert!(
            decisions < 20_000,
            "the end of {length} bytes is never noticed"
        );
    }
}
