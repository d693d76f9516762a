//! What is over a limit is refused by name, before memory is taken for it; what is within keeps to it.

use imaging::{
    Error, Fit, Limits, Meter, Operation, OutputFormat, Quantity, Scratch, probe, render,
};
use jpeg_encoder::{ColorType as JpegColor, SamplingFactor};

use crate::{
    make::{
        gif, jpeg, jpeg_with, paint, photo, png, png_chunk, png_of, png_with, riff_chunk, size,
        webp_body, webp_frame, webp_lossless, webp_lossy, webp_of,
    },
    memory::peak,
};

/// Memory for an error and a few vectors of a parser: no pixels.
const HEADER_BYTES: u64 = 64 << 10;

/// Both functions refuse `bytes` for `what`, and take no memory for it.
fn check_refused(label: &str, bytes: &[u8], what: Quantity) {
    let limits = Limits::default();
    let operation = Operation::inside(100, OutputFormat::Webp);
    let (probed, probe_peak) = peak(|| probe(bytes, &limits, &Meter::default()).map(|_| ()));
    let (rendered, render_peak) =
        peak(|| render(bytes, &operation, &limits, &mut Scratch::new()).map(|_| ()));
    for (refused, peak) in [(probed, probe_peak), (rendered, render_peak)] {
        assert!(
            matches!(&refused, Err(Error::TooLarge { what: w, .. }) if *w == what),
            "{label}: {refused:?}"
        );
        assert!(peak < HEADER_BYTES, "{label}: {peak} bytes for a refusal");
    }
}

fn patched(bytes: &[u8], at: usize, new: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[at..at + new.len()].copy_from_slice(new);
    bytes
}

/// The same small picture in each format, its header claiming another size.
fn claiming(width: u16, height: u16) -> Vec<(&'static str, Vec<u8>)> {
    let small = size(16, 16);
    let jpeg = jpeg(small, photo);
    let frame = jpeg
        .windows(2)
        .position(|pair| pair == [0xff, 0xc0])
        .unwrap()
        + 5;
    let big_endian = [height.to_be_bytes(), width.to_be_bytes()].concat();
    let little_endian = [width.to_le_bytes(), height.to_le_bytes()].concat();
    let wide = [
        u32::from(width).to_be_bytes(),
        u32::from(height).to_be_bytes(),
    ]
    .concat();
    let gif = gif(small, &[((0, 0), small, photo)]);
    let image = gif
        .windows(9)
        .position(|window| window == [0x2c, 0, 0, 0, 0, 16, 0, 16, 0])
        .unwrap()
        + 5;
    vec![
        ("JPEG", patched(&jpeg, frame, &big_endian)),
        ("PNG", patched(&png(small, photo), 16, &wide)),
        (
            "WebP canvas",
            webp_of(
                0,
                size(width.into(), height.into()),
                &[webp_body(&webp_lossy(small, photo))],
            ),
        ),
        ("GIF screen", patched(&gif, 6, &little_endian)),
        ("GIF frame", patched(&gif, image, &little_endian)),
    ]
}

#[test]
fn a_side_that_is_too_long_is_refused_from_the_header() {
    for (label, bytes) in claiming(16_385, 10) {
        check_refused(label, &bytes, Quantity::Width);
    }
    for (label, bytes) in claiming(10, 65_535) {
        check_refused(label, &bytes, Quantity::Height);
    }
}

#[test]
fn too_many_pixels_are_refused_from_the_header() {
    for (label, bytes) in claiming(8_000, 8_000) {
        check_refused(label, &bytes, Quantity::Pixels);
    }
    let small = size(16, 16);
    let lossy = webp_lossy(small, photo);
    let at = lossy
        .windows(3)
        .position(|window| window == [0x9d, 0x01, 0x2a])
        .unwrap()
        + 3;
    check_refused(
        "lossy WebP",
        &patched(&lossy, at, &[0xff, 0x3f, 0xff, 0x3f]),
        Quantity::Pixels,
    );
    let lossless = webp_lossless(small, photo);
    let at = lossless
        .windows(4)
        .position(|window| window == b"VP8L")
        .unwrap()
        + 9;
    check_refused(
        "lossless WebP",
        &patched(&lossless, at, &[0xff, 0xff, 0xff, 0x1f]),
        Quantity::Pixels,
    );
}

#[test]
fn an_animation_counts_all_its_frames() {
    let (canvas, small) = (size(5_000, 5_000), size(2, 2));
    let frames = vec![((0, 0), small, photo as crate::make::Paint); 50];
    check_refused("GIF", &gif(canvas, &frames), Quantity::AnimationPixels);
    let frame = webp_frame((0, 0), small, &webp_lossless(small, photo));
    let frames = vec![&frame[..]; 50];
    check_refused(
        "WebP",
        &webp_of(0x02, canvas, &frames),
        Quantity::AnimationPixels,
    );
    let header = [
        &5_000_u32.to_be_bytes()[..],
        &5_000_u32.to_be_bytes(),
        &[8, 2, 0, 0, 0],
    ]
    .concat();
    let animation = [50_u32.to_be_bytes(), [0; 4]].concat();
    let png = png_of(&[
        (b"IHDR", &header),
        (b"acTL", &animation),
        (b"IDAT", &[0]),
        (b"IEND", &[]),
    ]);
    check_refused("PNG", &png, Quantity::AnimationPixels);
}

#[test]
fn a_color_profile_that_is_too_large_is_refused() {
    let s = size(16, 16);
    let huge = vec![7; 5 << 20];
    let jpeg = jpeg_with(s, &paint::<3>(s, photo), JpegColor::Rgb, |encoder| {
        encoder.add_icc_profile(&huge).unwrap();
    });
    check_refused("JPEG", &jpeg, Quantity::IccBytes);
    let plain = png(s, photo);
    let chunks: [(&[u8; 4], &[u8]); 4] = [
        (b"IHDR", png_chunk(&plain, b"IHDR")),
        (b"iCCP", &huge),
        (b"IDAT", png_chunk(&plain, b"IDAT")),
        (b"IEND", &[]),
    ];
    check_refused("PNG", &png_of(&chunks), Quantity::IccBytes);
    let webp = webp_lossy(s, photo);
    let webp = webp_of(0x20, s, &[&riff_chunk(b"ICCP", &huge), webp_body(&webp)]);
    check_refused("WebP", &webp, Quantity::IccBytes);
}

#[test]
fn too_much_metadata_is_refused() {
    let s = size(16, 16);
    let huge = vec![b'a'; 9 << 20];
    let jpeg = jpeg_with(s, &paint::<3>(s, photo), JpegColor::Rgb, |encoder| {
        for part in huge.chunks(60_000) {
            encoder.add_app_segment(1, part.to_vec()).unwrap();
        }
    });
    check_refused("JPEG", &jpeg, Quantity::MetadataBytes);
    let plain = png(s, photo);
    let chunks: [(&[u8; 4], &[u8]); 4] = [
        (b"IHDR", png_chunk(&plain, b"IHDR")),
        (b"tEXt", &huge),
        (b"IDAT", png_chunk(&plain, b"IDAT")),
        (b"IEND", &[]),
    ];
    check_refused("PNG", &png_of(&chunks), Quantity::MetadataBytes);
    let webp = webp_lossy(s, photo);
    check_refused(
        "WebP",
        &webp_of(0x04, s, &[webp_body(&webp), &riff_chunk(b"XMP ", &huge)]),
        Quantity::MetadataBytes,
    );
    let mut gif = gif(s, &[((0, 0), s, photo)]);
    gif.pop();
    gif.extend([0x21, 0xfe]);
    gif.extend(
        huge.chunks(255)
            .flat_map(|part| std::iter::once(part.len() as u8).chain(part.iter().copied())),
    );
    gif.extend([0, 0x3b]);
    check_refused("GIF", &gif, Quantity::MetadataBytes);
}

/// What 32 MB of zeros shrink to, as a zlib stream.
fn bomb() -> Vec<u8> {
    let s = size(1, 1);
    let zeros = vec![0; 32 << 20];
    let png = png_with(s, png::ColorType::Rgb, &[0; 3], |info| {
        info.icc_profile = Some(zeros.into());
    });
    let content = png_chunk(&png, b"iCCP");
    let name = content.iter().position(|byte| *byte == 0).unwrap();
    content[name + 2..].to_vec()
}

#[test]
fn bombs_in_a_png_burst_no_memory() {
    let bomb = bomb();
    assert!(bomb.len() < 1 << 20, "{} bytes", bomb.len());
    let s = size(64, 64);
    let plain = png(s, photo);
    let (header, data) = (png_chunk(&plain, b"IHDR"), png_chunk(&plain, b"IDAT"));
    let profile = [b"icc\0\0", &bomb[..]].concat();
    let in_profile = png_of(&[
        (b"IHDR", header),
        (b"iCCP", &profile),
        (b"IDAT", data),
        (b"IEND", &[]),
    ]);
    let in_pixels = png_of(&[(b"IHDR", header), (b"IDAT", &bomb), (b"IEND", &[])]);
    let in_text = png_of(&[
        (b"IHDR", header),
        (b"zTXt", &profile),
        (b"IDAT", data),
        (b"IEND", &[]),
    ]);
    let operation = Operation::inside(32, OutputFormat::Png);
    for (label, bytes, must_show) in [
        ("profile", in_profile, true),
        ("pixels", in_pixels, false),
        ("text", in_text, true),
    ] {
        let (result, peak) =
            peak(|| render(&bytes, &operation, &Limits::default(), &mut Scratch::new()));
        assert!(peak < 24 << 20, "{label}: {peak} bytes");
        assert!(result.is_ok() || !must_show, "{label}: {result:?}");
    }
}

#[test]
fn a_render_keeps_to_the_memory_its_header_announced() {
    let s = size(1_200, 900);
    let rgb = paint::<3>(s, photo);
    let progressive = jpeg_with(s, &rgb, JpegColor::Rgb, |encoder| {
        encoder.set_progressive(true);
    });
    let subsampled = jpeg_with(s, &rgb, JpegColor::Rgb, |encoder| {
        encoder.set_sampling_factor(SamplingFactor::F_2_2);
    });
    let gray = jpeg_with(s, &paint::<1>(s, photo), JpegColor::Luma, |encoder| {
        encoder.set_progressive(true);
    });
    let files = [
        ("JPEG", jpeg(s, photo)),
        ("progressive JPEG", progressive),
        ("4:2:0 JPEG", subsampled),
        ("grey progressive JPEG", widely_sampled(&gray)),
        ("PNG", png(s, photo)),
        ("WebP", webp_lossy(s, photo)),
        ("GIF", gif(s, &[((0, 0), s, photo)])),
        (
            "GIF with a part",
            gif(s, &[((0, 0), size(1_100, 800), photo)]),
        ),
    ];
    for (label, bytes) in files {
        let announced = probe(&bytes, &Limits::default(), &Meter::default())
            .unwrap()
            .decoded_bytes;
        let operation = Operation::inside(600, OutputFormat::Webp);
        let (result, peak) = peak(|| {
            render(&bytes, &operation, &Limits::default(), &mut Scratch::new()).map(|_| ())
        });
        assert_eq!(result, Ok(()), "{label}");
        assert!(
            peak <= announced + (2 << 20),
            "{label}: {peak} bytes, announced {announced}"
        );
        assert!(
            announced < 40 * s.pixels(),
            "{label}: {announced} is not far too much"
        );
    }
}

/// A grey picture that claims a sampling of 4 x 4, which means nothing there but tempts a decoder to take
/// sixteen times the memory.
fn widely_sampled(gray: &[u8]) -> Vec<u8> {
    let frame = gray
        .windows(2)
        .position(|pair| pair == [0xff, 0xc2])
        .unwrap();
    patched(gray, frame + 11, &[0x44])
}

#[test]
fn a_result_larger_than_its_picture_keeps_to_the_memory_it_announced() {
    let small = size(300, 200);
    let files = [
        jpeg(small, photo),
        png(small, |x, y| [x as u8, y as u8, 9, (x ^ y) as u8]),
        gif(small, &[((0, 0), small, photo)]),
    ];
    for bytes in files {
        let info = probe(&bytes, &Limits::default(), &Meter::default()).unwrap();
        for format in [OutputFormat::Jpeg, OutputFormat::Png, OutputFormat::Webp] {
            for fit in [Fit::Contain, Fit::Cover, Fit::Fill] {
                let operation = Operation {
                    fit,
                    dpr: 2.0,
                    quality: 100,
                    ..Operation::inside_box(size(750, 250), format)
                };
                let announced = operation.peak_bytes(&info, &Limits::default()).unwrap();
                let (result, peak) = peak(|| {
                    render(&bytes, &operation, &Limits::default(), &mut Scratch::new()).map(|_| ())
                });
                assert_eq!(result, Ok(()), "{operation:?}");
                assert!(
                    peak <= announced,
                    "{operation:?} of a {} took {peak} bytes, not {announced}",
                    info.format
                );
            }
        }
    }
}
