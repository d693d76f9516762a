//! What the fuzz targets have in common: limits, the operation that an input asks for, and what must hold whatever the
//! input is.
//!
//! libFuzzer's own hook ends the process at the first panic, also at one that the pipeline would have caught: a panic
//! of a decoder is a finding here, though to a user it is only a damaged file.

use imaging::{
    Fidelity, Fit, Gravity, InputFormat, Limits, Meter, Operation, OutputFormat, Scratch, Size,
};
use libfuzzer_sys::Corpus;

#[path = "../../tests/it/memory.rs"]
mod memory;

/// Small enough for many executions a second, large enough for every way through the code.
const LIMITS: Limits = Limits {
    pixels: 4_000_000,
    side: 16_384,
    animation_pixels: 16_000_000,
    icc_bytes: 1 << 20,
    metadata_bytes: 1 << 20,
};
/// What an error and a parser's vectors take.
const HEADER_BYTES: u64 = 64 << 10;
/// What a render takes besides what it announced: the libraries' own buffers, the encoder, a profile and its tables.
const RENDER_BYTES: u64 = 8 << 20;

/// Bytes before the file that choose the operation.
const CHOICES: usize = 6;

/// Probes any bytes.
pub fn probe(data: &[u8]) -> Corpus {
    let meter = Meter::default();
    let (probed, peak) = memory::peak(|| imaging::probe(data, &LIMITS, &meter));
    assert_in_proportion(&meter, data.len(), 0);
    assert!(peak < HEADER_BYTES, "probing took {peak} bytes");
    if let Ok(info) = probed {
        assert!(info.stored.pixels() <= LIMITS.pixels, "{info:?}");
        assert!(info.frames > 0, "{info:?}");
    }
    Corpus::Keep
}

/// Renders a file of one format; the first bytes choose what is made of it.
pub fn render(data: &[u8], format: InputFormat) -> Corpus {
    let Some((choices, file)) = data.split_first_chunk() else {
        return Corpus::Reject;
    };
    if InputFormat::detect(file) != Ok(format) {
        return Corpus::Reject;
    }
    let operation = operation(*choices);
    let probed = imaging::probe(file, &LIMITS, &Meter::default());
    let meter = Meter::default();
    let mut scratch = Scratch::new();
    let (rendered, peak) = memory::peak(|| {
        let decoded = imaging::decode(file, &operation, &LIMITS, &mut scratch, &meter);
        let pixels = probed.as_ref().map_or(0, |info| info.stored.pixels());
        assert_in_proportion(&meter, file.len(), pixels);
        decoded?.transform()?.encode()
    });

    // What is refused before it is decoded takes nothing to speak of.
    let announced = probed.as_ref().map_or(0, |info| {
        operation.peak_bytes(info, &LIMITS).unwrap_or_default()
    });
    let allowed = announced + RENDER_BYTES;
    assert!(
        peak <= allowed,
        "{operation:?} took {peak} bytes, not {allowed}"
    );
    if let Ok(encoded) = rendered {
        assert!(probed.is_ok(), "rendered, but {probed:?}");
        let again =
            imaging::probe(&encoded.bytes, &LIMITS, &Meter::default()).map(|info| info.stored);
        assert_eq!(again, Ok(encoded.size), "{operation:?}");
    }
    Corpus::Keep
}

/// Checks the work of a probe, and of a decode if there are pixels: where a bound ends it, it ends within a row.
fn assert_in_proportion(meter: &Meter, bytes: usize, pixels: u64) {
    let most = 2 * Meter::most_steps(bytes as u64, pixels);
    let steps = meter.steps();
    assert!(
        steps <= most,
        "{steps} steps for {bytes} bytes, {pixels} pixels"
    );
}

/// Every operation has its bytes, and all bytes have an operation.
fn operation([width, height, fit, format, quality, rest]: [u8; CHOICES]) -> Operation {
    // The last is larger than most pictures: their own size.
    let side = |choice: u8| {
        if choice == u8::MAX {
            1024
        } else {
            u32::from(choice) + 1
        }
    };
    let formats = [OutputFormat::Png, OutputFormat::Jpeg, OutputFormat::Webp];
    let fits = [Fit::Inside, Fit::Cover, Fit::Contain, Fit::Fill];
    let gravities = [Gravity::Center, Gravity::North, Gravity::SouthEast];
    let format = formats[usize::from(format) % formats.len()];
    let size = Size {
        width: side(width),
        height: side(height),
    };
    let mut operation = Operation::inside_box(size, format);
    operation.fit = fits[usize::from(fit) % fits.len()];
    operation.quality = quality % 100 + 1;
    operation.fidelity = if rest & 1 == 1 {
        Fidelity::NearEqual
    } else {
        Fidelity::Full
    };
    operation.gravity = gravities[usize::from(rest >> 1) % gravities.len()];
    match rest >> 5 {
        4 => operation.dpr = 1.5,
        5 => operation.dpr = 2.0,
        6 => operation.width = None,
        7 => operation.height = None,
        _ => {}
    }
    operation
}
