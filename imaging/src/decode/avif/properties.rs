//! The properties of an item: how large it is, how it is coded, coloured and turned. What changes a picture in a way that is
//! not known here is refused, never left out.

use super::{
    boxes::{IsoBox, damaged},
    items::unsupported,
    stream::CodePoints,
};
use crate::{Error, Limits, Orientation, Size};

/// The properties of an item that say how to show it.
#[derive(Default)]
pub(super) struct Properties<'a> {
    pub size: Option<Size>,
    /// Of the codec: the second and third byte of `av1C`.
    pub configuration: Option<[u8; 2]>,
    pub turns: Turns,
    pub code_points: Option<CodePoints>,
    pub icc: Option<&'a [u8]>,
}

impl<'a> Properties<'a> {
    /// Takes in one more property; those of a picture are applied in their order.
    pub(super) fn add(
        &mut self,
        property: IsoBox<'a>,
        is_essential: bool,
        limits: &Limits,
    ) -> Result<(), Error> {
        let mut reader = property.reader();
        match &property.kind {
            b"ispe" => {
                let (_, _, mut reader) = property.full()?;
                let (width, height) = (reader.u32()?, reader.u32()?);
                if width == 0 || height == 0 {
                    return Err(damaged(property.at, "a width or height of zero"));
                }
                self.size = Some(Size { width, height });
            }
            b"av1C" => {
                let [_, profile, channels] = reader.bytes()?;
                self.configuration = Some([profile & 0xe0, channels & 0x7c]);
            }
            b"irot" => self.turns.rotate(reader.u8()? & 3),
            b"imir" => self.turns.mirror(reader.u8()? & 1 == 1),
            b"colr" => match &reader.bytes()? {
                b"nclx" => {
                    self.code_points = Some(CodePoints {
                        primaries: reader.u16()?,
                        transfer: reader.u16()?,
                        matrix: reader.u16()?,
                        full_range: reader.u8()? & 0x80 != 0,
                    });
                }
                b"prof" | b"rICC" => {
                    let (icc, _) = reader.rest();
                    limits.check_icc(icc.len() as u64)?;
                    self.icc = Some(icc);
                }
                _ => {}
            },
            b"clap" => return Err(unsupported("a clean aperture")),
            b"lsel" | b"a1op" => return Err(unsupported("layers")),
            _ if is_essential && !matches!(&property.kind, b"auxC" | b"pixi" | b"pasp") => {
                return Err(unsupported("an essential property that is not known"));
            }
            _ => {}
        }
        Ok(())
    }
}

/// Rotations and reflections one after the other: first the quarters counter-clockwise, then perhaps left to right.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Turns {
    quarters: u8,
    is_mirrored: bool,
}

impl Turns {
    fn rotate(&mut self, quarters: u8) {
        // Behind a mirror, the same turn goes the other way.
        let quarters = if self.is_mirrored {
            4 - quarters
        } else {
            quarters
        };
        self.quarters = (self.quarters + quarters) % 4;
    }

    /// Left to right, or else top to bottom: the same and half a turn.
    fn mirror(&mut self, left_to_right: bool) {
        if !left_to_right {
            self.rotate(2);
        }
        self.is_mirrored = !self.is_mirrored;
    }

    pub(super) fn orientation(self) -> Orientation {
        let [still, mirrored] = match self.quarters {
            0 => [Orientation::Normal, Orientation::FlipHorizontal],
            1 => [Orientation::Rotate270, Orientation::Transverse],
            2 => [Orientation::Rotate180, Orientation::FlipVertical],
            _ => [Orientation::Rotate90, Orientation::Transpose],
        };
        if self.is_mirrored { mirrored } else { still }
    }
}
