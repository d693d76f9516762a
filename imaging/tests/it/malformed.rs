//! Files cut short and files with flipped bits: whatever comes, an answer and never a panic.

use std::panic::{AssertUnwindSafe, catch_unwind};

use imaging::{Limits, Meter, Operation, OutputFormat, Scratch, dominant_color, probe, render};
use jpeg_encoder::ColorType as JpegColor;
use moxcms::ColorProfile;

use crate::{
    make::{
        gif, jpeg, jpeg_with, paint, photo, png, png_interlaced, png_with, riff_chunk, size,
        webp_body, webp_frame, webp_lossless, webp_lossy, webp_of,
    },
    memory::peak,
};

/// Small pictures may claim at most this much, so that a flipped bit in a size is cheap to obey.
const LIMITS: Limits = Limits {
    pixels: 1 << 20,
    side: 4_096,
    animation_pixels: 1 << 24,
    icc_bytes: 1 << 20,
    metadata_bytes: 1 << 20,
};
/// What one megapixel can take, however it is coded: coefficients, canvas and frame, profile tables.
const MOST_BYTES: u64 = 48 << 20;

/// One file of each kind, with everything in it that is parsed.
fn corpus() -> Vec<(&'static str, Vec<u8>)> {
    let s = size(40, 28);
    let profile = ColorProfile::new_display_p3().encode().unwrap();
    let exif = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0";
    let decorated = jpeg_with(s, &paint::<3>(s, photo), JpegColor::Rgb, |encoder| {
        encoder.add_exif_metadata(exif).unwrap();
        encoder.add_icc_profile(&profile).unwrap();
        encoder.set_restart_interval(2);
    });
    let progressive = jpeg_with(s, &paint::<3>(s, photo), JpegColor::Rgb, |encoder| {
        encoder.set_progressive(true);
    });
    let cmyk = jpeg_with(s, &paint::<4>(s, photo), JpegColor::CmykAsYcck, |_| {});
    let profiled = png_with(s, png::ColorType::Rgb, &paint::<3>(s, photo), |info| {
        info.icc_profile = Some(profile.clone().into());
        info.exif_metadata = Some(exif.to_vec().into());
    });
    let faded = |x: u32, y: u32| [x as u8 * 5, y as u8 * 7, 99, (x * y) as u8];
    let frame = webp_frame((4, 2), size(20, 10), &webp_lossless(size(20, 10), faded));
    let animated = webp_of(0x12, s, &[&riff_chunk(b"ANIM", &[0; 6]), &frame, &frame]);
    let extended = webp_of(
        0x38,
        s,
        &[
            &riff_chunk(b"ICCP", &profile),
            webp_body(&webp_lossy(s, faded)),
            &riff_chunk(b"EXIF", exif),
        ],
    );
    vec![
        ("JPEG", jpeg(s, photo)),
        ("JPEG with everything", decorated),
        ("progressive JPEG", progressive),
        ("YCCK JPEG", cmyk),
        ("PNG", png(s, faded)),
        ("PNG with everything", profiled),
        ("interlaced PNG", png_interlaced(s, photo)),
        ("lossy WebP", webp_lossy(s, photo)),
        ("lossless WebP", webp_lossless(s, faded)),
        ("WebP with everything", extended),
        ("animated WebP", animated),
        (
            "GIF",
            gif(s, &[((0, 0), s, photo), ((5, 5), size(9, 9), photo)]),
        ),
    ]
}

/// Runs everything on `bytes`. What comes out does not matter, as long as something does.
fn survive(label: &str, bytes: &[u8], scratch: &mut Scratch) {
    let ((), peak) = peak(|| {
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            let _ = probe(bytes, &LIMITS, &Meter::default());
            let _ = dominant_color(bytes, &LIMITS, scratch, &Meter::default());
            // At the smaller size decoders do less.
            for side in [16, 4] {
                let operation = Operation::inside(side, OutputFormat::Webp);
                let _ = render(bytes, &operation, &LIMITS, scratch);
            }
        }));
        assert!(outcome.is_ok(), "{label} made it panic");
    });
    assert!(peak < MOST_BYTES, "{label} made it take {peak} bytes");
}

#[test]
fn a_file_cut_anywhere_never_panics() {
    let mut scratch = Scratch::new();
    for (label, bytes) in corpus() {
        let step = (bytes.len() / 400).max(1);
        for cut in (0..bytes.len()).step_by(step) {
            survive(
                &format!("{label} cut at {cut}"),
                &bytes[..cut],
                &mut scratch,
            );
        }
    }
}

#[test]
fn a_file_with_flipped_bits_never_panics() {
    let mut scratch = Scratch::new();
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for (label, bytes) in corpus() {
        for round in 0..300 {
            let mut flipped = bytes.clone();
            // The header is a small part of the file and the most of the danger.
            let reach = if round % 2 == 0 {
                bytes.len().min(120)
            } else {
                bytes.len()
            };
            for _ in 0..=round % 5 {
                let at = random.below(reach);
                flipped[at] ^= 1 << random.below(8);
            }
            survive(&format!("{label}, round {round}"), &flipped, &mut scratch);
        }
    }
}

#[test]
fn a_file_of_noise_behind_a_right_beginning_never_panics() {
    let mut scratch = Scratch::new();
    let mut random = Random(42);
    for (label, bytes) in corpus() {
        for round in 0..60 {
            let kept = random.below(bytes.len().min(400));
            let noise = (0..300).map(|_| random.below(256) as u8);
            let spoilt: Vec<u8> = bytes[..kept].iter().copied().chain(noise).collect();
            survive(&format!("{label}, noise {round}"), &spoilt, &mut scratch);
        }
    }
}

/// A xorshift generator: the same numbers in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }
}
