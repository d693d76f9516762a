//! JPEG: the markers by our own parser, the pixels by zune-jpeg.
//!
//! This is where a decoder of our own, that decodes only the coefficients a small result needs, will take
//! the library's place.

use zune_core::{bytestream::ZCursor, colorspace::ColorSpace, options::DecoderOptions};
use zune_jpeg::JpegDecoder;

use super::{peak_bytes, same_size};
use crate::{
    Error, Info, InputFormat, Limits, Orientation, Scratch, Size,
    bytes::be_u16,
    exif,
    raster::{Layout, Raster},
    scratch::blank,
};

/// More scans than any encoder writes; each one costs a pass over all blocks, however few bytes it has.
const MAX_SCANS: usize = 64;

const SOS: u8 = 0xda;
const EOI: u8 = 0xd9;
const EXIF_NAME: &[u8] = b"Exif\0\0";
const ICC_NAME: &[u8] = b"ICC_PROFILE\0";

pub(super) fn probe(bytes: &[u8], limits: &Limits) -> Result<Info, Error> {
    let markers = Markers::read(bytes, limits)?;
    let channels = markers.layout().channels();
    Ok(Info {
        format: InputFormat::Jpeg,
        stored: markers.size,
        displayed: markers.orientation.display(markers.size),
        orientation: markers.orientation,
        has_alpha: false,
        frames: 1,
        decoded_bytes: peak_bytes(markers.size, channels, markers.coefficient_bytes()),
    })
}

pub(super) fn decode(
    bytes: &[u8],
    info: &Info,
    limits: &Limits,
    scratch: &mut Scratch,
) -> Result<Raster, Error> {
    let markers = Markers::read(bytes, limits)?;
    let scans = Scans::count(&bytes[markers.scan_offset..]);
    if scans.count > MAX_SCANS {
        return Err(damaged(
            markers.scan_offset,
            format!("{} scans, more than {MAX_SCANS}", scans.count),
        ));
    }
    let side = limits.side as usize;
    let options = DecoderOptions::default()
        .set_max_width(side)
        .set_max_height(side)
        .jpeg_set_max_scans(MAX_SCANS);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    decoder.decode_headers().map_err(|error| library(&error))?;
    let found = decoder.dimensions().unwrap_or_default();
    same_size(info, (found.0 as u32, found.1 as u32))?;

    let layout = markers.layout();
    let colorspace = match layout {
        Layout::Gray => ColorSpace::Luma,
        Layout::Rgb | Layout::Rgba => ColorSpace::RGB,
        // Undone below: the library's own way to RGB takes every file for inverted, and ignores profiles.
        Layout::Cmyk => decoder.input_colorspace().unwrap_or(ColorSpace::CMYK),
    };
    decoder.set_options(options.jpeg_set_out_colorspace(colorspace));
    blank(&mut scratch.pixels, info.stored.bytes(layout.channels()))?;
    decoder
        .decode_into(&mut scratch.pixels)
        .map_err(|error| library(&error))?;
    match colorspace {
        ColorSpace::YCCK => ycck_to_ink(&mut scratch.pixels),
        ColorSpace::CMYK if markers.adobe => {
            scratch.pixels.iter_mut().for_each(|ink| *ink = 255 - *ink);
        }
        _ => {}
    }
    Ok(Raster {
        size: info.stored,
        layout,
        icc: markers.icc(),
        truncated: !scans.complete,
    })
}

/// Everything before the first scan that matters here.
struct Markers<'a> {
    size: Size,
    /// Horizontal and vertical sampling factor of each component.
    sampling: Vec<(u8, u8)>,
    progressive: bool,
    orientation: Orientation,
    /// Whether an Adobe segment is there: then CMYK is stored inverted.
    adobe: bool,
    /// Sequence number and content of each part of the profile.
    icc_parts: Vec<(u8, &'a [u8])>,
    /// Components of the first scan.
    scan_components: usize,
    /// Where the first scan's marker is.
    scan_offset: usize,
}

impl<'a> Markers<'a> {
    fn read(bytes: &'a [u8], limits: &Limits) -> Result<Self, Error> {
        let mut frame = None;
        let mut found = Self {
            size: Size {
                width: 0,
                height: 0,
            },
            sampling: Vec::new(),
            progressive: false,
            orientation: Orientation::Normal,
            adobe: false,
            icc_parts: Vec::new(),
            scan_components: 0,
            scan_offset: 0,
        };
        let (mut icc_bytes, mut metadata_bytes) = (0, 0);
        let mut at = 2;
        loop {
            let (marker, start) = next_marker(bytes, at)?;
            let length = usize::from(
                be_u16(bytes, start).ok_or_else(|| damaged(start, "ends inside its header"))?,
            );
            let content = bytes
                .get(start + 2..start + length.max(2))
                .ok_or_else(|| damaged(start, "ends inside its header"))?;
            match marker {
                0xc0..=0xc2 if frame.is_some() => return Err(damaged(start, "two frame headers")),
                0xc0..=0xc2 => {
                    found.progressive = marker == 0xc2;
                    found.frame_header(content, start, limits)?;
                    frame = Some(());
                }
                0xc3 | 0xc5..=0xc7 => return Err(unsupported("lossless or hierarchical coding")),
                0xc9..=0xcf => return Err(unsupported("arithmetic coding")),
                0xe1 if content.starts_with(EXIF_NAME)
                    && found.orientation == Orientation::Normal =>
                {
                    found.orientation = exif::orientation(content);
                }
                0xe2 if content.starts_with(ICC_NAME) && content.len() >= 14 => {
                    found.icc_parts.push((content[12], &content[14..]));
                    icc_bytes += content.len() as u64 - 14;
                }
                0xee => found.adobe |= content.starts_with(b"Adobe") && content.len() >= 12,
                SOS => {
                    frame.ok_or_else(|| damaged(start, "a scan without a frame header"))?;
                    found.scan_components = content.first().copied().unwrap_or(0).into();
                    found.scan_offset = start - 2;
                    return found.readable();
                }
                _ => {}
            }
            if matches!(marker, 0xe0..=0xef | 0xfe) {
                metadata_bytes += length as u64;
            }
            limits.check_icc(icc_bytes)?;
            limits.check_metadata(metadata_bytes - icc_bytes)?;
            at = start + length.max(2);
        }
    }

    fn frame_header(&mut self, content: &[u8], at: usize, limits: &Limits) -> Result<(), Error> {
        let [precision, h1, h0, w1, w0, components, table @ ..] = content else {
            return Err(damaged(at, "a frame header that is too short"));
        };
        self.size = Size {
            width: u16::from_be_bytes([*w1, *w0]).into(),
            height: u16::from_be_bytes([*h1, *h0]).into(),
        };
        match (precision, components) {
            (8, 1 | 3 | 4) => {}
            (8, _) => return Err(unsupported("a number of components other than 1, 3 and 4")),
            _ => return Err(unsupported("more than 8 bits a sample")),
        }
        match self.size {
            Size { width: 0, .. } => return Err(damaged(at, "a width of zero")),
            Size { height: 0, .. } => {
                return Err(unsupported(
                    "a height that is given after the picture (DNL)",
                ));
            }
            size => limits.check_input(size)?,
        }
        self.sampling = table
            .as_chunks::<3>()
            .0
            .iter()
            .map(|[_, factors, _]| (factors >> 4, factors & 15))
            .collect();
        let valid = |&(h, v): &(u8, u8)| (1..=4).contains(&h) && (1..=4).contains(&v);
        if self.sampling.len() != usize::from(*components) || !self.sampling.iter().all(valid) {
            return Err(damaged(at, "sampling factors that make no sense"));
        }
        Ok(())
    }

    /// Refuses the one variety that zune-jpeg takes and gets wrong: it mixes up the rows.
    fn readable(self) -> Result<Self, Error> {
        let subsampled = self
            .sampling
            .iter()
            .any(|factors| *factors != self.sampling[0]);
        if self.in_several_scans() && !self.progressive && subsampled {
            return Err(unsupported(
                "a scan for each component with subsampled colour",
            ));
        }
        Ok(self)
    }

    fn in_several_scans(&self) -> bool {
        self.progressive || self.scan_components != self.sampling.len()
    }

    fn layout(&self) -> Layout {
        match self.sampling.len() {
            1 => Layout::Gray,
            4 => Layout::Cmyk,
            _ => Layout::Rgb,
        }
    }

    /// The coefficients of a file in several scans are all kept until the last one, two bytes each.
    fn coefficient_bytes(&self) -> u64 {
        if !self.in_several_scans() {
            return 0;
        }
        let largest = |factor: fn(&(u8, u8)) -> u8| {
            u64::from(self.sampling.iter().map(factor).max().unwrap_or(1))
        };
        let samples: u64 = self
            .sampling
            .iter()
            .map(|&(h, v)| u64::from(h) * u64::from(v))
            .sum();
        2 * self.size.pixels() * samples / (largest(|s| s.0) * largest(|s| s.1))
    }

    /// The profile, its parts in the order of their numbers.
    fn icc(&self) -> Option<Vec<u8>> {
        let mut parts = self.icc_parts.clone();
        parts.sort_by_key(|(number, _)| *number);
        (!parts.is_empty()).then(|| {
            parts
                .into_iter()
                .flat_map(|(_, part)| part)
                .copied()
                .collect()
        })
    }
}

/// The next marker from `at` on, and where its length is. Bytes before it are skipped, as every decoder does.
fn next_marker(bytes: &[u8], at: usize) -> Result<(u8, usize), Error> {
    let rest = bytes.get(at..).unwrap_or_default();
    let is_marker = |pair: &[u8]| pair[0] == 0xff && !matches!(pair[1], 0 | 1 | 0xd0..=0xd8 | 0xff);
    let skipped = rest
        .windows(2)
        .position(is_marker)
        .ok_or_else(|| damaged(at, "ends before its first scan"))?;
    match rest[skipped + 1] {
        EOI => Err(damaged(at + skipped, "ends before its first scan")),
        marker => Ok((marker, at + skipped + 2)),
    }
}

/// What can be said of the coded data without decoding it: a marker can't occur in it by chance.
struct Scans {
    count: usize,
    /// Whether the end marker is there.
    complete: bool,
}

impl Scans {
    fn count(from_first: &[u8]) -> Self {
        let mut scans = Self {
            count: 0,
            complete: false,
        };
        for pair in from_first.windows(2).filter(|pair| pair[0] == 0xff) {
            scans.count += usize::from(pair[1] == SOS);
            scans.complete |= pair[1] == EOI;
        }
        scans
    }
}

/// `YCbCr` that stands for inverted CMY, and inverted K, become amounts of ink (JFIF's matrix, 16-bit fixed point).
fn ycck_to_ink(pixels: &mut [u8]) {
    for pixel in pixels.as_chunks_mut::<4>().0 {
        let [y, cb, cr, k] = pixel.map(i32::from);
        let (cb, cr) = (cb - 128, cr - 128);
        let sample = |offset: i32| (y + ((offset + 32_768) >> 16)).clamp(0, 255) as u8;
        *pixel = [
            sample(91_881 * cr),
            sample(-22_554 * cb - 46_802 * cr),
            sample(116_130 * cb),
            (255 - k) as u8,
        ];
    }
}

fn damaged(at: usize, reason: impl Into<String>) -> Error {
    Error::damaged(InputFormat::Jpeg, at, reason)
}

fn unsupported(feature: &'static str) -> Error {
    Error::UnsupportedFeature {
        format: InputFormat::Jpeg,
        feature,
    }
}

fn library(error: &zune_jpeg::errors::DecodeErrors) -> Error {
    Error::damaged(InputFormat::Jpeg, None, format!("{error:?}"))
}
