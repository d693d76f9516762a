//! What a JPEG says of itself before its first scan: size, components, colours, orientation, profile.
//!
//! Everything that limits refuse is refused here. Knows nothing of coded data.

use super::{
    damaged,
    markers::{START_OF_SCAN, Segment},
    unsupported,
};
use crate::{Error, Limits, Meter, Orientation, Size, exif, raster::Encoding};

const EXIF_NAME: &[u8] = b"Exif\0\0";
const ICC_NAME: &[u8] = b"ICC_PROFILE\0";
const JFIF_NAME: &[u8] = b"JFIF\0";
const ADOBE_NAME: &[u8] = b"Adobe";
/// Parts are numbered from 1, in one byte.
const MAX_ICC_PARTS: usize = 255;
/// T.81 B.2.3: the blocks of one MCU.
const MAX_MCU_BLOCKS: usize = 10;

/// The frame header (T.81 B.2.2) and the application segments that matter.
pub(super) struct Header<'a> {
    pub frame: Frame,
    pub encoding: Encoding,
    pub orientation: Orientation,
    /// Sequence number and content of each part of the profile.
    icc_parts: Vec<(u8, &'a [u8])>,
    /// Where the length of the first scan's header is.
    pub first_scan: usize,
}

/// How a picture is divided into components and blocks.
#[derive(Clone)]
pub(super) struct Frame {
    pub size: Size,
    pub is_progressive: bool,
    pub components: Vec<Component>,
    /// The largest sampling factors.
    pub largest: (usize, usize),
}

/// One colour channel.
#[derive(Clone, Copy)]
pub(super) struct Component {
    pub id: u8,
    /// Blocks of an MCU, across and down.
    pub sampling: (usize, usize),
    /// Number of its quantisation table.
    pub table: usize,
}

impl Frame {
    /// MCUs across and down.
    pub(super) fn mcus(&self) -> (usize, usize) {
        let size = (self.size.width as usize, self.size.height as usize);
        (
            size.0.div_ceil(8 * self.largest.0),
            size.1.div_ceil(8 * self.largest.1),
        )
    }

    /// Width and height of a component in samples (T.81 A.1.1).
    pub(super) fn samples(&self, component: &Component) -> (usize, usize) {
        (
            (self.size.width as usize * component.sampling.0).div_ceil(self.largest.0),
            (self.size.height as usize * component.sampling.1).div_ceil(self.largest.1),
        )
    }

    /// Blocks of a component across and down, with those that only fill up MCUs.
    pub(super) fn blocks(&self, component: &Component) -> (usize, usize) {
        let (across, down) = self.mcus();
        (across * component.sampling.0, down * component.sampling.1)
    }
}

impl<'a> Header<'a> {
    pub(super) fn read(bytes: &'a [u8], limits: &Limits, meter: &Meter) -> Result<Self, Error> {
        let mut application = Application::default();
        let mut frame = None;
        let mut at = 2;
        loop {
            let segment = Segment::next(bytes, at)?
                .ok_or_else(|| damaged(bytes.len(), "ends before its first scan"))?;
            meter.step((segment.end - at) as u64)?;
            match segment.marker {
                0xc0..=0xc2 if frame.is_some() => {
                    return Err(damaged(segment.start, "two frame headers"));
                }
                0xc0..=0xc2 => frame = Some(Frame::read(&segment, limits)?),
                0xc3 => return Err(unsupported("lossless coding")),
                0xc5..=0xc7 | 0xde => return Err(unsupported("hierarchical coding")),
                0xc9..=0xcb | 0xcd..=0xcf => return Err(unsupported("arithmetic coding")),
                START_OF_SCAN => {
                    let frame = frame
                        .ok_or_else(|| damaged(segment.start, "a scan without a frame header"))?;
                    return Ok(Self {
                        encoding: application.encoding(&frame.components),
                        frame,
                        orientation: application.orientation,
                        icc_parts: application.icc_parts,
                        first_scan: segment.start,
                    });
                }
                _ => application.take(&segment, limits)?,
            }
            at = segment.end;
        }
    }

    /// The profile, its parts in the order of their numbers.
    pub(super) fn icc(&self) -> Option<Vec<u8>> {
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

impl Frame {
    fn read(segment: &Segment, limits: &Limits) -> Result<Self, Error> {
        let at = segment.start;
        let [precision, h1, h0, w1, w0, count, table @ ..] = segment.content else {
            return Err(damaged(at, "a frame header that is too short"));
        };
        let size = Size {
            width: u16::from_be_bytes([*w1, *w0]).into(),
            height: u16::from_be_bytes([*h1, *h0]).into(),
        };
        match (precision, count) {
            (8, 1 | 3 | 4) => {}
            (8, _) => return Err(unsupported("a number of components other than 1, 3 and 4")),
            (12, _) => return Err(unsupported("12 bits a sample")),
            _ => return Err(unsupported("other than 8 bits a sample")),
        }
        match size {
            Size { width: 0, .. } => return Err(damaged(at, "a width of zero")),
            Size { height: 0, .. } => {
                return Err(unsupported(
                    "a height that is given after the picture (DNL)",
                ));
            }
            size => limits.check_input(size)?,
        }
        let read = |&[id, sampling, table]: &[u8; 3]| Component {
            id,
            sampling: (usize::from(sampling >> 4), usize::from(sampling & 15)),
            table: table.into(),
        };
        let count = usize::from(*count);
        let mut components: Vec<_> = table
            .as_chunks::<3>()
            .0
            .iter()
            .take(count)
            .map(read)
            .collect();
        let is_valid = |component: &Component| {
            let (across, down) = component.sampling;
            (1..=4).contains(&across) && (1..=4).contains(&down) && component.table < 4
        };
        if table.len() != 3 * count || !components.iter().all(is_valid) {
            return Err(damaged(at, "components that make no sense"));
        }
        if let [only] = &mut components[..] {
            // Nothing to be sampled more or less often than.
            only.sampling = (1, 1);
        }
        let blocks: usize = components.iter().map(|c| c.sampling.0 * c.sampling.1).sum();
        if blocks > MAX_MCU_BLOCKS {
            return Err(damaged(
                at,
                format!("{blocks} blocks an MCU, more than {MAX_MCU_BLOCKS}"),
            ));
        }
        let largest = components.iter().fold((1, 1), |(across, down), component| {
            (
                across.max(component.sampling.0),
                down.max(component.sampling.1),
            )
        });
        Ok(Self {
            size,
            is_progressive: segment.marker == 0xc2,
            components,
            largest,
        })
    }
}

/// What the application segments before the first scan say.
#[derive(Default)]
struct Application<'a> {
    orientation: Orientation,
    jfif: bool,
    /// The transform of an Adobe segment.
    adobe: Option<u8>,
    icc_parts: Vec<(u8, &'a [u8])>,
    icc_bytes: u64,
    metadata_bytes: u64,
}

impl<'a> Application<'a> {
    fn take(&mut self, segment: &Segment<'a>, limits: &Limits) -> Result<(), Error> {
        let content = segment.content;
        match segment.marker {
            0xe0 => self.jfif |= content.starts_with(JFIF_NAME),
            0xe1 if content.starts_with(EXIF_NAME) && self.orientation == Orientation::Normal => {
                self.orientation = exif::orientation(content);
            }
            0xe2 if content.starts_with(ICC_NAME) && content.len() > 14 => {
                if self.icc_parts.len() == MAX_ICC_PARTS {
                    let reason = format!("a colour profile of more than {MAX_ICC_PARTS} parts");
                    return Err(damaged(segment.start, reason));
                }
                self.icc_parts.push((content[12], &content[14..]));
                self.icc_bytes += content.len() as u64 - 14;
                return limits.check_icc(self.icc_bytes);
            }
            0xee if content.starts_with(ADOBE_NAME) && content.len() >= 12 => {
                self.adobe = Some(content[11]);
            }
            0xe3..=0xef | 0xfe | 0xe1 | 0xe2 => {}
            _ => return Ok(()),
        }
        self.metadata_bytes += content.len() as u64 + 2;
        limits.check_metadata(self.metadata_bytes)
    }

    /// What the components mean; no file says it outright. The rules are libjpeg's.
    fn encoding(&self, components: &[Component]) -> Encoding {
        match (components, self.adobe) {
            ([_], _) => Encoding::Gray,
            ([_, _, _], _) if self.jfif => Encoding::YCbCr,
            ([_, _, _], Some(0)) => Encoding::Rgb,
            ([r, g, b], None) if [r.id, g.id, b.id] == *b"RGB" => Encoding::Rgb,
            ([_, _, _], _) => Encoding::YCbCr,
            (_, Some(2)) => Encoding::Ycck,
            (_, adobe) => Encoding::Cmyk {
                inverted: adobe.is_some(),
            },
        }
    }
}
