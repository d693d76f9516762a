//! The eight EXIF orientations, and turning pixels by them.

use crate::{Error, Meter, Size, scratch::blank};

/// How a stored picture must be turned to be displayed, as EXIF tag 0x0112 says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Orientation {
    /// 1: as stored.
    #[default]
    Normal,
    /// 2: mirrored left to right.
    FlipHorizontal,
    /// 3: turned upside down.
    Rotate180,
    /// 4: mirrored top to bottom.
    FlipVertical,
    /// 5: mirrored along the diagonal from top left.
    Transpose,
    /// 6: turned a quarter clockwise.
    Rotate90,
    /// 7: mirrored along the diagonal from top right.
    Transverse,
    /// 8: turned a quarter counter-clockwise.
    Rotate270,
}

impl Orientation {
    /// All eight, in the order of their EXIF values.
    pub const ALL: [Self; 8] = [
        Self::Normal,
        Self::FlipHorizontal,
        Self::Rotate180,
        Self::FlipVertical,
        Self::Transpose,
        Self::Rotate90,
        Self::Transverse,
        Self::Rotate270,
    ];

    /// The EXIF value, 1 to 8.
    #[must_use]
    pub const fn exif(self) -> u8 {
        self as u8 + 1
    }

    /// The orientation of an EXIF value; what is not 1 to 8 means nothing and is displayed as stored.
    pub(crate) fn from_exif(value: u16) -> Self {
        let index = usize::from(value).wrapping_sub(1);
        Self::ALL.get(index).copied().unwrap_or_default()
    }

    /// Whether width and height change places.
    pub(crate) const fn transposes(self) -> bool {
        matches!(
            self,
            Self::Transpose | Self::Rotate90 | Self::Transverse | Self::Rotate270
        )
    }

    /// The displayed size of a picture stored with `size`.
    pub(crate) const fn display(self, size: Size) -> Size {
        if self.transposes() {
            size.transposed()
        } else {
            size
        }
    }

    /// Where a point of the displayed picture is in the stored one; both in shares of width and height.
    pub(crate) fn stored_point(self, (x, y): (f64, f64)) -> (f64, f64) {
        match self {
            Self::Normal => (x, y),
            Self::FlipHorizontal => (1.0 - x, y),
            Self::Rotate180 => (1.0 - x, 1.0 - y),
            Self::FlipVertical => (x, 1.0 - y),
            Self::Transpose => (y, x),
            Self::Rotate90 => (y, 1.0 - x),
            Self::Transverse => (1.0 - y, 1.0 - x),
            Self::Rotate270 => (1.0 - y, x),
        }
    }

    /// Turns the picture in `pixels`, using `spare` for the result and swapping the two.
    pub(crate) fn apply(
        self,
        pixels: &mut Vec<u8>,
        spare: &mut Vec<u8>,
        size: Size,
        channels: usize,
        meter: &Meter,
    ) -> Result<Size, Error> {
        if self == Self::Normal {
            return Ok(size);
        }
        let turned = self.display(size);
        blank(spare, turned.bytes(channels))?;
        match channels {
            1 => self.turn::<1>(pixels, spare, size, meter),
            3 => self.turn::<3>(pixels, spare, size, meter),
            _ => self.turn::<4>(pixels, spare, size, meter),
        }?;
        std::mem::swap(pixels, spare);
        Ok(turned)
    }

    /// Copies each pixel to where it is displayed; `CHANNELS` is constant so that a copy is one move.
    fn turn<const CHANNELS: usize>(
        self,
        from: &[u8],
        to: &mut [u8],
        size: Size,
        meter: &Meter,
    ) -> Result<(), Error> {
        let (from, _) = from.as_chunks::<CHANNELS>();
        let (to, _) = to.as_chunks_mut::<CHANNELS>();
        let (width, height) = (size.width as usize, size.height as usize);
        let turned = self.display(size).width as usize;
        for (y, row) in to.chunks_exact_mut(turned).enumerate() {
            meter.step(turned as u64)?;
            for (x, pixel) in row.iter_mut().enumerate() {
                let (column, line) = match self {
                    Self::Normal => (x, y),
                    Self::FlipHorizontal => (width - 1 - x, y),
                    Self::Rotate180 => (width - 1 - x, height - 1 - y),
                    Self::FlipVertical => (x, height - 1 - y),
                    Self::Transpose => (y, x),
                    Self::Rotate90 => (y, height - 1 - x),
                    Self::Transverse => (width - 1 - y, height - 1 - x),
                    Self::Rotate270 => (width - 1 - y, x),
                };
                *pixel = from[line * width + column];
            }
        }
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail")]
mod tests {
    use super::*;

    /// The letters of a 3 x 2 picture `abc/def`, as each orientation displays them.
    #[test]
    fn each_orientation_moves_every_pixel_to_its_place() {
        let displayed = [
            "abc/def", "cba/fed", "fed/cba", "def/abc", "ad/be/cf", "da/eb/fc", "fc/eb/da",
            "cf/be/ad",
        ];
        for (orientation, expected) in Orientation::ALL.into_iter().zip(displayed) {
            for channels in [1, 3, 4] {
                let spread = |text: &str| -> Vec<u8> {
                    text.bytes()
                        .filter(|b| *b != b'/')
                        .flat_map(|b| vec![b; channels])
                        .collect()
                };
                let mut pixels = spread("abcdef");
                let size = Size {
                    width: 3,
                    height: 2,
                };
                let turned = orientation
                    .apply(
                        &mut pixels,
                        &mut Vec::new(),
                        size,
                        channels,
                        &Meter::default(),
                    )
                    .unwrap();
                assert_eq!(
                    pixels,
                    spread(expected),
                    "{orientation:?}, {channels} channels"
                );
                let width = expected.find('/').unwrap() as u32;
                assert_eq!(
                    turned,
                    Size {
                        width,
                        height: 6 / width
                    },
                    "{orientation:?}"
                );
            }
        }
    }

    #[test]
    fn a_value_that_is_no_orientation_means_as_stored() {
        for value in [0, 9, 255, u16::MAX] {
            assert_eq!(Orientation::from_exif(value), Orientation::Normal);
        }
        for orientation in Orientation::ALL {
            assert_eq!(
                Orientation::from_exif(orientation.exif().into()),
                orientation
            );
        }
    }
}
