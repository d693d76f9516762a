//! Files for the tests, made by encoders that are not under test, and the way back to pixels.

use std::io::Cursor;

use imaging::{Encoded, Limits, Meter, Operation, OutputFormat, Scratch, Size, probe, render};
use jpeg_encoder::{ColorType as JpegColor, Encoder as JpegEncoder, SamplingFactor};

/// Colour of a pixel, as a function of where it is.
pub(crate) type Paint = fn(u32, u32) -> [u8; 4];

pub(crate) const fn size(width: u32, height: u32) -> Size {
    Size { width, height }
}

/// Smooth, colourful and opaque, so that lossy formats keep it well.
pub(crate) fn photo(x: u32, y: u32) -> [u8; 4] {
    let wave = |t: f64| (127.5 + 110.0 * t.sin()) as u8;
    let (x, y) = (f64::from(x), f64::from(y));
    [
        wave(x / 31.0 + y / 57.0),
        wave(x / 43.0 - y / 29.0),
        wave((x + y) / 71.0),
        255,
    ]
}

pub(crate) fn paint<const CHANNELS: usize>(size: Size, paint: Paint) -> Vec<u8> {
    let places = (0..size.height).flat_map(|y| (0..size.width).map(move |x| (x, y)));
    places
        .flat_map(|(x, y)| paint(x, y).into_iter().take(CHANNELS))
        .collect()
}

pub(crate) fn jpeg(size: Size, picture: Paint) -> Vec<u8> {
    jpeg_with(
        size,
        &paint::<3>(size, picture),
        JpegColor::Rgb,
        |encoder| {
            encoder.set_sampling_factor(SamplingFactor::F_1_1);
        },
    )
}

pub(crate) fn jpeg_with(
    size: Size,
    pixels: &[u8],
    color: JpegColor,
    settings: impl FnOnce(&mut JpegEncoder<&mut Vec<u8>>),
) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = JpegEncoder::new(&mut bytes, 95);
    settings(&mut encoder);
    encoder
        .encode(pixels, size.width as u16, size.height as u16, color)
        .unwrap();
    bytes
}

pub(crate) fn png(size: Size, picture: Paint) -> Vec<u8> {
    png_with(
        size,
        png::ColorType::Rgba,
        &paint::<4>(size, picture),
        |_| {},
    )
}

/// A PNG of 8 bits a channel.
pub(crate) fn png_with(
    size: Size,
    color: png::ColorType,
    pixels: &[u8],
    settings: impl FnOnce(&mut png::Info<'static>),
) -> Vec<u8> {
    let mut info = png::Info::with_size(size.width, size.height);
    info.color_type = color;
    info.bit_depth = png::BitDepth::Eight;
    settings(&mut info);
    let mut bytes = Vec::new();
    let mut writer = png::Encoder::with_info(&mut bytes, info)
        .unwrap()
        .write_header()
        .unwrap();
    writer.write_image_data(pixels).unwrap();
    writer.finish().unwrap();
    bytes
}

/// A PNG of any chunks, with right lengths and checksums.
pub(crate) fn png_of(chunks: &[(&[u8; 4], &[u8])]) -> Vec<u8> {
    let mut bytes = b"\x89PNG\r\n\x1a\n".to_vec();
    for (kind, content) in chunks {
        let mut checked = kind.to_vec();
        checked.extend_from_slice(content);
        bytes.extend((content.len() as u32).to_be_bytes());
        bytes.extend(&checked);
        bytes.extend(crc32(&checked).to_be_bytes());
    }
    bytes
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg())
        })
    })
}

/// An interlaced PNG of 8-bit RGB, not compressed, which no encoder at hand can write.
pub(crate) fn png_interlaced(size: Size, picture: Paint) -> Vec<u8> {
    // First column, first row, and the steps to the next, of the seven passes.
    let passes = [
        (0, 0, 8, 8),
        (4, 0, 8, 8),
        (0, 4, 4, 8),
        (2, 0, 4, 4),
        (0, 2, 2, 4),
        (1, 0, 2, 2),
        (0, 1, 1, 2),
    ];
    let mut rows = Vec::new();
    for (left, top, right, down) in passes {
        for y in (top..size.height)
            .step_by(down)
            .filter(|_| left < size.width)
        {
            rows.push(0);
            rows.extend(
                (left..size.width)
                    .step_by(right)
                    .flat_map(|x| picture(x, y).into_iter().take(3)),
            );
        }
    }
    let length = rows.len() as u16;
    let (a, b) = rows.iter().fold((1, 0), |(a, b), byte| {
        let a = (a + u32::from(*byte)) % 65_521;
        (a, (b + a) % 65_521)
    });
    let mut data = vec![0x78, 0x01, 0x01];
    data.extend(length.to_le_bytes());
    data.extend((!length).to_le_bytes());
    data.extend(rows);
    data.extend((b << 16 | a).to_be_bytes());
    let mut header = [size.width.to_be_bytes(), size.height.to_be_bytes()].concat();
    header.extend([8, 2, 0, 0, 1]);
    png_of(&[(b"IHDR", &header), (b"IDAT", &data), (b"IEND", &[])])
}

/// The content of the first chunk of that kind.
pub(crate) fn png_chunk<'a>(png: &'a [u8], kind: &[u8; 4]) -> &'a [u8] {
    let at = png.windows(4).position(|window| window == kind).unwrap();
    let length = u32::from_be_bytes(*png[at - 4..].first_chunk().unwrap()) as usize;
    &png[at + 4..at + 4 + length]
}

pub(crate) fn webp_lossless(size: Size, picture: Paint) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    let encoder = image_webp::WebPEncoder::new(&mut bytes);
    let pixels = paint::<4>(size, picture);
    encoder
        .encode(
            &pixels,
            size.width,
            size.height,
            image_webp::ColorType::Rgba8,
        )
        .unwrap();
    bytes.into_inner()
}

pub(crate) fn webp_lossy(size: Size, picture: Paint) -> Vec<u8> {
    let operation = Operation {
        quality: 95,
        ..same_size(size, OutputFormat::Webp)
    };
    render(
        &png(size, picture),
        &operation,
        &Limits::default(),
        &mut Scratch::new(),
    )
    .unwrap()
    .bytes
}

/// The chunks of a WebP file, one after the other, without the file's header.
pub(crate) fn webp_body(webp: &[u8]) -> &[u8] {
    let body = &webp[12..];
    if body.starts_with(b"VP8X") {
        &body[18..]
    } else {
        body
    }
}

/// A WebP file with an extended header: flags, canvas, chunks.
pub(crate) fn webp_of(flags: u8, canvas: Size, chunks: &[&[u8]]) -> Vec<u8> {
    let mut header = vec![flags, 0, 0, 0];
    header.extend(&(canvas.width - 1).to_le_bytes()[..3]);
    header.extend(&(canvas.height - 1).to_le_bytes()[..3]);
    let content = [
        b"WEBP".to_vec(),
        riff_chunk(b"VP8X", &header),
        chunks.concat(),
    ]
    .concat();
    riff_chunk(b"RIFF", &content)
}

pub(crate) fn riff_chunk(kind: &[u8; 4], content: &[u8]) -> Vec<u8> {
    let mut bytes = kind.to_vec();
    bytes.extend((content.len() as u32).to_le_bytes());
    bytes.extend(content);
    bytes.resize(bytes.len().next_multiple_of(2), 0);
    bytes
}

/// One frame of an animated WebP, from a still one.
pub(crate) fn webp_frame(position: (u32, u32), size: Size, still: &[u8]) -> Vec<u8> {
    let numbers = [
        position.0 / 2,
        position.1 / 2,
        size.width - 1,
        size.height - 1,
        100,
    ];
    let mut content: Vec<u8> = numbers
        .iter()
        .flat_map(|number| number.to_le_bytes().into_iter().take(3))
        .collect();
    content.push(0);
    content.extend(webp_body(still));
    riff_chunk(b"ANMF", &content)
}

/// A GIF of a screen and frames, each at its place, in colours of six levels a channel.
pub(crate) fn gif(screen: Size, frames: &[((u16, u16), Size, Paint)]) -> Vec<u8> {
    let level = |value: u8| ((u16::from(value) + 25) / 51) as u8;
    let cube = (0..216).flat_map(|index| [index / 36, index / 6 % 6, index % 6]);
    let palette: Vec<u8> = cube.map(|level| level * 51).chain([0; 3]).collect();
    let mut bytes = Vec::new();
    let mut encoder =
        gif::Encoder::new(&mut bytes, screen.width as u16, screen.height as u16, &[]).unwrap();
    for ((left, top), size, picture) in frames {
        let pixels = paint::<3>(*size, *picture);
        let indices: Vec<u8> = pixels
            .as_chunks::<3>()
            .0
            .iter()
            .map(|p| level(p[0]) * 36 + level(p[1]) * 6 + level(p[2]))
            .collect();
        let (width, height) = (size.width as u16, size.height as u16);
        let mut frame =
            gif::Frame::from_palette_pixels(width, height, indices, palette.clone(), None);
        (frame.left, frame.top) = (*left, *top);
        encoder.write_frame(&frame).unwrap();
    }
    drop(encoder);
    bytes
}

/// A picture in the format's own size.
pub(crate) fn same_size(size: Size, format: OutputFormat) -> Operation {
    Operation::inside_box(size, format)
}

/// Pixels to look at.
pub(crate) struct Pixels {
    pub size: Size,
    rgba: Vec<u8>,
}

impl Pixels {
    /// What a file shows at full size, by way of our own PNG output and the `png` crate.
    pub(crate) fn shown_by(bytes: &[u8]) -> Self {
        let displayed = probe(bytes, &Limits::default(), &Meter::default())
            .unwrap()
            .displayed;
        Self::of(&rendered(bytes, &same_size(displayed, OutputFormat::Png)))
    }

    pub(crate) fn of(encoded: &Encoded) -> Self {
        if encoded.format != OutputFormat::Png {
            return Self::shown_by(&encoded.bytes);
        }
        Self::of_png(&encoded.bytes)
    }

    /// What a PNG shows, by the `png` crate.
    pub(crate) fn of_png(bytes: &[u8]) -> Self {
        let mut decoder = png::Decoder::new(Cursor::new(bytes));
        decoder.set_transformations(png::Transformations::EXPAND | png::Transformations::ALPHA);
        let mut reader = decoder.read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut pixels).unwrap();
        let rgba = match info.color_type {
            png::ColorType::GrayscaleAlpha => pixels
                .chunks(2)
                .flat_map(|p| [p[0], p[0], p[0], p[1]])
                .collect(),
            _ => pixels,
        };
        Self {
            size: size(info.width, info.height),
            rgba,
        }
    }

    pub(crate) fn at(&self, x: u32, y: u32) -> [u8; 4] {
        let index = (y * self.size.width + x) as usize * 4;
        *self.rgba[index..].first_chunk().unwrap()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = [u8; 4]> {
        self.rgba.as_chunks::<4>().0.iter().copied()
    }

    /// Mean difference from `picture` over all channels, in levels of 0 to 255.
    pub(crate) fn distance_from(&self, picture: Paint) -> f64 {
        let expected = paint::<4>(self.size, picture);
        let sum: u64 = expected
            .iter()
            .zip(&self.rgba)
            .map(|(a, b)| u64::from(a.abs_diff(*b)))
            .sum();
        sum as f64 / expected.len() as f64
    }
}

pub(crate) fn rendered(bytes: &[u8], operation: &Operation) -> Encoded {
    render(bytes, operation, &Limits::default(), &mut Scratch::new()).unwrap()
}

pub(crate) fn near(a: [u8; 4], b: [u8; 4], tolerance: u8) -> bool {
    a.iter().zip(b).all(|(a, b)| a.abs_diff(b) <= tolerance)
}
