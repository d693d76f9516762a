//! AV1 bitstream, clause 5: the units of a coded picture, and the sequence header. The frame itself is the library's.

use super::{boxes::damaged, items::unsupported};
use crate::{Error, Size};

const SEQUENCE_HEADER: u8 = 1;
const FRAME_HEADER: u8 = 3;
const FRAME: u8 = 6;
const TILE_LIST: u8 = 8;

/// What the sequence header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sequence {
    pub profile: u8,
    pub size: Size,
    pub color: ColorConfig,
    /// Whether grain may be laid over the decoded frame.
    pub grain: bool,
}

/// Clause 5.5.2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ColorConfig {
    /// 8, 10 or 12.
    pub bit_depth: u8,
    pub monochrome: bool,
    /// Whether the colours have half the luma's width, and half its height.
    pub subsampling: (bool, bool),
    pub code_points: CodePoints,
}

/// ITU-T H.273: what numbers mean which colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct CodePoints {
    pub primaries: u16,
    pub transfer: u16,
    pub matrix: u16,
    pub full_range: bool,
}

/// Reads the one sequence header of a coded picture that begins `at` bytes into the file, and refuses what holds more than
/// one frame: a few bytes can code any number of them.
pub(super) fn sequence(data: &[u8], at: usize) -> Result<Sequence, Error> {
    let mut found = None;
    let mut frames = 0;
    let mut rest = data;
    while let Some((&header, behind)) = rest.split_first() {
        let here = at + data.len() - rest.len();
        let extension = usize::from(header >> 2 & 1);
        if header & 2 == 0 {
            return Err(unsupported("a unit without a length"));
        }
        let (length, behind) = behind
            .get(extension..)
            .and_then(leb128)
            .filter(|(length, behind)| *length <= behind.len())
            .ok_or_else(|| damaged(here, "a unit that is longer than its picture"))?;
        let (unit, behind) = behind.split_at(length);
        rest = behind;
        match header >> 3 & 15 {
            SEQUENCE_HEADER if found.is_some() => {
                return Err(damaged(here, "two sequence headers"));
            }
            SEQUENCE_HEADER => {
                let sequence = Bits { bytes: unit, at: 0 }.sequence();
                found =
                    Some(sequence.ok_or_else(|| damaged(here, "its sequence header is damaged"))?);
            }
            FRAME_HEADER | FRAME => frames += 1,
            TILE_LIST => return Err(unsupported("a list of tiles")),
            _ => {}
        }
    }
    let sequence = found.ok_or_else(|| damaged(at, "has no sequence header"))?;
    match frames {
        1 => Ok(sequence),
        0 => Err(damaged(at, "ends before its pixels")),
        _ => Err(unsupported("several frames in one picture")),
    }
}

/// Clause 4.10.5: seven bits of each byte, the lowest first.
fn leb128(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut value = 0;
    for (index, byte) in bytes.iter().enumerate().take(8) {
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            let value = u32::try_from(value).ok()?;
            return Some((value as usize, &bytes[index + 1..]));
        }
    }
    None
}

/// Bits, the highest of a byte first; `None` behind the last one.
struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Bits<'_> {
    fn flag(&mut self) -> Option<bool> {
        let byte = self.bytes.get(self.at / 8)?;
        let bit = byte >> (7 - self.at % 8) & 1;
        self.at += 1;
        Some(bit == 1)
    }

    /// Clause 4.10.2, for up to 32 bits.
    fn number(&mut self, bits: u32) -> Option<u32> {
        (0..bits).try_fold(0, |value, _| Some(value << 1 | u32::from(self.flag()?)))
    }

    /// Clause 4.10.3.
    fn skip_unsigned_variable(&mut self) -> Option<()> {
        let mut zeros = 0;
        while !self.flag()? {
            zeros += 1;
        }
        if zeros < 32 {
            self.number(zeros)?;
        }
        Some(())
    }

    /// Clause 5.5.1.
    fn sequence(&mut self) -> Option<Sequence> {
        let profile = self.number(3)? as u8;
        self.flag()?; // A still picture.
        let is_reduced = self.flag()?;
        if is_reduced {
            self.number(5)?; // The level.
        } else {
            self.operating_points()?;
        }
        let (width_bits, height_bits) = (self.number(4)? + 1, self.number(4)? + 1);
        let size = Size {
            width: self.number(width_bits)? + 1,
            height: self.number(height_bits)? + 1,
        };
        if !is_reduced && self.flag()? {
            self.number(4)?; // The numbers of frames: how long they are,
            self.number(3)?; // and how much longer.
        }
        self.number(3)?; // Large superblocks, filtered intra prediction, filtered intra edges.
        if !is_reduced {
            self.tools()?;
        }
        self.number(3)?; // Super-resolution, CDEF, restoration.
        Some(Sequence {
            profile,
            size,
            color: self.color_config(profile)?,
            grain: self.flag()?,
        })
    }

    /// Clauses 5.5.3 to 5.5.5, and the operating points between them.
    fn operating_points(&mut self) -> Option<()> {
        let mut delay_bits = None;
        if self.flag()? {
            self.number(32)?; // Units in a tick.
            self.number(32)?; // Ticks in a second.
            if self.flag()? {
                self.skip_unsigned_variable()?;
            }
            if self.flag()? {
                delay_bits = Some(self.number(5)? + 1);
                self.number(32)?; // Units in a decoder's tick.
                self.number(10)?; // How long the times of removal and of presentation are.
            }
        }
        let has_initial_delay = self.flag()?;
        for _ in 0..=self.number(5)? {
            self.number(12)?; // The layers that belong to it.
            if self.number(5)? > 7 {
                self.flag()?; // The tier.
            }
            if let Some(bits) = delay_bits
                && self.flag()?
            {
                self.number(bits)?; // The decoder's buffer,
                self.number(bits)?; // the encoder's,
                self.flag()?; // and whether they are small.
            }
            if has_initial_delay && self.flag()? {
                self.number(4)?;
            }
        }
        Some(())
    }

    /// Which tools of prediction between frames are used; a still picture uses none.
    fn tools(&mut self) -> Option<()> {
        self.number(4)?; // Compounds with intra, with masks; warps; two filters.
        let has_order = self.flag()?;
        if has_order {
            self.number(2)?; // Joined compounds, motion vectors of references.
        }
        let chooses_screen_content = self.flag()?;
        let screen_content = chooses_screen_content || self.flag()?;
        if screen_content && !self.flag()? {
            self.flag()?; // Whole motion vectors only.
        }
        if has_order {
            self.number(3)?; // How long the order is.
        }
        Some(())
    }

    /// Clause 5.5.2.
    fn color_config(&mut self, profile: u8) -> Option<ColorConfig> {
        const SRGB: CodePoints = CodePoints {
            primaries: 1,
            transfer: 13,
            matrix: 0,
            full_range: true,
        };
        let is_high = self.flag()?;
        let bit_depth = match (profile, is_high) {
            (_, false) => 8,
            (2, true) if self.flag()? => 12,
            (_, true) => 10,
        };
        let monochrome = profile != 1 && self.flag()?;
        let mut code_points = CodePoints {
            primaries: 2,
            transfer: 2,
            matrix: 2,
            full_range: false,
        };
        if self.flag()? {
            code_points.primaries = self.number(8)? as u16;
            code_points.transfer = self.number(8)? as u16;
            code_points.matrix = self.number(8)? as u16;
        }
        let is_srgb = CodePoints {
            full_range: true,
            ..code_points
        } == SRGB;
        let mut subsampling = (true, true);
        if !monochrome && is_srgb {
            (code_points, subsampling) = (SRGB, (false, false));
        } else {
            code_points.full_range = self.flag()?;
            if !monochrome {
                subsampling = match profile {
                    0 => (true, true),
                    1 => (false, false),
                    _ if bit_depth == 12 => {
                        let across = self.flag()?;
                        (across, across && self.flag()?)
                    }
                    _ => (true, false),
                };
            }
        }
        if !monochrome {
            if subsampling == (true, true) {
                self.number(2)?; // Where the colours' samples lie: where, few files know.
            }
            self.flag()?; // Quantisers for each colour.
        }
        Some(ColorConfig {
            bit_depth,
            monochrome,
            subsampling,
            code_points,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_read_to_their_last_byte() {
        assert_eq!(leb128(&[5, 9]), Some((5, &[9][..])));
        assert_eq!(leb128(&[0xe5, 0x8e, 0x26]), Some((624_485, &[][..])));
        assert_eq!(leb128(&[0x80; 9]), None, "too long");
        assert_eq!(leb128(&[0x80]), None, "cut off");
        assert_eq!(leb128(&[0xff, 0xff, 0xff, 0xff, 0x7f]), None, "too large");
    }

    #[test]
    fn a_sequence_header_that_ends_early_is_damaged() {
        for length in 0..6 {
            let bytes = [0x0a, length, 0x38, 0x15, 0x7f, 0xff, 0xff, 0xff];
            let unit = &bytes[..2 + usize::from(length)];
            assert!(sequence(unit, 0).is_err(), "{length} bytes");
        }
    }
}
